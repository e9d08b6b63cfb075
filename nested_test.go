package oauthz_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// Under a Protect of the same Guard only the requirement is checked again.
func TestNestedProtect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		outer, inner oauthz.Requirement
		header       string
		want         answer
		asked        int
	}{
		{name: "mounted twice", outer: scopeA, inner: scopeA, header: "Bearer " + goodToken, want: allowed, asked: 1},
		{name: "a stricter route", outer: scopeA, inner: scopeB, header: "Bearer " + goodToken, want: lacksScope("b"), asked: 1},
		{name: "a stricter group", outer: scopeB, inner: scopeA, header: "Bearer " + goodToken, want: lacksScope("b"), asked: 1},
		{name: "public group", outer: oauthz.Public(), inner: scopeA, header: "Bearer " + goodToken, want: allowed, asked: 1},
		{name: "public group, bad token", outer: oauthz.Public(), inner: scopeA, header: "Bearer bad", want: badToken, asked: 1},
		{name: "public group, no token", outer: oauthz.Public(), inner: scopeA, want: asks("a")},
		{name: "anonymous group, no token", outer: scopeB.OrAnonymous(), inner: scopeA, want: asks("a")},
		{name: "anonymous group and route, no token", outer: scopeB.OrAnonymous(), inner: scopeA.OrAnonymous(), want: allowed},
		{name: "anonymous group, bad token", outer: scopeA.OrAnonymous(), inner: scopeA, header: "Bearer bad", want: badToken, asked: 1},
		{name: "public route", outer: scopeA, inner: oauthz.Public(), header: "Bearer " + goodToken, want: allowed, asked: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := knows(`{"scope":"a","sub":"s"}`)
			guard, handler, recorder := newGuard(t, oauthz.Config{Introspector: in}), &spy{}, httptest.NewRecorder()
			r := get()
			if tt.header != "" {
				r = get(tt.header)
			}
			guard.Protect(tt.outer)(guard.Protect(tt.inner)(handler)).ServeHTTP(recorder, r)
			tt.want.check(t, seen(t, recorder.Result(), handler))
			assert.Len(t, in.questions(), tt.asked)
		})
	}
}

// inside calls inner in a handler behind guard, with a request that has goodToken.
func inside(t *testing.T, guard *oauthz.Guard, inner func(*http.Request)) {
	t.Helper()
	ran := false
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ran = true
		inner(r)
	})).ServeHTTP(httptest.NewRecorder(), withGoodToken())
	assert.True(t, ran)
}

// otherCredentialsTests are requests that a handler makes, while it serves a request with goodToken.
var otherCredentialsTests = []struct {
	name    string
	header  []string // of the request inside
	req     oauthz.Requirement
	want    error // nil: let through
	subject string
	asked   []string // beside goodToken
}{
	{name: "the same", header: []string{"Bearer " + goodToken}, subject: "alice"},
	{name: "another user", header: []string{"Bearer bob"}, subject: "bob", asked: []string{"bob"}},
	{name: "another user who may not", header: []string{"Bearer bob"}, req: scopeA, want: oauthz.ErrInsufficientScope, asked: []string{"bob"}},
	{name: "a bad token", header: []string{"Bearer bad"}, want: oauthz.ErrInvalidToken, asked: []string{"bad"}},
	{name: "the same, and another", header: []string{"Bearer " + goodToken, "Bearer bob"}, want: oauthz.ErrInvalidRequest},
	{name: "malformed", header: []string{"Bearer a b"}, want: oauthz.ErrInvalidRequest},
	{name: "none", want: oauthz.ErrNoToken},
	{name: "none, and none needed", req: scopeA.OrAnonymous()},
	{name: "the same in another spelling", header: []string{"bearer " + goodToken}, subject: "alice", asked: []string{goodToken}},
}

// A handler may serve the request of another client in its own context: a batch, or a proxy that replaces credentials.
// The verdict about one client must not be used for another.
func TestOtherCredentialsAreValidatedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range otherCredentialsTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := &issuer{claims: map[string]string{goodToken: `{"sub":"alice","scope":"a"}`, "bob": `{"sub":"bob"}`}}
			guard := newGuard(t, oauthz.Config{Introspector: in})
			inside(t, guard, func(r *http.Request) {
				other := get(tt.header...).WithContext(r.Context())
				authorized, err := guard.Authorize(other, tt.req)
				if tt.want != nil {
					assert.ErrorIs(t, err, tt.want)
					assert.Nil(t, authorized)
					return
				}
				require.NoError(t, err)
				token, ok := oauthz.TokenFrom(authorized.Context())
				assert.Equal(t, tt.subject != "", ok)
				if ok {
					assert.Equal(t, tt.subject, token.Subject)
				}
			})
			assert.Equal(t, append([]string{goodToken}, tt.asked...), in.questions())
		})
	}
}

// One Guard does not rely on the verdict of another, which has other lists and another introspector.
func TestAnotherGuardValidatesAgain(t *testing.T) {
	t.Parallel()
	outer := newGuard(t, oauthz.Config{Introspector: knows(`{"sub":"outer","scope":"a"}`)})
	strict := knows(`{"sub":"inner"}`)
	inside(t, outer, func(r *http.Request) {
		inner := newGuard(t, oauthz.Config{Introspector: strict})
		lacksScope("a").check(t, serve(t, inner, scopeA, r))
		got := serve(t, inner, oauthz.Require(), r)
		allowed.check(t, got)
		assert.Equal(t, "inner", got.token.Subject)
	})
	assert.Equal(t, []string{goodToken, goodToken}, strict.questions())
}

// An inner Guard checks the time again: a token may expire between a group and its route.
func TestNestedProtectChecksTheTime(t *testing.T) {
	t.Parallel()
	now := epoch
	in := knows(fmt.Sprintf(`{"exp":%d,"auth_time":%d}`, epoch.Unix()+60, epoch.Unix()))
	guard := newGuard(t, oauthz.Config{Introspector: in, Now: func() time.Time { return now }})
	inside(t, guard, func(r *http.Request) {
		allowed.check(t, serve(t, guard, oauthz.RequireMaxAge(30*time.Second), r))
		now = epoch.Add(31 * time.Second)
		stepUp(`max_age="30"`).check(t, serve(t, guard, oauthz.RequireMaxAge(30*time.Second), r))
		now = epoch.Add(60 * time.Second)
		expired.check(t, serve(t, guard, oauthz.Require(), r))
	})
	assert.Len(t, in.questions(), 1)
}

// A handler that changes its copy does not affect the Guard, the introspector or the next request.
func TestEachHandlerHasItsOwnToken(t *testing.T) {
	t.Parallel()
	const claims = `{"sub":"alice","scope":"a","aud":["x"],"cnf":{"jkt":"k"}}`
	shared, before := parse(t, claims), parse(t, claims)
	guard := newGuard(t, oauthz.Config{Introspector: answers(shared, nil), Confirmers: []oauthz.Confirmer{&confirmer{method: "jkt"}}})
	inside(t, guard, func(r *http.Request) {
		mine, _ := oauthz.TokenFrom(r.Context())
		mine.Subject, mine.Scopes[0], mine.Audience[0], mine.Confirmation.JWKThumbprint = "mallory", "b", "y", "changed"
		mine.Scopes = append(mine.Scopes, "b")
		lacksScope("b").check(t, serve(t, guard, scopeB, r))
		allowed.check(t, serve(t, guard, scopeA, r))
	})
	requireSame(t, before, shared)
	inside(t, guard, func(r *http.Request) {
		mine, _ := oauthz.TokenFrom(r.Context())
		requireSame(t, before, mine)
	})
}

// A token is valid after its request.
func TestTokenOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{Introspector: knows(`{"sub":"alice","scope":"a"}`)})
	var kept context.Context
	inside(t, guard, func(r *http.Request) { kept = r.Context() })
	for range 100 {
		serve(t, guard, oauthz.Require(), withGoodToken())
	}
	token, ok := oauthz.TokenFrom(kept)
	require.True(t, ok)
	assert.Equal(t, "alice", token.Subject)
	assert.Equal(t, oauthz.Scopes{"a"}, token.Scopes)
}

// TokenFrom does not return a value that is not a token.
func TestTokenFrom(t *testing.T) {
	t.Parallel()
	mine := &oauthz.Token{Subject: "s"}
	type key string
	ctx := t.Context()
	for _, name := range []string{"token", "user", "claims", "oauthz", "tokenKey"} {
		//lint:ignore SA1029 this is what careless middleware does
		ctx = context.WithValue(context.WithValue(ctx, name, mine), key(name), mine)
	}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want *oauthz.Token
	}{
		{name: "no context"},
		{name: "empty", ctx: context.Background()},
		{name: "other keys", ctx: ctx},
		{name: "nil token", ctx: oauthz.WithToken(ctx, nil)},
		{name: "token", ctx: oauthz.WithToken(ctx, mine), want: mine},
		{name: "below a nil token", ctx: oauthz.WithToken(oauthz.WithToken(ctx, nil), mine), want: mine},
		{name: "behind a nil token", ctx: oauthz.WithToken(oauthz.WithToken(ctx, mine), nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := oauthz.TokenFrom(tt.ctx)
			assert.Equal(t, tt.want != nil, ok)
			assert.Same(t, tt.want, got)
		})
	}
}

// The Guard validates the credentials of the request, and ignores a token in its context.
func TestGuardIgnoresWithToken(t *testing.T) {
	t.Parallel()
	forge := func(r *http.Request) *http.Request {
		return r.WithContext(oauthz.WithToken(r.Context(), &oauthz.Token{Subject: "mallory", Scopes: oauthz.Scopes{"a"}}))
	}
	guard := newGuard(t, oauthz.Config{Introspector: knows(`{"sub":"alice"}`)})
	asks("a").check(t, serve(t, guard, scopeA, forge(get())))
	badToken.check(t, serve(t, guard, scopeA, forge(get("Bearer bad"))))
	lacksScope("a").check(t, serve(t, guard, scopeA, forge(withGoodToken())))
	got := serve(t, guard, oauthz.Require(), forge(withGoodToken()))
	allowed.check(t, got)
	assert.Equal(t, "alice", got.token.Subject)
}

// The context of an authorized request keeps the values and the deadline of the request.
func TestContextIsKept(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
	guard := newGuard(t, oauthz.Config{})
	authorized, err := guard.Authorize(withGoodToken().WithContext(ctx), oauthz.Require())
	require.NoError(t, err)
	assert.Equal(t, "kept", authorized.Context().Value(key{}))
	require.NoError(t, authorized.Context().Err())
	cancel()
	assert.ErrorIs(t, authorized.Context().Err(), context.Canceled)
}
