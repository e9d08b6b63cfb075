package oauthz_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

// The Guard checks the expiry itself, whatever the verdict of the introspector. A verdict that ends after ExpiresAt grants
// leeway, which has a bound. A verdict that ends earlier bounds the time in a cache, and is not an expiry.
func TestExpiry(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, tt := range []struct {
		name  string
		exp   time.Duration // after epoch; 0: the token does not expire
		until time.Duration // end of the verdict, after epoch; 0: none
		want  answer
	}{
		{name: "no expiry", want: allowed},
		{name: "not yet expired", exp: 1, want: allowed},
		{name: "expired now", exp: -1, want: expired},
		{name: "expired long ago", exp: -hour, want: expired},
		{name: "expired, within the leeway", exp: -time.Minute, until: 1, want: allowed},
		{name: "expired, and the leeway too", exp: -time.Minute, until: -1, want: expired},
		{name: "expired, within the greatest leeway", exp: -oauthz.MaxLeeway + 1, until: hour, want: allowed},
		{name: "expired, beyond the greatest leeway", exp: -oauthz.MaxLeeway, until: hour, want: expired},
		{name: "expired long ago, with a verdict that has not ended", exp: -hour, until: hour, want: expired},
		{name: "an earlier end of the verdict is not an expiry", exp: hour, until: -hour, want: allowed},
		{name: "an end of the verdict alone is not an expiry", until: -hour, want: allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := &oauthz.Token{}
			if tt.exp != 0 {
				token.ExpiresAt = epoch.Add(tt.exp)
			}
			if tt.until != 0 {
				token.SetVerdict(oauthz.Verdict{Until: epoch.Add(tt.until)})
			}
			guard := newGuard(t, oauthz.Config{Introspector: answers(token, nil), Now: atEpoch})
			tt.want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
		})
	}
}

// The last instant of a token is the one before exp (RFC 7519 §4.1.4: "on or after").
func TestExpiryIsExclusive(t *testing.T) {
	t.Parallel()
	in := knows(fmt.Sprintf(`{"exp":%d}`, epoch.Unix()))
	tt := newGuard(t, oauthz.Config{Introspector: in, Now: func() time.Time { return epoch.Add(-1) }})
	allowed.check(t, serve(t, tt, oauthz.Require(), withGoodToken()))
	tt = newGuard(t, oauthz.Config{Introspector: in, Now: atEpoch})
	expired.check(t, serve(t, tt, oauthz.Require(), withGoodToken()))
}

// A token whose iat is further ahead than a clock may be would escape every IssuedUntil, so a Guard refuses it, whichever
// introspector accepted it.
func TestTokenIssuedTooFarAheadIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		ahead time.Duration
		want  answer
	}{
		{"now", 0, allowed},
		{"a clock that is ahead", oauthz.MaxLeeway, allowed},
		{"more than that", oauthz.MaxLeeway + 1, badToken},
		{"in a year", 365 * 24 * time.Hour, badToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, req := range []oauthz.Requirement{oauthz.Require(), oauthz.Require().OrAnonymous()} {
				in := answers(&oauthz.Token{IssuedAt: epoch.Add(tt.ahead)}, nil)
				tt.want.check(t, serve(t, newGuard(t, oauthz.Config{Introspector: in, Now: atEpoch}), req, withGoodToken()))
			}
		})
	}
}

func TestExpiryByTheRealClock(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]answer{
		fmt.Sprintf(`{"exp":%d}`, time.Now().Add(time.Hour).Unix()):  allowed,
		fmt.Sprintf(`{"exp":%d}`, time.Now().Add(-time.Hour).Unix()): expired,
	} {
		want.check(t, serve(t, newGuard(t, oauthz.Config{Introspector: knows(claims)}), oauthz.Require(), withGoodToken()))
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	never := func() bool { return false }
	for _, tt := range []struct {
		name       string
		exp, until time.Time
		live       func() bool
		leeway     time.Duration
		wantUntil  time.Time
		wantLive   bool
	}{
		{name: "no verdict", wantLive: true},
		{name: "expiry alone", exp: epoch, wantUntil: epoch, wantLive: true},
		{name: "earlier than the expiry", exp: epoch, until: epoch.Add(-1), wantUntil: epoch.Add(-1), wantLive: true},
		{name: "later than the expiry", exp: epoch, until: epoch.Add(1), wantUntil: epoch.Add(1), wantLive: true},
		{name: "without an expiry", until: epoch, wantUntil: epoch, wantLive: true},
		{name: "leeway after the expiry", exp: epoch, leeway: 1, wantUntil: epoch.Add(1), wantLive: true},
		{name: "leeway and an earlier end of the verdict", exp: epoch, leeway: 1, until: epoch.Add(-1), wantUntil: epoch.Add(-1), wantLive: true},
		{name: "leeway without an expiry", leeway: 1, wantLive: true},
		{name: "no longer live", exp: epoch, live: never, wantUntil: epoch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := &oauthz.Token{ExpiresAt: tt.exp}
			token.SetVerdict(oauthz.Verdict{Until: tt.until, Live: tt.live, Leeway: tt.leeway})
			assert.Equal(t, tt.until, token.Verdict().Until)
			for _, same := range []*oauthz.Token{token, token.Clone()} {
				until, live := same.Validity()
				assert.Equal(t, tt.wantUntil, until)
				assert.Equal(t, tt.wantLive, live)
			}
		})
	}
}

// Live is called each time.
func TestValidityCallsLiveEachTime(t *testing.T) {
	t.Parallel()
	stands := true
	token := new(oauthz.Token)
	token.SetVerdict(oauthz.Verdict{Until: epoch, Live: func() bool { return stands }})
	_, live := token.Validity()
	assert.True(t, live)
	stands = false
	_, live = token.Validity()
	assert.False(t, live)
}

// A change of a copy does not change the original.
func TestCloneIsIndependent(t *testing.T) {
	t.Parallel()
	const claims = `{"aud":["x"],"scope":"a","cnf":{"jkt":"k","kid":"1"},"org":{"id":1}}`
	token, before := parse(t, claims), parse(t, claims)
	clone := token.Clone()
	clone.Audience[0], clone.Scopes[0], clone.Confirmation.JWKThumbprint = "changed", "changed", "changed"
	_ = append(clone.Audience, "changed") // must not run into the scopes
	clone.Confirmation.Methods()[1] = "changed"
	org, _ := clone.Claim("org")
	copy(org, "changed")
	requireSame(t, before, token)
	assert.Equal(t, oauthz.Scopes{"changed"}, clone.Scopes)

	clone = token.Clone()
	clone.Audience = append(clone.Audience, "y")
	clone.Scopes = append(clone.Scopes, "b")
	assert.Equal(t, []string{"x", "y"}, clone.Audience)
	assert.Equal(t, oauthz.Scopes{"a", "b"}, clone.Scopes)
	requireSame(t, before, token)
}

// A cache bounds its bytes by Size, so Size must count every part that makes a token long.
func TestSize(t *testing.T) {
	t.Parallel()
	small := parse(t, `{}`).Size()
	assert.Positive(t, small)
	long := strings.Repeat("x", 10_000)
	for _, claims := range []string{
		`{"x":"` + long + `"}`, `{"` + long + `":1}`, `{"scope":"` + long + `"}`, `{"aud":["` + long + `"]}`, `{"sub":"` + long + `"}`,
	} {
		assert.Greater(t, parse(t, claims).Size(), small+len(long)-1, "%.20s", claims)
	}
	filled := parse(t, `{}`)
	filled.Audience, filled.Scopes = []string{long}, oauthz.Scopes{long}
	assert.Greater(t, filled.Size(), small+2*len(long)-1)
}
