package cases

import (
	"context"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	echo4 "github.com/labstack/echo/v4"
	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
	"github.com/oauthz/oauthz/adapters/authzecho"
	"github.com/oauthz/oauthz/adapters/authzecho4"
	"github.com/oauthz/oauthz/adapters/authzgin"
	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
)

// A framework serves one route, bare or behind a Guard by its own adapter.
type framework struct {
	name    string
	bare    func(http.HandlerFunc) http.Handler
	guarded func(*oauthz.Guard, oauthz.Requirement, http.HandlerFunc) http.Handler
}

// frameworks are compared by the time that the guard adds to the bare route, because the routing is that of the framework.
func frameworks() []framework {
	quietGin()
	return []framework{
		{name: "nethttp", bare: bareNetHTTP, guarded: func(guard *oauthz.Guard, req oauthz.Requirement, h http.HandlerFunc) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /orders", guard.Protect(req)(h))
			return mux
		}},
		{name: "chi", bare: bareChi, guarded: func(guard *oauthz.Guard, req oauthz.Requirement, h http.HandlerFunc) http.Handler {
			r := chi.NewRouter()
			r.With(authzchi.Protect(guard, req)).Get("/orders", h)
			return r
		}},
		{name: "gin", bare: bareGin, guarded: func(guard *oauthz.Guard, req oauthz.Requirement, h http.HandlerFunc) http.Handler {
			engine := gin.New()
			engine.GET("/orders", authzgin.Protect(guard, req), gin.WrapF(h))
			return engine
		}},
		{name: "echo", bare: bareEcho, guarded: func(guard *oauthz.Guard, req oauthz.Requirement, h http.HandlerFunc) http.Handler {
			e := echo.New()
			e.GET("/orders", echo.WrapHandler(h), authzecho.Protect(guard, req))
			return e
		}},
		{name: "echo4", bare: bareEcho4, guarded: func(guard *oauthz.Guard, req oauthz.Requirement, h http.HandlerFunc) http.Handler {
			e := echo4.New()
			e.GET("/orders", echo4.WrapHandler(h), authzecho4.Protect(guard, req))
			return e
		}},
	}
}

// quietGin keeps gin from printing each route. Its mode belongs to the process, so it is set once.
var quietGin = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

func bareNetHTTP(h http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", h)
	return mux
}

func bareChi(h http.HandlerFunc) http.Handler {
	r := chi.NewRouter()
	r.Get("/orders", h)
	return r
}

func bareGin(h http.HandlerFunc) http.Handler {
	engine := gin.New()
	engine.GET("/orders", gin.WrapF(h))
	return engine
}

func bareEcho(h http.HandlerFunc) http.Handler {
	e := echo.New()
	e.GET("/orders", echo.WrapHandler(h))
	return e
}

func bareEcho4(h http.HandlerFunc) http.Handler {
	e := echo4.New()
	e.GET("/orders", echo4.WrapHandler(h))
	return e
}

// addFrameworks adds a token that was seen before, through each framework with the guard and without.
func (s *Suite) addFrameworks(ctx context.Context) error {
	iss := s.signing("RS256")
	guard, err := peers.CachedGuard(ctx, iss.Issuer)
	if err != nil {
		return err
	}
	var off, on []Case
	for _, f := range frameworks() {
		key := figures.Key{Benchmark: figures.Framework, Guard: "off", By: f.name}
		off = append(off, Case{Key: key, Handler: f.bare(func(http.ResponseWriter, *http.Request) {}), Tokens: iss.tokens})
		key.Guard = "on"
		protected := f.guarded(guard, oauthz.Require(iss.Scope), func(w http.ResponseWriter, r *http.Request) {
			token, _ := oauthz.TokenFrom(r.Context())
			route(w, r, token.Subject)
		})
		on = append(on, Case{Key: key, Handler: protected, Tokens: iss.tokens})
	}
	return s.add(append(off, on...), []int{1})
}
