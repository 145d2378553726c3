package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// count is a number of things, short: 9999, 12k, 3.4M.
func count(n uint64) string {
	if n < 10_000 {
		return strconv.FormatUint(n, 10)
	}
	return scaled(n, "")
}

// size is a number of bytes, in powers of a thousand: 999B, 1.2kB.
func size(n uint64) string { return scaled(n, "B") }

func scaled(n uint64, unit string) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + unit
	}
	f := float64(n)
	for _, prefix := range []string{"k", "M", "G", "T", "P", "E"} {
		f /= 1000
		switch {
		case f < 9.95:
			return fmt.Sprintf("%.1f%s%s", f, prefix, unit)
		case f < 999.5 || prefix == "E":
			return fmt.Sprintf("%.0f%s%s", f, prefix, unit)
		}
	}
	panic("unreachable: E is the last prefix 64 bits can reach")
}

// ago is a length of time in its two largest units: 45s, 12m05s, 3h20m, 4d07h.
func ago(seconds int64) string {
	d := time.Duration(max(0, seconds)) * time.Second
	switch days := int(d.Hours()) / 24; {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case days == 0:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", days, int(d.Hours())%24)
	}
}

// took is a short time, to three digits.
func took(us int64) string {
	d := time.Duration(us) * time.Microsecond
	switch {
	case d < time.Millisecond:
		return d.String()
	case d < time.Second:
		return fmt.Sprintf("%.3gms", float64(us)/1e3)
	}
	return fmt.Sprintf("%.3gs", d.Seconds())
}

func number[T int | int64 | uint32 | uint64](n T) string { return fmt.Sprint(n) }

// thousands is a number in full, readable: 1,000,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// place is an address, empty when there is none.
func place(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
