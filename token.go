package oauthz

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Token is what an access token says. Fields that the token does not name are
// zero. The names in brackets are those of the claims (RFC 7519 §4.1, RFC 7662
// §2.2, RFC 9068 §2.2).
//
// A handler's Token is its own copy. One that an [Introspector] returned may be
// shared, and is only read.
type Token struct {
	ID        string // jti
	Issuer    string // iss
	Subject   string // sub
	ClientID  string // client_id
	SessionID string // sid
	Username  string // username
	Tenant    string // the customer acted for, where the introspector knows it
	ACR       string // acr: how the user logged in

	Audience []string // aud
	Scopes   Scopes   // scope, or else scp

	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf
	ExpiresAt time.Time // exp
	AuthTime  time.Time // auth_time: when the user logged in

	Confirmation *Confirmation // cnf; nil for a bearer token

	claims []strictjson.Member // as they came
	until  time.Time           // how long the verdict may be kept
	live   func() bool         // whether it still stands
	hash   string              // TokenHash; empty unless a server was asked about it
}

// Confirmation says to which key a token is bound (RFC 7800 §3.1).
type Confirmation struct {
	JWKThumbprint  string // jkt, RFC 9449 §6.1
	CertThumbprint string // x5t#S256, RFC 8705 §3.1

	other []string
}

// Methods returns the names of the members, known or not: each must be
// confirmed before the token is accepted.
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

// ParseToken reads claims: the payload of a JWT, or an answer of an
// introspection endpoint. It is strict: one JSON object with no member twice at
// any depth, no folding of names, valid UTF-8, and each of the claims that
// decide something of the right type. What is missing stays zero; whether it
// may be missing is for the caller to say, and so is what the error means: a
// bad token, or a server that answers nonsense.
//
// An acr or auth_time of the wrong type is left out rather than refused: the
// route that needs it then asks for a new login. A scope that is not within the
// grammar of RFC 6749 §3.3 is left out too: no route can require it.
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

// set fills the field of a standard claim. Its errors name no value.
func (t *Token) set(name, value string) (err error) {
	switch name {
	case "iss":
		t.Issuer, err = strictjson.String(value)
	case "sub":
		// An empty subject is one that all users of a broken issuer share.
		if t.Subject, err = strictjson.String(value); err == nil && t.Subject == "" {
			err = errors.New("empty")
		}
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
		if value == "null" { // grants nothing, and needs no other reason to be refused
			return nil
		}
		var scope string
		scope, err = strictjson.String(value)
		t.Scopes, _ = splitScopes(scope)
	case "cnf":
		t.Confirmation, err = parseConfirmation(value)
	case "acr":
		t.ACR, _ = strictjson.String(value)
	case "auth_time":
		t.AuthTime, _ = strictjson.NumericDate(value)
	}
	return err
}

// setSCP reads the claim that some servers send in place of scope, as a string
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

func stringOrStrings(value string) ([]string, error) {
	if s, err := strictjson.String(value); err == nil {
		return []string{s}, nil
	}
	return strictjson.Strings(value)
}

// parseConfirmation reads cnf (RFC 7800 §3.1). A member that cannot be read is
// an error, and one that is not known is kept by name: both end in a refusal.
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

// Clone returns a copy that shares nothing that can be changed.
func (t *Token) Clone() *Token {
	out := new(Token)
	t.copyTo(out)
	return out
}

// copyTo is Clone without an allocation of its own but for the lists, which
// share one, each to its own end: what is appended to one reaches no other.
func (t *Token) copyTo(out *Token) {
	*out = *t
	list := make([]string, len(t.Audience)+len(t.Scopes))
	out.Audience, list = moved(t.Audience, list)
	scopes, _ := moved(t.Scopes, list)
	out.Scopes = scopes
	if t.Confirmation != nil {
		c := *t.Confirmation
		out.Confirmation = &c
	}
}

// moved copies from to the front of list, and returns the copy and the rest.
func moved(from, list []string) (copied, rest []string) {
	if from == nil {
		return nil, list
	}
	n := copy(list, from)
	return list[:n:n], list[n:]
}

// thumbprint refuses an empty one: it would pass for no binding at all.
func thumbprint(value string) (string, error) {
	s, err := strictjson.String(value)
	if err == nil && s == "" {
		err = errors.New("empty")
	}
	return s, err
}

// WithValidity is for introspectors. It returns t with how long the verdict may
// be remembered, and with a function that says whether it still stands: a
// cache never serves one that is not live. Take live before verifying, from
// what verifies: the key set that will check the signature is the one that must
// still stand.
//
// A zero until means ExpiresAt. One that is later than ExpiresAt is the leeway
// of the introspector, and the [Guard] grants it, up to [MaxLeeway]. A nil live
// means that the verdict stands until then.
func (t *Token) WithValidity(until time.Time, live func() bool) *Token {
	t.until, t.live = until, live
	return t
}

// WithLeeway is for introspectors that remember nothing of their own. It returns
// t with a verdict that may be relied on for so long beyond ExpiresAt, unless
// [Token.WithValidity] has said how long.
func (t *Token) WithLeeway(leeway time.Duration) *Token {
	if t.until.IsZero() && !t.ExpiresAt.IsZero() {
		t.until = t.ExpiresAt.Add(leeway)
	}
	return t
}

// Validity returns what [Token.WithValidity] set: when the verdict ends (zero:
// never, as far as the token goes), and whether it stands now.
func (t *Token) Validity() (until time.Time, live bool) {
	until = t.until
	if until.IsZero() {
		until = t.ExpiresAt
	}
	return until, t.live == nil || t.live()
}

// Expired says whether the token is over, whatever an introspector said. It grants
// what [Token.WithValidity] or [Token.WithLeeway] did, up to [MaxLeeway].
func (t *Token) Expired(now time.Time) bool {
	if t.ExpiresAt.IsZero() {
		return false
	}
	end := t.ExpiresAt
	if t.until.After(end) {
		end = t.until
		if latest := t.ExpiresAt.Add(MaxLeeway); end.After(latest) {
			end = latest
		}
	}
	return !now.Before(end)
}
