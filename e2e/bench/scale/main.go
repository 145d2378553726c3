// Command scale reckons what larger machines and larger fleets would need, from
// what was measured on a small one: measured.go says what and how, model.go how
// the one follows from the other. It prints the tables of e2e/bench/performance.md, and
// its test sees to it that they are those of the page.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() { tables(os.Stdout) }

func tables(out io.Writer) {
	put := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }

	put("| Sessions | a packet: ns | packets/s of a core | open and close: ns | opens/s of a core | the table |")
	put("|---|---|---|---|---|---|")
	for _, p := range curve {
		open, opens := "–", "–"
		if p.open > 0 {
			open, opens = fmt.Sprintf("%.0f", p.open), count(1e9/p.open)
		}
		put("| %s | %.0f | %s | %s | %s | %s |", count(p.sessions), p.forward, count(1e9/p.forward), open, opens, bytes(p.sessions*sessionBytes))
	}

	const rate = 20_000 // new sessions of each director a second
	put("\n| Directors | copies | records in a datagram | bytes to tell a session | a life of a session | each sends: at %s new sessions/s | of a core, sending and receiving |", count(rate))
	put("|---|---|---|---|---|---|---|")
	for _, n := range []int{2, 3, 4, 8, 16, 32, 64} {
		f := fleet{directors: n, rate: rate}
		put("| %d | %.0f | %.1f | %.0f | %.0f | %sbit/s | %.0f %% |", n, f.copies(), f.together(), f.told(), f.life(), count(8*f.life()*rate), 100*f.busy())
	}

	put("\n| 100 Gbit/s of | packets/s | cores of workers, without I/O | cores of the XDP program, 100 k sessions | the same, 1 M at random |")
	put("|---|---|---|---|---|")
	for _, t := range traffic {
		pps := t.packets(100e9)
		put("| %s | %s | %.1f | %.1f | %.1f |", t.name, count(pps), pps*at(1_000_000).forward/1e9, pps*programNearNs/1e9, pps*programFarNs/1e9)
	}

	put("\n| A fleet of 64, each director with | 100 k sessions | 1 M | 10 M |")
	put("|---|---|---|---|")
	row := func(name string, value func(n float64) string) {
		put("| %s | %s | %s | %s |", name, value(1e5), value(1e6), value(1e7))
	}
	row("new sessions/s of the fleet, each lasting 100 s", func(n float64) string { return count(64 * n / lasting) })
	row("memory of a director: its own, and two replicas for each", func(n float64) string { return bytes(3 * n * sessionBytes) })
	row("replication, sent by each", func(n float64) string {
		f := fleet{64, n / lasting}
		return count(8*f.life()*f.rate) + "bit/s"
	})
	row("of a core, replicating", func(n float64) string { return fmt.Sprintf("%.1f %%", 100*fleet{64, n / lasting}.busy()) })
	row("of a core, opening and closing", func(n float64) string { return fmt.Sprintf("%.1f %%", 100*n/lasting*opening(n)/1e9) })
	row("bulk sync of one that joins", func(n float64) string {
		return fmt.Sprintf("%.0f s, %s", 2*n/bulkRate, bytes(2*n*bulkBytes))
	})
}

// count prints a number as people say it.
func count(n float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.3g%s", n/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g ", n)
}

func bytes(n float64) string { return count(n) + "B" }
