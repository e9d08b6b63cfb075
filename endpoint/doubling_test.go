package endpoint_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/internal/doubling"
)

// parts are what long forms, queries and fields are made of.
var parts = map[string]string{
	"letters": "a", "spaces": " ", "commas": ",", "semicolons": ";", "ampersands": "&", "names": "a&", "equals signs": "=", "escapes": "%41",
	"bad escapes": "%", "escaped names": "%41&", "plus signs": "+", "quotes": `"`, "backslashes": `\`, "slashes": "/", "media types": "a/b,",
	"parameters": "a/b;c=d,", "signed types": "application/token-introspection+jwt;q=0.1,", "weights": ";q=1", "the token": "token=a&", "a client": "client_id=a&",
}

const maxForm = 64 << 10

// bodied is a request that can be sent more than once.
func bodied(method, target, contentType, body string) func() *http.Request {
	return func() *http.Request {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		return r
	}
}

func discard(h http.Handler, r *http.Request) { h.ServeHTTP(httptest.NewRecorder(), r) }

// Anybody who can reach an endpoint can send a form, before a client has authenticated.
func TestCostOfAFormIsLinear(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, endpoint.IntrospectionConfig{})
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxForm, func(n int) func() {
				body := strings.Repeat(part, n/len(part))
				long := bodied("POST", "/", "application/x-www-form-urlencoded", body)
				token := bodied("POST", "/", "application/x-www-form-urlencoded", "token="+url.QueryEscape(body[:len(body)/3]))
				return func() {
					discard(h, long())
					r := token()
					r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret))
					discard(h, r)
				}
			})
		})
	}
}

// The fields that an endpoint reads have a megabyte together.
func TestCostOfFieldsOfARequestIsLinear(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, endpoint.IntrospectionConfig{})
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, http.DefaultMaxHeaderBytes, func(n int) func() {
				long := strings.Repeat(part, n/len(part))
				form := bodied("POST", "/", "application/x-www-form-urlencoded", "token=a")
				return func() {
					for _, header := range []http.Header{
						{"Authorization": {"Basic " + long}}, {"Content-Type": {"application/x-www-form-urlencoded;" + long}}, {"Accept": {long}},
						{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(long[:len(long)/2]+":"+long[len(long)/2:]))}},
					} {
						r := form()
						r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret))
						for field, values := range header {
							r.Header[field] = values
						}
						discard(h, r)
					}
				}
			})
		})
	}
}

// One of many administrators may be a program that is broken.
func TestCostOfRevocationsIsLinear(t *testing.T) {
	t.Parallel()
	h := adminHandler(t, &recorder{}, &oauthz.MemoryRevocations{})
	documents := doubling.Objects()
	documents["revocations"] = func(n int) string { return strings.Repeat(`{"match":{"iss":"i","sub":"s"}},`, n/32) + `{}` }
	documents["elements"] = func(n int) string { return strings.Repeat(`0,`, n/2) + `0` }
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, 256<<10, func(n int) func() {
				post := bodied("POST", "/", "application/json", "["+document(n)+"]")
				get := bodied("GET", "/?match="+url.QueryEscape(document(n)), "", "")
				return func() {
					for _, r := range []*http.Request{post(), get()} {
						r.Header.Set("Authorization", "Bearer admin")
						discard(h, r)
					}
				}
			})
		})
	}
	for name, part := range parts {
		t.Run("query of "+name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, http.DefaultMaxHeaderBytes, func(n int) func() {
				query := strings.Repeat(part, n/len(part))
				return func() {
					r := httptest.NewRequest("GET", "/", nil)
					r.URL.RawQuery = query
					r.Header.Set("Authorization", "Bearer admin")
					discard(h, r)
				}
			})
		})
	}
}
