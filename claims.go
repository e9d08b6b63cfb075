package oauthz

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Claim returns a claim as JSON, and whether there is one. Standard names are
// answered from the fields, so that what an introspector filled in or a handler
// changed is seen; all other names from the claims as they came. Names are
// exact: "a.b" is the claim called a.b.
func (t *Token) Claim(name string) (json.RawMessage, bool) {
	value, ok := t.claim(name)
	if !ok {
		return nil, false
	}
	return json.RawMessage(value), true
}

func (t *Token) claim(name string) (value string, ok bool) {
	if value, standard := t.field(name); standard {
		return value, value != ""
	}
	return strictjson.Lookup(t.claims, name)
}

// standardClaims are the claims that Token has fields for.
var standardClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "username", "scope", "cnf", "acr", "auth_time",
}

// field returns the JSON of a standard claim, "" if its field is zero.
func (t *Token) field(name string) (value string, standard bool) {
	if text, ok := t.text(name); ok {
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

// text returns a standard claim that is a string, "" if its field is zero.
func (t *Token) text(name string) (value string, standard bool) {
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
	// Not claims that a token can make of itself: see where they are declared.
	case MatchTokenHash:
		return t.hash, true
	case MatchTenant:
		return t.Tenant, true
	default:
		return "", false
	}
}

func (c *Confirmation) json(claims []strictjson.Member) string {
	if c == nil {
		return ""
	}
	members := map[string]json.RawMessage{}
	value, _ := strictjson.Lookup(claims, "cnf")
	came, _ := strictjson.Object(value)          // none, if it did not come
	other := make(map[string]bool, len(c.other)) // not a search for each: a server chooses how many there are
	for _, name := range c.other {
		other[name] = true
	}
	for _, m := range came {
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

func quoteString(s string) string {
	if s == "" {
		return ""
	}
	return quoted(s)
}

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

func formatDate(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	if at.Nanosecond() == 0 {
		return strconv.FormatInt(at.Unix(), 10)
	}
	return strconv.FormatFloat(float64(at.Unix())+float64(at.Nanosecond())/1e9, 'f', -1, 64)
}
