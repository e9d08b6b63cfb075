package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// canary is a part of every token, secret and cause that must not appear in an answer.
const canary = "canary-7f3a"

// canaryRequests returns requests with canary in every place that a client controls.
func canaryRequests() map[string]*http.Request {
	form := func(body string, authorization ...string) *http.Request {
		return credentialed(body, authorization...)()
	}
	query := form("&x="+canary, basicHeader(canary, canary))
	query.URL.RawQuery = "token=" + canary + "&" + canary
	odd := form("&x=1", basicHeader(canary, canary))
	odd.Header.Set("Content-Type", "application/"+canary)
	method := form("", basicHeader(canary, canary))
	method.Method = canary
	accept := form("", basicHeader(canary, canary))
	accept.Header.Set("Accept", signedType+";q="+canary)
	token := postRaw("token=" + canary)
	token.Header.Set("Authorization", basicHeader(canary, canary))
	return map[string]*http.Request{
		"token":            token,
		"basic":            form("&x="+canary, basicHeader(canary, canary)),
		"post":             form("&client_id=" + canary + "&client_secret=" + canary),
		"both":             form("&client_id="+canary+"&client_secret="+canary, basicHeader(canary, canary)),
		"bearer":           form("", "Bearer "+canary),
		"no scheme":        form("", canary),
		"not encoded":      form("", basicHeader(canary, canary+"%zz")),
		"malformed":        form("&%zz"+canary+"="+canary, basicHeader(canary, canary)),
		"repeated":         form("&"+canary+"=1&"+canary+"="+canary, basicHeader(canary, canary)),
		"too large":        form("&x="+strings.Repeat(canary, 10000), basicHeader(canary, canary)),
		"query":            query,
		"content type":     odd,
		"method":           method,
		"accept":           accept,
		"another client":   form("&client_id="+canary+"2", basicHeader(canary, canary)),
		"no token":         postRaw("x=" + canary),
		"token type hints": form("&token_type_hint="+canary, basicHeader(canary, canary)),
	}
}

// canaryError has canary in its text, like an error of a third-party HTTP client.
var canaryError = &url.Error{Op: "Post", URL: "https://" + canary, Err: errors.New(canary)}

// No answer and no reported error contains a byte of a token or a secret. No answer
// contains a byte of a cause, regardless of the hook that fails and how it fails.
func TestNoAnswerLeaksSecrets(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"good":      func() error { return nil },
		"refused":   func() error { return oauthz.ErrInvalidToken },
		"fault":     func() error { return canaryError },
		"a status":  func() error { return &oauthz.Error{Status: 503, Code: canary, Description: canary, Err: canaryError} },
		"no status": func() error { return &oauthz.Error{Status: 7, Code: canary, Err: canaryError} },
		"panic":     func() error { panic(canary) },
		"panic with an error": func() error {
			panic(fmt.Errorf("token %s", canary))
		},
	} {
		for hook, cfg := range failingConfigs(t, fail) {
			for kind, r := range canaryRequests() {
				reported := &reports{}
				cfg.Report = reported.add
				got := serve(t, introspectionHandler(t, cfg), r)
				assert.NotContains(t, fmt.Sprint(got), canary, "%s, %s, %s", name, hook, kind)
				for _, err := range reported.errs {
					if !errors.Is(err, canaryError) { // causes are reported unchanged
						assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), canary, "%s, %s, %s", name, hook, kind)
					}
				}
			}
			for kind, r := range canaryRequests() {
				revoke := endpoint.RevocationConfig{Introspector: cfg.Introspector, Auth: cfg.Auth, Revoker: failingRevoker(fail)}
				got := serve(t, revocationHandler(t, revoke), r)
				assert.NotContains(t, fmt.Sprint(got), canary, "%s, %s, %s", name, hook, kind)
			}
		}
	}
}

// failingConfigs returns configurations in each of which one hook fails.
func failingConfigs(t *testing.T, fail func() error) map[string]endpoint.IntrospectionConfig {
	acceptsAll := endpoint.ClientAuthenticatorFunc(func(context.Context, *http.Request, url.Values) (string, error) { return "c", nil })
	good := claims(t, `{"iss":"i","client_id":"c","jti":"7"}`)
	return map[string]endpoint.IntrospectionConfig{
		"introspector": {Auth: acceptsAll, Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			return parseToken(t, `{}`), fail()
		})},
		"check": {Introspector: good, Auth: endpoint.ClientSecret(func(context.Context, string, oauthz.Secret) error { return fail() })},
		"auth": {Introspector: good, Auth: endpoint.ClientAuthenticatorFunc(func(context.Context, *http.Request, url.Values) (string, error) {
			return "c", fail()
		})},
		"entitled": {Introspector: good, Auth: acceptsAll, Entitled: func(context.Context, string, *oauthz.Token, map[string]any) (bool, error) {
			return true, fail()
		}},
		"list": {Introspector: good, Auth: acceptsAll, RevocationLists: []oauthz.RevocationList{failingList(fail)}},
	}
}

type failingList func() error

func (f failingList) Revoked(context.Context, *oauthz.Token) (bool, error) { return false, f() }

type failingRevoker func() error

func (f failingRevoker) Revoke(context.Context, ...oauthz.Revocation) error { return f() }

// A panic of any hook is a server error.
func TestPanicsOfHooksAreServerErrors(t *testing.T) {
	t.Parallel()
	for hook, cfg := range failingConfigs(t, func() error { panic(canary) }) {
		t.Run(hook, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, serverError, serve(t, introspectionHandler(t, cfg), postToken()))
		})
	}
	h := revocationHandler(t, endpoint.RevocationConfig{
		Introspector: claims(t, `{"iss":"i","jti":"7","client_id":"`+client+`"}`), Revoker: failingRevoker(func() error { panic(canary) }),
	})
	assert.Equal(t, serverError, serve(t, h, postToken()))
}

type panickingLister struct{}

func (panickingLister) All(oauthz.Query) (iter.Seq[oauthz.Revocation], error) {
	return func(func(oauthz.Revocation) bool) { panic("canary") }, nil
}
