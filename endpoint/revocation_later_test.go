package endpoint_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// temporary is a refusal that may not last.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }
func (l temporary) Unwrap() error { return l.error }

// RFC 7009 §2.2.1: 200 promises that the token no longer works. That is not true for
// a token that is refused now and may be accepted later.
func TestRevocationOfATokenThatMayBeAcceptedLater(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"refused for now":            temporary{oauthz.ErrInvalidToken},
		"refused for now, wrapped":   fmt.Errorf("x: %w", temporary{oauthz.ErrInvalidToken}),
		"refused for now, by status": &oauthz.Error{Status: 401, Err: temporary{oauthz.ErrInvalidToken}},
		"forbidden by status":        retryableError(403, 0),
		"lacks a scope":              oauthz.ErrInsufficientScope,
		"lacks a scope, by status":   &oauthz.Error{Status: 401, Err: oauthz.ErrInsufficientScope},
		"login too weak, by status":  &oauthz.Error{Status: 401, Err: oauthz.ErrInsufficientAuthentication},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reported reports
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: answers(nil, err), Revoker: revoker, Report: reported.add})
			assert.Equal(t, unavailable, serve(t, h, postToken()))
			assert.Empty(t, revoker.revs)
			require.Len(t, reported.errs, 1)
			assert.ErrorIs(t, reported.errs[0], err, "the cause is reported")
		})
	}
}

// movingClock stands at noon until it is moved.
type movingClock struct{ moved atomic.Int64 }

func (c *movingClock) now() time.Time       { return noon.Add(time.Duration(c.moved.Load())) }
func (c *movingClock) move(d time.Duration) { c.moved.Add(int64(d)) }

// revocableJWTs starts an authorization server, and returns it with a Guard for its
// tokens and the revocation endpoint of the Guard's list.
func revocableJWTs(t *testing.T, clock *movingClock) (*oauthztest.Server, *oauthz.Guard, http.Handler) {
	t.Helper()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: clock.now})
	t.Cleanup(as.Close)
	verifier, err := localjwt.New(t.Context(), localjwt.Config{
		Issuer: as.Issuer(), Audience: []string{audience}, Now: clock.now, Leeway: -1,
	})
	require.NoError(t, err)
	revoked := &oauthz.MemoryRevocations{Now: clock.now}
	guard, err := oauthz.New(oauthz.Config{Introspector: verifier, RevocationLists: []oauthz.RevocationList{revoked}, Now: clock.now})
	require.NoError(t, err)
	return as, guard, revocationHandler(t, endpoint.RevocationConfig{Introspector: verifier, Revoker: revoked})
}

// A token whose key the issuer has not published yet, or that is not valid yet, is
// accepted a moment later.
func TestRevocationOfATokenThatIsAcceptedAMomentLater(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		claims  oauthztest.Claims
		publish bool // publish its key only later
	}{
		{name: "key not published yet", publish: true},
		{name: "key not published yet, older than the keys", claims: oauthztest.Claims{"iat": noon.Add(-time.Minute)}, publish: true},
		{name: "not valid yet", claims: oauthztest.Claims{"nbf": noon.Add(2 * time.Minute), "exp": noon.Add(time.Hour)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock := &movingClock{}
			as, guard, h := revocableJWTs(t, clock)
			claims := oauthztest.Claims{"client_id": client}
			for name, value := range tt.claims {
				claims[name] = value
			}
			var kid string
			if tt.publish {
				as.Keys()
				kid = as.RotateUnpublished()
			}
			token := as.Mint(claims)
			assert.Equal(t, 503, serve(t, h, post(url.Values{"token": {token}})).status)

			if tt.publish {
				as.Publish(kid)
			}
			clock.move(3 * time.Minute)
			require.Equal(t, 204, guardedStatus(guard, token), "the token was not dead")
			assert.Equal(t, revokedAnswer, serve(t, h, post(url.Values{"token": {token}})))
			assert.Equal(t, 401, guardedStatus(guard, token))
		})
	}
}

// A token that stays invalid whichever keys are published is dead: its client must
// not try again without end.
func TestRevocationOfATokenThatNoKeyMakesValid(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: atNoon})
	t.Cleanup(as.Close)
	verifier, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, Now: atNoon})
	require.NoError(t, err)
	old := oauthztest.Claims{"client_id": client, "iat": noon.Add(-time.Hour), "exp": noon.Add(time.Hour)}
	for name, tt := range map[string]struct {
		claim string
		value any
		want  answer
	}{
		"unknown key":               {"x", "y", unavailable},
		"not valid yet":             {"nbf", noon.Add(time.Hour), unavailable},
		"expired":                   {"exp", noon.Add(-time.Hour), revokedAnswer},
		"of another issuer":         {"iss", "https://other.example", revokedAnswer},
		"for another API":           {"aud", "https://other.example", revokedAnswer},
		"a claim of the wrong type": {"exp", "x", revokedAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := oauthztest.Claims{tt.claim: tt.value}
			for name, value := range old {
				if name != tt.claim {
					claims[name] = value
				}
			}
			token := as.Mint(claims, oauthztest.WithHeader("kid", "unknown"))
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: verifier, Revoker: revoker})
			assert.Equal(t, tt.want, serve(t, h, post(url.Values{"token": {token}})))
			assert.Empty(t, revoker.revs)
		})
	}
}

// The clock of another replica may be behind: a token that has just expired is
// recorded, for as long as a list keeps it.
func TestRevocationOfATokenThatHasJustExpired(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expired  time.Duration // time since exp
		recorded bool
	}{
		"now":                        {0, true},
		"within MaxLeeway":           {oauthz.MaxLeeway - time.Second, true},
		"at the end of MaxLeeway":    {oauthz.MaxLeeway, false},
		"longer ago than lists keep": {time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{
				Introspector: claims(t, fmt.Sprintf(`{"iss":"i","jti":"7","client_id":"%s","exp":%d}`, client, unixAt(-tt.expired))), Revoker: revoker,
			})
			assert.Equal(t, revokedAnswer, serve(t, h, postToken()))
			assert.Equal(t, tt.recorded, len(revoker.revs) == 1)
		})
	}
}

// A token that its server introspects as active before it is valid will be accepted later.
func TestRevocationOfARemoteTokenThatIsNotValidYet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		claim string
		from  time.Duration
		want  answer
	}{
		{"nbf", -time.Hour, revokedAnswer},
		{"nbf", time.Hour, unavailable},
		{"iat", -time.Hour, revokedAnswer},
		{"iat", time.Hour, unavailable},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"active":true,"iss":"i","client_id":%q,"aud":%q,%q:%d}`, client, audience, tt.claim, unixAt(tt.from))
		}))
		t.Cleanup(server.Close)
		in, err := remote.New(t.Context(), remote.Config{
			Endpoint: server.URL, Auth: remote.None(""), Audience: []string{audience}, Now: atNoon,
		})
		require.NoError(t, err)
		h := revocationHandler(t, endpoint.RevocationConfig{Introspector: in, Revoker: &recorder{}})
		assert.Equal(t, tt.want, serve(t, h, postToken()), "%s %v", tt.claim, tt.from)
	}
}
