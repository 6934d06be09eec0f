package kubelet

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// files is the made-up file system of one pod: a few files one expects in a
// container, and what its users write. Nothing of it is on the host's disk.
type files struct {
	mu sync.Mutex
	// at maps clean absolute paths to contents; nil contents is a folder.
	at   map[string]*[]byte
	made time.Time
}

// maxFile bounds what a user can write into one file.
const maxFile = 8 << 20

func newFiles(pod *corev1.Pod) *files {
	f := &files{at: map[string]*[]byte{}, made: pod.CreationTimestamp.Time}
	for _, dir := range []string{"/", "/tmp", "/root", "/app", "/bin"} {
		f.at[dir] = nil
	}
	for name, text := range map[string]string{
		"/etc/hostname":   pod.Name + "\n",
		"/etc/hosts":      "127.0.0.1\tlocalhost\n" + pod.Status.PodIP + "\t" + pod.Name + "\n",
		"/etc/os-release": "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nID=debian\n",
		"/etc/resolv.conf": fmt.Sprintf("search %s.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
			pod.Namespace),
		"/app/README": "This container is simulated: nothing you do here touches the host.\n",
		"/var/run/secrets/kubernetes.io/serviceaccount/namespace": pod.Namespace,
	} {
		f.put(name, []byte(text))
	}
	return f
}

func (f *files) put(name string, b []byte) {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if _, ok := f.at[dir]; !ok {
			f.at[dir] = nil
		}
		if dir == "/" {
			break
		}
	}
	f.at[name] = &b
}

func notThere(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

func (f *files) read(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.at[path.Clean(name)]
	switch {
	case !ok:
		return nil, notThere("open", name)
	case b == nil:
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("is a directory")}
	}
	return bytes.Clone(*b), nil
}

// open serves the redirections of the shell.
func (f *files) open(name string, flag int) (io.ReadWriteCloser, error) {
	name = path.Clean(name)
	if name == "/dev/null" {
		return &handle{}, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.at[name]
	if ok && b == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("is a directory")}
	}
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		if !ok {
			return nil, notThere("open", name)
		}
		return &handle{Reader: bytes.NewReader(bytes.Clone(*b))}, nil
	}
	if _, ok := f.at[path.Dir(name)]; !ok {
		return nil, notThere("open", name)
	}
	if !ok || flag&os.O_TRUNC != 0 {
		f.put(name, nil)
		f.at[name] = &[]byte{}
	}
	return &handle{files: f, name: name}, nil
}

// handle is an open file; one without files swallows what is written.
type handle struct {
	*bytes.Reader
	files *files
	name  string
}

func (h *handle) Read(p []byte) (int, error) {
	if h.Reader == nil {
		return 0, io.EOF
	}
	return h.Reader.Read(p)
}

func (h *handle) Write(p []byte) (int, error) {
	if h.files == nil {
		return len(p), nil
	}
	h.files.mu.Lock()
	defer h.files.mu.Unlock()
	b := h.files.at[h.name]
	if b == nil {
		return 0, notThere("write", h.name)
	}
	if len(*b)+len(p) > maxFile {
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: fmt.Errorf("no space left on device")}
	}
	*b = append(*b, p...)
	return len(p), nil
}

func (h *handle) Close() error { return nil }

// list is the sorted names in a folder.
func (f *files) list(dir string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir = path.Clean(dir)
	if b, ok := f.at[dir]; !ok || b != nil {
		return nil, notThere("readdir", dir)
	}
	var out []fs.DirEntry
	for name, b := range f.at {
		if name != "/" && path.Dir(name) == dir {
			out = append(out, f.infoOf(name, b))
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name() < out[j].Name() })
	return out, nil
}

func (f *files) stat(name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	b, ok := f.at[name]
	if !ok {
		return nil, notThere("stat", name)
	}
	return f.infoOf(name, b), nil
}

func (f *files) remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	if _, ok := f.at[name]; !ok {
		return notThere("remove", name)
	}
	for p := range f.at {
		if p == name && p != "/" || strings.HasPrefix(p, strings.TrimSuffix(name, "/")+"/") && p != "/" {
			delete(f.at, p)
		}
	}
	return nil
}

func (f *files) mkdir(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name = path.Clean(name); f.at[name] == nil {
		f.put(path.Join(name, "x"), nil)
		delete(f.at, path.Join(name, "x"))
	}
}

func (f *files) infoOf(name string, b *[]byte) info {
	i := info{name: path.Base(name), dir: b == nil, at: f.made}
	if b != nil {
		i.size = int64(len(*b))
	}
	return i
}

// info is both fs.FileInfo and fs.DirEntry.
type info struct {
	name string
	size int64
	dir  bool
	at   time.Time
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) ModTime() time.Time         { return i.at }
func (i info) IsDir() bool                { return i.dir }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
