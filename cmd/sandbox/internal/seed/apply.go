// Package seed fills a sandbox with sample workloads: healthy ones for every
// kind worth looking at, and ones in every trouble worth recognising.
package seed

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
)

//go:embed sample/*.yaml
var sampleFiles embed.FS

// applier creates objects of any kind.
type applier struct {
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func newApplier(c kubernetes.Interface, d dynamic.Interface) *applier {
	return &applier{dynamic: d, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Discovery()))}
}

// sampleObjects reads all sample files in order.
func sampleObjects() ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(sampleFiles, "sample/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, name := range names {
		b, err := sampleFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(b), 4096)
		for {
			obj := &unstructured.Unstructured{}
			err := dec.Decode(&obj.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("sample %s: %w", name, err)
			}
			if obj.Object != nil {
				out = append(out, obj)
			}
		}
	}
	return out, nil
}

// create creates the object, trying again while its surroundings are not there
// yet: the kind of a new CRD, the default service account of a new namespace.
func (a *applier) create(ctx context.Context, obj *unstructured.Unstructured) error {
	what := fmt.Sprintf("create %s %s/%s", obj.GetKind(), obj.GetNamespace(), obj.GetName())
	return keepTrying(ctx, what, func(ctx context.Context) error {
		gvk := obj.GroupVersionKind()
		mapping, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			a.mapper.Reset()
			return err
		}
		var target dynamic.ResourceInterface = a.dynamic.Resource(mapping.Resource)
		if ns := obj.GetNamespace(); ns != "" {
			target = a.dynamic.Resource(mapping.Resource).Namespace(ns)
		}
		_, err = target.Create(ctx, obj, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

// stepLimit is how long one step of the seed may take on a busy machine.
const stepLimit = 2 * time.Minute

// keepTrying calls try until it succeeds, within stepLimit.
func keepTrying(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-tick.C:
		}
	}
}
