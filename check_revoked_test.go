package oauthz_test

import (
	"testing"

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
			lists[0] = nil // CheckRevoked has copied the lists
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

// An introspector that returns neither a token nor an error is faulty: that is not a refusal, and not a panic.
func TestCheckRevokedOfNeitherTokenNorError(t *testing.T) {
	t.Parallel()
	checked, err := oauthz.CheckRevoked(answers(nil, nil), &oauthz.MemoryRevocations{})
	require.NoError(t, err)
	got, err := checked.Introspect(t.Context(), goodToken)
	assert.Nil(t, got)
	require.Error(t, err)
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
}

func TestCheckRevokedMistakes(t *testing.T) {
	t.Parallel()
	var noList *oauthz.MemoryRevocations
	list := &oauthz.MemoryRevocations{}
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

// hashed returns a token with these claims that an introspector has sent to a server.
func hashed(t *testing.T, claims, token string) *oauthz.Token {
	t.Helper()
	out := parse(t, claims)
	out.SetVerdict(oauthz.Verdict{TokenHash: oauthz.TokenHash(token)})
	return out
}

// Results that need the lists each time are not cacheable.
func TestCacheable(t *testing.T) {
	t.Parallel()
	checked, err := oauthz.CheckRevoked(knows(`{}`), &oauthz.MemoryRevocations{})
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
