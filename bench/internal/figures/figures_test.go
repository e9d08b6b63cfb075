package figures_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/bench/internal/figures"
)

// measured are figures as a run has them, with round numbers.
func measured() []figures.Figure {
	at := func(benchmark, by string, ns float64, allocs int64) figures.Figure {
		key := figures.Key{Benchmark: benchmark, Algorithm: "RS256", Goroutines: 1, By: by}
		return figures.Figure{Key: key, Ns: ns, Allocs: allocs}
	}
	ed := figures.Key{Benchmark: figures.NewToken, Algorithm: "EdDSA", Goroutines: 1, By: "oauthz"}
	eight := figures.Key{Benchmark: figures.NewToken, Algorithm: "RS256", Goroutines: 8, By: "oauthz"}
	opaque := figures.Key{Benchmark: figures.NewOpaque, Goroutines: 1, By: "oauthz"}
	return []figures.Figure{
		at(figures.Bare, "crypto", 40_000, 9),
		at(figures.NewToken, "oauthz", 50_000, 30),
		at(figures.NewToken, "slow", 100_000, 300),
		at(figures.NewToken, "quick", 60_000, 100),
		{Key: eight, Ns: 25_000, Allocs: 30},
		{Key: ed, Ns: 80_000, Allocs: 19},
		at(figures.SeenToken, "oauthz", 2_000, 3),
		at(figures.SeenToken, "slow", 100_000, 300),
		{Key: opaque, Ns: 1_500_000, Allocs: 200},
	}
}

func frameworks(ginOn float64) []figures.Figure {
	at := func(guard, by string, ns float64) figures.Figure {
		return figures.Figure{Key: figures.Key{Benchmark: figures.Framework, Guard: guard, Goroutines: 1, By: by}, Ns: ns, Allocs: 3}
	}
	return []figures.Figure{at("off", "nethttp", 200), at("off", "gin", 100), at("on", "nethttp", 2200), at("on", "gin", ginOn)}
}

func TestName(t *testing.T) {
	t.Parallel()
	key := figures.Key{Benchmark: figures.NewToken, Algorithm: "RS256", Goroutines: 8, By: "oauthz"}
	assert.Equal(t, "NewToken/alg=RS256/goroutines=8/by=oauthz", key.Name())
	key = figures.Key{Benchmark: figures.Framework, Guard: "on", Goroutines: 1, By: "gin"}
	assert.Equal(t, "guard=on/goroutines=1/by=gin", key.Sub())
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{name: "none", want: 0},
		{name: "one", values: []float64{7}, want: 7},
		{name: "odd, with an outlier", values: []float64{1000, 1, 2}, want: 2},
		{name: "even", values: []float64{4, 1, 3, 2}, want: 2.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := slices.Clone(tt.values)
			assert.InDelta(t, tt.want, figures.Median(tt.values), 0)
			assert.Equal(t, before, tt.values, "values stay as they are")
		})
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	key := figures.Key{Benchmark: figures.Bare}
	got, ok := figures.Summarize(key, []float64{3, 1, 2}, []int64{9, 9, 10})
	assert.True(t, ok)
	assert.Equal(t, figures.Figure{Key: key, Ns: 2, Allocs: 9}, got)
	_, ok = figures.Summarize(key, nil, nil)
	assert.False(t, ok, "nothing was measured")
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for ns, want := range map[float64]string{
		0: "0.00 ns", 159.5: "160 ns", 2406: "2.41 µs", 58_300: "58.3 µs", 143_651: "144 µs", 1_619_924: "1.62 ms",
	} {
		assert.Equal(t, want, figures.Duration(ns))
	}
}

func TestGrids(t *testing.T) {
	t.Parallel()
	got := figures.Grids(measured())
	require.Len(t, got, 4)
	assert.Equal(t, []string{"", "RS256", "allocations"}, got[0].Header, "seen tokens come first")
	assert.Equal(t, [][]string{{"oauthz", "2.00 µs", "3"}, {"slow", "100 µs (50.0×)", "300"}}, got[0].Rows)
	assert.Equal(t, []string{"", "RS256", "EdDSA", "RS256, 8 at once", "allocations"}, got[1].Header)
	assert.Equal(t, [][]string{
		{"oauthz", "50.0 µs", "80.0 µs", "25.0 µs", "30"},
		{"slow", "100 µs (2.00×)", figures.Dash, figures.Dash, "300"},
		{"quick", "60.0 µs (1.20×)", figures.Dash, figures.Dash, "100"},
	}, got[1].Rows, "who cannot do an algorithm has a dash")
	assert.Equal(t, [][]string{{"crypto", "40.0 µs", "9"}}, got[2].Rows, "nothing to compare with")
	assert.Equal(t, []string{"", "1 at once", "allocations"}, got[3].Header)
}

func TestGridOfFrameworks(t *testing.T) {
	t.Parallel()
	got := figures.Grids(frameworks(2400))
	require.Len(t, got, 1)
	assert.Equal(t, []string{"", "guard off", "guard on", "the guard adds", "allocations"}, got[0].Header)
	assert.Equal(t, [][]string{
		{"nethttp", "200 ns", "2.20 µs", "2.00 µs", "3"},
		{"gin", "100 ns (0.50×)", "2.40 µs (1.09×)", "2.30 µs (1.15×)", "3"},
	}, got[0].Rows)
}

func TestBars(t *testing.T) {
	t.Parallel()
	got := figures.Bars(measured())
	require.Len(t, got, 3)
	for i, want := range []struct {
		value float64
		says  string
	}{{30, "the fastest peer's new token (quick) / our seen token: 30.0× (at least 25.0×) met"}, {0.833, ""}, {1.25, ""}} {
		assert.InDelta(t, want.value, got[i].Value, 0.01)
		assert.True(t, got[i].Met(), got[i].Work)
		assert.Contains(t, got[i].String(), want.says)
	}
	assert.Empty(t, figures.Bars(nil), "what was not measured is not judged")
}

func TestBarsOfFrameworks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		on   float64
		met  bool
	}{{"within", 2300, true}, {"over", 2301, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := figures.Bars(frameworks(tt.on))
			require.Len(t, got, 1)
			assert.Equal(t, tt.met, got[0].Met(), got[0].String())
		})
	}
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, figures.WriteText(&b, figures.Grids(measured())))
	assert.Contains(t, b.String(), "60.0 µs (1.20×)")
	assert.Error(t, figures.WriteText(broken{}, figures.Grids(measured())))
}

func TestWriteMarkdown(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	notes := []figures.Note{{Name: "slow", Module: "example.com/slow", Version: "v1.2.3", Unchecked: []string{"typ", "a|b"}, Remark: "old"}}
	require.NoError(t, figures.WriteMarkdown(&b, "a *fast* <machine>", figures.Grids(measured()), notes))
	got := b.String()
	assert.Contains(t, got, "| quick | 60.0 µs (1.20×) | – | – | 100 |\n")
	assert.Contains(t, got, "|---|---:|---:|---:|---:|\n")
	assert.Contains(t, got, `| slow | example.com/slow v1.2.3 | typ, a\|b | old |`+"\n")
	assert.Contains(t, got, `a \*fast\* &lt;machine>`)
	assert.ErrorIs(t, figures.WriteMarkdown(broken{}, "", nil, nil), errBroken)
}

// strip has the visible parts of a bar.
type strip struct {
	class string
	width float64
}

// drawn reads a chart as XML, and returns its texts and its bars.
func drawn(t *testing.T, svg []byte) (texts []string, bars []strip) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	inside := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts, bars
		}
		require.NoError(t, err, "well-formed")
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local
			if attr := attributes(token); inside == "rect" && attr["class"] != "paper" {
				width, err := strconv.ParseFloat(attr["width"], 64)
				require.NoError(t, err)
				bars = append(bars, strip{class: attr["class"], width: width})
			}
		case xml.CharData:
			if inside == "text" && strings.TrimSpace(string(token)) != "" {
				texts = append(texts, string(token))
			}
		}
	}
}

func attributes(element xml.StartElement) map[string]string {
	all := map[string]string{}
	for _, a := range element.Attr {
		all[a.Name.Local] = a.Value
	}
	return all
}

func TestWriteSVG(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, figures.WriteSVG(&b, figures.NewChart("go1.26 on <a> & b", measured())))
	texts, bars := drawn(t, b.Bytes())
	for _, want := range []string{
		"go1.26 on <a> & b", "oauthz, seen before", "2.00 µs, 30.0 times as fast as quick", "quick", "60.0 µs, 1.20×",
		"the signature alone", "40.0 µs", "1 µs", "10 ms", "1.50 ms",
	} {
		assert.Contains(t, texts, want)
	}
	require.Len(t, bars, 6)
	// Four decades, 1 µs to 10 ms, in 400: 2 µs is a third of a decade, and 10 times the time is 100 more.
	assert.Equal(t, strip{class: "ours", width: 30.1}, bars[0])
	assert.Equal(t, strip{class: "peer", width: 200}, bars[4], "100 µs, the slowest of its group")
	assert.Equal(t, strip{class: "ours", width: 317.6}, bars[5])
	assert.ErrorIs(t, figures.WriteSVG(broken{}, figures.Chart{}), errBroken)
}

func TestWriteSVGOfLittle(t *testing.T) {
	t.Parallel()
	one := figures.Chart{Groups: []figures.Group{{Title: "one", Strips: []figures.Strip{{Label: "x", Ns: 1000}}}}}
	for name, chart := range map[string]figures.Chart{"nothing": figures.NewChart("", nil), "one bar": one} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			require.NoError(t, figures.WriteSVG(&b, chart))
			_, bars := drawn(t, b.Bytes())
			assert.Len(t, bars, len(chart.Groups))
			assert.NotContains(t, b.String(), "NaN")
			assert.NotContains(t, b.String(), "Inf")
		})
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
