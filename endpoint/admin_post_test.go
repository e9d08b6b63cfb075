package endpoint_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

func notValid(i int) answer {
	return invalidRequest(fmt.Sprintf("Revocation %d of the array, counted from 0, is not valid; none was recorded", i))
}

const oneMatch = `{"match":{"iss":"i","jti":"7"}}`

var (
	recorded = answer{204, "", ""}
	notArray = invalidRequest("The body is not a JSON array")
	oneRev   = oauthz.Revocation{Match: map[string]any{"iss": "i", "jti": "7"}, At: noon}
)

var adminPostTests = []struct {
	name, body string
	want       answer
	revs       []oauthz.Revocation
}{
	{"one", `[` + oneMatch + `]`, recorded, []oauthz.Revocation{oneRev}},
	{"two, with space", " [\n" + oneMatch + "\t,\r\n" + oneMatch + " ] ", recorded, []oauthz.Revocation{oneRev, oneRev}},
	{
		"all members",
		`[{"match":{"iss":"i","n":12345678901234567890,"b":true},"issued_until":"2026-11-21T12:00:00Z","expires":"2026-11-21T13:00:00Z","reason":"left","at":"2026-11-20T12:00:00Z"}]`,
		recorded,
		[]oauthz.Revocation{{
			Match:       map[string]any{"iss": "i", "n": json.Number("12345678901234567890"), "b": true},
			IssuedUntil: noon, Expires: noon.Add(time.Hour), Reason: "left", At: noon.Add(-24 * time.Hour),
		}},
	},
	{"empty array", `[]`, invalidRequest("There is nothing to revoke"), nil},
	{"an object", oneMatch, notArray, nil},
	{"null", `null`, notArray, nil},
	{"cut off", `[` + oneMatch, notArray, nil},
	{"two documents", `[` + oneMatch + `][]`, notArray, nil},
	{"a document that leaves the array", `[` + oneMatch + `],"x":[]`, notArray, nil},
	{"a document that closes more than it opens", `[` + oneMatch + `]}`, notArray, nil},
	{"repeated member", `[{"match":{"iss":"i"},"match":{"iss":"j"}}]`, notArray, nil},
	{"repeated claim", `[{"match":{"iss":"i","iss":"j"}}]`, notArray, nil},
	{"not UTF-8", "[{\"match\":{\"iss\":\"\xff\"}}]", notArray, nil},
	{"no issuer, first", `[{"match":{"jti":"7"}},` + oneMatch + `]`, notValid(0), nil},
	{"no issuer, last", `[` + oneMatch + `,` + oneMatch + `,{"match":{"jti":"7"}}]`, notValid(2), nil},
	{"null as an element", `[` + oneMatch + `,null]`, notValid(1), nil},
	{"a string as an element", `["canary"]`, notValid(0), nil},
	{"an array as an element", `[[` + oneMatch + `]]`, notValid(0), nil},
	{"an unknown member", `[{"match":{"iss":"i"},"canary":1}]`, notValid(0), nil},
	{"a member in another case", `[{"Match":{"iss":"i"}}]`, notValid(0), nil},
	{"a claim that cannot be compared", `[{"match":{"iss":"i","a":["x"]}}]`, notValid(0), nil},
	{"seconds instead of a time", `[{"match":{"iss":"i"},"expires":1795262400}]`, notValid(0), nil},
	{"too large", `[` + oneMatch + strings.Repeat(" ", 1<<20) + `]`, answer{
		413, isJSON, `{"error":"invalid_request","error_description":"The body is too large"}`,
	}, nil},
}

// One invalid revocation, and none of the array is recorded.
func TestAdminRecordsAllOrNone(t *testing.T) {
	t.Parallel()
	for _, tt := range adminPostTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			revoker := &recorder{}
			got := serve(t, adminHandler(t, revoker, &lister{}), adminRequest(http.MethodPost, "", tt.body))
			assert.Equal(t, tt.want, got)
			assert.NotContains(t, got.body, "canary")
			assertRevocations(t, tt.revs, revoker.revs)
		})
	}
}

// assertRevocations compares times without their location.
func assertRevocations(t testing.TB, want, got []oauthz.Revocation) {
	t.Helper()
	for i := range got {
		for _, at := range []*time.Time{&got[i].IssuedUntil, &got[i].Expires, &got[i].At} {
			*at = at.UTC()
		}
	}
	assert.Equal(t, want, got)
}

// An HTML form on another site cannot send this type (Fetch, "CORS-safelisted request-header").
func TestAdminRequiresJSON(t *testing.T) {
	t.Parallel()
	const body = `[{"match":{"iss":"i"}}]`
	for _, types := range [][]string{nil, {""}, {"text/plain"}, {"application/x-www-form-urlencoded"}, {"application/json", "application/json"}, {"application/jsonp"}} {
		revoker := &recorder{}
		r := adminRequest(http.MethodPost, "", body)
		r.Header["Content-Type"] = types
		assert.Equal(t, answer{415, isJSON, `{"error":"invalid_request","error_description":"The body must be application/json"}`},
			serve(t, adminHandler(t, revoker, &lister{}), r), types)
		assert.Empty(t, revoker.revs)
	}
	r := adminRequest(http.MethodPost, "", body)
	r.Header.Set("Content-Type", "application/json;charset=UTF-8")
	assert.Equal(t, answer{204, "", ""}, serve(t, adminHandler(t, &recorder{}, &lister{}), r))
}

func TestAdminRevokerFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		revoker oauthz.Revoker
		want    answer
	}{
		"fault":                   {&recorder{err: errors.New("canary")}, unavailable},
		"fault with a retry time": {&recorder{err: retryableError(503, time.Minute)}, retryIn("60")},
		"panic":                   {failingRevoker(func() error { panic(canary) }), serverError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, serve(t, adminHandler(t, tt.revoker, &lister{}), adminRequest(http.MethodPost, "", `[{"match":{"iss":"i"}}]`)))
		})
	}
}

// The client learns that an array is too long for some logs. The answer does not ask for a retry.
func TestAdminBoundsTheArray(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]answer{
		10_000: {204, "", ""},
		10_001: {413, isJSON, `{"error":"invalid_request","error_description":"The array is too long"}`},
	} {
		revoker := &recorder{}
		body := "[" + strings.TrimSuffix(strings.Repeat(`{"match":{"iss":"i"}},`, n), ",") + "]"
		assert.Equal(t, want, serve(t, adminHandler(t, revoker, &lister{}), adminRequest(http.MethodPost, "", body)))
		assert.Equal(t, want.status == http.StatusNoContent, len(revoker.revs) == n)
	}
}
