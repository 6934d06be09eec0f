package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fathom/internal/run"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/views"
)

func newPrint(f *flags) *cobra.Command {
	var out, filter string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "print VIEW",
		Short: "Print once what a view shows, for pipes, scripts and screen readers",
		Example: `  fathom print members -o json
  fathom print pods -A --filter CrashLoop
  fathom print keys /registry/pods`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("print needs a view, for example fathom print pods")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := views.ParseFormat(out)
			if err != nil {
				return usageError{err}
			}
			if _, err := views.ParseFilter(filter); err != nil {
				return usageError{err}
			}
			return printView(cmd.Context(), f, strings.Join(args, " "), filter, format, timeout)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "table", "table, wide, json or yaml")
	cmd.Flags().StringVar(&filter, "filter", "", "show only rows that match, as after '/'")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the servers")
	return cmd
}

func printView(ctx context.Context, f *flags, line, filter string, format views.Format, timeout time.Duration) error {
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	th := theme.New(theme.Options{NoColor: true})
	var crash error
	env, stop, err := wire(ctx, c, th, func(p run.Panic) {
		crash = fmt.Errorf("a bug in %s: panic of type %T", p.Name, p.Value)
		cancel()
	})
	if err != nil {
		return err
	}
	defer stop()
	env.Backups = f.folder(env.Group, c)
	cat := views.NewCatalog(env, f.namespace(c))
	cat.Only(f.given())
	ref, err := resolve(ctx, cat, line, f.namespace(c))
	if err != nil {
		return err
	}
	if ref, err = narrowed(ref, filter); err != nil {
		return err
	}
	p, err := cat.Pane(ref)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(os.Stdout)
	if err := views.Print(ctx, p, format, w); err != nil {
		if crash != nil {
			return crash
		}
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if st := p.State(); st.Partial {
		fmt.Fprintf(os.Stderr, "fathom: %s\n", safe.String(st.Why))
	}
	return nil
}

// narrowed adds the filter of --filter to a view that may have one of its own: "pods /web", "search /registry/pods/ web".
func narrowed(ref views.Ref, filter string) (views.Ref, error) {
	switch {
	case filter == "":
	case ref.Filter != "":
		return ref, usageError{fmt.Errorf("--filter %s: the view says %q already; give one of them", filter, ref.Filter)}
	default:
		ref.Filter = filter
	}
	return ref, nil
}
