package authzgin

import (
	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
)

// Protect returns a middleware that lets a request through only if it meets req. It is for Use and Group, and for a place
// before the handler of a route. It panics if guard is nil.
//
// The middleware answers and aborts a refused request: no later handler of the chain runs. The token of an allowed request
// is in the context of c.Request ([TokenFrom]). The middleware adds nothing to c.Keys or c.Errors.
func Protect(guard *oauthz.Guard, req oauthz.Requirement) gin.HandlerFunc {
	if guard == nil {
		panic("authzgin: Protect: nil Guard")
	}
	return (&protection{guard: guard, req: req}).serve
}

// protection is a Guard in a chain. Its handler is a method, not a closure, so that a [Recorder] recognizes its name.
type protection struct {
	guard *oauthz.Guard
	req   oauthz.Requirement
}

func (p *protection) serve(c *gin.Context) {
	if found, ok := c.Get(probeKey{}); ok {
		found.(*routeProbe).meet(c, p)
		return
	}
	authorized, err := p.guard.AuthorizeRoute(c.Request, p.req, c.FullPath())
	if err != nil {
		c.Abort() // before the answer, because an ErrorHandler may panic
		p.guard.WriteError(c.Writer, c.Request, err)
		c.Writer.WriteHeaderNow() // otherwise middleware before this one would not see that a response without a body was written
		return
	}
	c.Request = authorized
}

// TokenFrom returns the token of the allowed request, as [oauthz.TokenFrom] does: a copy that the handler may change, and
// that stays valid after the request. A goroutine that outlives the handler passes c.Copy().
func TokenFrom(c *gin.Context) (*oauthz.Token, bool) {
	if c == nil || c.Request == nil {
		return nil, false
	}
	return oauthz.TokenFrom(c.Request.Context())
}
