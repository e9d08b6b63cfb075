package agilicus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
)

const vendor = "agilicus"

// maxAnswerBytes is large, because a list of tokens is long.
const maxAnswerBytes = 4 << 20

var errNotJWT = errors.New("the token does not have the form of a JWT")

// failed returns the error of an operation. Without an answer, status is 0.
func failed(operation string, status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: vendor, Operation: operation, Status: status, Err: err}
}

func malformed(operation string, status int, err error) error {
	return failed(operation, status, fmt.Errorf("the answer is malformed: %w", err))
}

// api calls the tokens API, for all operations except Introspect.
type api struct {
	base     *url.URL
	bearer   func(ctx context.Context) (oauthz.Secret, error)
	caller   *providers.Caller
	recorder *providers.Recorder
	keep     time.Duration // how long a record is kept; 0: it never expires
}

func newAPI(base *url.URL, cfg *Config) *api {
	return &api{
		base: base, bearer: cfg.BearerToken, recorder: cfg.recorder(), keep: cfg.MaxTokenLifetime,
		caller: providers.NewCaller(providers.CallerConfig{
			Vendor: vendor, HTTPClient: cfg.HTTPClient, MaxAnswerBytes: maxAnswerBytes, Now: cfg.Now,
		}),
	}
}

// endpoint returns the URL of name below /v1/tokens, or of /v1/tokens for "".
func (a *api) endpoint(name string) string { return a.base.JoinPath("v1", "tokens", name).String() }

// call is one request, and the only status that means success.
type call struct {
	operation, method, path string
	query                   url.Values
	body                    any // sent as JSON; nil: none
	bearer                  bool
	want                    int
}

// request returns the request of c, with the API token if c needs it.
func (a *api) request(ctx context.Context, c *call) (*http.Request, error) {
	endpoint := a.endpoint(c.path)
	if len(c.query) > 0 {
		endpoint += "?" + c.query.Encode()
	}
	r, err := providers.NewRequest(ctx, c.method, endpoint, "", c.body)
	if err != nil || !c.bearer {
		return r, err
	}
	if a.bearer == nil {
		return nil, errors.New("the operation needs an API token, and Config.BearerToken is nil")
	}
	token, err := a.bearer(ctx)
	if err != nil || !isVisibleASCII(string(token)) {
		// The error of BearerToken may quote an answer that held a secret.
		return nil, errors.New("the operation needs an API token, and Config.BearerToken returned none")
	}
	r.Header.Set("Authorization", "Bearer "+string(token))
	return r, nil
}

func isVisibleASCII(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7E })
}

// do returns the body of an answer with the status c.want.
func (a *api) do(ctx context.Context, c call) ([]byte, error) {
	r, err := a.request(ctx, &c)
	if err != nil {
		return nil, failed(c.operation, 0, err)
	}
	header, body, err := a.caller.Do(ctx, c.operation, r, c.want)
	if err != nil {
		return nil, err
	}
	if c.want != http.StatusNoContent && !fetch.IsJSON(header) {
		return nil, malformed(c.operation, c.want, errors.New("the content type is not JSON"))
	}
	return body, nil
}

// decode reads an object, which must have the members required, into v. It uses an
// oauthz.Token, which compares the names of members with their case.
func decode(body []byte, v any, required ...string) error {
	members, err := strictjson.Object(string(body))
	if err != nil {
		return err
	}
	for _, name := range required {
		if value, ok := strictjson.Lookup(members, name); !ok || value == "null" {
			return fmt.Errorf("member %s: missing", name)
		}
	}
	t, err := oauthz.ParseToken(body)
	if err != nil {
		return err
	}
	return t.Decode(v)
}

// Token is a token in an answer of Agilicus. A field whose member the answer does not
// have is zero. [oauthz.ClaimsAs] fills a Token too, except IssuedAt, ExpiresAt and
// Audience: those are fields of the [oauthz.Token].
type Token struct {
	ID              string              `json:"jti"`
	Subject         string              `json:"sub"`
	Email           string              `json:"sub_email"`
	Org             string              `json:"org"`
	RootOrg         string              `json:"root_org"`
	Roles           map[string][]string `json:"roles"` // by application; check these for a permission
	Hosts           []HostPermissions   `json:"hosts"`
	Scopes          []string            `json:"scopes"` // an upper bound, not proof of a permission
	Session         string              `json:"session"`
	CreatingSubject string              `json:"creating_sub"`
	CreatingOrg     string              `json:"creating_org"`
	Masquerading    bool                `json:"masquerading"`
	RefreshTokenID  string              `json:"refresh_token_jti"` // only refresh tokens have one
	LastMFA         int64               `json:"last_mfa_time"`     // seconds since 1970; zero if the answer has none

	ResourcePermissions json.RawMessage `json:"resource_permissions"`
	User                json.RawMessage `json:"user"`

	IssuedAt  time.Time `json:"-"` // iat
	ExpiresAt time.Time `json:"-"` // exp
	Audience  []string  `json:"-"` // aud

	isRefreshToken bool // the answer has a refresh_token_jti, which may be empty
}

// HostPermissions holds the permissions of a token for a host. The rules are as
// Agilicus sent them: their form differs between versions of Agilicus.
type HostPermissions struct {
	UpstreamHost string            `json:"upstream_host,omitempty"`
	AllowedList  []json.RawMessage `json:"allowed_list,omitempty"`
}

// readToken reads one Token object twice: as claims, which keep the members of all
// names, and as a Token. The field of a missing member stays zero.
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
	in.isRefreshToken = ok && refresh != "null"
	t.Scopes = scopesOf(in.Scopes) // and not those of a member named scope
	return t, in, nil
}

// normalized returns the object with its times as numbers, because Agilicus sends
// them as strings, and without the members that are null, which count as missing.
func normalized(members []strictjson.Member) ([]byte, error) {
	var b strings.Builder
	for _, m := range members {
		value := m.Value
		if value == "null" {
			continue
		}
		switch m.Name {
		case "exp", "iat", "nbf":
			seconds, err := readTime(value)
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

// readTime reads a string that holds seconds since 1970, or a time of RFC 3339:
// Agilicus does not document which of the two it sends. It returns seconds since 1970.
// A fraction is cut off, so that a token expires early rather than late, and counts
// as issued before a revocation rather than after it.
func readTime(value string) (int64, error) {
	text, err := strictjson.String(value)
	if err != nil {
		return 0, err
	}
	if whole, fraction, _ := strings.Cut(text, "."); isDigits(whole) && (isDigits(fraction) || !strings.Contains(text, ".")) {
		at, err := strictjson.NumericDate(text)
		return at.Unix(), err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil { // the text of err would quote the value
		return 0, errNoTime
	}
	return at.Unix(), nil
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// scopesOf leaves out strings that are not one scope (RFC 6749 §3.3): a route cannot
// require them, and a string with a space would be read as two scopes.
func scopesOf(list []string) oauthz.Scopes {
	var scopes oauthz.Scopes
	for _, s := range list {
		if one, err := oauthz.ParseScopes(s); err == nil && len(one) == 1 && one[0] == s {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// isJWT reports whether s has the form of a JWT: three parts of base64url (RFC 7519
// §3), whose content is not read. Agilicus cannot have issued any other string, which
// is therefore not sent.
func isJWT(s string) bool {
	if len(s) > oauthz.MaxTokenBytes {
		return false
	}
	parts := strings.SplitN(s, ".", 4)
	return len(parts) == 3 && !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
		})
	})
}
