package report

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The picture is a page of two columns of panels, below a title and a legend
// that all of them share.
const (
	pageWidth   = 13 * vg.Inch
	panelHeight = 3.3 * vg.Inch
	headHeight  = 88 * vg.Length(1)
	footHeight  = 24 * vg.Length(1)
	margin      = 18 * vg.Length(1)
	columns     = 2
	dpi         = 110
)

// letters draws with the fonts that the library brings, so that a picture looks
// the same on every machine.
var letters = text.Plain{Fonts: font.NewCache(liberation.Collection())}

// style is how text of a size is set.
func style(size vg.Length, bold bool) draw.TextStyle {
	s := draw.TextStyle{
		Color:   ink,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		Handler: letters,
	}
	if bold {
		s.Font.Weight = xfont.WeightBold
	}
	return s
}

// SVG draws the report's panels.
func (r *Report) SVG() ([]byte, error) {
	panels := r.drawable()
	w, h := pageSize(len(panels))
	c := vgsvg.NewWith(vgsvg.UseWH(w, h))
	r.draw(draw.New(c), panels)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	// A reader who lacks the font gets one of its widths, not a serif one.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")), nil
}

// PNG draws the same in pixels.
func (r *Report) PNG() ([]byte, error) {
	panels := r.drawable()
	w, h := pageSize(len(panels))
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))}
	r.draw(draw.New(c), panels)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	return b.Bytes(), nil
}

// SavePictures writes the picture twice, as base.svg and base.png.
func (r *Report) SavePictures(base string) error {
	for ending, draw := range map[string]func() ([]byte, error){".svg": r.SVG, ".png": r.PNG} {
		b, err := draw()
		if err != nil {
			return err
		}
		if err := os.WriteFile(base+ending, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drawable are the panels of which anything was measured.
func (r *Report) drawable() (panels []Panel) {
	for _, p := range r.Panels {
		if b := r.bars(p); b.top() > 0 {
			panels = append(panels, p)
		}
	}
	return panels
}

func pageSize(panels int) (w, h vg.Length) {
	rows := max((panels+columns-1)/columns, 1)
	return pageWidth, headHeight + vg.Length(rows)*panelHeight + footHeight
}

func (r *Report) draw(page draw.Canvas, panels []Panel) {
	page.SetColor(paper)
	page.Fill(page.Rectangle.Path())
	r.head(page, panels)

	foot := style(9, false)
	foot.Color, foot.YAlign = faint, text.YBottom
	page.FillText(foot, vg.Point{X: margin, Y: 9}, strings.Join([]string{r.Machine, r.When}, " · "))

	tiles := draw.Tiles{
		Cols: columns, Rows: max((len(panels)+columns-1)/columns, 1),
		PadTop: headHeight, PadBottom: footHeight, PadLeft: margin, PadRight: margin,
		PadX: 26, PadY: 18,
	}
	for i, panel := range panels {
		r.panel(tiles.At(page, i%columns, i/columns), panel)
	}
}

// head is the title, what the marks mean, and the legend.
func (r *Report) head(page draw.Canvas, panels []Panel) {
	top := page.Max.Y - 14
	title := style(17, true)
	title.YAlign = text.YTop
	page.FillText(title, vg.Point{X: margin, Y: top}, r.Title)

	bars := "Bars: one round"
	if r.Rounds > 1 {
		bars = fmt.Sprintf("Bars: median of %d rounds, whiskers: the least and the greatest; ratios round by round", r.Rounds)
	}
	sub := style(10, false)
	sub.Color, sub.YAlign = faint, text.YTop
	page.FillText(sub, vg.Point{X: margin, Y: top - 23},
		fmt.Sprintf("%s. Above them, how many times %s.", bars, r.Peer))

	x := margin
	label := style(11, false)
	label.YAlign = text.YCenter
	for i, device := range r.devices() {
		if !r.shown(device, panels) {
			continue
		}
		y := top - 50
		page.SetColor(colour(device, i))
		page.Fill(vg.Rectangle{Min: vg.Point{X: x, Y: y - 5}, Max: vg.Point{X: x + 12, Y: y + 5}}.Path())
		page.FillText(label, vg.Point{X: x + 17, Y: y}, device)
		x += 17 + label.Width(device) + 20
	}
}

// shown reports whether a device is in any of the panels.
func (r *Report) shown(device string, panels []Panel) bool {
	for _, p := range panels {
		for _, g := range p.Groups {
			if find(r.Results, g.Measure, device).Spread().N > 0 {
				return true
			}
		}
	}
	return false
}

// panel draws one of them.
func (r *Report) panel(c draw.Canvas, panel Panel) {
	title := style(12.5, true)
	title.YAlign = text.YTop
	c.FillText(title, vg.Point{X: c.Min.X, Y: c.Max.Y}, panel.Title)
	c = draw.Crop(c, 0, 0, 0, -22)

	b := r.bars(panel)
	p := plot.New()
	p.TextHandler = letters
	p.BackgroundColor = nil
	p.Add(b)
	p.X.Min, p.X.Max = -0.5, float64(len(panel.Groups))-0.5
	p.Y.Min, p.Y.Max = 0, b.top()*1.17 // room for what stands above the bars

	p.X.Tick.Marker = plot.ConstantTicks(b.ticks())
	p.Y.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
		ticks := slices.DeleteFunc(plot.DefaultTicks{}.Ticks(low, high), plot.Tick.IsMinor)
		for i := range ticks {
			ticks[i].Label = figure(ticks[i].Value)
		}
		return ticks
	})
	p.Y.Label.Text = panel.Unit
	if panel.Less {
		p.Y.Label.Text += " (less is better)"
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Width = faint, 0.6
		axis.Tick.Color, axis.Tick.Width = faint, 0.6
		axis.Tick.Label.Font, axis.Tick.Label.Color, axis.Tick.Label.Handler = style(10, false).Font, ink, letters
		axis.Label.TextStyle = turned(style(10, false), axis.Label.TextStyle)
		axis.Padding = 0
	}
	p.X.Tick.Length, p.X.Tick.Color = 4, paper // a gap, no marks
	p.Y.Tick.Length = 4
	p.Draw(c)
}

// turned is a style in the place and the turn of another.
func turned(s, of draw.TextStyle) draw.TextStyle {
	s.Color, s.Rotation, s.XAlign, s.YAlign = faint, of.Rotation, of.XAlign, of.YAlign
	return s
}
