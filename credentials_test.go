package oauthz_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// credentialsTests are the most important cases of Authorization fields, as attackers send them.
var credentialsTests = []struct {
	name   string
	fields []string // of Authorization
	target string   // default "/"
	want   answer
	asked  string // the token that the introspector receives, if not goodToken
	onWire answer // where net/http changes or refuses the field; default want
}{
	{name: "canonical", fields: []string{"Bearer " + goodToken}, want: allowed},
	{name: "scheme in lower case", fields: []string{"bearer " + goodToken}, want: allowed},
	{name: "scheme in mixed case", fields: []string{"bEaReR " + goodToken}, want: allowed},
	{name: "many spaces", fields: []string{"Bearer          " + goodToken}, want: allowed},
	{name: "no field", want: noToken},
	{name: "empty field", fields: []string{""}, want: noToken},
	{name: "another scheme", fields: []string{"Basic dXNlcjpwYXNz"}, want: noToken},
	{name: "DPoP, without a Confirmer", fields: []string{"DPoP " + goodToken}, want: noToken},
	{name: "no scheme", fields: []string{goodToken}, want: noToken},
	{name: "glued", fields: []string{"Bearer" + goodToken}, want: noToken},
	{name: "colon", fields: []string{"Bearer: " + goodToken}, want: noToken},
	{name: "full-width B", fields: []string{"\uff22earer " + goodToken}, want: noToken},
	{name: "long s, which folds to s", fields: []string{"Ba\u017fic " + goodToken}, want: noToken},
	{name: "bit 0x20 of a byte that is not a letter", fields: []string{"Bearer\x00 " + goodToken}, want: noToken, onWire: answer{status: 400}},
	{name: "scheme alone", fields: []string{"Bearer"}, want: badRequest},
	{name: "scheme and space", fields: []string{"Bearer "}, want: badRequest},
	{name: "space before", fields: []string{" Bearer " + goodToken}, want: noToken, onWire: allowed},
	{name: "space behind", fields: []string{"Bearer " + goodToken + " "}, want: badRequest, onWire: allowed},
	{name: "tab for space", fields: []string{"Bearer\t" + goodToken}, want: badRequest},
	{name: "tab after space", fields: []string{"Bearer \t" + goodToken}, want: badRequest},
	{name: "quoted", fields: []string{`Bearer "` + goodToken + `"`}, want: badRequest},
	{name: "parameter", fields: []string{`Bearer token="` + goodToken + `"`}, want: badRequest},
	{name: "two tokens", fields: []string{"Bearer " + goodToken + " " + goodToken}, want: badRequest},
	{name: "merged", fields: []string{"Bearer " + goodToken + ", Bearer " + goodToken}, want: badRequest},
	{name: "merged with another scheme", fields: []string{"Basic dXNlcjpwYXNz, Bearer " + goodToken}, want: badRequest},
	{name: "merged with two others", fields: []string{"Basic dXNlcjpwYXNz, Negotiate YII=,bearer " + goodToken}, want: badRequest},
	{name: "merged, without a space", fields: []string{"Basic dXNlcjpwYXNz,Bearer\t" + goodToken}, want: badRequest},
	{name: "merged, empty elements between", fields: []string{"Basic dXNlcjpwYXNz, ,\t,BEARER"}, want: badRequest},
	{name: "merged, glued", fields: []string{"Basic dXNlcjpwYXNz, Bearer" + goodToken + ",Bearer,x"}, want: noToken},
	{name: "Bearer behind a space", fields: []string{"Basic Bearer " + goodToken}, want: noToken},
	{name: "merged others", fields: []string{"Basic dXNlcjpwYXNz, Negotiate YII="}, want: noToken},
	{name: "twice the same", fields: []string{"Bearer " + goodToken, "Bearer " + goodToken}, want: badRequest},
	{name: "good and bad", fields: []string{"Bearer " + goodToken, "Bearer bad"}, want: badRequest},
	{name: "bad and good", fields: []string{"Bearer bad", "Bearer " + goodToken}, want: badRequest},
	{name: "two schemes", fields: []string{"Basic dXNlcjpwYXNz", "Bearer " + goodToken}, want: badRequest},
	{name: "empty and good", fields: []string{"", "Bearer " + goodToken}, want: badRequest},
	{name: "good and empty", fields: []string{"Bearer " + goodToken, ""}, want: badRequest},
	{name: "two empty", fields: []string{"", ""}, want: badRequest},
	{name: "NUL", fields: []string{"Bearer " + goodToken + "\x00"}, want: badRequest, onWire: answer{status: 400}},
	{name: "obs-text", fields: []string{"Bearer \xe9\xe9"}, want: badRequest},
	{name: "UTF-8", fields: []string{"Bearer t\u00f6ken"}, want: badRequest},
	{name: "= alone", fields: []string{"Bearer ===="}, want: badRequest},
	{name: "= inside", fields: []string{"Bearer abc=def"}, want: badRequest},
	{name: "percent", fields: []string{"Bearer %41%42"}, want: badRequest},
	{name: "unknown", fields: []string{"Bearer AZaz09-._~+/=="}, want: badToken, asked: "AZaz09-._~+/=="},
	{name: "longest", fields: []string{"Bearer " + longest}, want: badToken, asked: longest},
	{name: "too long", fields: []string{"Bearer " + longest + "A"}, want: badToken},
	{name: "query", target: "/?access_token=" + goodToken, want: noToken},
	{name: "query and header", fields: []string{"Bearer " + goodToken}, target: "/?access_token=x", want: badRequest},
	{name: "escaped query and header", fields: []string{"Bearer " + goodToken}, target: "/?a=b&access%5Ftoken=x", want: badRequest},
	{name: "query without a value, and header", fields: []string{"Bearer " + goodToken}, target: "/?access_token", want: badRequest},
	{name: "query and another scheme", fields: []string{"Basic dXNlcjpwYXNz"}, target: "/?access_token=x", want: noToken},
	{name: "query of another name, and header", fields: []string{"Bearer " + goodToken}, target: "/?xaccess_token=x&q=access_token", want: allowed},
}

var longest = strings.Repeat("A", oauthz.MaxTokenBytes)

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range credentialsTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.target == "" {
				tt.target = "/"
			}
			var asked []string
			if tt.asked != "" {
				asked = []string{tt.asked}
			}
			direct := knows(`{}`)
			r := httptest.NewRequest(http.MethodGet, tt.target, nil)
			if tt.fields != nil {
				r.Header["Authorization"] = tt.fields
			}
			tt.want.check(t, serve(t, newGuard(t, oauthz.Config{Introspector: direct}), oauthz.Require(), r))
			assert.Equal(t, withGood(tt.want, asked), direct.questions())

			request := "GET " + tt.target + " HTTP/1.1\r\nHost: api.example\r\n"
			for _, field := range tt.fields {
				request += "Authorization: " + field + "\r\n"
			}
			wire := knows(`{}`)
			got := overTheWire(t, wire, request+"\r\n")
			switch tt.onWire {
			case answer{}:
				tt.onWire = tt.want
			case answer{status: 400}: // the server's own answer, before any handler
				assert.Equal(t, 400, got.status)
				assert.False(t, got.ran)
				assert.Empty(t, wire.questions())
				return
			}
			tt.onWire.check(t, got)
			assert.Equal(t, withGood(tt.onWire, asked), wire.questions())
		})
	}
}

// BearerToken reads the same field as a Guard, by the same rules.
func TestBearerToken(t *testing.T) {
	t.Parallel()
	for _, tt := range credentialsTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, cmp.Or(tt.target, "/"), nil)
			r.Header["Authorization"] = tt.fields
			got, err := oauthz.BearerToken(r)
			switch {
			case tt.want == allowed:
				require.NoError(t, err)
				assert.Equal(t, goodToken, got)
				return
			case tt.asked != "": // well-formed; only an introspector refuses it
				require.NoError(t, err)
				assert.Equal(t, tt.asked, got)
				return
			case tt.want == noToken:
				require.ErrorIs(t, err, oauthz.ErrNoToken)
			case tt.want == badRequest:
				require.ErrorIs(t, err, oauthz.ErrInvalidRequest)
			default:
				require.ErrorIs(t, err, oauthz.ErrInvalidToken)
			}
			assert.Empty(t, got)
		})
	}
}

// withGood returns the tokens that an introspector must receive.
func withGood(want answer, others []string) []string {
	if want == allowed {
		return append(others, goodToken)
	}
	return others
}

func overTheWire(t testing.TB, introspector oauthz.Introspector, request string) response {
	t.Helper()
	handler := &spy{}
	guard := newGuard(t, oauthz.Config{Introspector: introspector})
	return exchange(t, listen(t, guard.Protect(oauthz.Require())(handler)), request, handler)
}

func TestCredentialsAsSent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request string
		want          answer
	}{
		{name: "HTTP/1.0", request: "GET / HTTP/1.0\r\nAuthorization: Bearer " + goodToken + "\r\n\r\n", want: allowed},
		{name: "name in lower case", request: "GET / HTTP/1.1\r\nHost: h\r\nauthorization: Bearer " + goodToken + "\r\n\r\n", want: allowed},
		{name: "two spellings of the name", request: "GET / HTTP/1.1\r\nHost: h\r\nauthorization: Bearer bad\r\nAUTHORIZATION: Bearer " + goodToken + "\r\n\r\n", want: badRequest},
		{name: "folded", request: "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer mF_9\r\n .B5f\r\n\r\n", want: badRequest},
		{name: "trailer", request: "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n0\r\nAuthorization: Bearer " + goodToken + "\r\n\r\n", want: noToken},
		{name: "user in the URL", request: "GET http://Bearer:" + url.PathEscape(goodToken) + "@h/ HTTP/1.1\r\nHost: h\r\n\r\n", want: noToken},
		{name: "absolute URL and header", request: "GET http://h/?access_token=x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + goodToken + "\r\n\r\n", want: badRequest},
		{name: "WebSocket protocol", request: "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: bearer, " + goodToken + "\r\n\r\n", want: noToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := knows(`{}`)
			tt.want.check(t, overTheWire(t, in, tt.request))
			assert.Equal(t, withGood(tt.want, nil), in.questions())
		})
	}
}

// Repeated fields of HTTP/2 are distinguished as those of HTTP/1.1 are.
func TestCredentialsOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fields []string
		want   answer
	}{
		{name: "one field", fields: []string{"Bearer " + goodToken}, want: allowed},
		{name: "no field", want: noToken},
		{name: "twice the same", fields: []string{"Bearer " + goodToken, "Bearer " + goodToken}, want: badRequest},
		{name: "good and bad", fields: []string{"Bearer " + goodToken, "Bearer bad"}, want: badRequest},
		{name: "empty and good", fields: []string{"", "Bearer " + goodToken}, want: badRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handler := &spy{}
			guard := newGuard(t, oauthz.Config{})
			server := httptest.NewUnstartedServer(guard.Protect(oauthz.Require())(handler))
			server.EnableHTTP2 = true
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
			server.StartTLS()
			defer server.Close()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			require.NoError(t, err)
			r.Header["Authorization"] = tt.fields
			got, err := server.Client().Do(r)
			require.NoError(t, err)
			assert.Equal(t, 2, got.ProtoMajor)
			tt.want.check(t, seen(t, got, handler))
		})
	}
}

// The whole grammar, as an expression that is independent of the code.
var (
	bearerField = regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$`)
	mergedField = regexp.MustCompile(`,[ \t]*[Bb][Ee][Aa][Rr][Ee][Rr]([ \t]|\z)`)
	otherScheme = regexp.MustCompile(`\A([^ \tBb]|\z)`)
	plainQuery  = regexp.MustCompile(`^[a-z&=]*$`)
)

// FuzzCredentials: with an introspector that accepts every token, a request is let through if and only if it has one
// well-formed Authorization field, and the introspector receives exactly the bytes of the token in that field.
func FuzzCredentials(f *testing.F) {
	for _, tt := range credentialsTests {
		fields := append(tt.fields, "", "")
		_, query, _ := strings.Cut(tt.target, "?")
		f.Add(fields[0], fields[1], len(tt.fields), query)
	}
	f.Fuzz(func(t *testing.T, first, second string, count int, query string) {
		var asked []string
		guard := newGuard(t, oauthz.Config{Introspector: oauthz.IntrospectorFunc(
			func(_ context.Context, token string) (*oauthz.Token, error) {
				asked = append(asked, token)
				return &oauthz.Token{}, nil
			},
		)})
		fields := []string{first, second}[:min(max(count, 0), 2)]
		r := get(fields...)
		r.URL.RawQuery = query
		got := serve(t, guard, oauthz.Require(), r)
		if got.status != http.StatusNoContent {
			assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnauthorized}, got.status)
			assert.False(t, got.ran)
			assert.Empty(t, asked)
		} else {
			require.True(t, got.ran)
			require.Len(t, fields, 1)
			match := bearerField.FindStringSubmatch(first)
			require.NotNil(t, match, "%q was taken", first)
			assert.Equal(t, match[1:], asked)
			assert.LessOrEqual(t, len(asked[0]), oauthz.MaxTokenBytes)
			assert.False(t, r.URL.Query().Has("access_token"))
		}
		if len(fields) == 1 && otherScheme.MatchString(first) {
			assert.Equal(t, mergedField.MatchString(first), got.status == http.StatusBadRequest, "%q", first)
		}
		wellFormed := len(fields) == 1 && bearerField.MatchString(first) && len(first) <= oauthz.MaxTokenBytes
		if wellFormed && plainQuery.MatchString(query) {
			assert.True(t, got.ran, "%q was refused", first)
		}
	})
}
