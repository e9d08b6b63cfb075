package oauthz_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

func TestCheckRevoked(t *testing.T) {
	t.Parallel()
	list := revocations(t, by(match{"iss": "i", "jti": "1"})...)
	active := &oauthz.Token{Issuer: "i", ID: "2"}
	for _, tt := range []struct {
		name string
		next oauthz.Introspector
		want error // nil: active
	}{
		{name: "not revoked", next: answers(active, nil)},
		{name: "revoked", next: knows(`{"iss":"i","jti":"1"}`), want: oauthz.ErrRevoked},
		{name: "refused already", next: answers(nil, oauthz.ErrExpired), want: oauthz.ErrExpired},
		{name: "not recognized", next: answers(nil, oauthz.ErrUnrecognized), want: oauthz.ErrUnrecognized},
		{name: "a fault", next: answers(active, errDown), want: errDown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lists := []oauthz.RevocationList{list}
			checked, err := oauthz.CheckRevoked(tt.next, lists...)
			require.NoError(t, err)
			lists[0] = nil // it has its own
			got, err := checked.Introspect(t.Context(), goodToken)
			if tt.want != nil {
				assert.Nil(t, got)
				assert.ErrorIs(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			assert.Same(t, active, got)
		})
	}
}

// Neither a token nor an error is a mistake of the introspector: not a refusal, and not a panic.
func TestCheckRevokedOfNothing(t *testing.T) {
	t.Parallel()
	checked, err := oauthz.CheckRevoked(answers(nil, nil), &oauthz.Revocations{})
	require.NoError(t, err)
	got, err := checked.Introspect(t.Context(), goodToken)
	assert.Nil(t, got)
	require.Error(t, err)
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
}

// A fault says how long to wait, if the list said so.
func TestFaultOfAListSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	limited := listSays{false, &oauthz.Error{Status: 503, RetryAfter: time.Minute, Err: errDown}}
	w := &watch{}
	got := serve(t, newGuard(t, oauthz.Config{Revocations: []oauthz.RevocationList{limited}, Observe: w.observe}), oauthz.Require(), withGoodToken())
	cannotTell.check(t, got)
	assert.Equal(t, "60", got.header.Get("Retry-After"))
	assert.ErrorIs(t, w.decisions[0].Err, oauthz.ErrUnavailable)
	assert.ErrorIs(t, w.decisions[0].Err, errDown)
}

func TestCheckRevokedRefuses(t *testing.T) {
	t.Parallel()
	var noList *oauthz.Revocations
	list := &oauthz.Revocations{}
	for _, tt := range []struct {
		name  string
		next  oauthz.Introspector
		lists []oauthz.RevocationList
		want  string
	}{
		{name: "no introspector", lists: []oauthz.RevocationList{list}, want: "oauthz: CheckRevoked: introspector is nil"},
		{name: "nil pointer", next: (*issuer)(nil), lists: []oauthz.RevocationList{list}, want: "oauthz: CheckRevoked: introspector is nil"},
		{name: "no list", next: knows(`{}`), want: "oauthz: CheckRevoked: no list"},
		{name: "nil list", next: knows(`{}`), lists: []oauthz.RevocationList{list, nil}, want: "oauthz: CheckRevoked: list 1 is nil"},
		{name: "nil pointer to a list", next: knows(`{}`), lists: []oauthz.RevocationList{noList}, want: "oauthz: CheckRevoked: list 0 is nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauthz.CheckRevoked(tt.next, tt.lists...)
			assert.Nil(t, got)
			assert.EqualError(t, err, tt.want)
		})
	}
}

// RV-06, RV-07: a token that a server was asked about may be revoked by its bytes. A token that was verified here has twins
// with other bytes, so it never has a hash, whatever it claims.
func TestRevokedByHash(t *testing.T) {
	t.Parallel()
	const known = "mF_9.B5f-4.1JqM"
	assert.Equal(t, "uOFIVFsTx4vHTaLxpydd1x5W3ezhKdfS97PswG95lNo", oauthz.TokenHash(known))
	list := revocations(t, by(match{"iss": "i", oauthz.MatchTokenHash: oauthz.TokenHash(known)})...)
	for _, tt := range []struct {
		name  string
		token *oauthz.Token
		want  bool
	}{
		{name: "asked about", token: parse(t, `{"iss":"i"}`).WithTokenHash(known), want: true},
		{name: "a copy of it", token: parse(t, `{"iss":"i"}`).WithTokenHash(known).Clone(), want: true},
		{name: "asked about, another issuer", token: parse(t, `{"iss":"j"}`).WithTokenHash(known)},
		{name: "asked about, another token", token: parse(t, `{"iss":"i"}`).WithTokenHash(known + "=")},
		{name: "asked about, claims to be it", token: parse(t, `{"iss":"i","token_sha256":"`+oauthz.TokenHash(known)+`"}`).WithTokenHash("x")},
		{name: "verified here", token: parse(t, `{"iss":"i"}`)},
		{name: "verified here, claims to be it", token: parse(t, `{"iss":"i","token_sha256":"`+oauthz.TokenHash(known)+`"}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			revoked, err := list.Revoked(t.Context(), tt.token)
			require.NoError(t, err)
			assert.Equal(t, tt.want, revoked)
		})
	}
}

// CA-10: what must be asked each time is not remembered.
func TestCacheable(t *testing.T) {
	t.Parallel()
	checked, err := oauthz.CheckRevoked(knows(`{}`), &oauthz.Revocations{})
	require.NoError(t, err)
	chain := func(in ...oauthz.Introspector) oauthz.Introspector {
		first, err := oauthz.FirstOf(in...)
		require.NoError(t, err)
		return first
	}
	assert.True(t, oauthz.Cacheable(knows(`{}`)))
	assert.True(t, oauthz.Cacheable(chain(knows(`{}`), knows(`{}`))))
	assert.False(t, oauthz.Cacheable(checked))
	assert.False(t, oauthz.Cacheable(chain(knows(`{}`), checked)))
	assert.False(t, oauthz.Cacheable(chain(knows(`{}`), chain(checked))))
}
