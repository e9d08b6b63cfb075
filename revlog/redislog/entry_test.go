package redislog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// What Redis takes for an id and is no position: "$" would leave out what comes before it.
func TestPositionsThatAreNone(t *testing.T) {
	t.Parallel()
	log := startServer(t).open(t, redislog.Config{})
	for _, position := range []string{
		"$", "+", "-", ">", "*", "0", "1", "1-", "-1", "1-*", "1-1-1", "01-1", "1-01", "+1-1", "1-+1", " 1-1", "1-1\n", "(1-1", "1_0-1",
		"18446744073709551616-0", "1-1", "9999999999999-0",
	} {
		_, _, err := log.Read(t.Context(), position, 0)
		assert.ErrorIs(t, err, revlog.ErrTruncated, position)
		if len(position) > 2 {
			assert.NotContains(t, err.Error(), position)
		}
	}
}

// An answer of another shape is an error, never an empty log.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]any{
		"nothing":       nil,
		"text":          "OK",
		"a number":      int64(0),
		"one stream":    []any{[]any{}},
		"no streams":    []any{nil, nil},
		"no entries":    []any{[]any{}, []any{"1-1"}},
		"no fields":     []any{[]any{}, []any{[]any{"1-1"}}},
		"fields of nil": []any{[]any{}, []any{[]any{"1-1", nil}}},
		"no id":         []any{[]any{}, []any{[]any{int64(1), []any{}}}},
		"a bad id":      []any{[]any{}, []any{[]any{"1", []any{}}}},
	} {
		_, err := redislog.DecodeReply(reply)
		require.Error(t, err, name)
	}
	n, err := redislog.DecodeReply([]any{[]any{[]any{"1-1", []any{}}}, []any{}})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

// FuzzParseID: an id that is taken is written as it was.
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
