package agilicus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/agilicus"
)

const otherToken = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJjYW5hcnkyIn0.canary-signature"

// scene is two instances of an API, with caches of their own and one list, and a vendor to whom every token is active, whatever it
// was told to revoke.
type scene struct {
	client    *agilicus.Client
	list      oauthz.Revocations
	instances []http.Handler
	asked     atomic.Int32 // of tokens
	revoked   atomic.Int32 // requests that revoke
	passed    atomic.Int32 // requests that the handler got
}

// shared is a list that is far away: it takes nothing from a caller who is gone.
type shared struct{ *oauthz.Revocations }

func (l shared) Revoke(ctx context.Context, revs ...oauthz.Revocation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.Revocations.Revoke(ctx, revs...)
}

// newScene has the vendor answer what revokes by revoke.
func newScene(t *testing.T, introspection string, revoke http.HandlerFunc, edit ...func(*agilicus.Config)) *scene {
	t.Helper()
	s := &scene{}
	now := func() time.Time { return clock }
	s.list.Now = now
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/revoke") {
			s.revoked.Add(1)
			revoke(w, r)
			return
		}
		s.asked.Add(1)
		_, _ = io.WriteString(w, introspection)
	}))
	t.Cleanup(server.Close)
	cfg := config(server.URL, server.Client())
	cfg.Revoker = shared{&s.list}
	for _, e := range edit {
		e(&cfg)
	}
	for range 2 {
		client, err := agilicus.New(cfg)
		require.NoError(t, err)
		s.client = client
		cached, err := cache.New(client, cache.Config{Now: now})
		require.NoError(t, err)
		guard, err := oauthz.New(oauthz.Config{Introspector: cached, Revocations: []oauthz.RevocationList{&s.list}, Now: now})
		require.NoError(t, err)
		s.instances = append(s.instances, guard.Protect(oauthz.Require("urn:agilicus:users:owner"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			s.passed.Add(1)
		})))
	}
	return s
}

func (s *scene) wantAccepted(t *testing.T, token string) {
	t.Helper()
	for _, instance := range s.instances {
		before := s.passed.Load()
		assert.Equal(t, http.StatusOK, get(instance, token).Code)
		assert.Equal(t, before+1, s.passed.Load())
	}
}

// wantRefused: by the list, for the caches remember that the vendor said yes.
func (s *scene) wantRefused(t *testing.T, token string) {
	t.Helper()
	passed, asked := s.passed.Load(), s.asked.Load()
	for _, instance := range s.instances {
		got := get(instance, token)
		assert.Equal(t, http.StatusUnauthorized, got.Code)
		assert.Equal(t, `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`, got.Header().Get("WWW-Authenticate"))
		assert.JSONEq(t, `{"error":"invalid_token","error_description":"The access token is not valid"}`, got.Body.String())
	}
	assert.Equal(t, passed, s.passed.Load(), "the handler did not run")
	assert.Equal(t, asked, s.asked.Load(), "the vendor was not asked")
}

func get(h http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func says(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = io.WriteString(w, `{"error":"unsupported_token_type"}`)
		}
	}
}

// RV-15, RV-16, CA-10: whatever the vendor answers, no instance serves what it remembers.
func TestRevokedHereWhateverAgilicusAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{204, 302, 400, 401, 403, 404, 429, 500, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, good, says(status))
			s.wantAccepted(t, jwt)
			s.wantAccepted(t, otherToken)
			err := s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{})
			if status == 204 {
				require.NoError(t, err)
			} else {
				wantError(t, err, "agilicus: revoke: status ", status)
				assert.NotErrorIs(t, err, providers.ErrNotRecorded)
			}
			assert.Equal(t, int32(1), s.revoked.Load())
			s.wantRefused(t, jwt)
			s.wantAccepted(t, otherToken)
		})
	}
}

func TestRevokedHereWhenTheCallerIsGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newScene(t, good, func(_ http.ResponseWriter, r *http.Request) { // hangs, and the caller gives up
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of a connection only after the body
		cancel()
		<-r.Context().Done()
	})
	s.wantAccepted(t, jwt)
	require.ErrorIs(t, s.client.Revoke(ctx, jwt, agilicus.RevokeOptions{}), context.Canceled)
	assert.Equal(t, int32(1), s.revoked.Load())
	s.wantRefused(t, jwt)

	late := newScene(t, good, says(204))
	late.wantAccepted(t, jwt)
	err := late.client.Revoke(ctx, jwt, agilicus.RevokeOptions{})
	wantError(t, err, "agilicus: revoke: ", 0)
	require.ErrorIs(t, err, context.Canceled)
	late.wantRefused(t, jwt)
}

// brokenList echoes all that it was told.
type brokenList struct{ err error }

func (b *brokenList) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	return fmt.Errorf("list: %w: %+v", b.err, revs)
}

func TestListThatFails(t *testing.T) {
	t.Parallel()
	broken := &brokenList{errors.New("down")}
	for _, status := range []int{204, 503} {
		s := newScene(t, good, says(status), func(cfg *agilicus.Config) { cfg.Revoker = broken })
		s.wantAccepted(t, jwt)
		err := s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{})
		require.ErrorIs(t, err, providers.ErrNotRecorded)
		require.ErrorIs(t, err, broken.err)
		assert.Equal(t, status == 503, errors.Is(err, oauthz.ErrUnavailable))
		if status == 503 {
			wantError(t, err, "agilicus: revoke: status 503", status)
		} else {
			wantError(t, err, "agilicus: revoke: the revocation is not recorded here", 0)
		}
		assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "canary")
		assert.Equal(t, int32(1), s.revoked.Load(), "it must not live on at the vendor because the list is down")
	}
}

// told remembers what it was told.
type told struct{ revs []oauthz.Revocation }

func (l *told) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	l.revs = append(l.revs, revs...)
	return nil
}

func TestWithoutRevoker(t *testing.T) {
	t.Parallel()
	s := newScene(t, good, says(204), func(cfg *agilicus.Config) { cfg.Revoker = nil })
	s.wantAccepted(t, jwt)
	require.NoError(t, s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
	s.wantAccepted(t, jwt) // until the end of the cache's TTL, as documented
}

func TestRevokerConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		revoker  oauthz.Revoker
		lifetime time.Duration
		want     string
	}{
		{name: "none"},
		{name: "a list", revoker: &told{}},
		{name: "a list and a lifetime", revoker: &told{}, lifetime: time.Hour},
		{name: "nil inside", revoker: (*oauthz.Revocations)(nil), want: "Revoker is a nil pointer or function inside the interface"},
		{name: "negative", revoker: &told{}, lifetime: -1, want: "MaxTokenLifetime is negative"},
		{name: "a lifetime of nothing", lifetime: 1, want: "MaxTokenLifetime without Revoker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := agilicus.Config{Audience: []string{audience}}
			cfg.Revoker, cfg.MaxTokenLifetime = tt.revoker, tt.lifetime
			_, err := agilicus.New(cfg)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, "agilicus: config: "+tt.want)
		})
	}
}

func TestWhatIsRecorded(t *testing.T) {
	t.Parallel()
	list := &told{}
	var base string
	keep := func(lifetime time.Duration) func(*agilicus.Config) {
		return func(cfg *agilicus.Config) {
			base = cfg.BaseURL
			cfg.BaseURL += "/"
			cfg.Revoker, cfg.MaxTokenLifetime = list, lifetime
		}
	}
	entry := func(token string, expires time.Time) oauthz.Revocation {
		return oauthz.Revocation{
			Match:   map[string]any{"iss": base, oauthz.MatchTokenHash: oauthz.TokenHash(token)},
			Expires: expires, Reason: "agilicus: revoke", At: clock,
		}
	}
	s := newScene(t, good, says(204), keep(0))
	require.NoError(t, s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{AllSessions: true}))
	assert.Equal(t, []oauthz.Revocation{entry(jwt, time.Time{})}, list.revs)
	s = newScene(t, good, says(500), keep(time.Hour))
	require.Error(t, s.client.Revoke(t.Context(), otherToken, agilicus.RevokeOptions{}))
	assert.Equal(t, entry(otherToken, clock.Add(time.Hour)), list.revs[1])
	require.Len(t, list.revs, 2)
}

// What fails before Agilicus is asked revokes nothing.
func TestNothingIsRecordedOfWhatIsNotSent(t *testing.T) {
	t.Parallel()
	list := &told{}
	s := newScene(t, good, says(204), func(cfg *agilicus.Config) { cfg.Revoker = list })
	for _, no := range []string{"", "opaque", "Bearer " + jwt, jwt + "\n", jwt + ".x", "a..c", "a.b." + strings.Repeat("c", oauthz.MaxTokenBytes)} {
		require.Error(t, s.client.Revoke(t.Context(), oauthz.Secret(no), agilicus.RevokeOptions{}))
	}
	assert.Empty(t, list.revs)
	assert.Zero(t, s.revoked.Load())
}

// An iss that is not documented cannot keep a token from being revoked.
func TestRevokedTokenThatNamesAnIssuer(t *testing.T) {
	t.Parallel()
	s := newScene(t, with(t, `"jti"`, `"iss":"https://auth.example","jti"`), says(503))
	s.wantAccepted(t, jwt)
	require.Error(t, s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
	s.wantRefused(t, jwt)
}

// A JWT has other encodings, such as of its signature: revoked here, it is with all of them.
func TestRevokedInEveryEncoding(t *testing.T) {
	t.Parallel()
	s := newScene(t, good, says(503))
	other := jwt[:strings.LastIndexByte(jwt, '.')] + ".another-signature"
	s.wantAccepted(t, other)
	require.Error(t, s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
	s.wantRefused(t, other)
	s.wantAccepted(t, otherToken)
}

// The way that the doc comment of Revoke names for what goes with AllSessions.
func TestRevokeAllSessionsHereToo(t *testing.T) {
	t.Parallel()
	s := newScene(t, good, says(204))
	s.wantAccepted(t, otherToken)
	token, err := s.client.Introspect(t.Context(), jwt)
	require.NoError(t, err)
	require.NoError(t, s.client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{AllSessions: true}))
	s.wantAccepted(t, otherToken)
	require.NoError(t, s.list.Revoke(t.Context(), oauthz.Revocation{
		Match: map[string]any{"iss": token.Issuer, "sub": token.Subject}, IssuedUntil: clock,
	}))
	s.wantRefused(t, otherToken)
}
