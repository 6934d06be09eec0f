package control

import (
	"context"
	"testing"
	"time"

	"fathom/cmd/sandbox/internal/layout"
)

// ending is a sandbox that ends as soon as it is asked to.
type ending chan struct{}

func (ending) Status() Status                              { return Status{} }
func (ending) Fault(context.Context, string, string) error { return nil }

// Down is overtaken by the end.
func (e ending) Down() {
	close(e)
	<-time.After(50 * time.Millisecond)
}

// Whoever asks for the end is told that it was heard, however soon the end comes.
func TestDownIsAnswered(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	d, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := make(ending)
	stop, err := Serve(d, h)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); <-h; stop() }()
	if err := NewClient(d).Down(ctx); err != nil {
		t.Error(err)
	}
	<-ended
}
