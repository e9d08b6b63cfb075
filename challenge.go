package oauthz

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	defaultRetryAfter = 5 * time.Second
	maxRetryAfter     = time.Hour
)

// writeHeader sets every header of a refusal. It adds its challenge to those that
// other handlers have set (RFC 9110 §11.6.1).
func (g *Guard) writeHeader(h http.Header, e *Error) {
	challenged := e.Status < 500
	for name, values := range e.Header {
		for _, v := range values {
			if challenged || http.CanonicalHeaderKey(name) != "Www-Authenticate" {
				h.Add(name, strings.Map(replaceControl, v))
			}
		}
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter(e.RetryAfter))
	}
	if challenged {
		h.Add("WWW-Authenticate", g.challenge(e))
	}
}

// replaceControl replaces the characters that could end a header field.
func replaceControl(r rune) rune {
	if r < 0x20 && r != '\t' || r == 0x7F {
		return '?'
	}
	return r
}

// retryAfter returns d in seconds (RFC 9110 §10.2.3), rounded up: a client that
// retries too early gets another 503.
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = defaultRetryAfter
	}
	d = min(d, maxRetryAfter)
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// challenge returns the challenge for e (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1).
// No other function builds one.
func (g *Guard) challenge(e *Error) string {
	var b strings.Builder
	b.WriteString(schemeBearer)
	b.WriteByte(' ')
	writeParam(&b, "realm", g.realm)
	if e.Code != "" {
		writeParam(&b, "error", e.Code)
		if e.Description != "" {
			writeParam(&b, "error_description", e.Description)
		}
	}
	if len(e.Scopes) > 0 {
		writeParam(&b, "scope", strings.Join(e.Scopes, " "))
	}
	if len(e.ACRValues) > 0 {
		writeParam(&b, "acr_values", strings.Join(e.ACRValues, " "))
	}
	if e.MaxAge != nil {
		writeParam(&b, "max_age", strconv.FormatInt(int64(*e.MaxAge/time.Second), 10))
	}
	if g.resourceMetadataURL != "" {
		writeParam(&b, "resource_metadata", g.resourceMetadataURL)
	}
	return b.String()
}

// writeParam writes an auth-param as a quoted-string (RFC 9110 §5.6.4). It replaces
// each character that a quoted-string cannot hold with a question mark, because the
// Error of a hook may hold any text, and a line break in it would split the response.
func writeParam(b *strings.Builder, name, value string) {
	if b.Len() > len(schemeBearer)+1 {
		b.WriteString(", ")
	}
	b.WriteString(name)
	b.WriteString(`="`)
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c > 0x7E:
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

// errorBody returns the JSON body of a refusal: the code and the description of
// RFC 6750 §3.1, which are fixed strings.
func errorBody(e *Error) []byte {
	var out struct {
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description,omitempty"`
	}
	out.Error = e.Code
	if e.Code != "" {
		out.Description = e.Description
	}
	b, _ := json.Marshal(out) // strings always marshal
	return b
}
