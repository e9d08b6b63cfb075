package authzgin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
)

// probeKey is the key of a probe in c.Keys, which no real request has.
type probeKey struct{}

// probe is a request that asks the Guards of a route. It is in the context of the request, where the Recorder looks for
// it, and from there on in c.Keys, where Guards do: middleware may give the request another context, in which a Guard would
// take it for a real one and, if the route is public, let it through to the handler.
type probe struct {
	route gin.RouteInfo
	twin  bool // another route has the same pattern, once gin has taken the backslashes out

	entered  bool // the chain of the route
	strayed  bool // into another one
	guards   int  // that stand in the chain
	last     bool // one of them is the last of it
	panicked any

	mu      sync.Mutex // a middleware may go on in another goroutine
	met     []oauthz.Requirement
	wrapped bool // one of them is of a Guard that does not stand in the chain itself
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
	if p.guards > 0 && !p.last { // what runs before a Guard that is the last may well be the handler
		c.Next()
	}
}

// ask asks a Guard. The last one lets nothing through.
func (p *probe) ask(c *gin.Context, g *protection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The Guard describes what it requires: that of one with AllowPreflight is less.
	p.met = append(p.met, oauthz.Probe(c.Request, 0, func(r *http.Request) { _, _ = g.guard.Authorize(r, g.req) })...)
	if caller(2) != "github.com/gin-gonic/gin.(*Context).Next" {
		p.wrapped = true // and is counted in the place of another
	}
	if len(p.met) >= p.guards {
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
	case p.twin:
		return errors.New("authzgin: route: another one has the same method and pattern, but for a backslash: which of them answers is not known")
	case p.strayed:
		return errors.New("authzgin: route: another route, or none, answers a request whose path is this pattern")
	case !p.entered:
		return errors.New("authzgin: route: not seen by the Recorder: its group is older, or gin redirects a request whose path is this pattern")
	case p.last:
		return errors.New("authzgin: route: Protect is the last of its chain: the handler belongs behind it")
	case p.wrapped:
		return errors.New("authzgin: route: what Protect returned is called by another function: it belongs into the chain itself")
	case len(p.met) < p.guards:
		return errors.New("authzgin: route: a middleware answered, and hid the Guards behind it")
	default:
		return nil
	}
}
