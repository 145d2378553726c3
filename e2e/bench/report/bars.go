package report

import (
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colours that differ in lightness and to the colour-blind as well (Okabe and
// Ito): warm for others, blue for us.
var (
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
	faint = color.RGBA{0x66, 0x66, 0x66, 0xff}
	grid  = color.RGBA{0xe6, 0xe6, 0xe6, 0xff}
	paper = color.RGBA{0xff, 0xff, 0xff, 0xff}

	colours = map[string]color.RGBA{
		"bare XDP":             {0xb8, 0xb8, 0xb8, 0xff},
		"kernel forwarding":    {0x8a, 0x8a, 0x8a, 0xff},
		"nftables":             {0xe6, 0x9f, 0x00, 0xff},
		"HAProxy":              {0xcc, 0x79, 0xa7, 0xff},
		"fleetlb, offload":     {0x00, 0x5a, 0x9c, 0xff},
		"fleetlb, offload off": {0x56, 0xb4, 0xe9, 0xff},
	}
	spare = []color.RGBA{{0x00, 0x9e, 0x73, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0xf0, 0xe4, 0x42, 0xff}}
)

// colour is a device's own, or one of the spare ones.
func colour(device string, i int) color.RGBA {
	if c, ok := colours[device]; ok {
		return c
	}
	return spare[i%len(spare)]
}

// bars draws a panel's groups beside each other, in each a bar a device.
type bars struct {
	groups []Group
	rows   [][]bar
	widest int // bars of the biggest group
}

type bar struct {
	device string
	fill   color.RGBA
	value  Spread
	ratio  Spread // to the peer; N is 0 where there is none
	bound  string // what is said of either
	than   string
}

func (r *Report) bars(panel Panel) *bars {
	b := &bars{groups: panel.Groups}
	for _, g := range panel.Groups {
		var row []bar
		for i, device := range r.devices() {
			result := find(r.Results, g.Measure, device)
			if s := result.Spread(); s.N > 0 {
				peer := find(r.Results, g.Measure, r.Peer)
				row = append(row, bar{device, colour(device, i), s, result.Over(peer), result.bound(), than(result, peer)})
			}
		}
		b.rows = append(b.rows, row)
		b.widest = max(b.widest, len(row))
	}
	return b
}

// top is the greatest value there is.
func (b *bars) top() (top float64) {
	for _, row := range b.rows {
		for _, bar := range row {
			top = max(top, bar.value.Max)
		}
	}
	return top
}

// place is where a bar begins and ends, in the measure of the axis.
func (b *bars) place(group, i int) (left, right float64) {
	const share = 0.84                         // of a group's room; the rest is the gap to the next
	width := share / float64(max(b.widest, 5)) // a few bars are not walls
	left = float64(group) - width*float64(len(b.rows[group]))/2 + width*float64(i)
	return left + width*0.06, left + width*0.94
}

// alone reports whether there is one group, whose bars have room for names.
func (b *bars) alone() bool { return len(b.groups) == 1 }

// ticks are the names below: of the groups, or of the only one's devices.
func (b *bars) ticks() (ticks []plot.Tick) {
	if b.alone() {
		for i, bar := range b.rows[0] {
			left, right := b.place(0, i)
			ticks = append(ticks, plot.Tick{Value: (left + right) / 2, Label: strings.Replace(bar.device, " ", "\n", 1)})
		}
		return ticks
	}
	for i, g := range b.groups {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: g.Name})
	}
	return ticks
}

// Plot draws the grid, then each bar with its whisker and what stands above.
func (b *bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	line := draw.LineStyle{Color: grid, Width: 0.7}
	for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if tick.Value > 0 {
			c.StrokeLine2(line, c.Min.X, y(tick.Value), c.Max.X, y(tick.Value))
		}
	}
	size := vg.Length(8.5)
	if b.alone() {
		size = 10
	}
	label := style(size, false)
	label.XAlign, label.YAlign = text.XCenter, text.YBottom
	strong := style(size, true)
	strong.XAlign, strong.YAlign = text.XCenter, text.YBottom
	for g, row := range b.rows {
		for i, bar := range row {
			left, right := b.place(g, i)
			l, r := x(left), x(right)
			c.SetColor(bar.fill)
			c.Fill(vg.Rectangle{Min: vg.Point{X: l, Y: y(0)}, Max: vg.Point{X: r, Y: y(bar.value.Median)}}.Path())
			middle := (l + r) / 2
			if bar.value.N > 1 {
				whisker(c, middle, y(bar.value.Min), y(bar.value.Max))
			}
			above := y(bar.value.Max) + 3
			if b.alone() {
				c.FillText(label, vg.Point{X: middle, Y: above}, bar.bound+figure(bar.value.Median))
				above += label.Rectangle("0").Size().Y + 3
			}
			if bar.ratio.N > 0 {
				c.FillText(strong, vg.Point{X: middle, Y: above}, bar.than+times(bar.ratio.Median))
			}
		}
	}
}

// whisker is a line from the least to the greatest value.
func whisker(c draw.Canvas, x, low, high vg.Length) {
	line := draw.LineStyle{Color: ink, Width: 0.8}
	c.StrokeLine2(line, x, low, x, high)
	for _, y := range []vg.Length{low, high} {
		c.StrokeLine2(line, x-2.5, y, x+2.5, y)
	}
}

// times writes a ratio to two digits, as there is room for above a bar.
func times(ratio float64) string {
	switch {
	case ratio < 1:
		return fmt.Sprintf("%.2g×", ratio)
	case ratio < 9.95:
		return fmt.Sprintf("%.1f×", ratio)
	}
	return fmt.Sprintf("%.0f×", ratio)
}
