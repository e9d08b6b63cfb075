package oauthz_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/adaptertest"
)

// TestOutcomes runs the outcome table of this package, which every adapter must pass too.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	adaptertest.RunOutcomes(t, func(guard *oauthz.Guard, handler http.HandlerFunc, requirements ...oauthz.Requirement) http.Handler {
		var h http.Handler = handler
		for _, req := range slices.Backward(requirements) {
			h = guard.Protect(req)(h)
		}
		return h
	})
}
