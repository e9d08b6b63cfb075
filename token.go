package oauthz

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Token holds the claims of an access token. The fields of claims that the token
// does not have are zero. The comment of each field names its claim (RFC 7519 §4.1,
// RFC 7662 §2.2, RFC 9068 §2.2).
//
// The Token that a handler receives is its own copy. The Token that an
// [Introspector] returns may be shared, so its users must only read it. A Token is
// safe for concurrent use as long as no goroutine changes it.
type Token struct {
	ID        string // jti
	Issuer    string // iss
	Subject   string // sub
	ClientID  string // client_id
	SessionID string // sid
	Username  string // username
	Tenant    string // the customer that the client acts for, if the introspector sets it; not read from a claim
	ACR       string // acr: the authentication context class of the login

	Audience []string // aud
	Scopes   Scopes   // scope; scp if there is no scope

	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf
	ExpiresAt time.Time // exp
	AuthTime  time.Time // auth_time: when the user logged in

	Confirmation *Confirmation // cnf; nil for a bearer token

	claims  []strictjson.Member // all claims, as they were parsed
	verdict Verdict
}

// Confirmation names the key that a token is bound to (RFC 7800 §3.1).
type Confirmation struct {
	JWKThumbprint  string // jkt, RFC 9449 §6.1
	CertThumbprint string // x5t#S256, RFC 8705 §3.1

	other []string // the names of all other members
}

// Methods returns the names of the members of cnf, also of those that this package
// does not know. A Guard accepts the token only if each of them is confirmed.
func (c *Confirmation) Methods() []string {
	var methods []string
	if c.JWKThumbprint != "" {
		methods = append(methods, "jkt")
	}
	if c.CertThumbprint != "" {
		methods = append(methods, "x5t#S256")
	}
	return append(methods, c.other...)
}

// ParseToken parses claims: the payload of a JWT (RFC 7519 §4), or an answer of an
// introspection endpoint (RFC 7662 §2.2). It is strict. The input must be one JSON
// object in valid UTF-8, in which no name occurs twice at any depth; names are
// compared exactly, with case; and each standard claim must have the right type.
//
// A claim that is missing leaves its field zero. The caller decides whether the
// claim may be missing. The caller also decides the meaning of an error: a bad
// token, or a server that sends malformed answers.
//
// An acr or auth_time of the wrong type is left out and not refused: a route that
// requires it then requests a new login. A scope that is not in the grammar of RFC
// 6749 §3.3 is left out too, because no route can require it.
func ParseToken(claims []byte) (*Token, error) {
	document := string(claims)
	members, err := strictjson.Object(document)
	if err != nil {
		return nil, fmt.Errorf("oauthz: claims: %w", err)
	}
	compact(document, members)
	t := &Token{claims: members}
	for i := range members {
		if err := t.set(members[i].Name, members[i].Value); err != nil {
			return nil, fmt.Errorf("oauthz: claim %s: %w", members[i].Name, err)
		}
	}
	if _, ok := strictjson.Lookup(members, "scope"); !ok {
		if err := t.setSCP(); err != nil {
			return nil, fmt.Errorf("oauthz: claim scp: %w", err)
		}
	}
	return t, nil
}

// set sets the field of a standard claim. Its errors do not contain the value.
func (t *Token) set(name, value string) (err error) {
	switch name {
	case "iss":
		t.Issuer, err = strictjson.String(value)
	case "sub":
		t.Subject, err = subjectOf(value)
	case "aud":
		t.Audience, err = stringOrStrings(value)
	case "exp":
		t.ExpiresAt, err = strictjson.NumericDate(value)
	case "nbf":
		t.NotBefore, err = strictjson.NumericDate(value)
	case "iat":
		t.IssuedAt, err = strictjson.NumericDate(value)
	case "jti":
		t.ID, err = strictjson.String(value)
	case "client_id":
		t.ClientID, err = strictjson.String(value)
	case "sid":
		t.SessionID, err = strictjson.String(value)
	case "username":
		t.Username, err = strictjson.String(value)
	case "scope":
		t.Scopes, err = scopesOf(value)
	case "cnf":
		t.Confirmation, err = parseConfirmation(value)
	case "acr":
		t.ACR, _ = strictjson.String(value)
	case "auth_time":
		t.AuthTime, _ = strictjson.NumericDate(value)
	}
	return err
}

// subjectOf returns the subject. It refuses an empty one: all users of a faulty issuer would share it.
func subjectOf(value string) (string, error) {
	subject, err := strictjson.String(value)
	if err == nil && subject == "" {
		err = errors.New("empty")
	}
	return subject, err
}

// scopesOf returns the scopes. A null grants no scope, so it need not be refused here.
func scopesOf(value string) ([]string, error) {
	if value == "null" {
		return nil, nil
	}
	scope, err := strictjson.String(value)
	scopes, _ := splitScopes(scope)
	return scopes, err
}

// setSCP reads the claim scp, which some servers send in place of scope, as a string
// or as an array.
func (t *Token) setSCP() error {
	value, ok := strictjson.Lookup(t.claims, "scp")
	if !ok {
		return nil
	}
	list, err := stringOrStrings(value)
	if err != nil {
		return err
	}
	if value[0] == '"' {
		t.Scopes, _ = splitScopes(list[0])
		return nil
	}
	list = slices.DeleteFunc(list, func(s string) bool { return !isScopeToken(s) })
	t.Scopes = list[:min(len(list), maxScopes)]
	return nil
}

// stringOrStrings returns the strings of a value that is a string or an array of
// strings.
func stringOrStrings(value string) ([]string, error) {
	if s, err := strictjson.String(value); err == nil {
		return []string{s}, nil
	}
	return strictjson.Strings(value)
}

// parseConfirmation parses cnf (RFC 7800 §3.1). A known member that is malformed is an
// error, and an unknown member is kept by its name: in both cases the token is
// refused.
func parseConfirmation(value string) (*Confirmation, error) {
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, err
	}
	c := &Confirmation{}
	for _, m := range members {
		switch m.Name {
		case "jkt":
			c.JWKThumbprint, err = thumbprint(m.Value)
		case "x5t#S256":
			c.CertThumbprint, err = thumbprint(m.Value)
		default:
			c.other = append(c.other, m.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Clone returns a copy of t. A change of one does not change the other.
func (t *Token) Clone() *Token {
	out := new(Token)
	t.copyTo(out)
	return out
}

// copyTo copies t to out as Clone does. The two lists of the copy share one
// allocation, but each has its capacity clipped: an append to one list does not
// overwrite the other.
func (t *Token) copyTo(out *Token) {
	*out = *t
	list := make([]string, len(t.Audience)+len(t.Scopes))
	out.Audience, list = copyInto(t.Audience, list)
	scopes, _ := copyInto(t.Scopes, list)
	out.Scopes = scopes
	if t.Confirmation != nil {
		c := *t.Confirmation
		out.Confirmation = &c
	}
}

// copyInto copies from to the front of list. It returns the copy and the rest of list.
func copyInto(from, list []string) (copied, rest []string) {
	if from == nil {
		return nil, list
	}
	n := copy(list, from)
	return list[:n:n], list[n:]
}

// thumbprint returns a string that is not empty. An empty thumbprint would look like
// a token that is not bound to a key.
func thumbprint(value string) (string, error) {
	s, err := strictjson.String(value)
	if err == nil && s == "" {
		err = errors.New("empty")
	}
	return s, err
}
