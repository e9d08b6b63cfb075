package cases

import (
	"context"
	"net/http"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
)

// A framework serves one route, bare or behind a Guard by its own adapter.
type framework struct {
	name    string
	bare    func(http.HandlerFunc) http.Handler
	guarded func(*oauthz.Guard, oauthz.Requirement, http.HandlerFunc) http.Handler
}

// frameworks are compared by what the guard adds to the bare route: the routing of a framework is not our doing.
func frameworks() []framework {
	return []framework{
		{
			name: "nethttp",
			bare: func(h http.HandlerFunc) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("GET /orders", h)
				return mux
			},
			guarded: func(guard *oauthz.Guard, req oauthz.Requirement, h http.HandlerFunc) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("GET /orders", guard.Protect(req)(h))
				return mux
			},
		},
	}
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
