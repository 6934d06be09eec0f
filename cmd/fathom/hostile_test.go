//go:build integration

package main

import (
	"context"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"go.etcd.io/etcd/client/pkg/v3/transport"

	"fathom/internal/testcluster"
)

// hostile is what a screen must survive: clearing it, setting the clipboard, a link that never ends, a bell, C1 controls, text that
// runs backwards, broken UTF-8. Broken UTF-8 cannot pass the API server, so it comes through etcd only.
const hostile = "A\x1b[2J\x1b[HB\x1b]52;c;ZXZpbA==\x07C\x1b]8;;http://evil\x1b\\D\x07E\u009b2JF\u202eG\x1b]0;owned"

// testHostile puts hostile text wherever it can stand, and looks at every pane that shows it: the frame is whole, the text is
// visible, the terminal's modes and title are what they were.
func testHostile(t *testing.T, c *testcluster.Cluster) {
	ctx := context.Background()
	k := kube(t, c)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "hostile", Namespace: "default", Annotations: map[string]string{"note": hostile, "long": strings.Repeat("x", 200<<10)}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox", Env: []corev1.EnvVar{{Name: "X", Value: hostile}}}},
			NodeSelector: map[string]string{"nowhere": "1"}},
	}
	if _, err := k.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.CoreV1().Pods("default").Delete(ctx, "hostile", metav1.DeleteOptions{}) })
	logs := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "loud", Namespace: "default", Annotations: map[string]string{
			"sandbox.example.io/log-base64": base64.StdEncoding.EncodeToString([]byte("loud " + hostile + "\xff\xfe\xc3 \x1b[41mred\x1b[0m end\n")),
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox"}}},
	}
	if _, err := k.CoreV1().Pods("default").Create(ctx, logs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	huge := logs.DeepCopy()
	huge.Name, huge.Annotations = "huge", map[string]string{"sandbox.example.io/log-huge-line-bytes": "1048576"}
	if _, err := k.CoreV1().Pods("default").Create(ctx, huge, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = k.CoreV1().Pods("default").Delete(ctx, "loud", metav1.DeleteOptions{})
		_ = k.CoreV1().Pods("default").Delete(ctx, "huge", metav1.DeleteOptions{})
	})
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "hostile", Namespace: "default"}, Type: "Warning", Reason: "Hostile", Message: hostile + strings.Repeat("y", 900),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "hostile"}, LastTimestamp: metav1.Now(), Count: 1,
	}
	if _, err := k.CoreV1().Events("default").Create(ctx, event, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	etcd := etcdClient(t, c)
	keys := map[string]string{
		"/hostile/value":             hostile + "\xff\xfe\xc3",
		"/hostile/long":              strings.Repeat("L", 1_000_000),
		"/hostile/\x1b[2Jname\u202e": "v",
		"/hostile/bad\xff\x9bname":   "v",
	}
	for key, v := range keys {
		if _, err := etcd.Put(ctx, key, v); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _, _ = etcd.Delete(ctx, "/hostile/", clientv3.WithPrefix()) })

	term := openFathom(t, c, 120, 40, "-c 'pods default /hostile'")
	title := term.Tmux("display-message", "-p", "#{pane_title}")
	term.Tmux("set", "-g", "monitor-bell", "on")
	check := func(what string, visible ...string) {
		t.Helper()
		s := term.WaitFor(visible...)
		checkFrame(t, s, 120, 40)
		for _, r := range s {
			if r < 0x20 && r != '\n' || r == 0x7f || 0x80 <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
				t.Errorf("%s: %U is on the screen:\n%s", what, r, s)
			}
		}
		if got := term.Tmux("display-message", "-p", "#{pane_title}"); got != title {
			t.Errorf("%s: the title is %q, was %q", what, got, title)
		}
		if strings.Contains(term.Tmux("list-buffers"), "evil") {
			t.Errorf("%s: the clipboard was set", what)
		}
		if term.Tmux("display-message", "-p", "#{window_bell_flag}") != "0" {
			t.Errorf("%s: the bell rang", what)
		}
		if strings.Contains(term.Tmux("capture-pane", "-p", "-e"), "\x1b]8") {
			t.Errorf("%s: a link is on the screen", what)
		}
	}
	back := func(text string) {
		t.Helper()
		term.Keys("Escape")
		term.WaitFor(text)
	}
	check("the list", "hostile", "Pending")
	term.Type("y")
	check("YAML", "yaml Pod default/hostile", "apiVersion")
	term.Type("/")
	term.Type("note:")
	term.Keys("Enter")
	check("YAML of the annotation", "match 1 of", "note:")
	term.Keys("Escape")
	term.WaitGone("match 1 of")
	back("pods default")
	term.Type("d")
	check("describe", "describe Pod default/hostile", "Annotations:")
	back("pods default")
	command(term, "pods default /loud")
	term.WaitFor("▸ loud", "Running")
	term.Type("l")
	check("a log", "logs default/loud", "␛[2J", "red end")
	term.Type("w")
	check("a wrapped log", "logs default/loud", "␛[2J")
	back("pods default")
	command(term, "pods default /huge")
	term.WaitFor("▸ huge", "Running")
	term.Type("l")
	check("a log with lines of a megabyte", "logs default/huge", "live")
	term.WaitUntil("a line", func(s string) bool { return regexp.MustCompile(`[1-9][0-9]* lines`).MatchString(s) })
	term.Type("w")
	check("wrapped lines of a megabyte", "logs default/huge")
	back("pods default")
	command(term, "events default /Hostile")
	check("the events", "Hostile", "␛[2J")
	command(term, "keys /hostile")
	check("the keys", "value", "long", "␛[2J", `\x{ff}`)
	// Whatever the order of the keys: every value is opened in turn.
	for _, key := range []string{"/hostile/value", "/hostile/long"} {
		out, errs, code := fathom(t, c.Env(t), "print", "keys", "/hostile")
		if code != 0 || strings.ContainsRune(out, 0x1b) {
			t.Errorf("print keys of %s: exit %d, %s, %q", key, code, errs, out)
		}
	}
	for range len(keys) {
		term.Keys("Enter")
		check("a value", "value /hostile/")
		term.Keys("Escape")
		term.WaitFor("keys ")
		term.Keys("Down")
	}
	for _, format := range []string{"table", "json", "yaml"} {
		out, _, code := fathom(t, c.Env(t), "print", "events", "-n", "default", "--filter", "Hostile", "-o", format)
		if code != 0 || !strings.Contains(out, "Hostile") {
			t.Errorf("print -o %s: exit %d: %q", format, code, out)
		}
		for _, r := range out {
			if r < 0x20 && r != '\n' || r == 0x7f || 0x80 <= r && r < 0xa0 || r == 0x202e {
				t.Errorf("print -o %s lets %U through: %q", format, r, out)
				break
			}
		}
	}
}

// etcdClient is a client of its own, independent of everything in fathom.
func etcdClient(t *testing.T, c *testcluster.Cluster) *clientv3.Client {
	t.Helper()
	return etcdClientAs(t, c, "", "")
}

// etcdClientAs is etcdClient of somebody who logs in.
func etcdClientAs(t *testing.T, c *testcluster.Cluster, user, password string) *clientv3.Client {
	t.Helper()
	env := map[string]string{}
	for _, kv := range c.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	cfg, err := transport.TLSInfo{CertFile: env["ETCDCTL_CERT"], KeyFile: env["ETCDCTL_KEY"], TrustedCAFile: env["ETCDCTL_CACERT"]}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(env["ETCDCTL_ENDPOINTS"], ","), TLS: cfg, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
		Username: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	return cli
}
