//go:build integration

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/internal/testcluster"
)

// kube is a client of its own, independent of everything in fathom.
func kube(t *testing.T, c *testcluster.Cluster) kubernetes.Interface {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// podUID is the UID of a pod, empty when there is none of that name.
func podUID(t *testing.T, c *testcluster.Cluster, namespace, name string) string {
	t.Helper()
	p, err := kube(t, c).CoreV1().Pods(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(p.UID)
}

func podTerminating(t *testing.T, c *testcluster.Cluster, namespace, name string) bool {
	t.Helper()
	p, err := kube(t, c).CoreV1().Pods(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.DeletionTimestamp != nil
}

// otherCA is a certificate authority that has signed nothing, base64 of PEM as a kubeconfig holds it.
func otherCA(t *testing.T) string {
	t.Helper()
	cert, _ := selfSigned(t, time.Now().Add(time.Hour), true)
	return base64.StdEncoding.EncodeToString(cert)
}

// withExpiredClientCert replaces the client certificate of a kubeconfig by one that has expired.
func withExpiredClientCert(t *testing.T, kubeconfig string) string {
	t.Helper()
	cert, key := selfSigned(t, time.Now().Add(-time.Hour), false)
	b64 := base64.StdEncoding.EncodeToString
	s := replaceLine(kubeconfig, "client-certificate-data:", "client-certificate-data: "+b64(cert))
	return replaceLine(s, "client-key-data:", "client-key-data: "+b64(key))
}

func selfSigned(t *testing.T, notAfter time.Time, ca bool) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "somebody"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: notAfter,
		IsCA: ca, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}
