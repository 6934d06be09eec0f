package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"fathom/cluster"
	"fathom/internal/snapfile"
)

// DrillOptions say how to drill.
type DrillOptions struct {
	File   string
	Live   *cluster.Etcd // to compare with; nil: nothing
	Dir    string        // where the scratch folder is made; empty: the system's folder for temporary files
	Worker Worker
	// Progress, when not nil, is told what is being done, and of a long step how far it is (total 0: not known). It is called from the goroutine
	// of Drill.
	Progress func(step string, done, total int64)
}

// reserve is what must stay free beside the restored data, in bytes.
const reserve = 64 << 20

// free is snapfile.Free; tests have smaller disks.
var free = snapfile.Free

// Drill proves that a snapshot can be restored: it checks the file, restores it with etcd's own library into a scratch folder, starts a member
// on it that only this drill can talk to, and compares what that member serves with the file and, as far as compaction lets it, with the live
// cluster. Everything it made is gone when it returns. The error says that the drill could not be held; what is wrong with the snapshot is in the
// report.
func Drill(ctx context.Context, o DrillOptions) (Report, error) {
	r := Report{File: o.File, Began: time.Now()}
	err := r.hold(ctx, o)
	r.Took = time.Since(r.Began)
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("the drill of %s was given up: %w", o.File, context.Cause(ctx))
	case err != nil:
		return r, fmt.Errorf("drill of %s: %w", o.File, err)
	case r.Verdict == "":
		r.Verdict = Passed
	}
	return r, nil
}

func (r *Report) hold(ctx context.Context, o DrillOptions) error {
	say := func(step string) {
		if o.Progress != nil {
			o.Progress(step, 0, 0)
		}
	}
	if o.Worker.Refused != "" {
		return errors.New(o.Worker.Refused)
	}
	path, err := filepath.Abs(o.File)
	if err != nil {
		return err
	}
	whole, err := snapfile.Verify(ctx, path, func(done, total int64) {
		if o.Progress != nil {
			o.Progress("checking the SHA-256", done, total)
		}
	})
	switch {
	case bad(err):
		r.refuse(CheckSum, err.Error())
		return nil
	case err != nil:
		return err
	}
	r.add(CheckSum, Passed, "%s, and the contents are what the SHA-256 at its end says (%x)", size(whole.FileSize), whole.SHA256)

	s, err := newScratch(o.Dir)
	if err != nil {
		return err
	}
	defer s.remove()
	if room, err := free(s.dir); err != nil {
		return err
	} else if need := whole.Header.Size + reserve; room < need {
		return fmt.Errorf("%s has %s free, and restoring takes %s: name a folder on another disk with --work-dir", filepath.Dir(s.dir), size(room), size(need))
	}
	if err := s.makeKeys(); err != nil {
		return err
	}
	say("reading what is inside")
	p, err := o.Worker.start(ctx, Request{Op: OpDrill, File: path, Dir: s.dir, Cert: s.path(serverCert), Key: s.path(serverKey), CA: s.path(caFile)})
	if err != nil {
		return err
	}
	defer func() { _ = p.stop() }() // before the scratch folder goes

	var damage *DamageError
	rep, err := p.reply()
	switch {
	case errors.As(err, &damage):
		r.refuse(CheckContents, damage.What)
		return nil
	case err != nil:
		return err
	}
	r.Inside = rep.Inside
	r.add(CheckContents, Passed, "%s, every page is sound: %s at revision %d, %s, hash %08x%s", firstOf(storage(rep.Inside), "a database from before etcd 3.6"),
		count(r.Inside.Keys, "key"), r.Inside.At(), count(r.Inside.Revisions, "stored revision"), r.Inside.Hash, from(r.Inside.Members))

	say("restoring it")
	if rep, err = p.reply(); errors.As(err, &damage) {
		r.add(CheckRestore, Failed, "%s", damage.What)
		return nil
	} else if err != nil {
		return err
	}
	r.Version = rep.Version
	r.add(CheckRestore, Passed, "restored with the library of etcd %s in %s", rep.Version, rep.Restored.Round(time.Millisecond))

	say("starting a member on it")
	began := time.Now()
	if rep, err = p.reply(); errors.As(err, &damage) {
		r.add(CheckMember, Failed, "%s", damage.What)
		return nil
	} else if err != nil {
		return err
	}
	m, err := openMember(rep.URL, s)
	if err != nil {
		return err
	}
	defer m.close()
	say("comparing it with the file")
	if err := m.compare(ctx, r); err != nil {
		// The member may have died of the data, and that is what the drill is for.
		r.add(CheckMember, Failed, "%v", err)
		return nil
	}
	r.Checks = insert(r.Checks, CheckRevision, Check{CheckMember, Passed, fmt.Sprintf("a member that was started on it at %s serves it after %s", rep.URL, time.Since(began).Round(time.Millisecond))})
	say("comparing it with the live cluster")
	m.compareLive(ctx, r, o.Live)
	return ctx.Err()
}

// insert puts a check before the one of a name.
func insert(cs []Check, before string, c Check) []Check {
	for i := range cs {
		if cs[i].Name == before {
			return append(cs[:i:i], append([]Check{c}, cs[i:]...)...)
		}
	}
	return append(cs, c)
}

// bad reports whether an error says that the file is not what etcd sent, and not that it could not be read.
func bad(err error) bool {
	for _, e := range []error{snapfile.ErrNotSnapshot, snapfile.ErrCut, snapfile.ErrNoSum, snapfile.ErrSum} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
