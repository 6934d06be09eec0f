package discover

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Endpoints splits and checks a list of client URLs. An endpoint without a scheme is https when tls is set, else http.
func Endpoints(list string, tls bool) ([]string, error) {
	var out []string
	for _, s := range strings.Split(list, ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			if tls {
				s = "https://" + s
			} else {
				s = "http://" + s
			}
		}
		u, err := url.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a URL: %w", s, err)
		}
		switch u.Scheme {
		case "http", "https":
			if u.Port() == "" || u.Hostname() == "" {
				return nil, fmt.Errorf("%q needs a host and a port, as in https://127.0.0.1:2379", s)
			}
			s = u.Scheme + "://" + u.Host
		case "unix", "unixs":
		default:
			return nil, fmt.Errorf("%q: the scheme must be http, https, unix or unixs", s)
		}
		if !slices.ContainsFunc(out, func(o string) bool { return Same(o, s) }) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q names no endpoint", list)
	}
	return out, nil
}

// Same reports whether two client URLs are the same endpoint.
func Same(a, b string) bool {
	ua, erra := url.Parse(a)
	ub, errb := url.Parse(b)
	if erra != nil || errb != nil {
		return a == b
	}
	return ua.Scheme == ub.Scheme && strings.EqualFold(host(ua), host(ub)) && strings.TrimSuffix(ua.Path, "/") == strings.TrimSuffix(ub.Path, "/")
}

func host(u *url.URL) string {
	name := u.Hostname()
	if name == "localhost" {
		name = "127.0.0.1"
	}
	return net.JoinHostPort(name, u.Port())
}

func anyHTTPS(endpoints []string) bool {
	return slices.ContainsFunc(endpoints, func(e string) bool {
		return strings.HasPrefix(e, "https:") || strings.HasPrefix(e, "unixs:")
	})
}
