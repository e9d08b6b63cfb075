package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// lister notes what it is asked for, and lists what it holds.
type lister struct {
	revs  []oauthz.Revocation
	err   error
	asked []oauthz.Query
}

func (l *lister) All(q oauthz.Query) (iter.Seq[oauthz.Revocation], error) {
	l.asked = append(l.asked, q)
	return slices.Values(l.revs[:min(len(l.revs), q.Limit)]), l.err
}

// administrators is a Guard who knows one.
func administrators(t testing.TB) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Now: atNoon, Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		switch token {
		case "admin":
			return parseToken(t, `{"sub":"root","scope":"revocations"}`), nil
		case "user":
			return parseToken(t, `{"sub":"alice"}`), nil
		case "down":
			return nil, errors.New("canary")
		}
		return nil, oauthz.ErrInvalidToken
	})})
	require.NoError(t, err)
	return guard
}

func adminHandler(t testing.TB, revoker oauthz.Revoker, lister endpoint.Lister) http.Handler {
	t.Helper()
	h, err := endpoint.Admin(endpoint.AdminConfig{
		Guard: administrators(t), Requirement: oauthz.Require("revocations"), Revoker: revoker, Lister: lister,
		Report: func(context.Context, error) {}, Now: atNoon,
	})
	require.NoError(t, err)
	return h
}

func adminRequest(method, query, body string) *http.Request {
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Authorization", "Bearer admin")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func revocationsOf(n int) []oauthz.Revocation {
	revs := make([]oauthz.Revocation, n)
	for i := range revs {
		revs[i] = oauthz.Revocation{Match: map[string]any{"iss": "i", "n": i}}
	}
	return revs
}

func TestRevocationsNeedAnAdministrator(t *testing.T) {
	t.Parallel()
	refused := func(status int, code, description string) answer {
		return answer{
			status, fmt.Sprintf("%s\nWww-Authenticate: Bearer realm=\"api\", error=\"%s\", error_description=\"%s\"", isJSON, code, description),
			fmt.Sprintf(`{"error":"%s","error_description":"%s"}`, code, description),
		}
	}
	weak := refused(403, "insufficient_scope", "The access token lacks a scope that is required")
	weak.header += `, scope="revocations"`
	for _, tt := range []struct {
		name   string
		fields []string
		want   answer
	}{
		{"nobody", nil, answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"api\", scope=\"revocations\"", `{}`}},
		{"a user", []string{"Bearer user"}, weak},
		{"a bad token", []string{"Bearer x"}, refused(401, "invalid_token", "The access token is not valid")},
		{"a client", []string{goodBasic}, answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"api\", scope=\"revocations\"", `{}`}},
		{"cannot tell", []string{"Bearer down"}, unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				revoker, list := &recorder{}, &lister{}
				r := adminRequest(method, "", `[{"match":{"iss":"i"}}]`)
				r.Header["Authorization"] = tt.fields
				assert.Equal(t, tt.want, serve(t, adminHandler(t, revoker, list), r), method)
				assert.Empty(t, revoker.revs)
				assert.Empty(t, list.asked)
			}
		})
	}
}

func TestRevocationsList(t *testing.T) {
	t.Parallel()
	when := func(hour int) time.Time { return time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC) }
	invalid := func(name string) answer { return invalidRequest("The parameter " + name + " is not valid") }
	match := func(json string) string { return "match=" + url.QueryEscape(json) }
	empty := activeAnswer(`{"revocations":[],"more":false}`)
	all := "expires_from=2026-11-21T01:00:00Z&expires_to=2026-11-21T02:00:00Z&issued_from=2026-11-21T03:00:00Z&" +
		"issued_to=2026-11-21T04:00:00Z&revoked_from=2026-11-21T05:00:00Z&revoked_to=2026-11-21T07:00:00%2B01:00&limit=7&" +
		match(`{"iss":"i","n":12345678901234567890,"b":true,"f":false}`)
	for _, tt := range []struct {
		name, query string
		want        answer
		asked       *oauthz.Query
	}{
		{"all", "", empty, &oauthz.Query{Limit: 101}},
		{"everything at once", all, empty, &oauthz.Query{
			Match:       map[string]any{"iss": "i", "n": json.Number("12345678901234567890"), "b": true, "f": false},
			ExpiresFrom: when(1), ExpiresTo: when(2), IssuedFrom: when(3), IssuedTo: when(4), RevokedFrom: when(5), RevokedTo: when(6), Limit: 8,
		}},
		{"RV-14 the type of a claim", match(`{"jti":"7"}`), empty, &oauthz.Query{Match: map[string]any{"jti": "7"}, Limit: 101}},
		{"limit, least", "limit=1", empty, &oauthz.Query{Limit: 2}},
		{"limit, most", "limit=1000", empty, &oauthz.Query{Limit: 1001}},
		{"limit, more", "limit=1001", invalid("limit"), nil},
		{"limit, none", "limit=0", invalid("limit"), nil},
		{"limit, negative", "limit=-1", invalid("limit"), nil},
		{"limit, empty", "limit=", invalid("limit"), nil},
		{"limit, no number", "limit=canary", invalid("limit"), nil},
		{"time, no time", "expires_from=canary", invalid("expires_from"), nil},
		{"time, a date", "issued_to=2026-11-21", invalid("issued_to"), nil},
		{"time, seconds", "revoked_from=1795262400", invalid("revoked_from"), nil},
		{"time, zero", "revoked_to=0001-01-01T00:00:00Z", invalid("revoked_to"), nil},
		{"match, no JSON", "match=canary", invalid("match"), nil},
		{"match, null", "match=null", invalid("match"), nil},
		{"match, twice", match(`{"a":1,"a":2}`), invalid("match"), nil},
		{"match, null within", match(`{"a":null}`), invalid("match"), nil},
		{"match, a list within", match(`{"a":["x"]}`), invalid("match"), nil},
		{"match, an object within", match(`{"a":{}}`), invalid("match"), nil},
		{"match, a number out of proportion", match(`{"a":1e-9999999}`), invalid("match"), nil},
		{"not known", "subject=canary", invalidRequest("A parameter is not known"), nil},
		{"in another case", "Limit=1", invalidRequest("A parameter is not known"), nil},
		{"repeated", "limit=1&limit=1", repeated, nil},
		{"malformed", "limit=%zz", invalidRequest("The query is malformed"), nil},
		{"semicolon", "limit=1;limit=2", invalidRequest("The query is malformed"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := &lister{}
			got := serve(t, adminHandler(t, &recorder{}, list), adminRequest(http.MethodGet, tt.query, ""))
			assert.Equal(t, tt.want, got)
			assert.NotContains(t, got.body, "canary")
			if tt.asked == nil {
				assert.Empty(t, list.asked)
				return
			}
			require.Len(t, list.asked, 1)
			assertQuery(t, *tt.asked, list.asked[0])
		})
	}
}

// assertQuery compares times as times.
func assertQuery(t *testing.T, want, got oauthz.Query) {
	t.Helper()
	for _, at := range []*time.Time{&got.ExpiresFrom, &got.ExpiresTo, &got.IssuedFrom, &got.IssuedTo, &got.RevokedFrom, &got.RevokedTo} {
		*at = at.UTC()
	}
	assert.Equal(t, want, got)
}

func TestRevocationsListed(t *testing.T) {
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
		{"cannot tell", &lister{err: errors.New("canary")}, http.MethodGet, "", unavailable},
		{"one that cannot be told", &lister{revs: []oauthz.Revocation{{}}}, http.MethodGet, "", serverError},
		{"panics", panickingLister{}, http.MethodGet, "", serverError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, serve(t, adminHandler(t, &recorder{}, tt.lister), adminRequest(tt.method, tt.query, "")))
		})
	}
}

func TestRevocationsMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		assert.Equal(t, answer{405, "Allow: GET, HEAD, POST\n" + isJSON, `{"error":"invalid_request"}`},
			serve(t, adminHandler(t, &recorder{}, &lister{}), adminRequest(method, "", "[]")), method)
	}
}

func notValid(i int) answer {
	return invalidRequest(fmt.Sprintf("Revocation %d of the array, counted from 0, is not valid; none was recorded", i))
}

// One mistake, and nothing is recorded.
func TestRevocationsRecorded(t *testing.T) {
	t.Parallel()
	const one = `{"match":{"iss":"i","jti":"7"}}`
	recorded := answer{204, "", ""}
	notArray := invalidRequest("The body is not a JSON array")
	oneRev := oauthz.Revocation{Match: map[string]any{"iss": "i", "jti": "7"}, At: noon}
	for _, tt := range []struct {
		name, body string
		want       answer
		revs       []oauthz.Revocation
	}{
		{"one", `[` + one + `]`, recorded, []oauthz.Revocation{oneRev}},
		{"two, with space", " [\n" + one + "\t,\r\n" + one + " ] ", recorded, []oauthz.Revocation{oneRev, oneRev}},
		{
			"all that there is",
			`[{"match":{"iss":"i","n":12345678901234567890,"b":true},"issued_until":"2026-11-21T12:00:00Z","expires":"2026-11-21T13:00:00Z","reason":"left","at":"2026-11-20T12:00:00Z"}]`,
			recorded,
			[]oauthz.Revocation{{
				Match:       map[string]any{"iss": "i", "n": json.Number("12345678901234567890"), "b": true},
				IssuedUntil: noon, Expires: noon.Add(time.Hour), Reason: "left", At: noon.Add(-24 * time.Hour),
			}},
		},
		{"nothing", `[]`, invalidRequest("There is nothing to revoke"), nil},
		{"an object", one, notArray, nil},
		{"null", `null`, notArray, nil},
		{"cut off", `[` + one, notArray, nil},
		{"two documents", `[` + one + `][]`, notArray, nil},
		{"a document that breaks out", `[` + one + `],"x":[]`, notArray, nil},
		{"a document that closes too much", `[` + one + `]}`, notArray, nil},
		{"twice the same member", `[{"match":{"iss":"i"},"match":{"iss":"j"}}]`, notArray, nil},
		{"twice the same claim", `[{"match":{"iss":"i","iss":"j"}}]`, notArray, nil},
		{"not UTF-8", "[{\"match\":{\"iss\":\"\xff\"}}]", notArray, nil},
		{"no issuer, first", `[{"match":{"jti":"7"}},` + one + `]`, notValid(0), nil},
		{"no issuer, last", `[` + one + `,` + one + `,{"match":{"jti":"7"}}]`, notValid(2), nil},
		{"null within", `[` + one + `,null]`, notValid(1), nil},
		{"a string within", `["canary"]`, notValid(0), nil},
		{"a list within", `[[` + one + `]]`, notValid(0), nil},
		{"a member that is not known", `[{"match":{"iss":"i"},"canary":1}]`, notValid(0), nil},
		{"a member in another case", `[{"Match":{"iss":"i"}}]`, notValid(0), nil},
		{"a claim that cannot be compared", `[{"match":{"iss":"i","a":["x"]}}]`, notValid(0), nil},
		{"a time that is none", `[{"match":{"iss":"i"},"expires":1795262400}]`, notValid(0), nil},
		{"too large", `[` + one + strings.Repeat(" ", 1<<20) + `]`, answer{
			413, isJSON, `{"error":"invalid_request","error_description":"The body is too large"}`,
		}, nil},
	} {
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

// assertRevocations compares times as times.
func assertRevocations(t testing.TB, want, got []oauthz.Revocation) {
	t.Helper()
	for i := range got {
		for _, at := range []*time.Time{&got[i].IssuedUntil, &got[i].Expires, &got[i].At} {
			*at = at.UTC()
		}
	}
	assert.Equal(t, want, got)
}

// A form of another site cannot have this type (Fetch, "CORS-safelisted request-header").
func TestRevocationsContentType(t *testing.T) {
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

func TestRevocationsThatAreNotRecorded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		revoker oauthz.Revoker
		want    answer
	}{
		"fault":                   {&recorder{err: errors.New("canary")}, unavailable},
		"fault that names a time": {&recorder{err: retryableError(503, time.Minute)}, retryIn("60")},
		"panic":                   {failingRevoker(func() error { panic(canary) }), serverError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, serve(t, adminHandler(t, tt.revoker, &lister{}), adminRequest(http.MethodPost, "", `[{"match":{"iss":"i"}}]`)))
		})
	}
}

// Into a list and out of it again.
func TestRevocationsRoundTrip(t *testing.T) {
	t.Parallel()
	revoked := &oauthz.Revocations{Now: atNoon}
	h := adminHandler(t, revoked, revoked)
	assert.Equal(t, 204, serve(t, h, adminRequest(http.MethodPost, "", `[{"match":{"iss":"i","sub":"alice"}},{"match":{"iss":"i","sub":"bob"},"expires":"2026-11-21T13:00:00Z"}]`)).status)
	alice, bob := `{"match":{"iss":"i","sub":"alice"},"at":"2026-11-21T12:00:00Z"}`, `{"match":{"iss":"i","sub":"bob"},"expires":"2026-11-21T13:00:00Z","at":"2026-11-21T12:00:00Z"}`
	for query, want := range map[string]string{
		"":                                  alice + "," + bob,
		"match={%22sub%22:%22bob%22}":       bob,
		"match={%22sub%22:%22carol%22}":     "",
		"expires_to=2026-11-21T14:00:00Z":   bob,
		"revoked_from=2026-11-21T12:00:01Z": "",
	} {
		assert.Equal(t, activeAnswer(`{"revocations":[`+want+`],"more":false}`), serve(t, h, adminRequest(http.MethodGet, query, "")), query)
	}
	is, err := revoked.Revoked(t.Context(), parseToken(t, `{"iss":"i","sub":"bob"}`))
	assert.True(t, is && err == nil)
}
