package polar

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

const vendor = "polar"

var errNotAccessToken = errors.New("the token does not have the form of an access token of Polar")

// failed returns the error of an operation. Without an answer, status is 0.
func failed(operation string, status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: vendor, Operation: operation, Status: status, Err: err}
}

func malformed(operation string, err error) error {
	return failed(operation, http.StatusOK, fmt.Errorf("the answer is malformed: %w", err))
}

// api calls the endpoints of Polar, for all operations except Introspect.
type api struct {
	base             *url.URL
	basic, tokenAuth remote.ClientAuth
	caller           *providers.Caller
	recorder         *providers.Recorder
	keep             time.Duration // how long a record is kept; 0: it never expires
}

func newAPI(base *url.URL, basic, tokenAuth remote.ClientAuth, cfg *Config) *api {
	return &api{
		base: base, basic: basic, tokenAuth: tokenAuth, recorder: cfg.recorder(), keep: cfg.MaxTokenLifetime,
		caller: providers.NewCaller(providers.CallerConfig{Vendor: vendor, HTTPClient: cfg.HTTPClient, Now: cfg.Now}),
	}
}

func (a *api) endpoint(name string) string { return a.base.JoinPath("v1", "oauth2", name).String() }

// post sends a form with our credentials.
func (a *api) post(ctx context.Context, name string, auth remote.ClientAuth, form url.Values) ([]byte, error) {
	header := http.Header{}
	if err := auth.Apply(ctx, &http.Request{Header: header}, form); err != nil {
		return nil, failed(name, 0, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint(name), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, failed(name, 0, providers.ErrNoRequest)
	}
	r.Header = header
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(ctx, name, r)
}

// do returns the body of a 200.
func (a *api) do(ctx context.Context, operation string, r *http.Request) ([]byte, error) {
	header, body, err := a.caller.Do(ctx, operation, r, http.StatusOK)
	if err != nil {
		return nil, err
	}
	if !fetch.IsJSON(header) {
		return nil, malformed(operation, errors.New("the content type is not JSON"))
	}
	return body, nil
}

// answer reads the members of a JSON object, and keeps the first error. The error
// names the member by a constant of ours, so that it quotes nothing of the answer.
type answer struct {
	members []strictjson.Member
	err     error
}

func readAnswer(body []byte) *answer {
	members, err := strictjson.Object(string(body))
	return &answer{members, err}
}

// has reports whether there is a member of that name that is not null.
func (a *answer) has(name string) bool {
	value, ok := strictjson.Lookup(a.members, name)
	return ok && value != "null"
}

// value returns the value of a required member.
func (a *answer) value(name string) string {
	value, ok := strictjson.Lookup(a.members, name)
	if !ok {
		a.check(name, errors.New("missing"))
	}
	return value
}

// check keeps err, unless it is nil or not the first error.
func (a *answer) check(name string, err error) {
	if a.err == nil && err != nil {
		a.err = fmt.Errorf("member %s: %w", name, err)
	}
}

// text returns a required string that must not be empty.
func (a *answer) text(name string) string {
	s, err := strictjson.String(a.value(name))
	if err == nil && s == "" {
		err = errors.New("empty")
	}
	a.check(name, err)
	return s
}

// optional returns a string, or "" if the member is missing or null.
func (a *answer) optional(name string) string {
	if !a.has(name) {
		return ""
	}
	s, err := strictjson.String(a.value(name))
	a.check(name, err)
	return s
}

// boolean returns a required boolean: exactly true or false.
func (a *answer) boolean(name string) bool {
	value := a.value(name)
	if value != "true" && value != "false" {
		a.check(name, strictjson.ErrType)
	}
	return value == "true"
}

// list returns a required array of strings.
func (a *answer) list(name string) []string {
	list, err := strictjson.Strings(a.value(name))
	a.check(name, err)
	return list
}

// oneOrMore returns a required string, or array of strings (RFC 7519 §4.1.3).
func (a *answer) oneOrMore(name string) []string {
	if s, err := strictjson.String(a.value(name)); err == nil {
		return []string{s}
	}
	return a.list(name)
}

// date returns a required NumericDate (RFC 7519 §2).
func (a *answer) date(name string) time.Time {
	at, err := strictjson.NumericDate(a.value(name))
	a.check(name, err)
	return at
}

// seconds returns a required lifetime, at most a hundred years: a larger number would
// overflow a Duration.
func (a *answer) seconds(name string) time.Duration {
	const longest = 100 * 366 * 24 * 3600
	n, err := strictjson.Number(a.value(name))
	if err == nil && n < 0 {
		err = strictjson.ErrType
	}
	a.check(name, err)
	return time.Duration(min(max(n, 0), longest) * float64(time.Second))
}

// The form of Polar's secrets: a prefix that names the kind, 37 random letters and
// digits, and a checksum, which is the CRC-32 (IEEE) of these 37 in base 62, the most
// significant digit first, with leading zeros up to 6 digits. The checksum does not
// cover the prefix.
const (
	randomChars   = 37
	checksumChars = 6
	base62        = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// isAccessToken reports whether Polar can have issued s as an access token. Other
// strings are not sent: Polar answers 500 to a string that is not ASCII, and a token
// of another server must not reach Polar.
func isAccessToken(s string) bool { return hasForm(s, "polar_at_u_", "polar_at_o_") }

func isRefreshToken(s string) bool { return hasForm(s, "polar_rt_u_", "polar_rt_o_") }

func hasForm(s string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if body, ok := strings.CutPrefix(s, prefix); ok {
			return hasChecksum(body)
		}
	}
	return false
}

func hasChecksum(body string) bool {
	if len(body) != randomChars+checksumChars {
		return false
	}
	random, sum := body[:randomChars], body[randomChars:]
	if strings.Trim(random, base62) != "" { // Trim stops at any other character
		return false
	}
	return sum == checksum(random)
}

func checksum(random string) string {
	var digits [checksumChars]byte
	rest := crc32.ChecksumIEEE([]byte(random))
	for i := range digits {
		digits[len(digits)-1-i] = base62[rest%62]
		rest /= 62
	}
	return string(digits[:])
}
