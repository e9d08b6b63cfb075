package oauthz

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Claim returns a claim as JSON; ok is false if there is none. A claim that Token has
// a field for is made from the field, so that a value that an introspector or a
// handler has set is returned. Every other claim is returned as it was parsed. Names
// are compared exactly (RFC 7519 §4): "a.b" is the claim called a.b.
func (t *Token) Claim(name string) (value json.RawMessage, ok bool) {
	text, ok := t.claim(name)
	if !ok {
		return nil, false
	}
	return json.RawMessage(text), true
}

// claim is Claim without a copy.
func (t *Token) claim(name string) (value string, ok bool) {
	if value, standard := t.standardClaim(name); standard {
		return value, value != ""
	}
	return strictjson.Lookup(t.claims, name)
}

// standardClaims are the claims that Token has fields for.
var standardClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "username", "scope", "cnf", "acr", "auth_time",
}

// standardClaim returns the JSON of a claim that Token has a field for, "" if the
// field is zero. standard is false for any other claim.
func (t *Token) standardClaim(name string) (value string, standard bool) {
	if text, ok := t.textClaim(name); ok {
		return quoteString(text), true
	}
	switch name {
	case "aud":
		return quoteStrings(t.Audience), true
	case "exp":
		return formatDate(t.ExpiresAt), true
	case "nbf":
		return formatDate(t.NotBefore), true
	case "iat":
		return formatDate(t.IssuedAt), true
	case "scope":
		return quoteString(strings.Join(t.Scopes, " ")), true
	case "cnf":
		return t.Confirmation.json(t.claims), true
	case "auth_time":
		return formatDate(t.AuthTime), true
	default:
		return "", false
	}
}

// textClaim returns the field of a standard claim that is a string, "" if the field
// is zero. standard is false for any other claim.
func (t *Token) textClaim(name string) (value string, standard bool) {
	switch name {
	case "iss":
		return t.Issuer, true
	case "sub":
		return t.Subject, true
	case "jti":
		return t.ID, true
	case "client_id":
		return t.ClientID, true
	case "sid":
		return t.SessionID, true
	case "username":
		return t.Username, true
	case "acr":
		return t.ACR, true
	// The introspector sets these, and no claim of the token can: see MatchTokenHash
	// and MatchTenant.
	case MatchTokenHash:
		return t.verdict.TokenHash, true
	case MatchTenant:
		return t.Tenant, true
	default:
		return "", false
	}
}

// json returns cnf: the fields of c, and the other members as they were parsed.
func (c *Confirmation) json(claims []strictjson.Member) string {
	if c == nil {
		return ""
	}
	members := map[string]json.RawMessage{}
	value, _ := strictjson.Lookup(claims, "cnf")
	parsed, _ := strictjson.Object(value)        // empty if there is no cnf in the claims
	other := make(map[string]bool, len(c.other)) // a map, because a server may send any number of members
	for _, name := range c.other {
		other[name] = true
	}
	for _, m := range parsed {
		if other[m.Name] {
			members[m.Name] = json.RawMessage(m.Value)
		}
	}
	if c.JWKThumbprint != "" {
		members["jkt"] = json.RawMessage(quoteString(c.JWKThumbprint))
	}
	if c.CertThumbprint != "" {
		members["x5t#S256"] = json.RawMessage(quoteString(c.CertThumbprint))
	}
	object, _ := json.Marshal(members) // well-formed members always marshal
	return string(object)
}

// quoteString returns s as JSON, "" if s is empty.
func quoteString(s string) string {
	if s == "" {
		return ""
	}
	return quoted(s)
}

// quoteStrings returns aud as JSON, "" if list is empty: one audience is a string
// (RFC 7519 §4.1.3).
func quoteStrings(list []string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return quoteString(list[0])
	}
	quoted, _ := json.Marshal(list) // strings always marshal
	return string(quoted)
}

// formatDate returns at as a NumericDate (RFC 7519 §2), "" if at is zero.
func formatDate(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	if at.Nanosecond() == 0 {
		return strconv.FormatInt(at.Unix(), 10)
	}
	return strconv.FormatFloat(float64(at.Unix())+float64(at.Nanosecond())/1e9, 'f', -1, 64)
}
