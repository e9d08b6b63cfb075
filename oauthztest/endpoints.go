package oauthztest

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// The paths of the endpoints. The two kinds of metadata treat the issuer's path differently: RFC 8414 §3.1 puts the
// well-known path before it, OpenID Connect Discovery 1.0 §4 after it.
const (
	oauthMetadataPath  = "/.well-known/oauth-authorization-server"
	openIDMetadataPath = "/.well-known/openid-configuration"
	jwksPath           = "/jwks"
	introspectionPath  = "/introspect"
	revocationPath     = "/revoke"
)

// maxForm is far more bytes than a token needs.
const maxForm = 1 << 20

// A route is an endpoint (the name in Inject), the method that it accepts, and its handler.
type route struct {
	endpoint Endpoint
	method   string
	answer   http.HandlerFunc
}

func (s *Server) routing() map[string]route {
	at := s.cfg.Path
	return map[string]route{
		oauthMetadataPath + at:  {EndpointDiscovery, http.MethodGet, s.metadata},
		at + openIDMetadataPath: {EndpointDiscovery, http.MethodGet, s.metadata},
		at + jwksPath:           {EndpointJWKS, http.MethodGet, s.jwks},
		at + introspectionPath:  {EndpointIntrospection, http.MethodPost, s.introspect},
		at + revocationPath:     {EndpointRevocation, http.MethodPost, s.revoke},
	}
}

// dispatch counts a request, and has the injected fault answer it, if there is one.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	to, ok := s.routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if fault := s.faults.arrived(to.endpoint); fault != nil {
		fault(w, r, to)
		return
	}
	to.ServeHTTP(w, r)
}

// ServeHTTP answers as the endpoint does without a fault.
func (t route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != t.method && (r.Method != http.MethodHead || t.method != http.MethodGet) {
		w.Header().Set("Allow", t.method)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	t.answer(w, r)
}

// metadata writes the response of RFC 8414 §3.2 and of OpenID Connect Discovery 1.0 §4.2, which are the same. Both require
// the URLs of an authorization and a token endpoint, so they are there, but this server has no such endpoints.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	algs := slices.Sorted(maps.Keys(algorithms))
	authMethods := []string{"client_secret_basic", "client_secret_post"}
	if s.cfg.ClientSecret == "" {
		authMethods = []string{"none"}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                 s.issuer,
		"authorization_endpoint": s.issuer + "/authorize",
		"token_endpoint":         s.issuer + "/token",
		"jwks_uri":               s.JWKSURL(),
		"introspection_endpoint": s.IntrospectionURL(),
		"introspection_endpoint_auth_methods_supported": authMethods,
		"revocation_endpoint":                           s.RevocationURL(),
		"revocation_endpoint_auth_methods_supported":    authMethods,
		"response_types_supported":                      []string{"code"},
		"subject_types_supported":                       []string{"public"},
		"id_token_signing_alg_values_supported":         algs,
	})
}

// jwks serves the key set with a strong validator, so that a client can send a conditional request (RFC 9110 §8.8.3,
// §13.1.2).
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	document, cacheControl := s.keys.document(), s.keys.caching()
	sum := sha256.Sum256(document)
	w.Header().Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:])+`"`)
	w.Header().Set("Content-Type", "application/json")
	if cacheControl != "" {
		w.Header().Set("Cache-Control", cacheControl)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
}

// introspect answers as RFC 7662 §2 requires.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	if token, ok := s.admitted(w, r); ok {
		writeJSON(w, http.StatusOK, s.introspection(token))
	}
}

// revoke answers as RFC 7009 §2 requires. It also answers 200 for a string that is not a token (§2.2).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	if token, ok := s.admitted(w, r); ok {
		s.Revoke(token)
		w.WriteHeader(http.StatusOK)
	}
}

// admitted returns the token parameter of a request, or answers the request if it is malformed or not from the client. It
// does not need the token_type_hint, and ignores it (RFC 7662 §2.1, RFC 7009 §2.1).
func (s *Server) admitted(w http.ResponseWriter, r *http.Request) (token string, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil || repeats(r.PostForm) {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return "", false
	}
	switch _, basic := r.Header["Authorization"]; {
	case s.cfg.ClientSecret == "":
	case basic && r.PostForm.Has("client_secret"): // RFC 6749 §2.3: one method only
		refuse(w, http.StatusBadRequest, "invalid_request")
		return "", false
	case !s.authenticated(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="oauthztest"`)
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return "", false
	}
	if r.PostForm.Get("token") == "" {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return "", false
	}
	return r.PostForm.Get("token"), true
}

// repeats reports whether a parameter is repeated, which RFC 6749 §3.2 forbids.
func repeats(form url.Values) bool {
	for _, values := range form {
		if len(values) > 1 {
			return true
		}
	}
	return false
}

// authenticated reports whether a request has the id and secret of the client: as client_secret_basic, where both are
// form-urlencoded before they are joined, else as client_secret_post (RFC 6749 §2.3.1).
func (s *Server) authenticated(r *http.Request) bool {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		var errID, errSecret error
		id, errID = url.QueryUnescape(user)
		secret, errSecret = url.QueryUnescape(password)
		if errID != nil || errSecret != nil {
			return false
		}
	}
	sameID := subtle.ConstantTimeCompare([]byte(id), []byte(s.cfg.ClientID))
	return sameID&subtle.ConstantTimeCompare([]byte(secret), []byte(s.cfg.ClientSecret)) == 1
}

// refuse writes the error response of RFC 6749 §5.2.
func refuse(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]any{"error": code})
}

func writeJSON(w http.ResponseWriter, status int, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(members)
}
