package redislog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// Redis accepts some of these as ids, but they are not positions: "$" would skip the entries
// before it.
func TestInvalidPositionsAreTruncated(t *testing.T) {
	t.Parallel()
	log := startServer(t).open(t, redislog.Config{})
	for _, position := range []string{
		"$", "+", "-", ">", "*", "0", "1", "1-", "-1", "1-*", "1-1-1", "01-1", "1-01", "+1-1", "1-+1", " 1-1", "1-1\n", "(1-1", "1_0-1",
		"18446744073709551616-0", "1-1", "9999999999999-0", ",", "1-1,", ",1-1", "0-0,1-1", "1-1,0-0", "0-0,$", "0-0,0-0,0-0",
	} {
		_, _, err := log.Read(t.Context(), position, 0)
		assert.ErrorIs(t, err, revlog.ErrTruncated, position)
		if len(position) > 2 {
			assert.NotContains(t, err.Error(), position)
		}
	}
}

// A reply of another form is an error, and is never read as an empty log.
func TestRepliesOfAnotherFormAreErrors(t *testing.T) {
	t.Parallel()
	one := []any{[]any{"1-1", []any{}}}
	for name, reply := range map[string]any{
		"nothing":               nil,
		"text":                  "OK",
		"a number":              int64(0),
		"no pairs":              []any{"a", "b"},
		"half a pair":           []any{[]any{"a"}},
		"no key":                []any{[]any{int64(1), one}},
		"another key":           []any{[]any{"c", one}},
		"another key in a map":  map[any]any{"a": one, "c": one},
		"no entries":            []any{[]any{"a", "1-1"}},
		"no entries in a map":   map[any]any{"a": "1-1"},
		"an entry without list": []any{[]any{"a", []any{"1-1"}}},
		"no fields":             []any{[]any{"a", []any{[]any{"1-1"}}}},
		"fields of nil":         []any{[]any{"a", []any{[]any{"1-1", nil}}}},
		"no id":                 []any{[]any{"a", []any{[]any{int64(1), []any{}}}}},
		"a bad id":              []any{[]any{"a", []any{[]any{"1", []any{}}}}},
	} {
		_, err := redislog.DecodeReply(reply, "a", "b")
		require.Error(t, err, name)
	}
	for _, reply := range []any{
		[]any{[]any{"b", one}}, []any{[]any{"a", one}}, map[any]any{"b": one}, []any{[]any{"a", one}, []any{"b", []any{}}},
	} {
		n, err := redislog.DecodeReply(reply, "a", "b")
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	}
}

// FuzzParseID checks that an accepted id has only one written form.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"0-0", "1700000000000-5", "1-01", "$", "18446744073709551615-18446744073709551615", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := redislog.ParseID(s); ok && got != s {
			t.Fatalf("%q was taken for %q", s, got)
		}
	})
}
