package oauthz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/probe"
)

// Config is what a [Guard] is made of. All but the Introspector may be zero,
// which is the strict choice.
type Config struct {
	_ struct{}

	// Introspector judges tokens. Required.
	Introspector Introspector
	// Revocations are asked about every request, after the introspector and
	// whatever a cache remembers, by each Protect that the request meets. A list
	// that cannot tell is a 503.
	Revocations []RevocationList
	// RevocationTimeout is how long each list may take, after which it cannot
	// tell. Default 1 s; negative: as long as it likes.
	RevocationTimeout time.Duration
	// Confirmers check to whom a token is bound (cnf, RFC 7800). A token with a
	// cnf member that nobody checks is refused.
	Confirmers []Confirmer
	// Realm names what is protected, in every challenge. Printable ASCII;
	// default "api".
	Realm string
	// ResourceMetadataURL is added to every challenge (RFC 9728 §5.1): an
	// absolute https URL, or http on loopback. Default: none.
	ResourceMetadataURL string
	// AllowPreflight lets CORS preflights through to the next handler: they
	// never carry credentials (Fetch §3.2.2). A client that is not a browser can
	// send one to any path, so a handler for OPTIONS or for all methods is reached
	// without a token; the table of routes shows where. Default: they are refused.
	AllowPreflight bool
	// ErrorHandler writes the status and the body of a refusal, after all its
	// headers are set. If it writes no status, that of the Error is sent, also by
	// a flush; if it writes no body either, the default body is sent: a small JSON
	// object (RFC 6750 §3.1 codes). It cannot hijack the connection, and its
	// informational responses (1xx) are not sent. The Error is
	// its own.
	ErrorHandler func(http.ResponseWriter, *http.Request, *Error)
	// Observe is told of every decision, once, before the handler runs: for
	// logs, metrics and traces. It must be safe for concurrent use.
	Observe func(context.Context, Decision)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Confirmer checks that whoever presents a token is the one it is bound to. It
// must be safe for concurrent use.
type Confirmer interface {
	// Method is the cnf member that it checks: "jkt", "x5t#S256".
	Method() string
	// Confirm returns nil if the request proves possession. Its errors mean
	// what those of an Introspector mean; an *Error is answered as it is.
	Confirm(r *http.Request, scheme, token string, t *Token) error
}

// Outcome is what a [Guard] decided, in one word: a label for metrics.
type Outcome string

// The outcomes. All but the first four are refusals.
const (
	OutcomeAllowed                    Outcome = "allowed"
	OutcomeAnonymous                  Outcome = "anonymous" // no credentials, and none needed
	OutcomePublic                     Outcome = "public"    // nobody looked for credentials
	OutcomePreflight                  Outcome = "preflight"
	OutcomeNoToken                    Outcome = "no_token"
	OutcomeInvalidRequest             Outcome = "invalid_request"
	OutcomeInvalidToken               Outcome = "invalid_token"
	OutcomeInsufficientScope          Outcome = "insufficient_scope"
	OutcomeInsufficientAuthentication Outcome = "insufficient_user_authentication"
	OutcomeUnavailable                Outcome = "unavailable"
	OutcomeServerError                Outcome = "server_error"
)

// Decision is what [Config.Observe] sees of a request. It holds no credentials.
type Decision struct {
	Allowed     bool
	Outcome     Outcome
	Err         *Error // what the client is told, and the cause; nil if allowed
	Token       *Token // a copy, if the token is known, refused or not
	Requirement Requirement
	Pattern     string        // of the route, as its router writes it; never the path. Empty where nobody knows it yet
	Source      Source        // who answered for the token, if one is known
	Duration    time.Duration // how long it took
}

// Guard protects handlers. It is immutable, and safe for concurrent use.
type Guard struct {
	introspector        Introspector
	cacheable           bool // else the introspector is asked at each Guard that a request meets
	revocations         []boundList
	confirmers          map[string]Confirmer
	realm               string
	resourceMetadataURL string
	allowPreflight      bool
	errorHandler        func(http.ResponseWriter, *http.Request, *Error)
	observe             func(context.Context, Decision)
	now                 func() time.Time
}

// Format writes the name of the type: for a verb that does not fit, package fmt
// would print what the hooks of a Guard hold, their secrets too.
func (*Guard) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "oauthz.Guard") }

// Format writes the name of the type, as that of a [Guard] does. With %p and %w
// package fmt does not call it: print no Config with these.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "oauthz.Config") }

var errNilToken = errors.New("oauthz: introspector returned neither a token nor an error")

// New makes a [Guard], or says everything that is wrong with cfg.
func New(cfg Config) (*Guard, error) {
	g := &Guard{
		introspector:        cfg.Introspector,
		cacheable:           Cacheable(cfg.Introspector),
		revocations:         boundLists(cfg.Revocations, cmp.Or(cfg.RevocationTimeout, defaultRevocationTimeout)),
		realm:               cfg.Realm,
		resourceMetadataURL: cfg.ResourceMetadataURL,
		allowPreflight:      cfg.AllowPreflight,
		errorHandler:        cfg.ErrorHandler,
		observe:             cfg.Observe,
		now:                 cfg.Now,
	}
	if g.realm == "" {
		g.realm = "api"
	}
	if g.now == nil {
		g.now = time.Now
	}
	var err error
	g.confirmers, err = byMethod(cfg.Confirmers)
	if err := errors.Join(cfg.check(), err); err != nil {
		return nil, err
	}
	return g, nil
}

func (cfg *Config) check() error {
	var errs []error
	if isNil(cfg.Introspector) {
		errs = append(errs, errors.New("oauthz: config: Introspector is required"))
	}
	for i, l := range cfg.Revocations {
		if isNil(l) {
			errs = append(errs, fmt.Errorf("oauthz: config: Revocations[%d] is nil", i))
		}
	}
	if strings.ContainsFunc(cfg.Realm, func(r rune) bool { return r < 0x20 || r > 0x7E }) {
		errs = append(errs, errors.New("oauthz: config: Realm: want printable ASCII"))
	}
	if cfg.ResourceMetadataURL != "" && !isMetadataURL(cfg.ResourceMetadataURL) {
		errs = append(errs, errors.New("oauthz: config: ResourceMetadataURL: want an absolute https URL"))
	}
	return errors.Join(errs...)
}

func isMetadataURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.ContainsFunc(raw, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

func byMethod(confirmers []Confirmer) (map[string]Confirmer, error) {
	var errs []error
	out := make(map[string]Confirmer, len(confirmers))
	for i, c := range confirmers {
		if isNil(c) {
			errs = append(errs, fmt.Errorf("oauthz: config: Confirmers[%d] is nil", i))
			continue
		}
		method := c.Method()
		if method == "" || out[method] != nil {
			errs = append(errs, fmt.Errorf("oauthz: config: Confirmers[%d]: method %q is empty or taken", i, method))
		}
		out[method] = c
	}
	return out, errors.Join(errs...)
}

// Protect returns a middleware that lets a request through only if it meets
// req. It never wraps the ResponseWriter and never touches the body.
//
// Under another Protect of the same Guard (a group, then a route) the token is
// not judged again: see [Guard.Authorize].
//
// Protect panics if g is nil, and the middleware if it is given a nil handler.
func (g *Guard) Protect(req Requirement) func(http.Handler) http.Handler {
	if g == nil {
		panic("oauthz: Protect: nil Guard")
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("oauthz: Protect: nil handler")
		}
		return &protected{guard: g, req: req, next: next}
	}
}

// protected is a handler behind a Guard. It is a type of its own so that
// [Protected] can tell it from others.
type protected struct {
	guard *Guard
	req   Requirement
	next  http.Handler
}

func (p *protected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	authorized, err := p.guard.Authorize(r, p.req)
	if err != nil {
		p.guard.WriteError(w, r, err)
		return
	}
	p.next.ServeHTTP(w, authorized)
}

// Authorize decides about r: the request to hand on, whose context has the
// token, or an *[Error] for [Guard.WriteError]. It writes nothing. The
// [Decision.Pattern] is that of r.
//
// It can be called again with the request that a handler got, such as one that
// serves a stream. If the request still has the credentials that this Guard has
// let through, Authorize checks the revocation lists, the expiry and req again,
// unless req is [Public]. It does not ask the introspector again, so it does not
// see that the authorization server has ended a token or withdrawn a key, and it
// does not ask for another proof of possession. An introspector that is not
// [Cacheable] is asked again, for its refusal alone: the token stays the same.
func (g *Guard) Authorize(r *http.Request, req Requirement) (*http.Request, error) {
	return g.AuthorizeRoute(r, req, r.Pattern)
}

// AuthorizeRoute is [Guard.Authorize] for adapters whose framework knows the
// pattern of the route better than r does.
func (g *Guard) AuthorizeRoute(r *http.Request, req Requirement, pattern string) (*http.Request, error) {
	outer := r.Context().Value(grantKey{})
	if p, ok := outer.(*probe.Context[Requirement]); ok {
		return answerProbe(p, r, g.required(req))
	}
	a := attempt{guard: g, r: r, req: req, pattern: pattern}
	a.outer, _ = outer.(*grant)
	var next *http.Request
	var e *Error
	if g.observe == nil {
		next, e = a.decide()
	} else {
		next, e = a.decideAndReport()
	}
	if e != nil { // a nil *Error is not a nil error
		return nil, e
	}
	return next, nil
}

// WriteError answers a request that [Guard.Authorize] refused. It is the only
// place that writes a refusal; an error that is no *[Error] is told like one of
// an Introspector.
func (g *Guard) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	e := told(err)
	g.writeHeader(w.Header(), e)
	if g.errorHandler != nil {
		g.handleError(w, r, e)
		return
	}
	w.WriteHeader(e.Status)
	writeBody(w, r, e)
}

func writeBody(w http.ResponseWriter, r *http.Request, e *Error) {
	if r.Method != http.MethodHead {
		_, _ = w.Write(body(e)) // the client may be gone
	}
}
