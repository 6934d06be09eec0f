package backup

import (
	"fmt"
	"strconv"
	"strings"
)

func count(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func storage(in *Inside) string {
	if in.StorageVersion == "" {
		return ""
	}
	return "storage version " + in.StorageVersion
}

// from names the members of the cluster that a snapshot was taken from.
func from(ms []Member) string {
	if len(ms) == 0 {
		return ""
	}
	var names []string
	for _, m := range ms {
		names = append(names, firstOf(m.Name, m.ID))
	}
	return ", of the cluster of " + strings.Join(names, ", ")
}

// size writes a size in powers of 1024.
func size(n int64) string {
	f, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for f >= 1024 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + units[unit]
}
