package transfer

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// busy is how long a core has not been idle, as the kernel counts it: programs,
// the kernel on their behalf, and interrupts; not what another machine took.
func busy(core int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(string(b), core)
}

// parseBusy reads a core's line: user nice system idle iowait irq softirq steal,
// in hundredths of a second.
func parseBusy(stat string, core int) (time.Duration, error) {
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] != "cpu"+strconv.Itoa(core) {
			continue
		}
		var sum int64
		for _, i := range []int{1, 2, 3, 6, 7} {
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			sum += n
		}
		return time.Duration(sum) * 10 * time.Millisecond, nil
	}
	return 0, fmt.Errorf("/proc/stat: no core %d", core)
}
