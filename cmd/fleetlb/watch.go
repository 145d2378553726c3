package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

// An interval is the value of --watch: a duration, or seconds. Zero is none.
type interval time.Duration

func (i *interval) String() string {
	if *i == 0 {
		return ""
	}
	return time.Duration(*i).String()
}

func (i *interval) Type() string { return "interval" }

func (i *interval) Set(s string) error {
	d, ok := parseInterval(s)
	if !ok {
		return fmt.Errorf("%q is not an interval such as 2s", s)
	}
	if d < 100*time.Millisecond || d > 24*time.Hour {
		return fmt.Errorf("%s is not between 100ms and 24h", s)
	}
	*i = interval(d)
	return nil
}

func parseInterval(s string) (time.Duration, bool) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil && seconds >= 0 && seconds < 1e9 {
		return time.Duration(seconds * float64(time.Second)), true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// joinWatch lets the interval be given as "-w 5" and "-w5" as well as "-w=5":
// the flag library reads an optional value only after an equals sign.
func joinWatch(args []string) []string {
	joined := slices.Clone(args)
	for i := 0; i < len(joined) && joined[i] != "--"; i++ {
		if attached, ok := strings.CutPrefix(joined[i], "-w"); ok && isInterval(attached) {
			joined[i] = "--watch=" + attached
		}
		alone := joined[i] == "-w" || joined[i] == "--watch"
		if alone && i+1 < len(joined) && isInterval(joined[i+1]) {
			joined = slices.Replace(joined, i, i+2, "--watch="+joined[i+1])
		}
	}
	return joined
}

func isInterval(s string) bool {
	_, ok := parseInterval(s)
	return ok
}

// watch runs show once, or again and again until the operator has seen enough.
// Once it has worked, a director that goes away is waited for: watching one
// restart is what watching is for.
func (a *app) watch(ctx context.Context, show func(context.Context) error) error {
	if a.interval == 0 {
		return show(ctx)
	}
	const home, clear = "\x1b[H", "\x1b[J"
	screen := onScreen()
	for first := true; ; first = false {
		if screen {
			a.stdout.WriteString(home + clear)
		} else if !first && a.output == "table" {
			a.stdout.WriteString("\n")
		}
		err := show(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			complain(a.stderr, err)
		}
		if err := a.stdout.Flush(); err != nil {
			return noOutput(err)
		}
		if !pause(ctx, time.Duration(a.interval)) {
			return nil
		}
	}
}

func onScreen() bool {
	return term.IsTerminal(int(os.Stdout.Fd())) && !strings.EqualFold(os.Getenv("TERM"), "dumb")
}
