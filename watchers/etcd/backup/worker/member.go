package worker

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"

	"fathom/watchers/etcd/backup"
)

const (
	memberName = "fathom-drill"
	// peerURL is advertised and never listened on: there is nobody else in the cluster.
	peerURL = "http://127.0.0.1:1"
	// peerSocket is where the member listens for peers: a Unix socket in the scratch folder, which is the process's working folder, so that
	// nobody on this machine finds it (embed takes only the host of a peer URL).
	peerSocket = "unix://peers:1"
	// startTimeout is how long a restored member may take until it leads itself; it reads its whole index.
	startTimeout = 10 * time.Minute
	tick         = 50 * time.Millisecond
)

func etcdVersion() string { return version.Version }

func dataDir(req backup.Request) string { return filepath.Join(req.Dir, "data") }

// restore makes a data folder of a snapshot with etcd's own library, which checks the SHA-256 again. The duration is 0 when it failed.
func restore(req backup.Request) (time.Duration, error) {
	wal.SegmentSizeBytes = 1 << 20 // etcd allocates two of them beforehand; usually 64 MB each
	began := time.Now()
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: req.File, Name: memberName, OutputDataDir: dataDir(req),
		PeerURLs: []string{peerURL}, InitialCluster: memberName + "=" + peerURL, InitialClusterToken: "fathom-drill",
	})
	if err != nil {
		return 0, fmt.Errorf("etcd's restore: %w", err)
	}
	return max(time.Since(began), 1), nil
}

type member struct {
	etcd *embed.Etcd
	url  string
}

// serve starts the throw-away member on a free port of 127.0.0.1. It speaks TLS and answers only to who has the key that the drill made for
// itself: all that is in the snapshot can be read there, and others are on this machine too.
func serve(req backup.Request) (*member, error) {
	if err := os.Chdir(req.Dir); err != nil {
		return nil, fmt.Errorf("going to the scratch folder: %w", err)
	}
	parse := func(s string) []url.URL {
		u, err := url.Parse(s)
		if err != nil {
			panic(err) // they are constants
		}
		return []url.URL{*u}
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = memberName, dataDir(req)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = parse(peerSocket), parse(peerURL)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = parse("https://127.0.0.1:0"), parse("https://127.0.0.1:1")
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: req.Cert, KeyFile: req.Key, TrustedCAFile: req.CA, ClientCertAuth: true}
	cfg.InitialCluster, cfg.InitialClusterToken = memberName+"="+peerURL, "fathom-drill"
	cfg.TickMs, cfg.ElectionMs = uint(tick/time.Millisecond), uint(10*tick/time.Millisecond)
	cfg.UnsafeNoFsync = true   // nothing of it is kept
	cfg.QuotaBackendBytes = -1 // it is only read
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting a member on the restored data: %w", err)
	}
	m := &member{etcd: e}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		m.close()
		return nil, fmt.Errorf("the member on the restored data ended: %w", err)
	case <-timer.C:
		m.close()
		return nil, fmt.Errorf("the member on the restored data was not ready after %s", startTimeout)
	}
	if len(e.Clients) == 0 {
		m.close()
		return nil, errors.New("the member on the restored data listens nowhere")
	}
	m.url = "https://" + e.Clients[0].Addr().String()
	return m, nil
}

func (m *member) failed() <-chan error { return m.etcd.Err() }

func (m *member) close() { m.etcd.Close() }
