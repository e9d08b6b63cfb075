package authzgin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
)

// probeKey is the key of a probe in c.Keys, which no real request has.
type probeKey struct{}

// probe is a request that asks the Guards of a route. It is in the context of the request, and in c.Keys: middleware may
// give the request another context, where a Guard would take it for a real one and, if the route is public, let it through
// to the handler.
type probe struct {
	route   gin.RouteInfo
	request *http.Request // with the context that asks

	entered  bool // the chain of the route
	strayed  bool // into another one
	last     bool // Protect is
	guards   int  // that stand in the chain
	asked    atomic.Int64
	wrapped  atomic.Bool // a Guard that does not stand there itself
	panicked any

	met []oauthz.Requirement
}

// enter runs the chain of the route up to the last Guard. It counts them first, by their name, protect.
func (p *probe) enter(c *gin.Context, protect string) {
	c.Set(probeKey{}, p)
	if p.entered || c.FullPath() != p.route.Path {
		p.strayed = true
		return
	}
	p.entered = true
	for _, name := range c.HandlerNames() {
		p.last = name == protect
		if p.last {
			p.guards++
		}
	}
	if p.guards == 0 || p.last {
		return // what runs before a Guard that is the last may well be the handler
	}
	p.met = oauthz.Probe(c.Request, p.guards, func(r *http.Request) {
		c.Request, p.request = r, r
		c.Next()
	})
}

// ask asks a Guard, which refuses if it is the last.
func (p *probe) ask(c *gin.Context, g *protection) {
	p.asked.Add(1)
	if caller(2) != "github.com/gin-gonic/gin.(*Context).Next" {
		p.wrapped.Store(true) // and has been counted in the place of another
	}
	if _, err := g.guard.AuthorizeRoute(p.request, g.req, ""); err != nil {
		c.Abort()
	}
}

// caller is the name of the function that called the one that called this, and so on, skip times.
func caller(skip int) string {
	pcs := make([]uintptr, 1)
	runtime.Callers(skip+2, pcs)
	frame, _ := runtime.CallersFrames(pcs).Next()
	return frame.Function
}

// err says why p does not know all, or nil.
func (p *probe) err() error {
	switch {
	case p.panicked != nil:
		return fmt.Errorf("authzgin: route: a middleware before the last Guard panicked: %v", p.panicked)
	case p.strayed:
		return errors.New("authzgin: route: another route, or none, answers a request whose path is this pattern")
	case !p.entered:
		return errors.New("authzgin: route: not seen by the Recorder: its group is older, or gin redirects a request whose path is this pattern")
	case p.guards > 0 && p.last:
		return errors.New("authzgin: route: Protect is the last of its chain: the handler belongs behind it")
	case p.wrapped.Load():
		return errors.New("authzgin: route: what Protect returned is called by another function: it belongs into the chain itself")
	case p.asked.Load() < int64(p.guards):
		return errors.New("authzgin: route: a middleware answered, and hid the Guards behind it")
	default:
		return nil
	}
}
