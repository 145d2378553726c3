package report

import (
	"math"
	"strconv"
)

// figure writes a number as one reads it aloud: three digits, in thousands or
// millions where it is that big.
func figure(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	// Rounded first: 999,900 is 1 M.
	if e := math.Floor(math.Log10(math.Abs(v))); v != 0 && e >= 3 {
		step := math.Pow(10, e-2)
		v = math.Round(v/step) * step
	}
	for _, scale := range []struct {
		above float64
		name  string
	}{{1e9, " G"}, {1e6, " M"}, {1e4, " k"}} {
		if math.Abs(v) >= scale.above {
			return digits(v/math.Pow(1000, math.Floor(math.Log10(scale.above)/3))) + scale.name
		}
	}
	return digits(v)
}

// digits writes three significant digits, without zeros at the end of a
// fraction.
func digits(v float64) string {
	decimals := 0
	if v != 0 {
		decimals = min(max(2-int(math.Floor(math.Log10(math.Abs(v)))), 0), 4)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', decimals, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// String is the median, with the range where there is more than one value.
func (s Spread) String() string {
	switch s.N {
	case 0:
		return "–"
	case 1:
		return figure(s.Median)
	}
	return figure(s.Median) + " (" + s.Range() + ")"
}

// Range is from the least to the greatest, of more values than one.
func (s Spread) Range() string {
	if s.N < 2 {
		return ""
	}
	return figure(s.Min) + " to " + figure(s.Max)
}
