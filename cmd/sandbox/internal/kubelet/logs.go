package kubelet

import (
	"bytes"
	"encoding/base64"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations that let a test choose what a pod logs.
const (
	// LogAnnotation holds the lines verbatim, in base64, so that they may be
	// any bytes. They are logged again and again, one after the other.
	LogAnnotation = "sandbox.example.io/log-base64"
	// LogHugeLineAnnotation makes every hundredth line that many bytes long.
	LogHugeLineAnnotation = "sandbox.example.io/log-huge-line-bytes"
)

// maxHugeLine bounds the line a pod can ask for.
const maxHugeLine = 16 << 20

// keptLines is how far back a log goes: what a kubelet's rotation would leave.
const keptLines = 20_000

// stream is the log of one container. It is a function of the container's
// identity and the time, so it needs no file and no goroutine: line i is always
// the same text and is always due at the same moment.
type stream struct {
	seed  uint64
	start time.Time
	// every is the average distance of two lines.
	every time.Duration
	style func(r *random, at time.Time) string
	// fixed, when set, are the lines of the whole log.
	fixed [][]byte
	// loop says that fixed starts again at its end.
	loop bool
	// end is when the container ended; zero while it runs.
	end  time.Time
	huge int
}

// newStream is the log of a container that started then.
func newStream(pod *corev1.Pod, container corev1.Container, start, end time.Time) *stream {
	h := fnv.New64a()
	_, _ = h.Write([]byte(string(pod.UID) + "/" + container.Name))
	s := &stream{seed: h.Sum64(), start: start, end: end}
	s.every = 120*time.Millisecond + time.Duration(s.seed%500)*time.Millisecond
	s.style = styleFor(container, s.seed)
	if text, ok := pod.Annotations[LogAnnotation]; ok {
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) > 0 {
			s.fixed, s.loop = bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")), true
			s.every = 200 * time.Millisecond
		}
	}
	if n, err := strconv.Atoi(pod.Annotations[LogHugeLineAnnotation]); err == nil && n > 0 {
		s.huge = min(n, maxHugeLine)
	}
	return s
}

// due is the moment of line i. Lines are unevenly spaced, but in order.
func (s *stream) due(i int64) time.Time {
	jitter := newRandom(s.seed, uint64(i)).below(uint64(s.every) / 2)
	return s.start.Add(time.Duration(i)*s.every + time.Duration(jitter))
}

// line is the text of line i without its newline.
func (s *stream) line(i int64) []byte {
	if n := int64(len(s.fixed)); n > 0 {
		return s.fixed[i%n]
	}
	if s.huge > 0 && i%100 == 0 {
		return []byte(strings.Repeat("0123456789abcdef", s.huge/16+1)[:s.huge])
	}
	return []byte(s.style(newRandom(s.seed, uint64(i)), s.due(i)))
}

// count is the number of lines due at that moment.
func (s *stream) count(now time.Time) int64 {
	if !s.end.IsZero() && now.After(s.end) {
		now = s.end
	}
	n := int64(now.Sub(s.start)/s.every) + 1
	for n > 0 && s.due(n-1).After(now) {
		n--
	}
	if s.fixed != nil && !s.loop {
		n = min(n, int64(len(s.fixed)))
	}
	return max(n, 0)
}

// over tells whether line i will never come.
func (s *stream) over(i int64) bool {
	if s.fixed != nil && !s.loop && i >= int64(len(s.fixed)) {
		return true
	}
	return !s.end.IsZero() && s.due(i).After(s.end)
}

// random is a small deterministic generator: SplitMix64.
type random struct{ state uint64 }

func newRandom(seed, i uint64) *random { return &random{state: seed ^ i*0x9e3779b97f4a7c15} }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is a number in [0, n); 0 when n is 0.
func (r *random) below(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	return r.next() % n
}

func (r *random) int(n int) int { return int(r.below(uint64(n))) }

func (r *random) pick(of ...string) string { return of[r.int(len(of))] }
