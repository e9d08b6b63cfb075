package affix

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

const introspectPath = "/2023-03-01/management/introspect"

// Introspect asks Affix about token. Subject is mode/provider, which is no user;
// ClientID is whom the token was issued to, one of Config.ClientIDs; Scopes are
// those of the answer, but for what no route can require (RFC 6749 §3.3); Issuer
// is the BaseURL. Claim and Decode see the answer as it came,
// without the members that are null.
//
// A 401, 403 or 404 is a refusal, for this endpoint says them of the token.
// Every other answer that is not a whole and correct 200 is a fault.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	return c.introspector.Introspect(ctx, token)
}

// Inspection is what Affix says of a token.
type Inspection struct {
	ClientID string   // whom it was issued to
	Mode     string   // official or xhr; developer in old documents
	Provider string   // of the connection
	Scopes   []string // as they came
}

// Inspect returns what Affix says of token, as it says it: it may be the token
// of another client. It fails with a *[providers.OperationError]; if that matches
// oauthz.ErrInvalidToken, the token is dead.
func (c *Client) Inspect(ctx context.Context, token string) (*Inspection, error) {
	switch {
	case token == "":
		return nil, failed(0, fmt.Errorf("%w: the token is empty", providers.ErrNoCredential))
	case !remote.VisibleASCII(token):
		return nil, failed(0, oauthz.ErrUnrecognized)
	}
	r, err := request(ctx, c.cfg.BaseURL+introspectPath, token)
	if err != nil {
		return nil, failed(0, err)
	}
	answer, err := c.http.Do(ctx, r)
	if err != nil {
		return nil, failed(0, fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err))
	}
	e := failed(answer.Status, nil)
	switch {
	case answer.Status == http.StatusOK:
		inspection, _, err := read(answer.Header, answer.Body)
		if err != nil {
			e.Err = err
			return nil, e
		}
		return inspection, nil
	case isDead(answer.Status, answer.Body):
		e.Err = oauthz.ErrInactive
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		e.Err = oauthz.ErrUnavailable
		e.RetryAfter, _ = answer.RetryAfter(c.cfg.Now())
	}
	return nil, e
}

// failed is Inspect's error. The status is 0 if there was no answer.
func failed(status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: "affix", Operation: "introspect", Status: status, Err: err}
}

// request makes a request that the token is the only credential of.
func request(ctx context.Context, place, token string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return nil, errors.New("the URL is none") // err quotes it
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	return r, nil
}

// dialect is how remote asks.
type dialect struct{ client *Client }

func (dialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	r, err := request(ctx, endpoint.String(), token)
	return r, nil, err
}

func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch {
	case r.StatusCode == http.StatusOK:
	case isDead(r.StatusCode, body):
		return nil, fmt.Errorf("%w: affix: introspect: status %d", oauthz.ErrInactive, r.StatusCode)
	default:
		return nil, remote.Fault("affix: introspect: the endpoint refuses our request", r.StatusCode)
	}
	inspection, scopes, err := read(r.Header, body)
	if err != nil {
		return nil, remote.Fault("affix: introspect: "+err.Error(), r.StatusCode)
	}
	cfg := &d.client.cfg
	if !cfg.InsecureAnyClient && !slices.Contains(cfg.ClientIDs, inspection.ClientID) {
		return nil, remote.Refusal("affix: introspect: the token was issued to another client")
	}
	claims, _ := strictjson.WithoutNulls(string(body)) // an object, as has been checked
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, remote.Fault("affix: introspect: the answer has a claim of the wrong type", r.StatusCode)
	}
	t.Subject, t.Scopes = inspection.Mode+"/"+inspection.Provider, scopes
	t.Issuer = "" // remote sets it
	return t, nil
}

// isDead: the statuses that say it of the token, in an answer of Affix's own,
// which has a message, and for 404 an id too. Anything else with such a status
// is of a proxy on the way, or of a wrong BaseURL: it must not refuse everybody.
func isDead(status int, body []byte) bool {
	want := []string{"message"}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
	case http.StatusNotFound:
		want = append(want, "id")
	default:
		return false
	}
	members, _ := strictjson.Object(string(body)) // none, if it is no object
	return !slices.ContainsFunc(want, func(name string) bool {
		value, _ := strictjson.Lookup(members, name)
		_, err := strictjson.String(value)
		return err != nil
	})
}

// The reasons that an answer with a good status is none.
var (
	errNotJSON  = errors.New("the answer is not JSON")
	errNonsense = errors.New("a required member of the answer is missing, or of the wrong type")
)

// read demands all members that the API promises: without them, any JSON object
// would be an active token. Their values are not compared with the published
// lists, which the vendor's own examples do not keep to.
func read(header http.Header, body []byte) (*Inspection, oauthz.Scopes, error) {
	if !fetch.IsJSON(header) {
		return nil, nil, errNotJSON
	}
	members, err := strictjson.Object(string(body))
	if err != nil {
		return nil, nil, errNotJSON
	}
	i := &Inspection{}
	for _, required := range []struct {
		name string
		into *string
	}{{"client_id", &i.ClientID}, {"mode", &i.Mode}, {"provider", &i.Provider}} {
		value, _ := strictjson.Lookup(members, required.name)
		if *required.into, _ = strictjson.String(value); *required.into == "" { // or no string
			return nil, nil, errNonsense
		}
	}
	value, _ := strictjson.Lookup(members, "scopes")
	if i.Scopes, err = strictjson.Strings(value); err != nil || strings.Contains(i.Mode, "/") { // mode/provider must have one reading
		return nil, nil, errNonsense
	}
	// An array under this name loses what no route can require, and no more.
	t, err := oauthz.ParseToken([]byte(`{"scp":` + value + `}`))
	if err != nil {
		return nil, nil, errNonsense
	}
	return i, t.Scopes, nil
}
