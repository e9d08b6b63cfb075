// Package peers has the middleware of this library and of its peers side by side: each as its own users would write it from
// its documentation, and each made to answer for the same things. A request is let through if its token is signed by the
// issuer, names the issuer and the audience, has not expired, and has one scope; the subject goes to the handler. A token
// that fails is 401, one without the scope 403.
package peers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Handler is a protected route. Code for the peer reads the subject from the request's context, so that every timed peer
// must have put it there.
type Handler func(w http.ResponseWriter, r *http.Request, subject string)

// An Issuer configures a middleware for the authorization server whose tokens it accepts.
type Issuer struct {
	URL              string        // the iss of its tokens
	Algorithm        string        // the one JWS algorithm it signs with
	JWKSURL          string        // where it publishes its keys
	JWKS             []byte        // the same keys
	IntrospectionURL string        // its introspection endpoint (RFC 7662)
	ClientID         string        // a client that may introspect
	ClientSecret     string        // the secret of that client
	Audience         string        // the aud of its tokens
	Scope            string        // the scope that the route requires
	KeyRefresh       time.Duration // the lifetime of keys, for peers that need it
	HTTPClient       *http.Client  // to introspect with: the same pool of connections for all
}

// A Peer is a library, and how its users protect a handler with it.
type Peer struct {
	Name      string   // what it is called in the figures: no space, no slash
	Module    string   // whose version the figures show; "" for this library
	Unchecked []string // the flaws that it lets through, as it is set up here; all refuse those named above
	Remark    string   // what else to know of the set-up
	Only      []string // the algorithms it can do; nil: all of them
	// Protect makes the handler. Keys are fetched before it returns, or with the first request.
	Protect func(ctx context.Context, is Issuer, next Handler) (http.Handler, error)
}

// Does reports whether the peer can verify tokens of alg.
func (p Peer) Does(alg string) bool { return p.Only == nil || slices.Contains(p.Only, alg) }

// Flaws of a token that not all peers refuse. A test sends each of them to each peer, so that Unchecked is correct.
const (
	Type      = "typ"             // the header names another kind of JWT (RFC 8725 §3.11)
	Critical  = "crit"            // a header names an extension that has to be understood (RFC 7515 §4.1.11)
	Duplicate = "repeated claims" // the same name twice (RFC 7519 §4)
	Case      = "case of names"   // SCOPE is not scope (RFC 7519 §10.1.1)
	Expiry    = "missing exp"     // the token never expires, or after a time that the peer chooses
)

// JWT returns the middleware that verifies JWTs by itself, that of this library first. None of the peers remembers a token.
func JWT() []Peer {
	return slices.Concat([]Peer{{Name: Ours, Protect: protectLocal}}, golangJWT(), others())
}

// golangJWT are the peers whose parser is golang-jwt, with keyfunc.
func golangJWT() []Peer {
	lets := []string{Type, Critical, Duplicate}
	return []Peer{
		{
			Name: "byhand", Module: "github.com/golang-jwt/jwt/v5", Protect: protectByHand,
			Unchecked: lets, Remark: "MapClaims, keyfunc",
		},
		{
			Name: "byhand-struct", Module: "github.com/golang-jwt/jwt/v5", Protect: protectByHandStruct,
			Unchecked: []string{Type, Critical, Duplicate, Case}, Remark: "claims of an own type, keyfunc",
		},
		{
			Name: "echo-jwt", Module: "github.com/labstack/echo-jwt/v4", Protect: protectEchoJWT,
			Unchecked: lets, Remark: "the parser of byhand, and echo's router",
		},
		{
			Name: "mcp", Module: "github.com/modelcontextprotocol/go-sdk", Protect: protectMCP,
			Unchecked: lets, Remark: "the parser of byhand as its verifier",
		},
	}
}

// others are the peers with a parser of their own, or that of go-jose.
func others() []Peer {
	return []Peer{
		{
			Name: "auth0", Module: "github.com/auth0/go-jwt-middleware/v2", Protect: protectAuth0,
			Unchecked: []string{Type, Expiry},
		},
		{
			Name: "jwtauth", Module: "github.com/go-chi/jwtauth/v5", Protect: protectJWTAuth,
			Unchecked: []string{Type, Critical, Duplicate}, Remark: "one fixed key: it takes no JWK Set",
		},
		{
			Name: "go-oidc", Module: "github.com/coreos/go-oidc/v3", Protect: protectGoOIDC,
			Unchecked: []string{Type, Duplicate, Case}, Remark: "made for ID tokens",
		},
		{
			Name: "jwx", Module: "github.com/lestrrat-go/jwx/v3", Protect: protectJWX,
			Unchecked: []string{Type, Critical, Duplicate},
		},
		{
			Name: "cap", Module: "github.com/hashicorp/cap", Protect: protectCap,
			Unchecked: []string{Type, Expiry},
		},
	}
}

// Ours is the name of this library among the peers.
const Ours = "oauthz"

// Seen returns the middleware of JWT for tokens that were seen before: this library with its cache, and the peers as they
// are, because none of them has one for JWTs.
func Seen() []Peer {
	all := JWT()
	all[0].Protect = protectLocalCached
	return all
}

// NewOpaque returns the middleware for opaque tokens that introspects on each request. The hand-written code, which is also
// the verifier of mcp, does not check the kind of the token, or the type or size of the response, and refuses a token as
// invalid if the authorization server is down.
func NewOpaque() []Peer {
	return []Peer{
		{Name: Ours, Protect: protectRemote},
		{Name: "byhand", Protect: protectOpaqueByHand},
		{Name: "mcp", Module: "github.com/modelcontextprotocol/go-sdk", Protect: protectOpaqueMCP},
	}
}

// SeenOpaque returns the middleware of NewOpaque, with the cache of this library. The peers have none.
func SeenOpaque() []Peer {
	all := NewOpaque()
	all[0].Protect = protectRemoteCached
	return all
}

// bearer is the token of a request, for those who take it out themselves.
func bearer(r *http.Request) (token string, ok bool) {
	return strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// allows reports whether a scope claim (RFC 8693 §4.2) has a scope.
func allows(claim, scope string) bool { return slices.Contains(strings.Fields(claim), scope) }

func unauthorized(w http.ResponseWriter) { http.Error(w, "unauthorized", http.StatusUnauthorized) }

func forbidden(w http.ResponseWriter) { http.Error(w, "forbidden", http.StatusForbidden) }
