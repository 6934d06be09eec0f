package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/keymap"
)

func newDoctor(f *flags) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "What was found and where, what you may do, what is missing",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out != "table" && out != "json" {
				return usageError{fmt.Errorf("-o %s: doctor writes table or json", out)}
			}
			c, err := f.open()
			if err != nil {
				return err
			}
			defer c.Close()
			r := cluster.Doctor(cmd.Context(), c)
			if out == "json" {
				enc := json.NewEncoder(os.Stdout)
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				err = r.WriteTable(os.Stdout)
			}
			if err != nil {
				return err
			}
			if code := r.Exit(); code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "table", "table or json")
	return cmd
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "The version of fathom", Args: noArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Printf("fathom %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

func newKeys() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: "The key table, as in the README", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			m, err := keymap.NewDefault()
			if err != nil {
				return err
			}
			fmt.Print(m.Markdown())
			return nil
		},
	}
}

func newJournal() *cobra.Command {
	cmd := &cobra.Command{
		Use: "journal", Short: "The record of every change made with fathom",
		// A word that is no command must not look like a journal that is in order: cobra alone would print the help, and succeed.
		Args: func(*cobra.Command, []string) error {
			return usageError{errors.New("journal needs verify, and the file if it is not the usual one")}
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(&cobra.Command{
		Use: "verify [FILE]", Short: "Check the hash chain of a journal",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("journal verify takes one file, and got %q too", args[1])}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return verifyJournal(args[0])
			}
			file, err := journal.DefaultPath()
			if err != nil {
				return err
			}
			return verifyJournal(file)
		},
	})
	return cmd
}

// noArgs refuses arguments as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, and got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}
