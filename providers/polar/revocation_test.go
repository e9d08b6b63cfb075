package polar_test

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
	"github.com/oauthz/oauthz/providers/polar"
)

// scene is two instances of an API, with caches of their own and one list, and a vendor to whom every token is active, whatever it
// was told to revoke.
type scene struct {
	client    *polar.Client
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
func newScene(t *testing.T, introspection string, revoke http.HandlerFunc, edit ...func(*polar.Config)) *scene {
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
	cfg := polar.Config{
		BaseURL: server.URL, ClientID: clientID, ClientSecret: clientSecret, HTTPClient: server.Client(), Now: now,
	}
	cfg.Revoker = shared{&s.list}
	for _, e := range edit {
		e(&cfg)
	}
	for range 2 {
		client, err := polar.New(cfg)
		require.NoError(t, err)
		s.client = client
		cached, err := cache.New(client, cache.Config{Now: now})
		require.NoError(t, err)
		guard, err := oauthz.New(oauthz.Config{Introspector: cached, Revocations: []oauthz.RevocationList{&s.list}, Now: now})
		require.NoError(t, err)
		s.instances = append(s.instances, guard.Protect(oauthz.Require("openid"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
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
func TestRevokedHereWhateverPolarAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, active, says(status))
			s.wantAccepted(t, accessToken())
			s.wantAccepted(t, otherToken())
			err := s.client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint)
			if status == 200 {
				require.NoError(t, err)
			} else {
				wantError(t, err, "polar: revoke: status ", status)
				assert.NotErrorIs(t, err, providers.ErrNotRecorded)
			}
			assert.Equal(t, int32(1), s.revoked.Load())
			s.wantRefused(t, accessToken())
			s.wantAccepted(t, otherToken())
		})
	}
}

func TestRevokedHereWhenTheCallerIsGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newScene(t, active, func(_ http.ResponseWriter, r *http.Request) { // hangs, and the caller gives up
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of a connection only after the body
		cancel()
		<-r.Context().Done()
	})
	s.wantAccepted(t, accessToken())
	require.ErrorIs(t, s.client.Revoke(ctx, oauthz.Secret(accessToken()), polar.NoHint), context.Canceled)
	assert.Equal(t, int32(1), s.revoked.Load())
	s.wantRefused(t, accessToken())

	late := newScene(t, active, says(200))
	late.wantAccepted(t, accessToken())
	err := late.client.Revoke(ctx, oauthz.Secret(accessToken()), polar.NoHint)
	wantError(t, err, "polar: revoke: ", 0)
	require.ErrorIs(t, err, context.Canceled)
	late.wantRefused(t, accessToken())
}

// brokenList echoes all that it was told.
type brokenList struct{ err error }

func (b *brokenList) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	return fmt.Errorf("list: %w: %+v", b.err, revs)
}

func TestListThatFails(t *testing.T) {
	t.Parallel()
	broken := &brokenList{errors.New("down")}
	for _, status := range []int{200, 503} {
		s := newScene(t, active, says(status), func(cfg *polar.Config) { cfg.Revoker = broken })
		s.wantAccepted(t, accessToken())
		err := s.client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint)
		require.ErrorIs(t, err, providers.ErrNotRecorded)
		require.ErrorIs(t, err, broken.err)
		assert.Equal(t, status == 503, errors.Is(err, oauthz.ErrUnavailable))
		if status == 503 {
			wantError(t, err, "polar: revoke: status 503", status)
		} else {
			wantError(t, err, "polar: revoke: the revocation is not recorded here", 0)
		}
		assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), random)
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
	s := newScene(t, active, says(200), func(cfg *polar.Config) { cfg.Revoker = nil })
	s.wantAccepted(t, accessToken())
	require.NoError(t, s.client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint))
	s.wantAccepted(t, accessToken()) // until the end of the cache's TTL, as documented
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
			cfg := polar.Config{ClientID: clientID, ClientSecret: clientSecret}
			cfg.Revoker, cfg.MaxTokenLifetime = tt.revoker, tt.lifetime
			_, err := polar.New(cfg)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, "polar: config: "+tt.want)
		})
	}
}

func TestWhatIsRecorded(t *testing.T) {
	t.Parallel()
	list := &told{}
	keep := func(lifetime time.Duration) func(*polar.Config) {
		return func(cfg *polar.Config) { cfg.Revoker, cfg.MaxTokenLifetime = list, lifetime }
	}
	s := newScene(t, active, says(200), keep(0))
	require.NoError(t, s.client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint))
	require.NoError(t, s.client.Revoke(t.Context(), oauthz.Secret(refreshToken()), polar.NoHint)) // no request is accepted with one
	require.NoError(t, s.client.Revoke(t.Context(), oauthz.Secret(refreshToken()), polar.HintRefreshToken))
	s = newScene(t, active, says(500), keep(240*time.Hour))
	require.Error(t, s.client.Revoke(t.Context(), oauthz.Secret(otherToken()), polar.HintRefreshToken)) // it is what it is, whatever the hint
	entry := func(token string, expires time.Time) oauthz.Revocation {
		return oauthz.Revocation{
			Match:   map[string]any{"iss": "https://polar.sh", oauthz.MatchTokenHash: oauthz.TokenHash(token)},
			Expires: expires, Reason: "polar: revoke", At: clock,
		}
	}
	assert.Equal(t, []oauthz.Revocation{entry(accessToken(), time.Time{}), entry(otherToken(), clock.Add(240*time.Hour))}, list.revs)
}

// What fails before Polar is asked revokes nothing.
func TestNothingIsRecordedOfWhatIsNotSent(t *testing.T) {
	t.Parallel()
	list := &told{}
	s := newScene(t, active, says(200), func(cfg *polar.Config) { cfg.Revoker = list })
	good := accessToken()
	for _, no := range []string{"", good + "x", good[:len(good)-1], "Bearer " + good, good + "\n", "a.b.c", clientSecret} {
		require.Error(t, s.client.Revoke(t.Context(), oauthz.Secret(no), polar.NoHint))
	}
	require.Error(t, s.client.Revoke(t.Context(), oauthz.Secret(good), "id_token"))
	assert.Empty(t, list.revs)
	assert.Zero(t, s.revoked.Load())
}

// The sandbox names the same issuer, and an answer may name none: the entry fits both.
func TestRevokedTokenWithoutIssuer(t *testing.T) {
	t.Parallel()
	s := newScene(t, with(t, `"iss":"https://polar.sh",`, ``), says(503))
	s.wantAccepted(t, accessToken())
	require.Error(t, s.client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint))
	s.wantRefused(t, accessToken())
}

// otherToken has the checksum of its own random part.
func otherToken() string { return mint("polar_at_o_", strings.ToLower(random)) }
