package authzchi

import (
	"net/http"

	"github.com/oauthz/oauthz"
)

// Protect returns a middleware that lets a request through only if it meets req: for Use, With and Group of a
// [github.com/go-chi/chi/v5.Router]. It is [oauthz.Guard.Protect], and panics if guard is nil.
func Protect(guard *oauthz.Guard, req oauthz.Requirement) func(http.Handler) http.Handler {
	return guard.Protect(req)
}
