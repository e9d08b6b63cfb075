package gusto_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/gusto"
)

const (
	companyID      = "7b1d0df1-6403-4a06-8768-c1dd7d24d27a"
	otherToken     = "canary-token-of-another-company-wF0WUF6iCQo"
	otherCompanyID = "0a7e5d3c-0000-4a06-8768-c1dd7d24d27a"
)

// scene is two instances of an API, with caches of their own and one list, and a vendor that knows two tokens, whatever it was
// told to revoke.
type scene struct {
	client    *gusto.Client
	list      oauthz.Revocations
	instances []http.Handler
	asked     atomic.Int32 // of tokens
	revoked   atomic.Int32 // requests that revoke
	passed    atomic.Int32 // requests that the handler got
	now       atomic.Int64 // since epoch
}

func (s *scene) clock() time.Time { return epoch.Add(time.Duration(s.now.Load())) }

// shared is a list that is far away: it takes nothing from a caller who is gone.
type shared struct{ *oauthz.Revocations }

func (l shared) Revoke(ctx context.Context, revs ...oauthz.Revocation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.Revocations.Revoke(ctx, revs...)
}

// newScene has the vendor answer what revokes by revoke.
func newScene(t *testing.T, revoke http.HandlerFunc, change ...func(*gusto.Config)) *scene {
	t.Helper()
	s := &scene{}
	s.list.Now = s.clock
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/token_info" {
			s.revoked.Add(1)
			revoke(w, r)
			return
		}
		s.asked.Add(1)
		id := companyID
		if r.Header.Get("Authorization") == "Bearer "+otherToken {
			id = otherCompanyID
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"scope":"read","resource":{"type":"Company","uuid":%q},"resource_owner":null}`, id)
	}))
	t.Cleanup(server.Close)
	cfg := gusto.Config{
		BaseURL: server.URL + "/", ClientID: "app", ClientSecret: secret, InsecureAnyClient: true,
		HTTPClient: server.Client(), Revoker: shared{&s.list}, Now: s.clock,
	}
	for _, f := range change {
		f(&cfg)
	}
	for range 2 {
		client, err := gusto.New(cfg)
		require.NoError(t, err)
		s.client = client
		cached, err := cache.New(client, cache.Config{TTL: 2 * time.Hour, Now: s.clock})
		require.NoError(t, err)
		guard, err := oauthz.New(oauthz.Config{Introspector: cached, Revocations: []oauthz.RevocationList{&s.list}, Now: s.clock})
		require.NoError(t, err)
		s.instances = append(s.instances, guard.Protect(oauthz.Require("read"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
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

// revocation is an operation that revokes, and the status that says so.
type revocation struct {
	name string
	done int
	call func(ctx context.Context, c *gusto.Client) error
}

var revocations = []revocation{
	{"revoke", 200, func(ctx context.Context, c *gusto.Client) error { return c.Revoke(ctx, token) }},
	{"disconnect_app_integration", 204, func(ctx context.Context, c *gusto.Client) error {
		return c.DisconnectAppIntegration(ctx, "canary-system-token", companyID)
	}},
}

// RV-15, RV-16, CA-10: whatever the vendor answers, no instance serves what it remembers.
func TestRevokedHereWhateverGustoAnswers(t *testing.T) {
	t.Parallel()
	for _, op := range revocations {
		for _, status := range []int{op.done, 302, 400, 401, 403, 404, 429, 500, 503} {
			t.Run(fmt.Sprintf("%s %d", op.name, status), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, says(status))
				s.wantAccepted(t, token)
				s.wantAccepted(t, otherToken)
				err := op.call(t.Context(), s.client)
				if status == op.done {
					require.NoError(t, err)
				} else {
					operationError(t, err, op.name, status)
					assert.NotErrorIs(t, err, providers.ErrNotRecorded)
					assertSilent(t, err)
				}
				assert.Equal(t, int32(1), s.revoked.Load())
				s.wantRefused(t, token)
				s.wantAccepted(t, otherToken)
			})
		}
	}
}

func TestRevokedHereWhenTheCallerIsGone(t *testing.T) {
	t.Parallel()
	for _, op := range revocations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			s := newScene(t, func(_ http.ResponseWriter, r *http.Request) { // hangs, and the caller gives up
				_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of a connection only after the body
				cancel()
				<-r.Context().Done()
			})
			s.wantAccepted(t, token)
			require.ErrorIs(t, op.call(ctx, s.client), context.Canceled)
			assert.Equal(t, int32(1), s.revoked.Load())
			s.wantRefused(t, token)

			late := newScene(t, says(op.done))
			late.wantAccepted(t, token)
			err := op.call(ctx, late.client)
			operationError(t, err, op.name, 0)
			require.ErrorIs(t, err, context.Canceled)
			late.wantRefused(t, token)
		})
	}
}

// brokenList echoes all that it was told.
type brokenList struct{ err error }

func (b *brokenList) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	return fmt.Errorf("list: %w: %+v", b.err, revs)
}

func TestListThatFails(t *testing.T) {
	t.Parallel()
	broken := &brokenList{errors.New("down")}
	for _, op := range revocations {
		for _, status := range []int{op.done, 503} {
			t.Run(fmt.Sprintf("%s %d", op.name, status), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, says(status), func(cfg *gusto.Config) { cfg.Revoker = broken })
				s.wantAccepted(t, token)
				err := op.call(t.Context(), s.client)
				require.ErrorIs(t, err, providers.ErrNotRecorded)
				require.ErrorIs(t, err, broken.err)
				var e *providers.OperationError
				require.ErrorAs(t, err, &e)
				assert.Equal(t, "gusto", e.Vendor)
				assert.Equal(t, op.name, e.Operation)
				assert.Equal(t, status == 503, e.Status == 503)
				assert.Equal(t, status == 503, errors.Is(err, oauthz.ErrUnavailable))
				assertSilent(t, err)
				assert.Equal(t, int32(1), s.revoked.Load(), "it must not live on at the vendor because the list is down")
			})
		}
	}
}

// told remembers what it was told.
type told struct{ revs []oauthz.Revocation }

func (l *told) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	l.revs = append(l.revs, revs...)
	return nil
}

func TestWhatIsRecorded(t *testing.T) {
	t.Parallel()
	v := serve(t, answer{status: 204})
	list := &told{}
	c := client(t, v, func(cfg *gusto.Config) { cfg.Revoker = list })
	require.Error(t, c.Revoke(t.Context(), token))
	company := func(id string) oauthz.Revocation {
		return oauthz.Revocation{
			Match: map[string]any{"iss": v.URL, oauthz.MatchTenant: "Company/" + id}, IssuedUntil: epoch,
			Expires: epoch.Add(2 * time.Hour), Reason: "gusto: disconnect_app_integration", At: epoch,
		}
	}
	require.NoError(t, c.DisconnectAppIntegration(t.Context(), token, companyID))
	require.NoError(t, c.DisconnectAppIntegration(t.Context(), token, strings.ToUpper(companyID)))
	assert.Equal(t, []oauthz.Revocation{
		{
			Match:   map[string]any{"iss": v.URL, oauthz.MatchTokenHash: oauthz.TokenHash(token)},
			Expires: epoch.Add(4 * time.Hour), Reason: "gusto: revoke", At: epoch,
		},
		company(companyID), company(strings.ToUpper(companyID)), company(companyID),
	}, list.revs)
	assert.NotContains(t, fmt.Sprintf("%+v", list.revs), "canary")
}

// Gusto writes a UUID in lower case. Others do not.
func TestCompanyInCapitals(t *testing.T) {
	t.Parallel()
	s := newScene(t, says(404))
	s.wantAccepted(t, token)
	require.Error(t, s.client.DisconnectAppIntegration(t.Context(), "system", strings.ToUpper(companyID)))
	s.wantRefused(t, token)
	s.wantAccepted(t, otherToken)
}

// What fails before Gusto is asked revokes nothing.
func TestNothingIsRecordedOfWhatIsNotSent(t *testing.T) {
	t.Parallel()
	v := serve(t, answer{status: 200})
	list := &told{}
	c := client(t, v, func(cfg *gusto.Config) { cfg.Revoker = list })
	poor := client(t, v, func(cfg *gusto.Config) { cfg.Revoker, cfg.ClientID, cfg.ClientSecret = list, "", "" })
	require.Error(t, poor.Revoke(t.Context(), token))
	for _, no := range []string{"", "a b", "Bearer " + token, "é", "a.b.c", strings.Repeat("a", oauthz.MaxTokenBytes+1)} {
		require.Error(t, c.Revoke(t.Context(), no))
		require.Error(t, c.DisconnectAppIntegration(t.Context(), oauthz.Secret(no), companyID))
	}
	for _, id := range []string{"", ".", ".."} {
		require.Error(t, c.DisconnectAppIntegration(t.Context(), token, id))
	}
	assert.Empty(t, list.revs)
	assert.Empty(t, v.questions())
}

// A token that Gusto failed to revoke is asked about once more before it dies, and no verdict of then outlives the entry.
func TestEntryOutlivesEveryVerdict(t *testing.T) {
	t.Parallel()
	s := newScene(t, says(503))
	s.wantAccepted(t, token)
	require.Error(t, s.client.Revoke(t.Context(), token))
	s.now.Store(int64(2*time.Hour - time.Minute))
	asked := s.asked.Load()
	for _, instance := range s.instances {
		assert.Equal(t, http.StatusUnauthorized, get(instance, token).Code)
	}
	s.now.Store(int64(2 * time.Hour))
	for _, instance := range s.instances {
		assert.Equal(t, http.StatusUnauthorized, get(instance, token).Code)
	}
	assert.Equal(t, asked+2, s.asked.Load(), "each cache asked again, at the end of the first verdict")
	for _, at := range []time.Duration{2*time.Hour + oauthz.MaxLeeway, 4*time.Hour - time.Second} {
		s.now.Store(int64(at))
		s.wantRefused(t, token)
	}
}

// A company that connects again waits until the entry is over: its new tokens say no more of their age than the old.
func TestCompanyThatConnectsAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, says(204))
	require.NoError(t, s.client.DisconnectAppIntegration(t.Context(), "system", companyID))
	s.now.Store(int64(2*time.Hour + oauthz.MaxLeeway - time.Second))
	for _, instance := range s.instances {
		assert.Equal(t, http.StatusUnauthorized, get(instance, token).Code)
	}
	s.now.Store(int64(2*time.Hour + oauthz.MaxLeeway))
	s.wantAccepted(t, token)
}

func TestWithoutRevoker(t *testing.T) {
	t.Parallel()
	for _, op := range revocations {
		s := newScene(t, says(op.done), func(cfg *gusto.Config) { cfg.Revoker = nil })
		s.wantAccepted(t, token)
		require.NoError(t, op.call(t.Context(), s.client))
		s.wantAccepted(t, token) // until the end of the cache's TTL, as documented
	}
}

// secretList would show its password to a fmt that looked.
type secretList struct{ password string }

func (secretList) Revoke(context.Context, ...oauthz.Revocation) error { return nil }

func TestRevokerConfig(t *testing.T) {
	t.Parallel()
	_, err := gusto.New(gusto.Config{InsecureAnyClient: true, Revoker: (*oauthz.Revocations)(nil)})
	require.EqualError(t, err, "gusto: config: Revoker is a nil pointer or function inside the interface")
	c, err := gusto.New(gusto.Config{InsecureAnyClient: true, Revoker: secretList{"canary"}})
	require.NoError(t, err)
	assertSilent(t, c)
}
