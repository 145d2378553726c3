package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// readDuration takes "2s", "1m30s", "500ms". A bare number is refused: nobody
// can know whether its writer thought of seconds or milliseconds.
func readDuration(raw any) (time.Duration, string) {
	switch v := raw.(type) {
	case int64:
		return 0, strconv.FormatInt(v, 10) + ` has no unit; write "` + strconv.FormatInt(v, 10) + `s"`
	case float64:
		n := strconv.FormatFloat(v, 'f', -1, 64)
		return 0, n + ` has no unit; write "` + n + `s"`
	case string:
		d, err := time.ParseDuration(v)
		if err == nil {
			return d, ""
		}
		return 0, show(v) + ` is not a duration; ` + durationHint(v)
	}
	return 0, wrongType
}

var loose = regexp.MustCompile(`^\s*(\d{1,9}(?:\.\d{1,9})?)\s*(|ms|msec|millis|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\s*$`)

// durationHint guesses at "2 sec", "1d" and "30", or shows how it is done.
func durationHint(s string) string {
	m := loose.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return `write it as "2s", "1m30s" or "500ms"`
	}
	n, unit := m[1], m[2]
	switch {
	case unit == "" || unit[0] == 's':
		unit = "s"
	case strings.HasPrefix(unit, "ms") || strings.HasPrefix(unit, "milli"):
		unit = "ms"
	case unit[0] == 'm':
		unit = "m"
	case unit[0] == 'h':
		unit = "h"
	default: // days
		f, _ := strconv.ParseFloat(n, 64)
		n, unit = strconv.FormatFloat(24*f, 'f', -1, 64), "h"
	}
	return `did you mean "` + n + unit + `"?`
}

// durationText is the shortest spelling: "1m", not "1m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
