package oauthz_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

func asJSON(t testing.TB, rev oauthz.Revocation) string {
	t.Helper()
	doc, err := json.Marshal(rev)
	require.NoError(t, err)
	return string(doc)
}

func TestRevocationJSON(t *testing.T) {
	t.Parallel()
	rev := oauthz.Revocation{
		Match:       match{"iss": "i", "sub": `a"<b>`, "n": int64(9007199254740993), "f": 1.50, "big": json.Number("1e400"), "b": false},
		IssuedUntil: time.Date(2026, 11, 22, 1, 2, 3, 4, time.FixedZone("", 3600)),
		Expires:     epoch,
		Reason:      "lost\n",
		At:          epoch,
	}
	doc := asJSON(t, rev)
	assert.Equal(t, `{"match":{"iss":"i","b":false,"big":1e400,"f":15e-1,"n":9007199254740993,"sub":"a\"\u003cb\u003e"},`+
		`"issued_until":"2026-11-22T00:02:03.000000004Z","expires":"`+epoch.UTC().Format(time.RFC3339Nano)+`","reason":"lost\n","at":"`+epoch.UTC().Format(time.RFC3339Nano)+`"}`, doc)
	var back oauthz.Revocation
	require.NoError(t, json.Unmarshal([]byte(doc), &back))
	assert.Equal(t, doc, asJSON(t, back))
	assert.Equal(t, json.Number("9007199254740993"), back.Match["n"])

	list := revocations(t, back)
	revoked, err := list.Revoked(t.Context(), parse(t, `{"iss":"i","sub":"a\"<b>","n":9007199254740993,"f":1.5,"big":10e399,"b":false,"iat":0}`))
	require.NoError(t, err)
	assert.True(t, revoked)
}

func TestRevocationJSONIsStrict(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`:                                                "match has no iss",
		`[]`:                                                "not of the expected type",
		`{"match":{"jti":"1"}}`:                             "match has no iss",
		`{"match":{"iss":7}}`:                               "match has no iss",
		`{"match":{"iss":"i","a":null}}`:                    "match: not of the expected type",
		`{"match":{"iss":"i","a":["b"]}}`:                   "match: not of the expected type",
		`{"match":{"iss":"i","iss":"j"}}`:                   "repeated member name",
		`{"match":{"iss":"i"},"Expires":"x"}`:               "unknown member",
		`{"match":{"iss":"i"},"secret-canary":1}`:           "unknown member",
		`{"match":{"iss":"i"},"expires":"canary"}`:          "expires: not a time of RFC 3339",
		`{"match":{"iss":"i"},"expires":7}`:                 "expires: not of the expected type",
		`{"match":{"iss":"i"},"reason":7}`:                  "reason: not of the expected type",
		`{"match":{"iss":"i"},"at":"0001-01-01T00:00:00Z"}`: "at: not a time of RFC 3339",
		`{"match":{"iss":"i"}} {}`:                          "not well-formed JSON",
	} {
		rev := oauthz.Revocation{Reason: "unchanged"}
		assert.EqualError(t, rev.UnmarshalJSON([]byte(doc)), "oauthz: revocation: "+want, doc)
		assert.Equal(t, oauthz.Revocation{Reason: "unchanged"}, rev, doc)
	}
}

// RFC 3339 has years of four digits (§5.6). An entry with another time could not be sent to other instances, and a list that held
// it could not be written as JSON.
func TestRevocationTimesCanBeWritten(t *testing.T) {
	t.Parallel()
	east, west := time.FixedZone("", 3600), time.FixedZone("", -3600)
	for name, tt := range map[string]struct {
		at time.Time
		ok bool
	}{
		"zero":                       {time.Time{}, true},
		"the last":                   {time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), true},
		"the last, by its zone":      {time.Date(9999, 12, 31, 23, 59, 59, 0, west), false},
		"beyond":                     {time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), false},
		"very far in the future":     {time.Unix(1<<60, 0), false},
		"before year 0, by its zone": {time.Date(0, 1, 1, 0, 0, 0, 0, east), false},
	} {
		for field, rev := range map[string]oauthz.Revocation{
			"issued_until": {IssuedUntil: tt.at}, "expires": {Expires: tt.at}, "at": {At: tt.at},
		} {
			rev.Match = match{"iss": "i"}
			_, err := json.Marshal(rev)
			assert.Equal(t, tt.ok, err == nil, "%s %s: %v", name, field, err)
			assert.Equal(t, tt.ok, rev.Check() == nil, "%s %s", name, field)
			assert.Equal(t, tt.ok, new(oauthz.MemoryRevocations).Revoke(t.Context(), rev) == nil, "%s %s", name, field)
		}
	}
	var rev oauthz.Revocation
	assert.Error(t, rev.UnmarshalJSON([]byte(`{"match":{"iss":"i"},"expires":"9999-12-31T23:59:59-01:00"}`)))
}

// A revocation that UnmarshalJSON accepts is written so that it is read as the same, and a list accepts it.
func FuzzRevocationJSON(f *testing.F) {
	f.Add([]byte(`{"match":{"iss":"i","sub":"s","n":70e-1,"b":true},"issued_until":"2026-11-22T00:00:00.5+01:00","reason":"r"}`))
	f.Add([]byte(`{"match":{"iss":"i","jti":"\u0000"},"expires":"9999-12-31T23:59:59Z","at":"2026-11-22T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var rev oauthz.Revocation
		if rev.UnmarshalJSON(doc) != nil {
			return
		}
		first, err := rev.MarshalJSON()
		require.NoError(t, err)
		var back oauthz.Revocation
		require.NoError(t, back.UnmarshalJSON(first))
		second, err := back.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, string(first), string(second))
		list := &oauthz.MemoryRevocations{Now: func() time.Time { return time.Time{} }}
		require.NoError(t, list.Revoke(t.Context(), rev, back))
		all, err := list.All(oauthz.Query{Match: rev.Match})
		require.NoError(t, err)
		for held := range all {
			got, err := held.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, string(first), string(got))
		}
	})
}

// A valid number is written so that other instances read it: one entry that they cannot read would delay all entries behind it.
func TestRevocationNumbersAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		number string
		want   string // as it is written; "": not valid
	}{
		{number: "1e1048576", want: "1e1048576"},
		{number: "10e1048575", want: "1e1048576"},
		{number: "10e1048576"},
		{number: "1e1048577"},
		{number: "1e9223372036854775807"},
		{number: "0.1e-9223372036854775808"},
		{number: "1e-1048576", want: "1e-1048576"},
		{number: "0.1e-1048575", want: "1e-1048576"},
		{number: "0.1e-1048576"},
		{number: "1e-1048577"},
		{number: "100e-1048577"},
		{number: "-0e1048576", want: "0"},
		{number: "1e39", want: "1" + strings.Repeat("0", 39)},
		{number: "1e40", want: "1e40"},
		{number: "1" + strings.Repeat("0", 40), want: "1e40"},
		{number: strings.Repeat("9", 40), want: strings.Repeat("9", 40)},
		{number: strings.Repeat("9", 41), want: strings.Repeat("9", 41) + "e0"},
		{number: "-12.50", want: "-125e-1"},
	} {
		rev := oauthz.Revocation{Match: match{"iss": "i", "n": json.Number(tt.number)}}
		if tt.want == "" {
			assert.ErrorContains(t, rev.Check(), "a number whose exponent is too large or too small", tt.number)
			continue
		}
		doc := asJSON(t, rev)
		assert.Equal(t, `{"match":{"iss":"i","n":`+tt.want+`}}`, doc, tt.number)
		var back oauthz.Revocation
		require.NoError(t, back.UnmarshalJSON([]byte(doc)), tt.number)
		assert.Equal(t, doc, asJSON(t, back))
	}
}
