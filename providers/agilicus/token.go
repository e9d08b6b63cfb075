package agilicus

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// Token is what Agilicus says of a token. What an answer leaves out is zero. It
// also fits [oauthz.ClaimsAs], which fills all but IssuedAt, ExpiresAt and
// Audience: those are fields of the oauthz.Token.
type Token struct {
	ID              string              `json:"jti"`
	Subject         string              `json:"sub"`
	Email           string              `json:"sub_email"`
	Org             string              `json:"org"`
	RootOrg         string              `json:"root_org"`
	Roles           map[string][]string `json:"roles"` // by application: what authorizes
	Hosts           []HostPermissions   `json:"hosts"`
	Scopes          []string            `json:"scopes"` // an upper bound, no proof of a permission
	Session         string              `json:"session"`
	CreatingSubject string              `json:"creating_sub"`
	CreatingOrg     string              `json:"creating_org"`
	Masquerading    bool                `json:"masquerading"`
	RefreshTokenID  string              `json:"refresh_token_jti"` // of refresh tokens alone
	LastMFA         int64               `json:"last_mfa_time"`     // seconds since 1970; zero: not said

	ResourcePermissions json.RawMessage `json:"resource_permissions"`
	User                json.RawMessage `json:"user"`

	IssuedAt  time.Time `json:"-"` // iat
	ExpiresAt time.Time `json:"-"` // exp
	Audience  []string  `json:"-"` // aud

	refresh bool // there is a refresh_token_jti, be it empty
}

// HostPermissions says what a token may do with a host. The rules are as they
// came: their shape differs between versions of Agilicus.
type HostPermissions struct {
	UpstreamHost string            `json:"upstream_host,omitempty"`
	AllowedList  []json.RawMessage `json:"allowed_list,omitempty"`
}

// readToken reads one Token object, twice: as claims, where the members of all
// names stay, and as a Token. What is missing stays zero.
func readToken(doc string) (*oauthz.Token, *Token, error) {
	members, err := strictjson.Object(doc)
	if err != nil {
		return nil, nil, err
	}
	claims, err := normalized(members)
	if err != nil {
		return nil, nil, err
	}
	t, err := oauthz.ParseToken(claims)
	if err != nil {
		return nil, nil, err
	}
	in := &Token{}
	if err := t.Decode(in); err != nil {
		return nil, nil, err
	}
	in.IssuedAt, in.ExpiresAt, in.Audience = t.IssuedAt, t.ExpiresAt, slices.Clone(t.Audience)
	refresh, ok := strictjson.Lookup(members, "refresh_token_jti")
	in.refresh = ok && refresh != "null"
	t.Scopes = scopesOf(in.Scopes) // and not what a member called scope says
	return t, in, nil
}

// normalized returns the object with its times as numbers, which are strings on
// the wire, and without the members that are null, which count as absent.
func normalized(members []strictjson.Member) ([]byte, error) {
	var b strings.Builder
	for _, m := range members {
		value := m.Value
		if value == "null" {
			continue
		}
		switch m.Name {
		case "exp", "iat", "nbf":
			seconds, err := epoch(value)
			if err != nil {
				return nil, fmt.Errorf("member %s: %w", m.Name, err)
			}
			value = strconv.FormatInt(seconds, 10)
		}
		name, _ := json.Marshal(m.Name) // a string always marshals
		b.WriteByte(',')
		b.Write(name)
		b.WriteByte(':')
		b.WriteString(value)
	}
	return []byte("{" + strings.TrimPrefix(b.String(), ",") + "}"), nil
}

var errNoTime = errors.New("neither seconds since 1970 in a string nor RFC 3339")

// epoch reads a time that is a string: of seconds since 1970, or RFC 3339. Which
// of the two Agilicus sends it does not say. A fraction is cut off: a token is
// over rather sooner than later, and issued rather before a revocation than after.
func epoch(value string) (int64, error) {
	text, err := strictjson.String(value)
	if err != nil {
		return 0, err
	}
	if whole, fraction, _ := strings.Cut(text, "."); isDigits(whole) && (isDigits(fraction) || !strings.Contains(text, ".")) {
		at, err := strictjson.NumericDate(text)
		return at.Unix(), err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil { // whose text would quote the value
		return 0, errNoTime
	}
	return at.Unix(), nil
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// scopesOf leaves out what is no scope (RFC 6749 §3.3): no route can require it,
// and one with a space in it would be taken for two.
func scopesOf(list []string) oauthz.Scopes {
	var scopes oauthz.Scopes
	for _, s := range list {
		if one, err := oauthz.ParseScopes(s); err == nil && len(one) == 1 && one[0] == s {
			scopes = append(scopes, s)
		}
	}
	return scopes
}
