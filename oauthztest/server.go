// Package oauthztest is a fake OAuth 2.0 authorization server that runs in your own process: real HTTP on loopback, real
// keys, tokens with any claims, and faults to inject. With it a test calls a protected handler from the outside, as a
// client does, and need not replace the code that is under test:
//
//	as := oauthztest.NewServer(oauthztest.Config{})
//	defer as.Close()
//	verifier, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{"https://api.example"}})
//	guard, err := oauthz.New(oauthz.Config{Introspector: verifier})
//	api := guard.Protect(oauthz.Require("read"))(yourHandler)
//
//	r := httptest.NewRequest("GET", "/notes", nil)
//	r.Header.Set("Authorization", "Bearer "+as.Mint(oauthztest.Claims{"scope": "read"}))
//	w := httptest.NewRecorder()
//	api.ServeHTTP(w, r) // 200: now mint with exp in the past, Rotate, Revoke, or Inject(JWKS, Down()), and call it again
//
// Rules of use:
//
//   - Close every server. After Close, no goroutine, connection or listener of it is left.
//   - A mistake of the author of the test (an address that is in use, a kid that does not exist, a claim that is not JSON)
//     causes a panic: a test could only fail because of it.
//   - Everything may be called concurrently, also while requests are served, and applies to later requests.
//   - It is not a real authorization server. A caller of the Server mints any token, keys are in memory, and nothing is
//     logged.
package oauthztest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config configures a [Server]. The zero value is ready to use.
type Config struct {
	_ struct{}

	// Audience is the default aud of minted tokens. One element becomes a string, several an array (RFC 7519 §4.1.3).
	// Default: "https://api.example".
	Audience []string

	// Algorithm is the algorithm of the first key and of the keys that [Server.Rotate] makes: RS256, RS384, RS512, PS256, PS384,
	// PS512, ES256, ES384, ES512, EdDSA (RFC 8037 §3.1) or Ed25519 (RFC 9864 §2.2). Default: "RS256".
	Algorithm string

	// Now is the clock that dates and expires tokens. It is called concurrently. Default: [time.Now].
	Now func() time.Time

	// ClientID is the client that may introspect and revoke. It requires ClientSecret. Default: none.
	ClientID string

	// ClientSecret, if set, makes introspection and revocation require the client's id and secret, by client_secret_basic
	// or client_secret_post (RFC 6749 §2.3.1). Default: none, so that any caller may use both endpoints.
	ClientSecret string

	// Path is the path of the issuer, such as "/tenant1", for a test of the URL that a client fetches metadata from (RFC 8414
	// §3.1). Default: "", so that the issuer is an origin.
	Path string

	// Addr is the loopback address to listen on, such as "127.0.0.1:8089". Default: a free port of 127.0.0.1, or of ::1
	// where there is no IPv4.
	Addr string
}

// Server is a running fake authorization server; make one with [NewServer]. All of its methods are safe for concurrent use.
type Server struct {
	cfg    Config
	addr   string // the address of the first session: Start uses it again
	issuer string
	client *http.Client
	routes map[string]route

	keys   keyring
	tokens register
	faults switchboard

	life    sync.Mutex // only one of Stop, Start and Close runs at a time
	session *session   // nil while stopped
	closed  bool
}

// NewServer starts a server, as [net/http/httptest.NewServer] does. It panics if cfg has a mistake or the server cannot
// listen. Keys are made when they are first needed, so a server that only introspects opaque tokens never makes one.
func NewServer(cfg Config) *Server {
	if err := cfg.validate(); err != nil {
		panic(err)
	}
	s := &Server{cfg: cfg.withDefaults(), client: &http.Client{Transport: &http.Transport{}}}
	s.keys.algorithm = s.cfg.Algorithm
	l, err := listen(s.cfg.Addr)
	if err != nil {
		panic(fmt.Errorf("oauthztest: listen: %w", err))
	}
	s.addr = l.Addr().String()
	s.issuer = "http://" + s.addr + s.cfg.Path
	s.routes = s.routing()
	s.session = serve(l, s)
	return s
}

// validate returns an error that joins every mistake in c.
func (c Config) validate() error {
	var errs []error
	mistake := func(wrong bool, field, reason string) {
		if wrong {
			errs = append(errs, fmt.Errorf("oauthztest: config: %s: %s", field, reason))
		}
	}
	_, known := algorithms[c.Algorithm]
	mistake(c.Algorithm != "" && !known, "Algorithm", "not one that can be signed with")
	mistake(slices.Contains(c.Audience, ""), "Audience", "an empty member")
	mistake(c.ClientID != "" && c.ClientSecret == "", "ClientID", "needs a ClientSecret")
	mistake(c.ClientID == "" && c.ClientSecret != "", "ClientSecret", "needs a ClientID")
	mistake(c.Path != "" && !plainPath(c.Path), "Path", "not an absolute path such as /tenant1")
	mistake(!loopback(c.Addr), "Addr", "not a loopback host and a port")
	return errors.Join(errs...)
}

// plainPath reports whether p is an absolute path in its only spelling: issuers are compared as strings.
func plainPath(p string) bool {
	return strings.HasPrefix(p, "/") && p != "/" && path.Clean(p) == p && (&url.URL{Path: p}).EscapedPath() == p
}

func (c Config) withDefaults() Config {
	c.Audience = slices.Clone(c.Audience)
	if len(c.Audience) == 0 {
		c.Audience = []string{"https://api.example"}
	}
	if c.Algorithm == "" {
		c.Algorithm = "RS256"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Issuer returns the issuer identifier: the iss of minted tokens, from which a client derives the URL of the metadata
// (RFC 8414 §2, §3.1). It does not change when the server is stopped and started.
func (s *Server) Issuer() string { return s.issuer }

// JWKSURL returns the URL of the key set (RFC 7517 §5).
func (s *Server) JWKSURL() string { return s.issuer + jwksPath }

// IntrospectionURL returns the URL of the introspection endpoint (RFC 7662 §2).
func (s *Server) IntrospectionURL() string { return s.issuer + introspectionPath }

// RevocationURL returns the URL of the revocation endpoint (RFC 7009 §2).
func (s *Server) RevocationURL() string { return s.issuer + revocationPath }

// Client returns a client for this server. Its connections end with the server. It has no timeout and follows redirects.
func (s *Server) Client() *http.Client { return s.client }

// Stop begins an outage: it closes the connections in use, and new ones are refused. It blocks until every handler has
// returned. Minting, rotating and revoking still work. Stopping a stopped server does nothing. A [Fault] must not call it.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.stop()
}

// Start ends an outage: the server listens on the same address again, and has the same keys and tokens. Starting a running
// server does nothing. Start panics if the server is closed, or if another process uses the port.
func (s *Server) Start() {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		panic("oauthztest: start: the server is closed")
	}
	if s.session != nil {
		return
	}
	l, err := listenAgain(s.addr)
	if err != nil {
		panic(fmt.Errorf("oauthztest: start: %w", err))
	}
	s.session = serve(l, s)
}

// Close stops the server, which cannot be started again. It blocks until no goroutine of the server is left: a [Hang] or
// [SlowBody] ends at once. Closing a closed server does nothing. A [Fault] must not call it.
func (s *Server) Close() {
	s.life.Lock()
	defer s.life.Unlock()
	s.closed = true
	s.stop()
}

func (s *Server) stop() {
	if s.session != nil {
		s.session.end()
		s.session = nil
	}
	s.client.CloseIdleConnections()
}
