package gusto

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// request is one call of the API.
type request struct {
	operation, method, path string
	bearer                  string            // the credential, if not empty
	body                    map[string]string // sent as JSON, if not nil
	want                    int               // the status of success
}

// call sends one request, once: not every request may be sent twice.
func (c *Client) call(ctx context.Context, q request) (http.Header, []byte, error) {
	r, err := c.newRequest(ctx, q.method, c.cfg.BaseURL+q.path, q.bearer, q.body)
	if err != nil {
		return nil, nil, failed(q.operation, 0, err)
	}
	return c.caller.Do(ctx, q.operation, r, q.want)
}

// newRequest returns a request whose only credentials are bearer and body.
func (c *Client) newRequest(ctx context.Context, method, url, bearer string, body map[string]string) (*http.Request, error) {
	var content any // without a body: nil, and not an interface that holds a nil map
	if body != nil {
		content = body
	}
	r, err := providers.NewRequest(ctx, method, url, oauthz.Secret(bearer), content)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Gusto-API-Version", c.cfg.APIVersion)
	return r, nil
}

// isPage reports whether body is an HTML page of a proxy on the way, such as a login
// page: it is not an answer about the token.
func isPage(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// Why an answer with a good status is malformed.
var (
	errNotJSON   = errors.New("the answer is not JSON")
	errMalformed = errors.New("a required member of the answer is missing, or has the wrong type")
)

// readTokenInfo requires the members that were required when the API was published:
// without them, any JSON object would be an active token.
func readTokenInfo(header http.Header, body []byte) (*TokenInfo, error) {
	members, err := readObject(header, body)
	if err != nil {
		return nil, err
	}
	scope, _ := strictjson.Lookup(members, "scope")
	resource, _ := strictjson.Lookup(members, "resource") // may be null, but must not be missing: see readEntity
	owner, _ := strictjson.Lookup(members, "resource_owner")
	if _, err := strictjson.String(scope); err != nil {
		return nil, errMalformed
	}
	info := &TokenInfo{Scopes: readScopes(scope), RateLimit: readRateLimit(header)}
	if info.Resource, err = readEntity(resource); err != nil {
		return nil, err
	}
	if info.ResourceOwner, err = readEntity(owner); err != nil {
		return nil, err
	}
	return info, nil
}

func readObject(header http.Header, body []byte) ([]strictjson.Member, error) {
	if !fetch.IsJSON(header) {
		return nil, errNotJSON
	}
	members, err := strictjson.Object(string(body))
	if err != nil {
		return nil, errNotJSON
	}
	return members, nil
}

// readEntity reads an object, or null. The value of a missing member is "", which is
// neither.
func readEntity(value string) (*Entity, error) {
	if value == "null" {
		return nil, nil
	}
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, errMalformed
	}
	typ, _ := strictjson.Lookup(members, "type")
	uuid, _ := strictjson.Lookup(members, "uuid")
	e := &Entity{}
	e.Type, _ = strictjson.String(typ) // "" if it is not a string
	e.UUID, _ = strictjson.String(uuid)
	// If Type held a slash, two entities could have the same name.
	if e.Type == "" || e.UUID == "" || strings.Contains(e.Type, "/") {
		return nil, errMalformed
	}
	return e, nil
}

// readScopes leaves out the scopes that a route cannot require, as ParseToken does.
func readScopes(scope string) oauthz.Scopes {
	t, err := oauthz.ParseToken([]byte(`{"scope":` + scope + `}`))
	if err != nil {
		return nil
	}
	return t.Scopes
}

func readAuthentication(header http.Header, body []byte) (*Authentication, error) {
	members, err := readObject(header, body)
	if err != nil {
		return nil, err
	}
	text := func(name string) string {
		value, ok := strictjson.Lookup(members, name)
		if !ok || value == "null" {
			return ""
		}
		s, typeErr := strictjson.String(value)
		if typeErr != nil {
			err = errMalformed
		}
		return s
	}
	a := &Authentication{
		AccessToken: oauthz.Secret(text("access_token")), RefreshToken: oauthz.Secret(text("refresh_token")), TokenType: text("token_type"),
	}
	if text("scope") != "" {
		scope, _ := strictjson.Lookup(members, "scope")
		a.Scopes = readScopes(scope)
	}
	if err != nil || !remote.VisibleASCII(string(a.AccessToken)) {
		return nil, errMalformed
	}
	// A client must not use a token whose type it does not support (RFC 6749 §7.1).
	if strings.EqualFold(a.TokenType, "Bearer") {
		a.TokenType = "Bearer"
	} else if a.TokenType != "" {
		return nil, errMalformed
	}
	if a.ExpiresIn, err = readSeconds(members); err != nil {
		return nil, err
	}
	a.CreatedAt, err = readCreatedAt(members)
	return a, err
}

func readSeconds(members []strictjson.Member) (time.Duration, error) {
	value, ok := strictjson.Lookup(members, "expires_in")
	if !ok || value == "null" {
		return 0, nil
	}
	seconds, err := strictjson.Number(value)
	if err != nil || seconds < 0 || seconds > math.MaxInt32 {
		return 0, errMalformed
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// readCreatedAt reads seconds since 1970, as a number, or as a string, which the
// documentation once named; or a date. It returns the zero time for a string that it
// cannot read, so that the tokens beside it are not lost.
func readCreatedAt(members []strictjson.Member) (time.Time, error) {
	value, ok := strictjson.Lookup(members, "created_at")
	if !ok || value == "null" {
		return time.Time{}, nil
	}
	s, err := strictjson.String(value)
	if err != nil {
		at, err := strictjson.NumericDate(value)
		if err != nil {
			return time.Time{}, errMalformed
		}
		return at, nil
	}
	if _, err := strconv.ParseUint(s, 10, 63); err == nil {
		at, _ := strictjson.NumericDate(s) // the zero time if it is out of range
		return at, nil
	}
	at, _ := time.Parse(time.RFC3339, s)
	return at, nil
}

// RateLimit is the limit of calls for the token that was sent: 200 in 60 seconds, for
// each application and user. A field is zero if the answer does not have it.
type RateLimit struct {
	Limit, Remaining int
	Reset            time.Time
}

// resetLayout is the time format of Gusto, such as 2025-07-08 15:35:40 -0700.
const resetLayout = "2006-01-02 15:04:05 -0700"

func readRateLimit(h http.Header) RateLimit {
	var limit RateLimit
	limit.Limit = readCount(h.Get("X-RateLimit-Limit"))
	limit.Remaining = readCount(h.Get("X-RateLimit-Remaining"))
	if reset, err := time.Parse(resetLayout, h.Get("X-RateLimit-Reset")); err == nil {
		limit.Reset = reset
	}
	return limit
}

func readCount(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
