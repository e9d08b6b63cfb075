package oauthz_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// watch records the decisions that Observe receives.
type watch struct {
	decisions []oauthz.Decision
	contexts  []context.Context
}

func (w *watch) observe(ctx context.Context, d oauthz.Decision) {
	w.decisions, w.contexts = append(w.decisions, d), append(w.contexts, ctx)
}

var errDown = errors.New("connect: refused")

// observeTests are one request each, with the decision that Observe must receive.
var observeTests = []struct {
	name    string
	req     oauthz.Requirement
	header  string
	cfg     oauthz.Config
	outcome oauthz.Outcome
	allowed bool
	cause   error  // that Err wraps, if it matters
	subject string // of Token; "": there is none
	source  oauthz.Source
}{
	{name: "allowed", header: "Bearer " + goodToken, outcome: oauthz.OutcomeAllowed, allowed: true, subject: "s"},
	{name: "remembered", header: "Bearer " + goodToken, cfg: says(oauthz.SourceRemembered, nil), outcome: oauthz.OutcomeAllowed, allowed: true, subject: "s", source: oauthz.SourceRemembered},
	{name: "a stale refusal", header: "Bearer " + goodToken, cfg: says(oauthz.SourceStale, oauthz.ErrExpired), outcome: oauthz.OutcomeInvalidToken, cause: oauthz.ErrExpired, source: oauthz.SourceStale},
	{name: "anonymous", req: oauthz.Require().OrAnonymous(), outcome: oauthz.OutcomeAnonymous, allowed: true},
	{name: "public", req: oauthz.Public(), header: "Bearer bad", outcome: oauthz.OutcomePublic, allowed: true},
	{name: "no token", outcome: oauthz.OutcomeNoToken, cause: oauthz.ErrNoToken},
	{name: "another scheme", header: "Basic dXNlcjpwYXNz", outcome: oauthz.OutcomeNoToken, cause: oauthz.ErrNoToken},
	{name: "malformed", header: "Bearer a b", outcome: oauthz.OutcomeInvalidRequest, cause: oauthz.ErrInvalidRequest},
	{name: "unknown", header: "Bearer bad", outcome: oauthz.OutcomeInvalidToken, cause: oauthz.ErrInvalidToken},
	{name: "revoked", header: "Bearer " + goodToken, cfg: oauthz.Config{RevocationLists: []oauthz.RevocationList{listSays{true, nil}}}, outcome: oauthz.OutcomeInvalidToken, cause: oauthz.ErrRevoked, subject: "s"},
	{name: "list fails", header: "Bearer " + goodToken, cfg: oauthz.Config{RevocationLists: []oauthz.RevocationList{listSays{false, errDown}}}, outcome: oauthz.OutcomeUnavailable, cause: errDown, subject: "s"},
	{name: "bound", header: "Bearer bound", outcome: oauthz.OutcomeInvalidToken, cause: oauthz.ErrInvalidToken, subject: "s"},
	{name: "over", header: "Bearer over", outcome: oauthz.OutcomeInvalidToken, cause: oauthz.ErrExpired, subject: "s"},
	{name: "lacks a scope", req: scopeA, header: "Bearer " + goodToken, outcome: oauthz.OutcomeInsufficientScope, cause: oauthz.ErrInsufficientScope, subject: "s"},
	{name: "lacks a claim", req: admin, header: "Bearer " + goodToken, outcome: oauthz.OutcomeInsufficientScope, cause: oauthz.ErrInsufficientScope, subject: "s"},
	{name: "login too weak", req: gold, header: "Bearer " + goodToken, outcome: oauthz.OutcomeInsufficientAuthentication, cause: oauthz.ErrInsufficientAuthentication, subject: "s"},
	{name: "introspector fails", header: "Bearer " + goodToken, cfg: oauthz.Config{Introspector: answers(nil, errDown)}, outcome: oauthz.OutcomeUnavailable, cause: errDown},
	{name: "introspector fails: unavailable", header: "Bearer " + goodToken, cfg: oauthz.Config{Introspector: answers(nil, errDown)}, outcome: oauthz.OutcomeUnavailable, cause: oauthz.ErrUnavailable},
	{name: "introspector says nothing", header: "Bearer " + goodToken, cfg: oauthz.Config{Introspector: answers(nil, nil)}, outcome: oauthz.OutcomeServerError},
	{name: "an Error of a hook: 400", header: "Bearer x", cfg: oauthz.Config{Introspector: answers(nil, &oauthz.Error{Status: 400})}, outcome: oauthz.OutcomeInvalidRequest},
	{name: "an Error of a hook: 401", header: "Bearer x", cfg: oauthz.Config{Introspector: answers(nil, &oauthz.Error{Status: 401})}, outcome: oauthz.OutcomeInvalidToken},
	{name: "an Error of a hook: 503", header: "Bearer x", cfg: oauthz.Config{Introspector: answers(nil, &oauthz.Error{Status: 503, Err: errDown})}, outcome: oauthz.OutcomeUnavailable, cause: errDown},
}

// says is an introspector that reports the source of its verdict.
func says(s oauthz.Source, err error) oauthz.Config {
	return oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(ctx context.Context, _ string) (*oauthz.Token, error) {
		oauthz.ReportSource(ctx, s)
		return &oauthz.Token{Subject: "s"}, err
	})}
}

// listSays is a list with a fixed answer.
type listSays struct {
	revoked bool
	err     error
}

func (l listSays) Revoked(context.Context, *oauthz.Token) (bool, error) { return l.revoked, l.err }

// TestObserve: Observe is called once for each decision, before the handler runs, with the decision that is answered.
func TestObserve(t *testing.T) {
	t.Parallel()
	for _, tt := range observeTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &watch{}
			tt.cfg.Observe = w.observe
			if tt.cfg.Introspector == nil {
				tt.cfg.Introspector = &issuer{claims: map[string]string{
					goodToken: `{"sub":"s"}`, "bound": `{"sub":"s","cnf":{"jkt":"k"}}`, "over": `{"sub":"s","exp":1}`,
				}}
			}
			r := get()
			if tt.header != "" {
				r = get(tt.header)
			}
			got := serve(t, newGuard(t, tt.cfg), tt.req, r)
			require.Len(t, w.decisions, 1)
			d := w.decisions[0]
			assert.Equal(t, tt.outcome, d.Outcome)
			assert.Equal(t, tt.allowed, d.Allowed)
			assert.Equal(t, tt.allowed, got.ran)
			assert.Equal(t, tt.allowed, d.Err == nil)
			if d.Err != nil {
				assert.Equal(t, got.status, d.Err.Status)
				assert.True(t, tt.cause == nil || errors.Is(d.Err, tt.cause), "%v", d.Err)
			}
			assert.Equal(t, tt.req.String(), d.Requirement.String())
			assert.Equal(t, tt.source, d.Source)
			assert.GreaterOrEqual(t, d.Duration, time.Duration(0))
			assert.Equal(t, tt.subject != "", d.Token != nil)
			if d.Token != nil {
				assert.Equal(t, tt.subject, d.Token.Subject)
			}
			assert.Equal(t, r.Context(), w.contexts[0])
		})
	}
}

// The Err of an allowed Decision is a nil *Error: a program that logs it shows no error.
func TestErrOfAnAllowedDecisionPrintsAsNil(t *testing.T) {
	t.Parallel()
	w := &watch{}
	allowed.check(t, serve(t, newGuard(t, oauthz.Config{Observe: w.observe}), oauthz.Require(), withGoodToken()))
	require.Len(t, w.decisions, 1)
	d := w.decisions[0]
	assert.Equal(t, "<nil> <nil>", fmt.Sprintf("%v %s", d.Err, d.Err))
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("decided", "err", d.Err)
	assert.Contains(t, b.String(), `"err":"<nil>"`)
	require.NoError(t, d.Err.Unwrap())
}

func TestObserveSeesPreflights(t *testing.T) {
	t.Parallel()
	w := &watch{}
	r := httptest.NewRequest(http.MethodOptions, "/", nil)
	r.Header = http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"PUT"}}
	allowed.check(t, serve(t, newGuard(t, oauthz.Config{AllowPreflight: true, Observe: w.observe}), scopeA, r))
	require.Len(t, w.decisions, 1)
	assert.Equal(t, oauthz.OutcomePreflight, w.decisions[0].Outcome)
	assert.True(t, w.decisions[0].Allowed)
}

// A change that Observe makes to its copy does not reach the handler, although Observe is called before the handler.
func TestObserveHasItsOwnToken(t *testing.T) {
	t.Parallel()
	var order []string
	guard := newGuard(t, oauthz.Config{
		Introspector: knows(`{"sub":"s","scope":"a"}`),
		Observe: func(_ context.Context, d oauthz.Decision) {
			order = append(order, "observed "+d.Token.Scopes.String())
			d.Token.Subject, d.Token.Scopes[0] = "mallory", "changed"
		},
	})
	guard.Protect(scopeA)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		order = append(order, "handled "+token.Subject+" "+token.Scopes.String())
	})).ServeHTTP(httptest.NewRecorder(), withGoodToken())
	assert.Equal(t, []string{"observed a", "handled s a"}, order)
}

// Observe is called for the decision of each Protect. The source of the verdict is kept with the grant.
func TestObserveUnderNestedProtect(t *testing.T) {
	t.Parallel()
	w := &watch{}
	cfg := says(oauthz.SourceRemembered, nil)
	cfg.Observe = w.observe
	guard := newGuard(t, cfg)
	h := guard.Protect(oauthz.Require())(guard.Protect(scopeA)(&spy{}))
	h.ServeHTTP(httptest.NewRecorder(), withGoodToken())
	var got []string
	for _, d := range w.decisions {
		got = append(got, fmt.Sprint(d.Outcome, ", ", d.Requirement, ", ", d.Source, ", ", d.Token.Subject))
	}
	assert.Equal(t, []string{"allowed, any valid token, remembered, s", "insufficient_scope, scope a, remembered, s"}, got)
}

func TestReportSourceWithoutObserve(t *testing.T) {
	t.Parallel()
	oauthz.ReportSource(t.Context(), oauthz.SourceStale)
	allowed.check(t, serve(t, newGuard(t, says(oauthz.SourceStale, nil)), oauthz.Require(), withGoodToken()))
	for source, want := range map[oauthz.Source]string{
		oauthz.SourceFresh: "fresh", oauthz.SourceRemembered: "remembered", oauthz.SourceStale: "stale", oauthz.Source(7): "Source(7)",
	} {
		assert.Equal(t, want, source.String())
	}
}
