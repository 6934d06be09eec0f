// Package journal is the record of everything fathom changed: JSON lines with the field names of the Kubernetes audit event,
// synced to disk before and after each mutation, and chained by hashes.
package journal

// Journal appends to one file. It keeps no file open, so it is safe for concurrent use by goroutines and processes.
type Journal struct{ path string }

// New returns a journal on a file. Nothing is touched until the first record or [Journal.Check].
func New(path string) *Journal { return &Journal{path: path} }

// Path of the file.
func (j *Journal) Path() string { return j.path }
