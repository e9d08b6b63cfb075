package authzchi_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/adaptertest"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

// The ways in which chi puts middleware before routes, and With for the last.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, group := range map[string]func(r chi.Router, guard *oauthz.Guard, req oauthz.Requirement, below func(chi.Router)){
		"Group": func(r chi.Router, guard *oauthz.Guard, req oauthz.Requirement, below func(chi.Router)) {
			r.Group(func(r chi.Router) {
				r.Use(authzchi.Protect(guard, req))
				below(r)
			})
		},
		"Route": func(r chi.Router, guard *oauthz.Guard, req oauthz.Requirement, below func(chi.Router)) {
			r.Route("/", func(r chi.Router) {
				r.Use(authzchi.Protect(guard, req))
				below(r)
			})
		},
		"Mount": func(r chi.Router, guard *oauthz.Guard, req oauthz.Requirement, below func(chi.Router)) {
			sub := chi.NewRouter()
			below(sub)
			r.With(authzchi.Protect(guard, req)).Mount("/", sub)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adaptertest.RunOutcomes(t, func(guard *oauthz.Guard, handler http.HandlerFunc, requirements ...oauthz.Requirement) http.Handler {
				router := chi.NewRouter()
				last := len(requirements) - 1
				below := func(r chi.Router) { r.With(authzchi.Protect(guard, requirements[last])).HandleFunc("/*", handler) }
				for i := last - 1; i >= 0; i-- {
					inner := below
					below = func(r chi.Router) { group(r, guard, requirements[i], inner) }
				}
				below(router)
				return router
			})
		})
	}
}
