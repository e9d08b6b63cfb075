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
)

// Config configures a [Guard]. Only Introspector is required. The zero value of
// every other field is the strict setting.
type Config struct {
	_ struct{}

	// Introspector validates tokens. Required.
	Introspector Introspector
	// RevocationLists are the lists in which each Guard that a request meets looks the
	// token up, on every request, after the introspector and whether or not a cache
	// remembers the token. A list that returns an error causes a 503. Default: none.
	RevocationLists []RevocationList
	// RevocationTimeout bounds the look-up in each list. A list that takes longer
	// causes a 503. Default 1 s; negative: no bound.
	RevocationTimeout time.Duration
	// Confirmers check proof of possession of the key that a token is bound to
	// (claim cnf, RFC 7800 §3.1). A token is refused if its cnf has a member that no
	// Confirmer checks. Default: none, so that every bound token is refused.
	Confirmers []Confirmer
	// Realm names the protected API in every challenge (RFC 9110 §11.5). Printable
	// ASCII; default "api".
	Realm string
	// ResourceMetadataURL is a parameter of every challenge (RFC 9728 §5.1): an
	// absolute https URL, or http on a loopback host. Default: none.
	ResourceMetadataURL string
	// AllowPreflight passes CORS preflights to the next handler without a token: a
	// browser never sends credentials with them (Fetch §3.2.2). A client that is not
	// a browser can send a preflight to any path, so that it reaches every handler
	// for OPTIONS or for all methods without a token. The table of routes shows these
	// handlers. Default: a preflight is refused like any request without a token.
	AllowPreflight bool
	// ErrorHandler writes the status and the body of a refusal, after the Guard has
	// set all headers. If it writes no status, Error.Status is sent, also by a flush;
	// if it writes no body either, the default body is sent: a small JSON object with
	// the code (RFC 6750 §3.1). It cannot hijack the connection, and its
	// informational responses (1xx) are not sent. The Error is a copy that the
	// ErrorHandler may change. It must be safe for concurrent use. Default: the
	// status and the default body.
	ErrorHandler func(http.ResponseWriter, *http.Request, *Error)
	// Observe is called with every decision, once, before the handler runs: for logs,
	// metrics and traces. It must be safe for concurrent use. If it panics, the
	// request is refused with 500. Default: none.
	Observe func(context.Context, Decision)
	// Now returns the current time. Default time.Now.
	Now func() time.Time
}

// Confirmer checks that the client that presents a token has the key that the
// token is bound to (RFC 7800 §3). It must be safe for concurrent use.
type Confirmer interface {
	// Method returns the member of cnf that the Confirmer checks: "jkt" (RFC 9449
	// §6.1), "x5t#S256" (RFC 8705 §3.1).
	Method() string
	// Confirm returns nil if the request proves possession of the key. Its errors
	// mean the same as those of an [Introspector]. An *[Error] is answered as it is.
	Confirm(r *http.Request, scheme, token string, t *Token) error
}

// Format writes the name of the type, as [Guard.Format] does. Package fmt does
// not call it for the verbs %p and %w: do not print a Config with these.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "oauthz.Config") }

// New returns a [Guard], or an error that joins every mistake in cfg.
func New(cfg Config) (*Guard, error) {
	g := &Guard{
		introspector:        cfg.Introspector,
		cacheable:           Cacheable(cfg.Introspector),
		revocations:         boundLists(cfg.RevocationLists, cmp.Or(cfg.RevocationTimeout, defaultRevocationTimeout)),
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

// check returns an error that joins every mistake in cfg, except those in
// Confirmers, or nil.
func (cfg *Config) check() error {
	var errs []error
	if isNil(cfg.Introspector) {
		errs = append(errs, errors.New("oauthz: config: Introspector is required"))
	}
	for i, l := range cfg.RevocationLists {
		if isNil(l) {
			errs = append(errs, fmt.Errorf("oauthz: config: RevocationLists[%d] is nil", i))
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

// isMetadataURL reports whether raw is an absolute https URL, or an http URL of a
// loopback host, without user information or a fragment.
func isMetadataURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.ContainsFunc(raw, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

// byMethod returns the confirmers by the member of cnf that each checks, or an
// error that joins every mistake in them.
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
