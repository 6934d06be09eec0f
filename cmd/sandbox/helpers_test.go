package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func secret(name, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"key": value}}
}

func podLogs(container string, tail int64) *corev1.PodLogOptions {
	return &corev1.PodLogOptions{Container: container, TailLines: &tail}
}
