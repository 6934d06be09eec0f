package kubelet

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// styleFor chooses the kind of lines by the image, as people know them.
func styleFor(c corev1.Container, seed uint64) func(*random, time.Time) string {
	image := c.Image
	if i := strings.LastIndexByte(image, '/'); i >= 0 {
		image = image[i+1:]
	}
	image, _, _ = strings.Cut(image, ":")
	switch {
	case image == "frontend" || strings.Contains(image, "nginx"):
		return accessLine
	case image == "postgres":
		return postgresLine
	case image == "redis":
		return redisLine
	case strings.HasPrefix(image, "kube-") || image == "coredns" || image == "node-exporter":
		return klogLine
	case image == "etcd":
		return zapLine
	case image == "prometheus" || image == "grafana":
		return logfmtLine
	}
	return []func(*random, time.Time) string{jsonLine, colourLine, logfmtLine}[seed%3]
}

func (r *random) hex(n int) string { return fmt.Sprintf("%016x%016x", r.next(), r.next())[:n] }

func (r *random) ip() string { return fmt.Sprintf("10.128.%d.%d", r.int(12), 1+r.int(250)) }

func accessLine(r *random, at time.Time) string {
	path := r.pick("/", "/products/"+fmt.Sprint(r.int(4000)), "/cart", "/checkout", "/static/app.css", "/api/recommendations", "/healthz")
	status := 200
	switch r.int(40) {
	case 0:
		status = 502
	case 1, 2:
		status = 404
	case 3, 4:
		status = 304
	}
	agent := r.pick("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)", "kube-probe/1.36", "curl/8.14.1")
	return fmt.Sprintf(`%s - - [%s] "%s %s HTTP/1.1" %d %d "-" "%s" rt=%.3f`, r.ip(), at.UTC().Format("02/Jan/2006:15:04:05 +0000"),
		r.pick("GET", "GET", "GET", "POST"), path, status, 120+r.int(48000), agent, float64(r.int(900))/1000)
}

func jsonLine(r *random, at time.Time) string {
	level, msg := "info", r.pick("order accepted", "payment authorised", "cart updated", "cache hit", "stock reserved", "request completed")
	switch r.int(30) {
	case 0:
		level, msg = "error", "upstream call failed: context deadline exceeded"
	case 1, 2:
		level, msg = "warn", "slow query, retrying with a smaller page"
	case 3, 4, 5:
		level, msg = "debug", "token refreshed"
	}
	return fmt.Sprintf(`{"ts":"%s","level":"%s","msg":"%s","trace_id":"%s","order":%d,"duration_ms":%d,"customer":{"tier":"%s","country":"%s"}}`,
		at.UTC().Format(time.RFC3339Nano), level, msg, r.hex(32), 100000+r.int(900000), r.int(1800), r.pick("gold", "basic", "trial"), r.pick("DE", "FR", "PL", "JP", "日本"))
}

func colourLine(r *random, at time.Time) string {
	level := "\x1b[32mINFO\x1b[0m"
	switch r.int(25) {
	case 0:
		level = "\x1b[1;31mERROR\x1b[0m"
	case 1, 2:
		level = "\x1b[33mWARN\x1b[0m"
	case 3, 4, 5:
		level = "\x1b[36mDEBUG\x1b[0m"
	}
	return fmt.Sprintf("\x1b[2m%s\x1b[0m %s \x1b[35m%s\x1b[0m: %s \x1b[2mid=\x1b[0m%s", at.UTC().Format("15:04:05.000"), level,
		r.pick("worker", "queue", "http", "scheduler"), r.pick("picked up job", "job done", "heartbeat sent", "polling for work", "batch flushed", "connection re-used"), r.hex(8))
}

func logfmtLine(r *random, at time.Time) string {
	return fmt.Sprintf("time=%s level=%s source=%s msg=%q component=%s duration=%dms", at.UTC().Format("2006-01-02T15:04:05.000Z"),
		r.pick("INFO", "INFO", "INFO", "WARN", "DEBUG"), r.pick("head.go:1355", "manager.go:182", "compact.go:609", "db.go:1610"),
		r.pick("Head GC completed", "write block", "Completed loading of configuration file", "evaluating rule group", "scrape finished"),
		r.pick("tsdb", "rule manager", "web", "scrape manager"), r.int(900))
}

func klogLine(r *random, at time.Time) string {
	return fmt.Sprintf("%s%s %7d %s] %q %s=%q", r.pick("I", "I", "I", "I", "W", "E"), at.UTC().Format("0102 15:04:05.000000"), 1,
		r.pick("proxier.go:796", "controller.go:243", "reflector.go:389", "leaderelection.go:258"),
		r.pick("SyncProxyRules complete", "Watch close", "Event occurred", "Successfully renewed lease"), r.pick("elapsed", "object", "type"), fmt.Sprintf("%d.%dms", r.int(90), r.int(9)))
}

func zapLine(r *random, at time.Time) string {
	return fmt.Sprintf(`{"level":"%s","ts":"%s","caller":"%s","msg":"%s","took":"%d.%dms","revision":%d}`, r.pick("info", "info", "info", "warn"),
		at.UTC().Format("2006-01-02T15:04:05.000000Z"), r.pick("mvcc/kvstore_compaction.go:72", "traceutil/trace.go:172", "mvcc/hash.go:151"),
		r.pick("finished scheduled compaction", "trace[range]", "storing new hash", "apply request took too long"), r.int(190), r.int(9), 1000+r.int(90000))
}

func postgresLine(r *random, at time.Time) string {
	return fmt.Sprintf("%s UTC [%d] %s", at.UTC().Format("2006-01-02 15:04:05.000"), 50+r.int(40), r.pick(
		fmt.Sprintf("LOG:  checkpoint complete: wrote %d buffers (0.4%%); 0 WAL file(s) added; write=%d.%03d s", r.int(4000), r.int(90), r.int(999)),
		fmt.Sprintf("LOG:  duration: %d.%03d ms  statement: SELECT * FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 20", r.int(400), r.int(999)),
		"LOG:  connection authorized: user=shop database=shop application_name=checkout",
		"ERROR:  deadlock detected",
		"LOG:  automatic vacuum of table \"shop.public.sessions\": index scans: 1"))
}

func redisLine(r *random, at time.Time) string {
	return fmt.Sprintf("1:M %s %s %s", at.UTC().Format("02 Jan 2006 15:04:05.000"), r.pick("*", "*", "#", "-"), r.pick(
		"100 changes in 300 seconds. Saving...", "Background saving started by pid 412", "DB saved on disk", "Background saving terminated with success", "Synchronization with replica succeeded"))
}

// crashLines is the whole log of a container that crashes at its start.
func crashLines(c corev1.Container) [][]byte {
	return [][]byte{
		[]byte("starting " + c.Image),
		[]byte("loading model from /models/latest"),
		[]byte("\x1b[33mWARN\x1b[0m model manifest has schema 3, expected 4: migrating"),
		[]byte("panic: runtime error: index out of range [7] with length 7"),
		[]byte(""),
		[]byte("goroutine 1 [running]:"),
		[]byte("main.(*Embedder).load(0xc0001a4000, {0xc00001e0f0, 0x15})"),
		[]byte("\t/src/embedder.go:118 +0x3f1"),
		[]byte("main.main()"),
		[]byte("\t/src/main.go:42 +0x1c8"),
		[]byte("exit status 2"),
	}
}
