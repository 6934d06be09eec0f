package actions

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// detailPeerURLs is the key of Target.Detail with a member's peer URLs, with commas between them.
const detailPeerURLs = "peerURLs"

// parsePeerURLs takes one or more URLs with commas between them, as etcd does: http or https, a host, a port, and no path
// (etcd client/pkg/types NewURLs).
func parsePeerURLs(s string) ([]string, error) {
	var out []string
	for _, part := range strings.Split(s, ",") {
		part = strings.TrimSpace(part)
		u, err := url.Parse(part)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is not a URL: give the peer URL as https://10.0.0.4:2380", part)
		case u.Scheme != "http" && u.Scheme != "https":
			return nil, fmt.Errorf("%q has no http:// or https:// in front: give the peer URL as https://10.0.0.4:2380", part)
		case u.Hostname() == "":
			return nil, fmt.Errorf("%q names no host: give the peer URL as https://10.0.0.4:2380", part)
		case u.Port() == "":
			return nil, fmt.Errorf("%q names no port: peers usually listen on 2380", part)
		case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil:
			return nil, fmt.Errorf("%q has more than host and port", part)
		}
		clean := u.Scheme + "://" + u.Host
		if slices.Contains(out, clean) {
			return nil, fmt.Errorf("%s is named twice", clean)
		}
		out = append(out, clean)
	}
	slices.Sort(out) // etcd sorts them too
	return out, nil
}

// parseNewMember takes NAME=URL[,URL].
func parseNewMember(s string) (name string, urls []string, err error) {
	name, rest, ok := strings.Cut(s, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" || strings.ContainsAny(name, " ,:/") {
		return "", nil, errors.New("give the name of the new member and its peer URL: etcd-4=https://10.0.0.4:2380")
	}
	urls, err = parsePeerURLs(rest)
	return name, urls, err
}

// usedBy is the member that has one of the URLs already, other than one; nil when there is none.
func (q *quorum) usedBy(urls []string, not uint64) *member {
	for _, m := range q.members {
		if m.id != not && slices.ContainsFunc(m.peers, func(u string) bool { return slices.Contains(urls, strings.TrimSuffix(u, "/")) }) {
			return m
		}
	}
	return nil
}

// scheme is that of the members' peer URLs, "" when they are not of one kind.
func (q *quorum) scheme() string {
	s := ""
	for _, m := range q.members {
		for _, u := range m.peers {
			this, _, _ := strings.Cut(u, "://")
			if s != "" && this != s {
				return ""
			}
			s = this
		}
	}
	return s
}

// commandLine is how to start a member that was added: as a command, and as an environment. What is not known from here (folders,
// client URL, TLS files) is as kubeadm has it.
func (q *quorum) commandLine(name string, id uint64, urls []string) string {
	var initial []string
	clientScheme, clientPort := "https", "2379"
	for _, m := range q.members {
		if m.id == id {
			continue
		}
		for _, u := range m.peers {
			initial = append(initial, m.name+"="+u)
		}
		if len(m.clients) > 0 {
			if u, err := url.Parse(m.clients[0]); err == nil && u.Port() != "" {
				clientScheme, clientPort = u.Scheme, u.Port()
			}
		}
	}
	for _, u := range urls {
		initial = append(initial, name+"="+u)
	}
	host := "127.0.0.1"
	if u, err := url.Parse(urls[0]); err == nil {
		host = u.Hostname()
	}
	peers, client := strings.Join(urls, ","), clientScheme+"://"+net.JoinHostPort(host, clientPort)
	flags := []string{
		"--name=" + name, "--data-dir=/var/lib/etcd",
		"--initial-cluster=" + strings.Join(initial, ","), "--initial-cluster-state=existing",
		"--initial-advertise-peer-urls=" + peers, "--listen-peer-urls=" + peers,
		"--advertise-client-urls=" + client, "--listen-client-urls=" + client,
	}
	const pki = "/etc/kubernetes/pki/etcd"
	if clientScheme == "https" {
		flags = append(flags, "--cert-file="+pki+"/server.crt", "--key-file="+pki+"/server.key", "--client-cert-auth", "--trusted-ca-file="+pki+"/ca.crt")
	}
	if strings.HasPrefix(urls[0], "https://") {
		flags = append(flags, "--peer-cert-file="+pki+"/peer.crt", "--peer-key-file="+pki+"/peer.key", "--peer-client-cert-auth", "--peer-trusted-ca-file="+pki+"/ca.crt")
	}
	for i, f := range flags {
		flags[i] = shellWord(f, "")
	}
	return "etcd " + strings.Join(flags, " \\\n  ") + "\n" +
		"# Or in the environment, as etcdctl prints it:\n" +
		"ETCD_NAME=" + shellWord(name, `"`) + "\n" +
		"ETCD_INITIAL_CLUSTER=" + shellWord(strings.Join(initial, ","), `"`) + "\n" +
		"ETCD_INITIAL_ADVERTISE_PEER_URLS=" + shellWord(peers, `"`) + "\n" +
		"ETCD_INITIAL_CLUSTER_STATE=\"existing\""
}

// shellWord writes a text so that a shell takes it as one word and reads nothing into it: between the given quotes where that will do. A
// member calls itself what it likes, and the line is there to be copied.
func shellWord(s, quote string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_=:,./@%+", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return quote + s + quote
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
