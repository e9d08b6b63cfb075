package oauthz

import (
	"net/http"
	"net/url"
	"strings"
)

// MaxTokenBytes is how long a token may be. A Guard refuses a longer one before
// it looks at it.
const MaxTokenBytes = 16 << 10

// The ways in which a request carries no good credentials.
const (
	schemeBearer     = "Bearer"
	authorization    = "Authorization"
	queryAccessToken = "access_token"
)

// bearerToken takes the token out of the Authorization field (RFC 6750 §2.1),
// the only place that is looked at; that a token is also in the query is a
// mistake worth telling (§2.3), and the body is never touched.
func bearerToken(r *http.Request) (string, error) {
	fields := r.Header[authorization]
	switch {
	case len(fields) > 1: // one may hide from a proxy, or from Header.Get
		return "", ErrInvalidRequest
	case len(fields) == 0 || fields[0] == "":
		return "", ErrNoToken
	}
	scheme, credentials, tab := splitField(fields[0])
	if !equalASCIIFold(scheme, schemeBearer) {
		if namesBearer(fields[0]) {
			return "", ErrInvalidRequest
		}
		return "", ErrNoToken
	}
	if tab || hasQueryToken(r.URL) {
		return "", ErrInvalidRequest
	}
	if len(credentials) > MaxTokenBytes {
		return "", ErrInvalidToken
	}
	if !isB64Token(credentials) {
		return "", ErrInvalidRequest
	}
	return credentials, nil
}

// splitField splits credentials = auth-scheme [ 1*SP ... ] (RFC 9110 §11.4). A
// tab in place of the space is not within the grammar, but what was meant is
// clear: tab reports it.
func splitField(field string) (scheme, rest string, tab bool) {
	end := strings.IndexAny(field, " \t")
	if end < 0 {
		return field, "", false
	}
	return field[:end], strings.TrimLeft(field[end:], " "), field[end] == '\t'
}

// namesBearer reports whether field has Bearer credentials behind a comma: two
// fields that a proxy merged into one. It reads each byte once: anybody may send
// a megabyte of commas.
func namesBearer(field string) bool {
	afterComma := false
	for i := range len(field) {
		switch c := field[i]; {
		case c == ',':
			afterComma = true
		case c == ' ' || c == '\t':
		case afterComma:
			if beginsWithBearer(field[i:]) {
				return true
			}
			afterComma = false
		}
	}
	return false
}

// beginsWithBearer reports whether the scheme of credentials is Bearer.
func beginsWithBearer(credentials string) bool {
	n := len(schemeBearer)
	if len(credentials) < n || !equalASCIIFold(credentials[:n], schemeBearer) {
		return false
	}
	return len(credentials) == n || credentials[n] == ' ' || credentials[n] == '\t'
}

// equalASCIIFold compares schemes, which are case-insensitive (RFC 9110
// §11.1). strings.EqualFold would also fold letters outside ASCII.
func equalASCIIFold(s, want string) bool {
	if len(s) != len(want) {
		return false
	}
	for i := range len(s) {
		a, b := s[i], want[i]
		if a != b && (a|0x20 != b|0x20 || a|0x20 < 'a' || a|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isB64Token: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" )
// *"=" (RFC 6750 §2.1).
func isB64Token(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	// Eight at a time and without a branch: every byte of every request's token
	// comes by here, which was a third of the time of a request with a token that
	// is remembered.
	var outside uint8
	for ; len(body) >= 8; body = body[8:] {
		outside |= notB64Token[body[0]] | notB64Token[body[1]] | notB64Token[body[2]] | notB64Token[body[3]] |
			notB64Token[body[4]] | notB64Token[body[5]] | notB64Token[body[6]] | notB64Token[body[7]]
	}
	for i := range len(body) {
		outside |= notB64Token[body[i]]
	}
	return outside == 0
}

// notB64Token is 1 for what is not within b64token.
var notB64Token = func() (table [256]uint8) {
	for i := range table {
		table[i] = 1
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		table[c] = 0
	}
	return table
}()

// hasQueryToken looks for the parameter of RFC 6750 §2.3.
func hasQueryToken(u *url.URL) bool {
	if u == nil {
		return false
	}
	for query := u.RawQuery; query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if len(name) > len(queryAccessToken) && strings.Contains(name, "%") { // an escape is longer than the byte that it stands for
			name, _ = url.QueryUnescape(name)
		}
		if name == queryAccessToken {
			return true
		}
	}
	return false
}
