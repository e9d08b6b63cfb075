package authzgin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// probeKey is the key of a routeProbe in c.Keys. No real request has it.
type probeKey struct{}

// routeProbe collects the requirements of the Guards of a route. The Recorder finds it in the context of the request, and
// puts it into c.Keys, where Guards look for it. Guards do not use the context, because middleware may replace that: a Guard
// would then handle the request as a real one and, if the route is public, let it through to the handler.
type routeProbe struct {
	route     gin.RouteInfo
	duplicate bool // another route has the same pattern after gin has removed the backslashes

	entered    bool // the request has reached the chain of the route
	misrouted  bool // the request has reached the chain of another route
	guards     int  // number of Guards in the chain
	guardsLast bool // the last handler of the chain is a Guard
	panicked   any

	mu      sync.Mutex // a middleware may continue in another goroutine
	met     []oauthz.Requirement
	wrapped bool // a handler of the chain has called a Guard that is not in the chain itself
}

// enter runs the chain of the route up to the last Guard. First it counts the Guards: handlers with the name protect.
func (p *routeProbe) enter(c *gin.Context, protect string) {
	c.Set(probeKey{}, p)
	if p.entered || c.FullPath() != p.route.Path {
		p.misrouted = true
		return
	}
	p.entered = true
	for _, name := range c.HandlerNames() {
		p.guardsLast = name == protect
		if p.guardsLast {
			p.guards++
		}
	}
	if p.guards > 0 && !p.guardsLast { // before a Guard at the end of the chain there may be the handler
		c.Next()
	}
}

// meet adds the requirement of a Guard. At the last Guard it aborts the chain.
func (p *routeProbe) meet(c *gin.Context, g *protection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The Guard itself describes its requirement: with AllowPreflight it is not g.req.
	p.met = append(p.met, probe.Requirements[oauthz.Requirement](c.Request, 0, func(r *http.Request) { _, _ = g.guard.Authorize(r, g.req) })...)
	if caller(2) != "github.com/gin-gonic/gin.(*Context).Next" {
		p.wrapped = true // the count of Guards is then wrong
	}
	if len(p.met) >= p.guards {
		c.Abort()
	}
}

// caller returns the name of a function on the stack: with skip 0 the function that called caller, with 1 its caller, and so
// on.
func caller(skip int) string {
	pcs := make([]uintptr, 1)
	runtime.Callers(skip+2, pcs)
	frame, _ := runtime.CallersFrames(pcs).Next()
	return frame.Function
}

// err returns the reason why p may not have found all requirements, or nil.
func (p *routeProbe) err() error {
	switch {
	case p.panicked != nil:
		return fmt.Errorf("authzgin: route: a middleware before the last Guard panicked: %v", p.panicked)
	case p.duplicate:
		return errors.New("authzgin: route: another route has the same method, and the same pattern except for a backslash: it is not known which of them gin uses")
	case p.misrouted:
		return errors.New("authzgin: route: another route, or none, answers a request whose path is this pattern")
	case !p.entered:
		return errors.New("authzgin: route: the Recorder did not see the request: the group was made before Record, or gin redirects a request whose path is this pattern")
	case p.guardsLast:
		return errors.New("authzgin: route: Protect is the last of its chain: put the handler after it")
	case p.wrapped:
		return errors.New("authzgin: route: another function calls the handler that Protect returned: put it into the chain itself")
	case len(p.met) < p.guards:
		return errors.New("authzgin: route: a middleware answered the request, so the Guards after it are not known")
	default:
		return nil
	}
}
