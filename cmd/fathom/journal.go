package main

import (
	"context"
	"fmt"
	"time"

	"fathom/actions/journal"
	"fathom/internal/safe"
)

// verifyJournal checks the hash chain of a journal and says what it found.
func verifyJournal(file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := journal.Verify(ctx, file)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d records", safe.String(r.Path), r.Records)
	if r.Records > 0 {
		fmt.Printf(", %s to %s", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	fmt.Printf("\nhead: seq %d, hash %s\n", r.HeadSeq, safe.String(r.HeadHash))
	for _, g := range r.Recovered {
		fmt.Printf("recovered: %d bytes at offset %d were left by a crash and are accounted for\n", g.Bytes, g.Offset)
	}
	if r.Torn != nil {
		fmt.Printf("torn: the last %d bytes, at offset %d, are no whole record\n", r.Torn.Bytes, r.Torn.Offset)
	}
	for _, e := range r.Open {
		fmt.Printf("open: seq %d has an intent without an outcome: what became of it is unknown\n", e.Seq)
	}
	for _, f := range r.Faults {
		fmt.Printf("fault: line %d, offset %d: %s\n", f.Line, f.Offset, safe.String(f.Problem))
	}
	if !r.OK() {
		return fmt.Errorf("the journal %s is not as it was written: %d faults", file, len(r.Faults))
	}
	return nil
}
