package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/pki"
)

// EncryptionConfigPath is the container path of the encryption-at-rest
// configuration, where kubeadm's documentation puts it.
const EncryptionConfigPath = layout.EncryptionDir + "/encryption-config.yaml"

// ClusterName is the name of the cluster in every kubeconfig.
const ClusterName = "sandbox"

// WriteFiles writes everything the components and the users read: manifests,
// kubeconfigs, etcd.env and, when asked for, the encryption configuration.
func (s *Spec) WriteFiles(d layout.Dir, b *pki.Bundle) error {
	if err := s.WriteManifests(d); err != nil {
		return err
	}
	if s.Encrypt {
		if err := writeEncryptionConfig(d.Host(EncryptionConfigPath)); err != nil {
			return err
		}
	}
	for _, k := range []struct {
		path, user string
		pair       *pki.Pair
	}{
		{d.AdminKubeconfig(), "kubernetes-admin", b.Admin},
		{d.ViewerKubeconfig(), "viewer", b.Viewer},
		{d.KwokKubeconfig(), "kwok", b.Kwok},
		{d.Host(layout.KubernetesDir + "/admin.conf"), "kubernetes-admin", b.Admin},
		{d.Host(layout.KubernetesDir + "/super-admin.conf"), "kubernetes-super-admin", b.SuperAdmin},
		{d.Host(layout.KubernetesDir + "/controller-manager.conf"), "system:kube-controller-manager", b.Controller},
		{d.Host(layout.KubernetesDir + "/scheduler.conf"), "system:kube-scheduler", b.Scheduler},
	} {
		if err := s.writeKubeconfig(k.path, k.user, b.CA, k.pair); err != nil {
			return fmt.Errorf("write kubeconfig %s: %w", k.path, err)
		}
	}
	return os.WriteFile(d.EtcdEnv(), []byte(s.EtcdEnvFile(d)), 0o600)
}

// writeKubeconfig embeds the certificates, so that the file works from
// anywhere and may be copied.
func (s *Spec) writeKubeconfig(path, user string, ca, client *pki.Pair) error {
	key, err := client.KeyPEM()
	if err != nil {
		return err
	}
	contextName := user + "@" + ClusterName
	config := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{ClusterName: {
			Server: s.APIServerURL(), CertificateAuthorityData: ca.CertPEM(),
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{user: {
			ClientCertificateData: client.CertPEM(), ClientKeyData: key,
		}},
		Contexts:       map[string]*clientcmdapi.Context{contextName: {Cluster: ClusterName, AuthInfo: user}},
		CurrentContext: contextName,
	}
	// clientcmd creates missing folders readable by everybody.
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return clientcmd.WriteToFile(config, path)
}

func writeEncryptionConfig(path string) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("encryption key: %w", err)
	}
	text := fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources:
  - secrets
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: %s
  - identity: {}
`, base64.StdEncoding.EncodeToString(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
