package cluster

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// otherWays are ways to a client that has no guard.
var otherWays = regexp.MustCompile(`\b(rest\.AnonymousClientConfig|rest\.InClusterConfig|rest\.Config\{|clientcmd\.(BuildConfig|RESTConfig|NewClientConfig)|` +
	`\.ToRESTConfig\(|clientv3\.(New|NewFromURLs?)\(|clientv3\.Config\{|grpc\.(NewClient|Dial|DialContext)\(|http\.(DefaultClient|Get|Post|PostForm|Head)\b|` +
	`http\.Client\{|WrapTransport\b)`)

// TestOnlyWay: outside this package nobody makes a connection that the guard does not see.
func TestOnlyWay(t *testing.T) {
	files := 0
	for _, dir := range []string{"../actions", "../watchers", "../views", "../ui", "../cmd/fathom", "../internal"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, line := range strings.Split(string(b), "\n") {
				if code, _, _ := strings.Cut(line, "//"); otherWays.MatchString(code) {
					t.Errorf("%s:%d: %s: take the clients and configurations of package cluster, which carry the guard", path, i+1, strings.TrimSpace(line))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 10 {
		t.Errorf("only %d files were looked at: have the rooms moved?", files)
	}
}
