package authzgin

import (
	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
)

// Protect returns a middleware that lets a request through only if it meets req: for Use and Group, and before the
// handler of a route. It panics if guard is nil.
//
// A refused request is answered and aborted: no handler behind it runs. The token of one that is let through is in the
// context of c.Request ([TokenFrom]). Nothing is put into c.Keys or c.Errors.
func Protect(guard *oauthz.Guard, req oauthz.Requirement) gin.HandlerFunc {
	if guard == nil {
		panic("authzgin: Protect: nil Guard")
	}
	return (&protection{guard: guard, req: req}).serve
}

// protection is a Guard in a chain. It has a method and is no closure so that a [Recorder] can tell it by its name.
type protection struct {
	guard *oauthz.Guard
	req   oauthz.Requirement
}

func (p *protection) serve(c *gin.Context) {
	if asking, ok := c.Get(probeKey{}); ok {
		asking.(*probe).ask(c, p)
		return
	}
	authorized, err := p.guard.AuthorizeRoute(c.Request, p.req, c.FullPath())
	if err != nil {
		c.Abort() // first, for an ErrorHandler may panic
		p.guard.WriteError(c.Writer, c.Request, err)
		c.Writer.WriteHeaderNow() // or middleware before this would take an answer without a body for none
		return
	}
	c.Request = authorized
}

// TokenFrom returns the token that the request was allowed with, as [oauthz.TokenFrom] does: a copy that is the handler's own,
// and stays valid after the request. A goroutine that outlives the handler asks c.Copy().
func TokenFrom(c *gin.Context) (*oauthz.Token, bool) {
	if c == nil || c.Request == nil {
		return nil, false
	}
	return oauthz.TokenFrom(c.Request.Context())
}
