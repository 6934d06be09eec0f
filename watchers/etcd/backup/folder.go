package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/snapfile"
	"fathom/watchers"
)

// TooOld is the age of the newest snapshot from which on it is a warning: a daily one that was missed, with an hour to spare.
const TooOld = 25 * time.Hour

// Row is one snapshot of the folder. It is immutable.
type Row struct {
	snapfile.File
	Brief  *Brief  // nil: not looked inside yet, or it could not be; see Why
	Why    string  // why not; untrusted
	Unseen bool    // Why is no fault of the file: nobody may look inside, or the worker could not be started
	Status *Status // of the last verification in this run of fathom; nil: none
	Job    *Job    // the last verification or drill in this run of fathom; nil: none
}

// Kind is what a job does.
type Kind string

// Kinds of jobs.
const (
	Verifying Kind = "verification"
	Drilling  Kind = "drill"
)

// Job is a verification or a drill of one file. It is immutable.
type Job struct {
	Kind        Kind
	File        string
	Began       time.Time
	Ended       time.Time // zero: it is running
	Step        string
	Done, Total int64   // of the step; Total 0: not known
	Report      *Report // of a drill that was held to its end
	Status      *Status // of a verification
	Err         string  // why there is neither; untrusted
}

// Snapshot is an immutable picture of the folder.
type Snapshot struct {
	Gen    uint64 // grows with every published snapshot; 0: it was not read yet
	Dir    string // empty: none was named
	State  watchers.State
	Rows   []*Row // the newest first, parts included
	Others int    // files that are no snapshots
	Free   int64  // bytes that the folder's disk still takes; 0: not known
	Newest *Row   // the newest that looks whole; nil: there is none
	At     time.Time
}

// Find returns the row of a file.
func (s *Snapshot) Find(path string) *Row {
	for _, r := range s.Rows {
		if r.Path == path {
			return r
		}
	}
	return nil
}

// Options of a folder.
type Options struct {
	Dir     string        // empty: none was named
	WorkDir string        // of drills; empty: the system's folder for temporary files
	Live    *cluster.Etcd // what drills compare with; nil: nothing
	Worker  Worker
	// Every is the time between two looks at the folder while nobody looks at the pane; 0: a minute. Closely is that while somebody does, or a
	// snapshot is being written; 0: two seconds.
	Every, Closely time.Duration
}

// Folder watches the folder that snapshots are kept in, and verifies and drills them on request, one at a time. Without a folder it does nothing.
type Folder struct {
	o     Options
	group *run.Group
	wake  chan struct{} // holds a token when the folder is to be looked at
	cur   atomic.Pointer[Snapshot]

	mu      sync.Mutex
	gen     uint64
	lookers int
	rows    []*Row
	others  int
	room    int64
	state   watchers.State
	insides map[string]inside
	jobs    map[string]*Job    // by file: the last one
	checked map[string]*Status // by file: the last verification
	running string             // the file of the job that runs
	give    context.CancelFunc // gives that job up
}

// inside is what was found in a file of that size and time.
type inside struct {
	size  int64
	at    time.Time
	brief *Brief
	why   string
	seen  bool // somebody looked
}

// Watch begins to watch a folder, until the group ends.
func Watch(g *run.Group, o Options) *Folder {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Closely == 0 {
		o.Closely = 2 * time.Second
	}
	f := &Folder{o: o, group: g, wake: make(chan struct{}, 1), insides: map[string]inside{}, jobs: map[string]*Job{}, checked: map[string]*Status{}}
	f.state = watchers.State{Phase: watchers.Connecting}
	if o.Dir == "" {
		f.state = watchers.State{Phase: watchers.Unsupported, Why: "no backup folder was named; give --backup-dir, or set FATHOM_BACKUP_DIR"}
	}
	f.publish()
	if o.Dir != "" {
		g.Go("backups: the folder", f.watch)
	}
	return f
}

// Snapshot returns the newest picture; never nil.
func (f *Folder) Snapshot() *Snapshot { return f.cur.Load() }

// Dir is the folder; empty: none was named.
func (f *Folder) Dir() string { return f.o.Dir }

// Look says that somebody looks at the folder closely, until the function that it returns is called.
func (f *Folder) Look() (leave func()) {
	f.mu.Lock()
	f.lookers++
	f.mu.Unlock()
	f.Refresh()
	return sync.OnceFunc(func() {
		f.mu.Lock()
		f.lookers--
		f.mu.Unlock()
	})
}

// Refresh looks at the folder soon.
func (f *Folder) Refresh() {
	select {
	case f.wake <- struct{}{}:
	default: // there is a token already
	}
}

func (f *Folder) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.wake:
		}
		f.read()
		f.lookInside(ctx)
		timer.Reset(f.next())
	}
}

// next is the time until the next look.
func (f *Folder) next() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lookers > 0 || slices.ContainsFunc(f.rows, func(r *Row) bool { return r.Writing }) {
		return f.o.Closely
	}
	return f.o.Every
}

// read reads the folder and publishes what it holds.
func (f *Folder) read() {
	files, others, err := snapfile.List(f.o.Dir)
	room, rerr := snapfile.Free(f.o.Dir)
	if rerr != nil {
		room = 0 // it is not known
	}
	now := time.Now()
	f.mu.Lock()
	switch {
	case err != nil && f.state.Phase == watchers.Live:
		f.state = watchers.State{Phase: watchers.Stale, Since: f.state.Since, Why: err.Error()}
	case err != nil && f.state.Phase != watchers.Stale:
		f.state = watchers.State{Phase: watchers.Connecting, Why: err.Error()}
	case err != nil:
		f.state.Why = err.Error()
	default:
		f.state = watchers.State{Phase: watchers.Live, Since: now}
		f.others, f.room = others, room
		f.rows = f.rows[:0:0]
		for _, file := range files {
			f.rows = append(f.rows, &Row{File: file})
		}
	}
	f.mu.Unlock()
	f.publish()
}

// lookInside finds the revisions of files that are new, in one worker for all of them.
func (f *Folder) lookInside(ctx context.Context) {
	var todo []string
	f.mu.Lock()
	for _, r := range f.rows {
		if in, ok := f.insides[r.Path]; r.Part || r.Damage != "" || ok && in.size == r.Size && in.at.Equal(r.Modified) {
			continue
		}
		todo = append(todo, r.Path)
	}
	f.mu.Unlock()
	for len(todo) > 0 && ctx.Err() == nil {
		n := f.brief(ctx, todo)
		todo = todo[n:]
		f.publish()
	}
}

// briefTimeout bounds the looking into files with one worker.
var briefTimeout = time.Minute

// brief asks a worker about files and returns how many it got through: at least one, also when it died of the first.
func (f *Folder) brief(ctx context.Context, files []string) int {
	ctx, cancel := context.WithTimeout(ctx, briefTimeout)
	defer cancel()
	note := func(path string, b *Brief, why string, seen bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.rows {
			if r.Path == path {
				f.insides[path] = inside{size: r.Size, at: r.Modified, brief: b, why: why, seen: seen}
			}
		}
	}
	p, err := f.o.Worker.start(ctx, Request{Op: OpBrief, Files: files})
	if err != nil {
		for _, path := range files {
			note(path, nil, err.Error(), false)
		}
		return len(files)
	}
	defer func() { _ = p.stop() }()
	for i, path := range files {
		r, err := p.reply()
		switch damage, ok := errors.AsType[*DamageError](err); {
		case err == nil:
			note(path, r.Brief, "", true)
		case ok && r.Err != "": // an answer
			note(path, nil, r.Err, true)
		case ctx.Err() != nil: // we have ended the worker
			note(path, nil, fmt.Sprintf("looking into it was given up after %s: the disk is slow, or hangs", briefTimeout), false)
			return i + 1
		case ok:
			note(path, nil, damage.What, true)
			return i + 1
		default:
			note(path, nil, err.Error(), false)
			return i + 1
		}
	}
	return len(files)
}

// publish puts together what is known.
func (f *Folder) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gen++
	s := &Snapshot{Gen: f.gen, Dir: f.o.Dir, State: f.state, Others: f.others, Free: f.room, At: time.Now()}
	if f.state.Phase == watchers.Connecting && f.state.Why == "" {
		s.Gen = 0
	}
	files := make([]snapfile.File, 0, len(f.rows))
	for _, r := range f.rows {
		c := *r
		if in, ok := f.insides[c.Path]; ok && in.size == c.Size && in.at.Equal(c.Modified) {
			c.Brief, c.Why, c.Unseen = in.brief, in.why, !in.seen
		}
		if j := f.jobs[c.Path]; j != nil && !c.Modified.After(j.Began) { // it was of this file, and not of one that was replaced since
			c.Job = j
		}
		if st := f.checked[c.Path]; st != nil && st.Size == c.Size && st.Modified.Equal(c.Modified) {
			c.Status = st
		}
		s.Rows = append(s.Rows, &c)
		files = append(files, c.File)
	}
	if n, ok := snapfile.Newest(files); ok {
		s.Newest = s.Find(n.Path)
	}
	f.cur.Store(s)
}

// Drill begins a drill of a file. The error says why not now.
func (f *Folder) Drill(path string) error {
	return f.begin(Drilling, path, func(ctx context.Context, j *Job, tell func()) {
		r, err := Drill(ctx, DrillOptions{File: path, Live: f.o.Live, Dir: f.o.WorkDir, Worker: f.o.Worker, Progress: f.progress(j, tell)})
		f.mu.Lock()
		defer f.mu.Unlock()
		if j.Report = &r; err != nil {
			j.Report, j.Err = nil, err.Error()
		}
	})
}

// Verify begins to verify a file. The error says why not now.
func (f *Folder) Verify(path string) error {
	return f.begin(Verifying, path, func(ctx context.Context, j *Job, tell func()) {
		progress := f.progress(j, tell)
		st, err := Read(ctx, path, func(file string) (Inside, error) {
			progress("reading what is inside", 0, 0)
			return f.o.Worker.Inspect(ctx, file)
		}, func(done, total int64) { progress("checking the SHA-256", done, total) })
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil {
			j.Err = err.Error()
			return
		}
		j.Status = &st
		f.checked[path] = &st
	})
}

// GiveUp ends the job that runs, if one does.
func (f *Folder) GiveUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.give == nil {
		return false
	}
	f.give()
	return true
}

// progress notes how far a job is, at most ten times a second.
func (f *Folder) progress(j *Job, tell func()) func(string, int64, int64) {
	var last time.Time
	return func(step string, done, total int64) {
		f.mu.Lock()
		news := j.Step != step
		j.Step, j.Done, j.Total = step, done, total
		f.mu.Unlock()
		if now := time.Now(); news || now.Sub(last) > watchers.MinPublish {
			last = now
			tell()
		}
	}
}

func (f *Folder) begin(kind Kind, path string, do func(context.Context, *Job, func())) error {
	if f.o.Worker.Refused != "" {
		return errors.New(f.o.Worker.Refused)
	}
	f.mu.Lock()
	if f.running != "" {
		defer f.mu.Unlock()
		return fmt.Errorf("%s is being looked at: one at a time", f.running)
	}
	ctx, cancel := context.WithCancel(f.group.Context())
	j := &Job{Kind: kind, File: path, Began: time.Now()}
	f.running, f.give = path, cancel
	f.mu.Unlock()
	// What is published is a copy: the job itself changes as it goes.
	tell := func() {
		f.mu.Lock()
		c := *j
		f.jobs[path] = &c
		f.mu.Unlock()
		f.publish()
	}
	tell()
	started := f.group.Go("backups: "+string(kind), func(context.Context) {
		defer cancel()
		defer func() { // also when it panics, which ends fathom
			f.mu.Lock()
			j.Ended = time.Now()
			f.running, f.give = "", nil
			f.mu.Unlock()
			tell()
		}()
		do(ctx, j, tell)
	})
	if !started {
		cancel()
		return errors.New("fathom is ending")
	}
	return nil
}
