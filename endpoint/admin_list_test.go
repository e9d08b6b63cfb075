package endpoint_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

func revocationsOf(n int) []oauthz.Revocation {
	revs := make([]oauthz.Revocation, n)
	for i := range revs {
		revs[i] = oauthz.Revocation{Match: map[string]any{"iss": "i", "n": i}}
	}
	return revs
}

func hour(h int) time.Time { return time.Date(2026, 11, 21, h, 0, 0, 0, time.UTC) }

func invalidParameter(name string) answer {
	return invalidRequest("The parameter " + name + " is not valid")
}

func matchQuery(json string) string { return "match=" + url.QueryEscape(json) }

var (
	noRevocations = activeAnswer(`{"revocations":[],"more":false}`)
	allParameters = "expires_from=2026-11-21T01:00:00Z&expires_to=2026-11-21T02:00:00Z&issued_from=2026-11-21T03:00:00Z&" +
		"issued_to=2026-11-21T04:00:00Z&revoked_from=2026-11-21T05:00:00Z&revoked_to=2026-11-21T07:00:00%2B01:00&limit=7&" +
		matchQuery(`{"iss":"i","n":12345678901234567890,"b":true,"f":false}`)
)

var adminQueryTests = []struct {
	name, query string
	want        answer
	received    *oauthz.Query
}{
	{"all", "", noRevocations, &oauthz.Query{Limit: 101}},
	{"all parameters", allParameters, noRevocations, &oauthz.Query{
		Match:       map[string]any{"iss": "i", "n": json.Number("12345678901234567890"), "b": true, "f": false},
		ExpiresFrom: hour(1), ExpiresTo: hour(2), IssuedFrom: hour(3), IssuedTo: hour(4), RevokedFrom: hour(5), RevokedTo: hour(6), Limit: 8,
	}},
	{"type of a claim", matchQuery(`{"jti":"7"}`), noRevocations, &oauthz.Query{Match: map[string]any{"jti": "7"}, Limit: 101}},
	{"smallest limit", "limit=1", noRevocations, &oauthz.Query{Limit: 2}},
	{"largest limit", "limit=1000", noRevocations, &oauthz.Query{Limit: 1001}},
	{"limit too large", "limit=1001", invalidParameter("limit"), nil},
	{"limit zero", "limit=0", invalidParameter("limit"), nil},
	{"limit negative", "limit=-1", invalidParameter("limit"), nil},
	{"limit empty", "limit=", invalidParameter("limit"), nil},
	{"limit not a number", "limit=canary", invalidParameter("limit"), nil},
	{"not a time", "expires_from=canary", invalidParameter("expires_from"), nil},
	{"date instead of a time", "issued_to=2026-11-21", invalidParameter("issued_to"), nil},
	{"seconds instead of a time", "revoked_from=1795262400", invalidParameter("revoked_from"), nil},
	{"zero time", "revoked_to=0001-01-01T00:00:00Z", invalidParameter("revoked_to"), nil},
	{"match not JSON", "match=canary", invalidParameter("match"), nil},
	{"match null", "match=null", invalidParameter("match"), nil},
	{"match repeats a claim", matchQuery(`{"a":1,"a":2}`), invalidParameter("match"), nil},
	{"match of null", matchQuery(`{"a":null}`), invalidParameter("match"), nil},
	{"match of an array", matchQuery(`{"a":["x"]}`), invalidParameter("match"), nil},
	{"match of an object", matchQuery(`{"a":{}}`), invalidParameter("match"), nil},
	{"match of a number with a huge exponent", matchQuery(`{"a":1e-9999999}`), invalidParameter("match"), nil},
	{"unknown parameter", "subject=canary", invalidRequest("A parameter is not known"), nil},
	{"parameter in another case", "Limit=1", invalidRequest("A parameter is not known"), nil},
	{"repeated", "limit=1&limit=1", repeated, nil},
	{"malformed", "limit=%zz", invalidRequest("The query is malformed"), nil},
	{"semicolon", "limit=1;limit=2", invalidRequest("The query is malformed"), nil},
}

func TestAdminListQueries(t *testing.T) {
	t.Parallel()
	for _, tt := range adminQueryTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := &lister{}
			got := serve(t, adminHandler(t, &recorder{}, list), adminRequest(http.MethodGet, tt.query, ""))
			assert.Equal(t, tt.want, got)
			assert.NotContains(t, got.body, "canary")
			if tt.received == nil {
				assert.Empty(t, list.queries)
				return
			}
			require.Len(t, list.queries, 1)
			assertQuery(t, *tt.received, list.queries[0])
		})
	}
}

// assertQuery compares times without their location.
func assertQuery(t *testing.T, want, got oauthz.Query) {
	t.Helper()
	for _, at := range []*time.Time{&got.ExpiresFrom, &got.ExpiresTo, &got.IssuedFrom, &got.IssuedTo, &got.RevokedFrom, &got.RevokedTo} {
		*at = at.UTC()
	}
	assert.Equal(t, want, got)
}

func TestAdminListAnswers(t *testing.T) {
	t.Parallel()
	full := oauthz.Revocation{Match: map[string]any{"iss": "i", "sub": "s"}, IssuedUntil: noon, Expires: noon.Add(time.Hour), Reason: "left", At: noon}
	for _, tt := range []struct {
		name   string
		lister endpoint.Lister
		method string
		query  string
		want   answer
	}{
		{"one", &lister{revs: []oauthz.Revocation{full}}, http.MethodGet, "", activeAnswer(
			`{"revocations":[{"match":{"iss":"i","sub":"s"},"issued_until":"2026-11-21T12:00:00Z","expires":"2026-11-21T13:00:00Z","reason":"left","at":"2026-11-21T12:00:00Z"}],"more":false}`)},
		{"as many as the limit", &lister{revs: revocationsOf(2)}, http.MethodGet, "limit=2", activeAnswer(
			`{"revocations":[{"match":{"iss":"i","n":0}},{"match":{"iss":"i","n":1}}],"more":false}`)},
		{"more than the limit", &lister{revs: revocationsOf(3)}, http.MethodGet, "limit=2", activeAnswer(
			`{"revocations":[{"match":{"iss":"i","n":0}},{"match":{"iss":"i","n":1}}],"more":true}`)},
		{"HEAD", &lister{revs: revocationsOf(1)}, http.MethodHead, "", activeAnswer(``)},
		{"fault", &lister{err: errors.New("canary")}, http.MethodGet, "", unavailable},
		{"revocation that cannot be encoded", &lister{revs: []oauthz.Revocation{{}}}, http.MethodGet, "", serverError},
		{"panic", panickingLister{}, http.MethodGet, "", serverError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, serve(t, adminHandler(t, &recorder{}, tt.lister), adminRequest(tt.method, tt.query, "")))
		})
	}
}
