package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/peerproxy"
	"fathom/cmd/sandbox/internal/pki"
)

// joined is what the members are called, in partition and heal, that were added
// to the cluster and are no processes of this sandbox.
const joined = "joined"

// Fault implements control.Handler.
func (s *Sandbox) Fault(ctx context.Context, verb, name string) error {
	if f, ok := s.clusterFaults()[verb]; ok {
		return f(ctx)
	}
	switch {
	case name == joined && verb == "partition":
		s.peers.Partition(peerproxy.Unknown)
		return nil
	case name == joined && verb == "heal":
		s.peers.Heal(peerproxy.Unknown)
		return nil
	}
	if f, ok := s.memberFaults()[verb]; ok {
		member, err := s.spec.ResolveMember(name)
		if err != nil {
			return err
		}
		return f(ctx, member)
	}
	child, err := s.spec.ResolveName(name)
	if err != nil {
		return err
	}
	switch verb {
	case "kill":
		if err := s.sup.Kill(ctx, child); err != nil {
			return err
		}
		s.front.Down(child)
		return nil
	case "stop":
		return s.sup.Stop(child)
	case "cont":
		return s.sup.Continue(child)
	case "restart":
		return s.restart(ctx, child)
	}
	return fmt.Errorf("no fault %q: see `fathom-sandbox --help`", verb)
}

// restart starts a child again, and lets clients of a member come to it: `kill`
// has them refused.
func (s *Sandbox) restart(ctx context.Context, child string) error {
	return errors.Join(s.sup.Restart(ctx, child), s.front.Up(child))
}

func (s *Sandbox) memberFaults() map[string]func(context.Context, string) error {
	return map[string]func(context.Context, string) error{
		"partition": func(_ context.Context, member string) error { s.peers.Partition(member); return nil },
		"blackhole": func(_ context.Context, member string) error { return s.front.BlackHole(member) },
		"heal": func(_ context.Context, member string) error {
			s.peers.Heal(member)
			s.front.Heal(member)
			return nil
		},
		"expire": func(_ context.Context, member string) error { return s.reissue(member, -time.Minute) },
		"renew":  func(_ context.Context, member string) error { return s.reissue(member, 0) },
		"alter":  s.alter,
	}
}

func (s *Sandbox) clusterFaults() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{"keep": s.keep, "rewind": s.rewind}
}

// reissue gives a member's serving certificate another end. Its clients have to
// shake hands anew: an open connection does not mind an expired certificate.
func (s *Sandbox) reissue(member string, valid time.Duration) error {
	if err := pki.ReissueServing(s.dir, controlplane.MemberIndex(member), valid); err != nil {
		return err
	}
	s.front.Reset(member)
	return nil
}

// commitWait is ten times etcd's pause between two commits of its database (server/storage/backend, defaultBatchInterval).
const commitWait = time.Second

// alter changes one value behind the back of a member. The member starts again
// without the check for corruption that kubeadm turns on, which would refuse.
func (s *Sandbox) alter(ctx context.Context, member string) error {
	n := controlplane.MemberIndex(member)
	select { // what a client has just written is in the log, and not yet in the file
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(commitWait):
	}
	if err := s.sup.Kill(ctx, member); err != nil {
		return err
	}
	key, err := alterNewest(filepath.Join(s.dir.MemberData(n), "member", "snap", "db"))
	if err != nil {
		return errors.Join(fmt.Errorf("alter the database of %s: %w", member, err), s.restart(ctx, member))
	}
	args := slices.Clone(s.spec.Args(s.dir, member))
	for i, a := range args {
		args[i] = strings.Replace(a, "InitialCorruptCheck=true", "InitialCorruptCheck=false", 1)
	}
	if err := s.sup.SetArgs(member, args); err != nil {
		return err
	}
	s.say("%s: the value of %s has been altered", member, key)
	return s.restart(ctx, member)
}

// keep copies the data of all members at one moment, all of them dead.
func (s *Sandbox) keep(ctx context.Context) error {
	return s.whileDead(ctx, func(member string, data string) error {
		kept := s.dir.Kept(member)
		if err := os.RemoveAll(kept); err != nil {
			return err
		}
		return os.CopyFS(kept, os.DirFS(data))
	})
}

// rewind puts the cluster back to the moment of keep: the same cluster and the
// same members, with older terms, indices and revisions.
func (s *Sandbox) rewind(ctx context.Context) error {
	if !exists(s.dir.Kept(layout.MemberName(1))) {
		return errors.New("nothing was kept: use `fathom-sandbox keep` first")
	}
	return s.whileDead(ctx, func(member string, data string) error {
		if err := os.RemoveAll(data); err != nil {
			return err
		}
		if err := os.CopyFS(data, os.DirFS(s.dir.Kept(member))); err != nil {
			return err
		}
		return os.Chmod(data, 0o700)
	})
}

// whileDead kills all members, does something to the data folder of each, and
// starts them again, whatever came of it.
func (s *Sandbox) whileDead(ctx context.Context, do func(member, data string) error) error {
	var first error
	for n := range s.spec.Etcd {
		if err := s.sup.Kill(ctx, layout.MemberName(n+1)); err != nil {
			return err
		}
	}
	for n := range s.spec.Etcd {
		name := layout.MemberName(n + 1)
		if err := do(name, s.dir.MemberData(n+1)); err != nil && first == nil {
			first = fmt.Errorf("data of %s: %w", name, err)
		}
	}
	for n := range s.spec.Etcd {
		if err := s.restart(ctx, layout.MemberName(n+1)); err != nil && first == nil {
			first = err
		}
	}
	return first
}
