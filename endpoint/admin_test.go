package endpoint_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// lister records the queries that it receives, and lists revs.
type lister struct {
	revs    []oauthz.Revocation
	err     error
	queries []oauthz.Query
}

func (l *lister) All(q oauthz.Query) (iter.Seq[oauthz.Revocation], error) {
	l.queries = append(l.queries, q)
	return slices.Values(l.revs[:min(len(l.revs), q.Limit)]), l.err
}

// administrators returns a Guard that accepts the token of one administrator.
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

func TestAdminRequiresTheRequirement(t *testing.T) {
	t.Parallel()
	weak := refusedBy("api", 403, "insufficient_scope", "The access token lacks a scope that is required", `, scope="revocations"`)
	for _, tt := range []struct {
		name   string
		fields []string
		want   answer
	}{
		{"no token", nil, answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"api\", scope=\"revocations\"", `{}`}},
		{"a user", []string{"Bearer user"}, weak},
		{"a bad token", []string{"Bearer x"}, refusedBy("api", 401, "invalid_token", "The access token is not valid", "")},
		{"a client", []string{goodBasic}, answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"api\", scope=\"revocations\"", `{}`}},
		{"fault", []string{"Bearer down"}, unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				revoker, list := &recorder{}, &lister{}
				r := adminRequest(method, "", `[{"match":{"iss":"i"}}]`)
				r.Header["Authorization"] = tt.fields
				assert.Equal(t, tt.want, serve(t, adminHandler(t, revoker, list), r), method)
				assert.Empty(t, revoker.revs)
				assert.Empty(t, list.queries)
			}
		})
	}
}

func TestAdminAllowsGetHeadAndPost(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		assert.Equal(t, answer{405, "Allow: GET, HEAD, POST\n" + isJSON, `{"error":"invalid_request"}`},
			serve(t, adminHandler(t, &recorder{}, &lister{}), adminRequest(method, "", "[]")), method)
	}
}

// A list returns the revocations that were posted to it.
func TestAdminListsPostedRevocations(t *testing.T) {
	t.Parallel()
	revoked := &oauthz.MemoryRevocations{Now: atNoon}
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
