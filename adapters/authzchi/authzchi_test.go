package authzchi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

func TestProtectWantsAGuard(t *testing.T) {
	t.Parallel()
	assert.PanicsWithValue(t, "oauthz: Protect: nil Guard", func() { authzchi.Protect(nil, read) })
}

// patterned registers handler in every way that chi has, behind Guards in every place.
func patterned(protect func(http.Handler) http.Handler, handler http.Handler) *chi.Mux {
	router := chi.NewRouter()
	router.With(protect).Method("GET", "/with/{id}", handler)
	router.Group(func(r chi.Router) {
		r.Use(protect)
		r.Method("GET", "/group/{id}", handler)
	})
	router.Route("/route", func(r chi.Router) {
		r.With(protect).Method("GET", "/{id}", handler)
		r.Route("/deep", func(r chi.Router) { r.With(protect).Handle("/{id}/*", handler) })
	})
	mounted := chi.NewRouter()
	mounted.With(protect).Method("GET", "/{id:[0-9]+}", handler)
	nested := chi.NewRouter()
	nested.Mount("/nested", mounted)
	router.Mount("/mount", mounted)
	router.Mount("/outer", nested)
	used := chi.NewRouter()
	used.Use(protect)
	used.Method("GET", "/{id}", handler)
	router.Mount("/used", used)
	return router
}

// The pattern in the Decision is the part of chi's pattern that chi knows where the Guard stands. It is never the path.
func TestPattern(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/with/7":            "/with/{id}",
		"/group/7":           "/group/{id}",
		"/route/7":           "/route/{id}",
		"/route/deep/7/rest": "/route/deep/{id}/*",
		"/mount/7":           "/mount/{id:[0-9]+}",
		"/outer/nested/7":    "/outer/nested/{id:[0-9]+}",
		"/used/7":            "/used/*", // the Guard stands before the mounted router looks for a route
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var patterns []string
			guard := newGuard(t, oauthz.Config{Observe: func(_ context.Context, d oauthz.Decision) { patterns = append(patterns, d.Pattern) }})
			handler := &spy{}
			router := chi.NewRouter()
			router.Use(authzchi.Protect(guard, oauthz.Require())) // before all routing
			router.Mount("/", patterned(authzchi.Protect(guard, read), handler))
			assert.Equal(t, orders, serve(router, request("GET", path, "good")))
			assert.EqualValues(t, 1, handler.ran.Load())
			assert.Equal(t, []string{"", want}, patterns)
		})
	}
}

// Behind a refusal no handler runs, wherever the Guard stands.
func TestRefusals(t *testing.T) {
	t.Parallel()
	handler := &spy{}
	router := patterned(authzchi.Protect(newGuard(t, oauthz.Config{}), read), handler)
	for _, path := range []string{"/with/7", "/group/7", "/route/7", "/route/deep/7/rest", "/mount/7", "/outer/nested/7", "/used/7"} {
		assert.Equal(t, noToken, serve(router, request("GET", path, "")), path)
		assert.Equal(t, badToken, serve(router, request("GET", path, "bad")), path)
		assert.Equal(t, noScope, serve(router, request("GET", path, "other")), path)
	}
	assert.Zero(t, handler.ran.Load(), "the handler ran")
}

// A hook that panics causes one answer, and the handler does not run.
func TestErrorHandlerPanics(t *testing.T) {
	t.Parallel()
	handler := &spy{}
	guard := newGuard(t, oauthz.Config{ErrorHandler: func(http.ResponseWriter, *http.Request, *oauthz.Error) { panic("secret") }})
	router := patterned(authzchi.Protect(guard, read), handler)
	assert.Equal(t, answer{500, "", `{"error":"server_error"}`}, serve(router, request("GET", "/with/7", "")))
	assert.Zero(t, handler.ran.Load(), "the handler ran")
}

// A Guard before all routes also protects paths without a route.
func TestMissingRoutes(t *testing.T) {
	t.Parallel()
	router, handler := chi.NewRouter(), &spy{}
	router.Use(authzchi.Protect(newGuard(t, oauthz.Config{}), read))
	router.Method("GET", "/orders", handler)
	router.Route("/sub", func(r chi.Router) { r.Method("GET", "/", handler) })
	for _, tt := range []struct {
		method, path, token string
		want                answer
	}{
		{"GET", "/orders", "", noToken},
		{"GET", "/missing", "", noToken},
		{"GET", "/sub/missing", "", noToken},
		{"POST", "/orders", "", noToken},
		{"HEAD", "/missing", "", answer{401, noToken.challenge, ""}},
		{"PROPFIND", "/orders", "", noToken},
		{"GET", "/missing", "bad", badToken},
		{"POST", "/orders", "other", noScope},
		{"GET", "/missing", "good", answer{404, "", "404 page not found\n"}},
		{"POST", "/orders", "good", answer{405, "", ""}},
	} {
		assert.Equal(t, tt.want, serve(router, request(tt.method, tt.path, tt.token)), "%s %s %q", tt.method, tt.path, tt.token)
	}
	assert.Zero(t, handler.ran.Load(), "the handler ran")
}

// A Guard before the router, in a group, at the route and in a mounted router introspects a token once.
func TestMountedTwice(t *testing.T) {
	t.Parallel()
	introspector, handler := &issuer{}, &spy{}
	protect := authzchi.Protect(newGuard(t, oauthz.Config{Introspector: introspector}), read)
	router := chi.NewRouter()
	router.Use(protect)
	sub := patterned(protect, handler)
	router.With(protect).Mount("/a", sub)
	router.Mount("/b", sub)
	for _, path := range []string{"/a/used/7", "/b/used/7"} {
		assert.Equal(t, orders, serve(router, request("GET", path, "good")))
		assert.Equal(t, noScope, serve(router, request("GET", path, "other")))
	}
	assert.EqualValues(t, 4, introspector.asked.Load())
	assert.EqualValues(t, 2, handler.ran.Load())
}

// The token of a request stays valid after it, although chi reuses the routing context.
func TestTokenOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	var wait sync.WaitGroup
	later := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, want := r.Context(), chi.URLParam(r, "id")
		wait.Go(func() {
			<-ended
			token, ok := oauthz.TokenFrom(ctx)
			assert.True(t, ok)
			assert.Equal(t, want, token.Subject)
		})
	})
	router := patterned(authzchi.Protect(newGuard(t, oauthz.Config{}), oauthz.Require()), later)
	for i := range 50 {
		user := "user-" + string(rune('A'+i))
		serve(router, request("GET", "/used/"+user, user))
	}
	close(ended)
	wait.Wait()
}

// Only the credentials of the request count. Its other header fields are not changed.
func TestForgedIdentity(t *testing.T) {
	t.Parallel()
	mallory := &oauthz.Token{Subject: "mallory", Scopes: oauthz.Scopes{"orders:read"}}
	router := chi.NewRouter()
	router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			//lint:ignore SA1029 this is what careless middleware does
			ctx := context.WithValue(context.WithValue(r.Context(), "user", mallory), "claims", mallory)
			next.ServeHTTP(w, r.WithContext(oauthz.WithToken(ctx, mallory)))
		})
	})
	var subject string
	var seen http.Header
	router.With(authzchi.Protect(newGuard(t, oauthz.Config{}), read)).Get("/orders", func(_ http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		subject, seen = token.Subject, r.Header.Clone()
	})
	with := func(token string) *http.Request {
		r := request("GET", "/orders", token)
		for _, name := range []string{"X-User", "X_User", "x-user", "X-Auth-Subject", "X-Forwarded-User", "Cookie"} {
			r.Header[name] = []string{"mallory"}
		}
		return r
	}
	assert.Equal(t, noToken, serve(router, with("")))
	assert.Equal(t, noScope, serve(router, with("other")))
	assert.Empty(t, subject)
	assert.Equal(t, answer{200, "", ""}, serve(router, with("good")))
	assert.Equal(t, "good", subject)
	assert.Equal(t, with("good").Header, seen)
}

// The handler gets the writer of the server itself, with all its methods.
func TestWriterIsKept(t *testing.T) {
	t.Parallel()
	var behind http.ResponseWriter
	keep := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { behind = w })
	w := httptest.NewRecorder()
	patterned(authzchi.Protect(newGuard(t, oauthz.Config{}), read), keep).ServeHTTP(w, request("GET", "/outer/nested/7", "good"))
	assert.Same(t, w, behind)
}
