package revindex_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/revindex"
)

// A Go value and the JSON of a claim have the same Value only if they are the same value of the same type.
func TestValuesOfGoAndOfJSON(t *testing.T) {
	t.Parallel()
	type text string
	for _, tt := range []struct {
		value any
		doc   string // that has the same Value, and is its JSON
	}{
		{"a\n", `"a\n"`}, {text("a"), `"a"`}, {"", `""`}, {"7", `"7"`},
		{true, `true`}, {false, `false`},
		{7, `7`}, {int8(-7), `-7`}, {uint64(1<<64 - 1), `18446744073709551615`}, {0, `0`},
		{1.5, `15e-1`}, {float32(0.5), `5e-1`}, {json.Number("0.70E1"), `7`}, {json.Number("-0e9"), `0`},
		{json.Number("1e39"), "1" + strings.Repeat("0", 39)}, {json.Number("1e40"), `1e40`},
	} {
		want, err := revindex.ValueOf(tt.value)
		require.NoError(t, err)
		got, ok := revindex.ParseValue(tt.doc)
		assert.True(t, ok)
		assert.Equal(t, want, got)
		assert.Equal(t, tt.doc, got.JSON())
		again, err := revindex.ValueOf(got.Any())
		require.NoError(t, err)
		assert.Equal(t, got, again)
	}
}

func TestValuesOfOtherTypesAndSpellingsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[revindex.Value]string{}
	for _, doc := range []string{`"7"`, `7`, `-7`, `70`, `0.7`, `"true"`, `true`, `false`, `9007199254740993`, `9007199254740992`} {
		v, ok := revindex.ParseValue(doc)
		require.True(t, ok)
		assert.Empty(t, seen[v], doc)
		seen[v] = doc
	}
}

func TestValuesThatCannotBeMatched(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`null`, `{}`, `[]`, `["a"]`, `1e1048577`, `1e99999999999999999999`, `10e1048576`} {
		_, ok := revindex.ParseValue(doc)
		assert.False(t, ok, doc)
	}
	_, err := revindex.ValueOf("\xff")
	require.ErrorIs(t, err, revindex.ErrNotUTF8)
	for _, v := range []any{nil, []string{"a"}, map[string]any{}, new(string), json.Number(""), json.Number("07"), json.Number("1,2"), json.Number("true")} {
		_, err := revindex.ValueOf(v)
		assert.Error(t, err, "%v", v)
	}
}
