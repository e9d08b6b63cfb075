package figures

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A Chart is horizontal bars on a logarithmic scale.
type Chart struct {
	Title, Subtitle string
	Groups          []Group
}

// A Group is bars under a heading.
type Group struct {
	Title  string
	Strips []Strip
}

// A Strip is one bar of a chart.
type Strip struct {
	Label string
	Ns    float64
	Note  string // after the time
	Ours  bool
}

// NewChart selects the most important figures: one request at a time, RS256, seen and new; and an opaque token.
func NewChart(machine string, all []Figure) Chart {
	at := Key{Algorithm: "RS256", Goroutines: 1}
	c := Chart{Title: "What a protected request costs (log scale, shorter is better)", Subtitle: machine}
	jwt := strips(all, at.of(SeenToken), at.of(NewToken))
	at.By = "crypto"
	if bare, ok := find(all, at.of(Bare)); ok {
		jwt = append(jwt, Strip{Label: "the signature alone", Ns: bare.Ns})
	}
	c.add("A JWT, RS256: signature, issuer, audience, expiry, one scope", jwt)
	at = Key{Goroutines: 1}
	c.add("An opaque token, of a server that takes 1 ms to answer", strips(all, at.of(SeenOpaque), at.of(NewOpaque)))
	return c
}

// add takes the strips of a group, the shortest first.
func (c *Chart) add(title string, of []Strip) {
	if len(of) == 0 {
		return
	}
	slices.SortStableFunc(of, func(a, b Strip) int { return cmp.Compare(a.Ns, b.Ns) })
	c.Groups = append(c.Groups, Group{Title: title, Strips: of})
}

// strips returns ours for a token that was seen, and those of all for a new token: the peers have no others.
func strips(all []Figure, seen, fresh Key) []Strip {
	var out []Strip
	seen.By, fresh.By = "oauthz", "oauthz"
	peer, havePeer := fastestPeer(all, fresh)
	if f, ok := find(all, seen); ok {
		s := Strip{Label: "oauthz, seen before", Ns: f.Ns, Ours: true}
		if havePeer {
			s.Note = digits(peer.Ns/f.Ns) + " times as fast as " + peer.By
		}
		out = append(out, s)
	}
	ours, ok := find(all, fresh)
	if ok {
		out = append(out, Strip{Label: "oauthz, new", Ns: ours.Ns, Ours: true})
	}
	for _, f := range peersOf(all, fresh) {
		s := Strip{Label: f.By, Ns: f.Ns}
		if ok {
			s.Note = Ratio(f.Ns / ours.Ns)
		}
		out = append(out, s)
	}
	return out
}

const (
	chartWidth = 760
	barLeft    = 150 // where bars begin
	barRoom    = 400 // the longest bar
	lineHeight = 19
	headHeight = 56
)

// The colours come with the reader's theme; the background is painted too, so that text never stands on somebody else's, and
// around text once more, over the lines of the axis.
const chartStyle = `
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328;stroke:#ffffff;stroke-width:3px;paint-order:stroke}
.t{font-size:14px;font-weight:600}.g{font-weight:600}.s{font-size:11px;fill:#59636e}
.paper{fill:#ffffff;stroke:#d1d9e0}.axis{stroke:#d1d9e0}.peer{fill:#9aa4af}.ours{fill:#0969da}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc;stroke:#0d1117}.s{fill:#9198a1}.paper{fill:#0d1117;stroke:#3d444d}.axis{stroke:#3d444d}.peer{fill:#656c76}.ours{fill:#4493f8}}
`

// WriteSVG draws the chart.
func WriteSVG(w io.Writer, c Chart) error {
	a := c.axis()
	var bars strings.Builder
	y := headHeight
	for _, g := range c.Groups {
		fmt.Fprintf(&bars, `<text class="g" x="12" y="%d">%s</text>`+"\n", y+13, escape(g.Title))
		y += lineHeight + 3
		for _, s := range g.Strips {
			drawStrip(&bars, s, y, a.length(s.Ns))
			y += lineHeight
		}
		y += 8
	}
	height := y + 22
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>%s</style>\n", escape(c.Title), chartStyle)
	fmt.Fprintf(&b, `<rect class="paper" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`+"\n", chartWidth-1, height-1)
	fmt.Fprintf(&b, `<text class="t" x="12" y="24">%s</text>`+"\n", escape(c.Title))
	fmt.Fprintf(&b, `<text class="s" x="12" y="42">%s</text>`+"\n", escape(c.Subtitle))
	a.draw(&b, y)
	b.WriteString(bars.String() + "</svg>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("figures: svg: %w", err)
	}
	return nil
}

func drawStrip(b *strings.Builder, s Strip, y int, length float64) {
	class, text := "peer", Duration(s.Ns)
	if s.Ours {
		class = "ours"
	}
	if s.Note != "" {
		text += ", " + s.Note
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, barLeft-8, y+13, escape(s.Label))
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, barLeft, y+2, length, lineHeight-5)
	fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", barLeft+length+6, y+13, escape(text))
}

// An axis is the powers of ten, in nanoseconds, between which all bars end.
type axis struct{ lowest, highest float64 }

func (c Chart) axis() axis {
	a := axis{lowest: math.Inf(1), highest: math.Inf(-1)}
	for _, g := range c.Groups {
		for _, s := range g.Strips {
			a.lowest = min(a.lowest, math.Floor(math.Log10(max(s.Ns, 1))))
			a.highest = max(a.highest, math.Ceil(math.Log10(max(s.Ns, 1))))
		}
	}
	switch {
	case math.IsInf(a.lowest, 1): // no bar
		return axis{lowest: 0, highest: 1}
	case a.lowest == a.highest: // one bar, of 1, 10, 100 ns
		a.lowest--
	}
	return a
}

// length is how long the bar of a time is.
func (a axis) length(ns float64) float64 {
	return barRoom * max(0, math.Log10(max(ns, 1))-a.lowest) / (a.highest - a.lowest)
}

func (a axis) draw(b *strings.Builder, bottom int) {
	for decade := a.lowest; decade <= a.highest; decade++ {
		ns := math.Pow(10, decade)
		x := barLeft + a.length(ns)
		fmt.Fprintf(b, `<path class="axis" d="M%.1f %dV%d"/>`, x, headHeight, bottom)
		label := strings.Replace(Duration(ns), ".00", "", 1)
		label = strings.Replace(label, ".0 ", " ", 1)
		fmt.Fprintf(b, `<text class="s" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, bottom+14, label)
	}
}

func escape(s string) string {
	var b strings.Builder
	// It fails only if the writer does, and a Builder does not.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
