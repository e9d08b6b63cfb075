package oauthz_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// between sends a request through two Protects of one Guard, and calls a function between the two.
func between(t *testing.T, guard *oauthz.Guard, happens func()) response {
	t.Helper()
	handler, recorder := &spy{}, httptest.NewRecorder()
	inner := guard.Protect(scopeA)(handler)
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		happens()
		inner.ServeHTTP(w, r)
	})).ServeHTTP(recorder, withGoodToken())
	return seen(t, recorder.Result(), handler)
}

// recheckTests are the answers of a list between an outer and an inner Guard.
var recheckTests = []struct {
	name    string
	revoked bool
	err     error
	panics  bool
	want    answer
	is      error
	outcome oauthz.Outcome
}{
	{name: "not revoked", want: allowed, outcome: oauthz.OutcomeAllowed},
	{name: "revoked", revoked: true, want: badToken, is: oauthz.ErrRevoked, outcome: oauthz.OutcomeInvalidToken},
	{name: "cannot tell", err: errDown, want: cannotTell, is: errDown, outcome: oauthz.OutcomeUnavailable},
	{name: "panics", panics: true, want: ourMistake, outcome: oauthz.OutcomeServerError},
}

// Every Guard that a request meets looks in the lists: a token may be revoked while its request is on the way.
func TestInnerGuardChecksTheLists(t *testing.T) {
	t.Parallel()
	for _, tt := range recheckTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			outerPassed, w, in := false, &watch{}, knows(`{"sub":"s","scope":"a"}`)
			list := listFunc(func() (bool, error) {
				if outerPassed && tt.panics {
					panic("list")
				}
				if !outerPassed {
					return false, nil
				}
				return tt.revoked, tt.err
			})
			guard := newGuard(t, oauthz.Config{Introspector: in, Observe: w.observe, RevocationLists: []oauthz.RevocationList{list}})
			tt.want.check(t, between(t, guard, func() { outerPassed = true }))
			require.Len(t, w.decisions, 2)
			d := w.decisions[1]
			assert.Equal(t, tt.outcome, d.Outcome)
			require.NotNil(t, d.Token)
			assert.Equal(t, "s", d.Token.Subject)
			if tt.is != nil {
				assert.ErrorIs(t, d.Err, tt.is)
			}
			assert.Len(t, in.questions(), 1)
		})
	}
}

// The same with a list in memory, and for a handler that calls Authorize while it serves the request.
func TestAuthorizeInAHandlerChecksTheLists(t *testing.T) {
	t.Parallel()
	list := &oauthz.MemoryRevocations{}
	in := knows(`{"iss":"https://login.example","sub":"s","jti":"1"}`)
	guard := newGuard(t, oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{list}})
	inside(t, guard, func(r *http.Request) {
		_, err := guard.Authorize(r, oauthz.Require())
		require.NoError(t, err)
		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "https://login.example", "jti": "1"}}))
		for _, req := range []oauthz.Requirement{oauthz.Require(), oauthz.Require().OrAnonymous()} {
			authorized, err := guard.Authorize(r, req)
			require.ErrorIs(t, err, oauthz.ErrRevoked)
			assert.Nil(t, authorized)
		}
		authorized, err := guard.Authorize(r, oauthz.Public())
		require.NoError(t, err, "nothing is looked at")
		assert.Same(t, r, authorized)
	})
	assert.Len(t, in.questions(), 1)
}

// CheckRevoked has lists too: a Guard calls it again, behind FirstOf as well.
func TestInnerGuardCallsCheckRevoked(t *testing.T) {
	t.Parallel()
	for _, revoked := range []bool{false, true} {
		outerPassed, asked := false, 0
		checked, err := oauthz.CheckRevoked(knows(`{"sub":"s","scope":"a","cnf":{"jkt":"k"}}`), listFunc(func() (bool, error) {
			asked++
			return revoked && outerPassed, nil
		}))
		require.NoError(t, err)
		first, err := oauthz.FirstOf(answers(nil, oauthz.ErrUnrecognized), checked)
		require.NoError(t, err)
		confirm := &confirmer{method: "jkt"}
		guard := newGuard(t, oauthz.Config{Introspector: first, Confirmers: []oauthz.Confirmer{confirm}})
		got := between(t, guard, func() { outerPassed = true })
		assert.Equal(t, 2, asked)
		assert.Len(t, confirm.asked, 1, "a proof is good for one use")
		if revoked {
			badToken.check(t, got)
			continue
		}
		allowed.check(t, got)
		assert.Equal(t, "s", got.token.Subject)
	}
}

// One Guard looks a token up once in each list.
func TestOneGuardChecksTheListsOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	guard := newGuard(t, oauthz.Config{RevocationLists: []oauthz.RevocationList{listFunc(func() (bool, error) {
		asked++
		return false, nil
	})}})
	allowed.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
	assert.Equal(t, 1, asked)
}

// BenchmarkInnerGuard measures the cost that a second Guard adds to a request, with a list in memory.
func BenchmarkInnerGuard(b *testing.B) {
	list := &oauthz.MemoryRevocations{}
	require.NoError(b, list.Revoke(context.Background(), oauthz.Revocation{Match: map[string]any{"iss": "https://login.example", "jti": "2"}}))
	token := parse(b, `{"iss":"https://login.example","sub":"s","jti":"1","scope":"a"}`)
	end := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, lists := range map[string][]oauthz.RevocationList{"no list": nil, "list": {list}} {
		guard := newGuard(b, oauthz.Config{Introspector: answers(token, nil), RevocationLists: lists})
		for layers, h := range map[string]http.Handler{
			"one":   guard.Protect(scopeA)(end),
			"inner": guard.Protect(scopeA)(guard.Protect(scopeA)(end)),
		} {
			b.Run(name+"/"+layers, func(b *testing.B) {
				w, r := httptest.NewRecorder(), withGoodToken()
				b.ReportAllocs()
				for b.Loop() {
					h.ServeHTTP(w, r)
				}
			})
		}
	}
}
