//go:build integration

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"fathom/internal/testcluster"
)

// openFathom opens the dashboard in a terminal and waits for the first frame.
func openFathom(t *testing.T, c *testcluster.Cluster, w, h int, args string) *testcluster.Terminal {
	t.Helper()
	term := testcluster.NewTerminal(t, w, h, c.Env(t))
	term.Line(testcluster.Binary(t, "fathom") + " " + args + "; echo exit=$?")
	term.WaitFor("fathom ", "API up")
	return term
}

// command types a command after ":".
func command(term *testcluster.Terminal, text string) {
	term.Type(":")
	term.WaitUntil("a prompt", func(s string) bool { return strings.HasPrefix(lastLine(s), ":") })
	term.Type(text)
	term.Keys("Enter")
	term.WaitUntil("no prompt", func(s string) bool { return !strings.HasPrefix(lastLine(s), ":") }) // what is typed has the text looked for in it
}

func lastLine(s string) string {
	lines := strings.Split(s, "\n")
	return lines[len(lines)-1]
}

// testScreens looks at every pane, at one size.
func testScreens(t *testing.T, c *testcluster.Cluster, w, h int, flags string) {
	term := openFathom(t, c, w, h, flags)
	see := func(texts ...string) string {
		t.Helper()
		s := term.WaitFor(texts...)
		checkFrame(t, s, w, h)
		return s
	}
	see("overview", "etcd", "3/3", "sandbox")

	command(term, "members")
	see("members", "etcd-1", "etcd-2", "etcd-3", "leader", "follower")

	command(term, "keys /registry")
	see("keys", "/registry/", "deployments/")

	command(term, "pods -A")
	see("pods", "all namespaces", "postgres-0", "live")
	term.Type("/")
	term.Type("CrashLoop")
	term.Keys("Enter")
	// The crash-looping pod runs for some seconds of every minute: the list is live, so it comes and goes.
	term.WaitUntil("only crash-looping pods", func(s string) bool {
		return strings.Contains(s, "/CrashLoop") && strings.Contains(s, " of ") && strings.Contains(s, "CrashLoopBackOff") && !strings.Contains(s, "Running")
	})
	term.Type("/")
	term.Type("(")
	see("not a regular expression")
	term.Keys("Escape")
	term.WaitGone("not a regular expression")
	term.Keys("Escape")
	term.WaitGone("/CrashLoop")

	// Of a running pod: logs, YAML, description.
	command(term, "pods data")
	see("pods data", "postgres-0")
	term.Type("l")
	see("logs", "postgres-0", "live")
	term.WaitUntil("log lines", func(s string) bool { return regexp.MustCompile(`[1-9][0-9]* lines`).MatchString(s) })
	term.Keys("Escape")
	term.WaitFor("pods data")
	term.Type("y")
	see("yaml", "apiVersion", "kind: Pod", "read ")
	term.Type("/")
	term.Type("uid")
	term.Keys("Enter")
	see("match 1 of")
	term.Keys("Escape")
	term.WaitGone("match 1 of")
	term.Keys("Escape")
	term.WaitFor("pods data")
	term.Type("d")
	see("describe", "Namespace:", "postgres-0")
	term.Keys("Escape")
	term.WaitFor("pods data") // a key within 50 ms of Escape would be Alt with that key

	command(term, "nodes")
	see("nodes", "NotReady", "SchedulingDisabled", "Ready")
	command(term, "placement")
	see("placement", "eu-central-1a")
	command(term, "contexts")
	see("contexts", "current")
	command(term, "namespaces")
	see("namespaces", "Terminating", "kube-system")
	command(term, "vm -A")
	see("virtualmachines", "legacy-erp")
	command(term, "deploy -A")
	see("deployments", "READY")

	term.Type("?")
	see("help", "Esc closes")
	term.Keys("Escape")
	term.WaitGone("Esc closes")

	// Two panes; focus; one alone again.
	term.Type("_")
	term.WaitUntil("two panes", func(s string) bool { return strings.Count(s, "deployments") >= 2 })
	term.Keys("Tab")
	command(term, "nodes")
	see("nodes", "deployments")
	term.Type("X")
	term.WaitUntil("one pane", func(s string) bool { return strings.Count(s, "READY") <= 1 })

	command(term, "nonsense")
	see("neither a view nor a resource")
	command(term, "q")
	s := term.WaitFor("exit=0")
	if alt, cursor, mouse := term.Flags(); alt || !cursor || mouse {
		t.Errorf("the terminal was not given back:\n%s", s)
	}
}

// checkFrame checks that the frame is whole: every row of the body begins and ends with a border, none is wider than the screen.
func checkFrame(t *testing.T, s string, w, h int) {
	t.Helper()
	lines := strings.Split(s, "\n")
	if len(lines) > h {
		t.Errorf("%d lines on a screen of %d", len(lines), h)
	}
	if !strings.HasPrefix(lines[0], "fathom ") {
		t.Errorf("the first line is not the header: %q", lines[0])
	}
	for i, l := range lines[1 : len(lines)-1] {
		r := []rune(l)
		if len(r) == 0 {
			continue
		}
		if !strings.ContainsRune("╭│╰+|", r[0]) || !strings.ContainsRune("╮│╯+|", r[len(r)-1]) {
			t.Errorf("row %d of the frame is torn: %q\n%s", i+1, l, s)
			return
		}
	}
}

// testDelete deletes a pod with the keys, and asks an independent client whether it is gone.
func testDelete(t *testing.T, c *testcluster.Cluster) {
	env := c.Env(t)
	term := testcluster.NewTerminal(t, 100, 30, env)
	term.Line(testcluster.Binary(t, "fathom") + " -c 'pods shop /frontend'")
	s := term.WaitUntil("a running frontend pod", func(s string) bool { return strings.Contains(s, "frontend-") && strings.Contains(s, "Running") })
	name := regexp.MustCompile(`frontend-[a-z0-9]+-[a-z0-9]+`).FindString(s)
	uid := podUID(t, c, "shop", name)
	term.Keys("C-d")
	term.WaitFor("Delete pod", "shop/"+name, "[ Cancel ]", "will be deleted")
	term.Keys("Escape")
	term.WaitGone("[ Cancel ]")
	if podUID(t, c, "shop", name) != uid {
		t.Fatal("the pod was deleted though the dialog was cancelled")
	}
	term.Keys("C-d")
	term.WaitFor("[ Cancel ]", "will be deleted")
	answerDialog(t, term, "y")
	testcluster.Eventually(t, 30*time.Second, "the pod is gone or replaced", func() error {
		if got := podUID(t, c, "shop", name); got == uid && !podTerminating(t, c, "shop", name) {
			return fmt.Errorf("pod %s still has UID %s", name, got)
		}
		return nil
	})
	out, errs, code := fathom(t, env, "journal", "verify")
	if code != 0 || !strings.Contains(out, "records") {
		t.Errorf("journal verify: exit %d, %s%s", code, out, errs)
	}
}

// answerDialog presses a key until the dialog, which ignores what was typed too early, has taken it.
func answerDialog(t *testing.T, term *testcluster.Terminal, key string) {
	t.Helper()
	term.WaitUntil("the dialog to take the answer", func(s string) bool {
		if !strings.Contains(s, "[ Cancel ]") {
			return true
		}
		term.Type(key)
		return false
	})
}

func testMoveLeader(t *testing.T, c *testcluster.Cluster) {
	env := c.Env(t)
	before, _ := leaderOf(members(t, c, env))
	target := "etcd-1"
	if before.Name == target {
		target = "etcd-2"
	}
	term := openFathom(t, c, 120, 40, "-c 'members /"+target+"'")
	term.WaitFor(target, "follower")
	term.Type("m")
	term.WaitFor("Move leader", target, "[ Cancel ]")
	answerDialog(t, term, "y")
	testcluster.Eventually(t, 15*time.Second, "the leader has moved", func() error {
		if got := c.Run(t, "leader"); got != target {
			return fmt.Errorf("the leader is %s", got)
		}
		return nil
	})
	term.WaitUntil("the new leader on the screen", func(s string) bool {
		for _, l := range strings.Split(s, "\n") {
			if strings.Contains(l, target) && strings.Contains(l, "leader") {
				return true
			}
		}
		return false
	})
}

// testReadOnlyScreen presses the keys of every action: nothing may change, and the badge says why.
func testReadOnlyScreen(t *testing.T, c *testcluster.Cluster) {
	term := openFathom(t, c, 120, 40, "--read-only -c 'pods shop /frontend'")
	s := term.WaitUntil("a frontend pod", func(s string) bool { return strings.Contains(s, "READ-ONLY") && strings.Contains(s, "frontend-") })
	name := regexp.MustCompile(`frontend-[a-z0-9]+-[a-z0-9]+`).FindString(s)
	uid := podUID(t, c, "shop", name)
	term.Keys("C-d")
	s = term.WaitFor("read-only")
	if strings.Contains(s, "[ Cancel ]  [") {
		t.Errorf("a confirmation is offered in read-only mode:\n%s", s)
	}
	term.Keys("Escape")
	if got := podUID(t, c, "shop", name); got != uid {
		t.Errorf("the pod changed: %s, was %s", got, uid)
	}
}

// testViewer opens fathom as somebody who may only view: what is denied says so, and the rest works.
func testViewer(t *testing.T, c *testcluster.Cluster) {
	term := testcluster.NewTerminal(t, 100, 30, c.Env(t))
	term.Line(testcluster.Binary(t, "fathom") + " --no-etcd --kubeconfig " + c.ViewerKubeconfig() + " -c nodes")
	term.WaitFor("denied", "nodes")
	command(term, "secrets -A")
	term.WaitFor("denied", "secrets")
	command(term, "pods shop")
	term.WaitFor("frontend-", "live")
	term.Keys("C-d")
	term.WaitFor("delete", "Esc closes") // the missing verb is named, no button is offered
}

// testFrozenServer stops the API server: panes say stale within 5 s, keep their rows, and go live by themselves.
func testFrozenServer(t *testing.T, c *testcluster.Cluster) {
	term := openFathom(t, c, 120, 30, "-c 'pods shop'")
	term.WaitFor("live", "frontend-")
	c.Run(t, "stop", "apiserver")
	stopped := time.Now()
	t.Cleanup(func() { c.Run(t, "cont", "apiserver") })
	s := term.WaitFor("stale")
	took := time.Since(stopped)
	t.Logf("stale %v after the server was stopped", took)
	if took > 5*time.Second {
		t.Errorf("the pane said stale only after %v", took)
	}
	if !strings.Contains(s, "frontend-") {
		t.Errorf("the rows are gone:\n%s", s)
	}
	command(term, "members")
	term.WaitFor("leader", "etcd-3") // etcd is beneath the API server
	term.Keys("Escape")
	term.WaitFor("pods shop")
	c.Run(t, "cont", "apiserver")
	term.WaitFor("live", "API up", "frontend-")
}
