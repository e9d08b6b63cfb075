package endpoint_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/internal/doubling"
)

// The longest inputs that net/http and this package read.
const (
	longestField = http.DefaultMaxHeaderBytes
	longestForm  = 60 << 10 // and the token before it
	longestArray = 1 << 20
)

// The cost of a request is linear in each of its parts, for callers that are not
// authenticated too.
func TestCostOfARequestIsLinear(t *testing.T) {
	t.Parallel()
	h := introspection(t, signedConfig(edKey(t)))
	field := func(name, begin, part string) func(n int) *http.Request {
		return func(n int) *http.Request {
			r := postRaw("token=active")
			r.Header.Set("Authorization", goodBasic)
			r.Header.Set(name, begin+strings.Repeat(part, n/len(part)))
			return r
		}
	}
	form := func(part string) func(n int) *http.Request {
		return func(n int) *http.Request { return postRaw("token=active" + strings.Repeat(part, n/len(part))) }
	}
	for name, tt := range map[string]struct {
		most    int
		request func(n int) *http.Request
	}{
		"content type":           {longestField, field("Content-Type", "application/x-www-form-urlencoded", ";a=b")},
		"accept, commas":         {longestField, field("Accept", "", ",")},
		"accept, elements":       {longestField, field("Accept", "", signedType+";q=0.5,")},
		"accept, within bounds":  {8 << 10, field("Accept", signedType, ";")},
		"authorization, commas":  {longestField, field("Authorization", "x", ",")},
		"authorization, base64":  {longestField, field("Authorization", "Basic ", "YTpi")},
		"authorization, escapes": {longestField, field("Authorization", "Basic ", "JTQx")},
		"form, separators":       {longestForm, form("&")},
		"form, escapes":          {longestForm, form("%41")},
		"form, parameters":       {longestForm, form("&a=b")},
		"form, bad escapes":      {longestForm, form("&%zz")},
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Linear(t, tt.most, func(n int) func() {
				return func() { h.ServeHTTP(httptest.NewRecorder(), tt.request(n)) }
			})
		})
	}
}

// The cost of a request of an administrator is linear too.
func TestCostOfRevocationsIsLinear(t *testing.T) {
	t.Parallel()
	guard, err := oauthz.New(oauthz.Config{Introspector: claims(t, `{"scope":"revoke"}`), Now: atNoon})
	if err != nil {
		t.Fatal(err)
	}
	list := &oauthz.Revocations{Now: atNoon}
	h, err := endpoint.Revocations(endpoint.RevocationsConfig{
		Guard: guard, Requirement: oauthz.Require("revoke"), Revoker: &recorder{}, Lister: list, Now: atNoon,
	})
	if err != nil {
		t.Fatal(err)
	}
	serve := func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer opaque")
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	for name, part := range map[string]string{
		"entries": `,{"match":{"iss":"i","jti":"7"}}`, "nonsense": `,{"a":[{}]}`, "numbers": ",1", "spaces": " ",
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Linear(t, longestArray, func(n int) func() {
				body := `[{"match":{"iss":"i","jti":"7"}}` + strings.Repeat(part, (n-64)/len(part)) + `]`
				return func() { serve(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))) }
			})
		})
	}
	for name, part := range map[string]string{"separators": "&", "escapes": "%41", "parameters": "a=b&"} {
		t.Run("query, "+name, func(t *testing.T) {
			doubling.Linear(t, longestField, func(n int) func() {
				query := strings.Repeat(part, n/len(part)) + "&match=" + url.QueryEscape(`{"iss":"i"}`)
				return func() {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.URL.RawQuery = query
					serve(r)
				}
			})
		})
	}
}
