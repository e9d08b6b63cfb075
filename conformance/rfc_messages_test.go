package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/internal/challengetest"
	"github.com/oauthz/oauthz/remote"
)

// An rfcMessage is an example of rfc-messages.json.
type rfcMessage struct {
	ID     string // such as "rfc9470 §3 challenge", the second with this name "rfc9470 §3 challenge 2"
	Value  json.RawMessage
	Status int
}

func (m rfcMessage) text(t *testing.T) (s string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(m.Value, &s))
	return s
}

func readMessages(t testing.TB) (messages []rfcMessage) {
	t.Helper()
	var file map[string]json.RawMessage
	readJSON(t, "rfc-messages.json", &file)
	delete(file, "note")
	seen := map[string]int{}
	add := func(id string, value json.RawMessage, status int) {
		if seen[id]++; seen[id] > 1 {
			id = fmt.Sprint(id, " ", seen[id])
		}
		messages = append(messages, rfcMessage{id, value, status})
	}
	for rfc, list := range file {
		var rows []json.RawMessage
		require.NoError(t, json.Unmarshal(list, &rows))
		for _, row := range rows {
			var members map[string]json.RawMessage
			if json.Unmarshal(row, &members) != nil {
				add(rfc+" challenge", row, 0)
				continue
			}
			var sec string
			var status int
			require.NoError(t, json.Unmarshal(members["sec"], &sec))
			_ = json.Unmarshal(members["status"], &status)
			for name, value := range members {
				if name != "sec" && name != "status" {
					add(rfc+" §"+sec+" "+name, value, status)
				}
			}
		}
	}
	slices.SortFunc(messages, func(a, b rfcMessage) int { return strings.Compare(a.ID, b.ID) })
	return messages
}

func TestMessagesOfRFCs(t *testing.T) {
	t.Parallel()
	undecided, checked := readDecisions(t).RFCMessages, 0
	messages := readMessages(t)
	for _, m := range messages {
		if why, ok := undecided[m.ID]; ok {
			require.NotEmpty(t, why)
			delete(undecided, m.ID)
			continue
		}
		checked++
		t.Run(m.ID, func(t *testing.T) {
			t.Parallel()
			check := checks[strings.TrimRight(m.ID, " 0123456789")]
			require.NotNil(t, check, "no check and no decision")
			check(t, m)
		})
	}
	assert.Empty(t, undecided, "decisions without a message")
	assert.Len(t, messages, 25)
	t.Logf("RFC vectors: %d messages, %d checked, %d have nothing to check", len(messages), checked, len(messages)-checked)
}

// checks are the checks of the messages, by id without the number at its end.
var checks = map[string]func(*testing.T, rfcMessage){
	"rfc6750 §2.1 request":      checkBearerRequest,
	"rfc6750 §3 no_credentials": checkChallengeWithoutToken,
	"rfc6750 §3 expired":        checkChallengeOfExpiredToken,
	"rfc6750 §3.1 codes":        checkCodes,
	"rfc7662 §2.1 request":      checkIntrospectionRequest,
	"rfc7662 §2.2 response":     checkIntrospectionResponse,
	"rfc7009 §2.1 request":      checkRevocationRequest,
	"rfc9470 §3 challenge":      checkStepUp,
	"rfc9728 §5.1 challenge":    checkResourceMetadata,
	"rfc9449 challenge":         checkParses,
}

func fails(err error) oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return nil, err })
}

func parses(claims string) oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return oauthz.ParseToken([]byte(claims)) })
}

// ask sends a request through a Guard to a handler. The request has a token if the route has an Introspector.
func ask(t *testing.T, cfg oauthz.Config, req oauthz.Requirement) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if cfg.Introspector == nil {
		cfg.Introspector = parses(`{}`)
	} else {
		r.Header.Set("Authorization", "Bearer token")
	}
	guard, err := oauthz.New(cfg)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	guard.Protect(req)(http.NotFoundHandler()).ServeHTTP(w, r)
	return w.Result()
}

func checkBearerRequest(t *testing.T, m rfcMessage) {
	var tokens []string
	r := newRoute(t, oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		tokens = append(tokens, token)
		return oauthz.ParseToken([]byte(`{}`))
	})})
	allowed.check(t, r, r.exchange(t, m.text(t)))
	assert.Equal(t, []string{"mF_9.B5f-4.1JqM"}, tokens)
}

func checkChallengeWithoutToken(t *testing.T, m rfcMessage) {
	got := ask(t, oauthz.Config{Realm: "example"}, oauthz.Require())
	assert.Equal(t, []string{m.text(t)}, got.Header.Values("WWW-Authenticate"))
}

func checkChallengeOfExpiredToken(t *testing.T, m rfcMessage) {
	got := ask(t, oauthz.Config{Realm: "example", Introspector: fails(oauthz.ErrExpired)}, oauthz.Require())
	assert.Equal(t, []string{m.text(t)}, got.Header.Values("WWW-Authenticate"))
}

func checkCodes(t *testing.T, m rfcMessage) {
	var codes map[string]int
	require.NoError(t, json.Unmarshal(m.Value, &codes))
	require.Len(t, codes, 3)
	for code, got := range map[string]*http.Response{
		"invalid_request":    newRoute(t, oauthz.Config{Introspector: parses(`{}`)}).exchange(t, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer\r\n\r\n"),
		"invalid_token":      ask(t, oauthz.Config{Introspector: fails(oauthz.ErrInvalidToken)}, oauthz.Require()),
		"insufficient_scope": ask(t, oauthz.Config{Introspector: parses(`{}`)}, oauthz.Require("read")),
	} {
		assert.Equal(t, codes[code], got.StatusCode, code)
		assert.Equal(t, code, parameters(t, got.Header.Get("WWW-Authenticate"))["error"])
	}
}

// parameters returns the parameters of the only challenge of a field, whose scheme must be Bearer.
func parameters(t *testing.T, field string) map[string]string {
	t.Helper()
	challenges, ok := challengetest.Parse(field)
	require.True(t, ok, field)
	require.Len(t, challenges, 1)
	require.Equal(t, "bearer", challenges[0].Scheme)
	return challenges[0].Parameters
}

// remoteAnswering returns an introspector whose server answers with body, and a pointer to the last request with its form.
func remoteAnswering(t *testing.T, body string) (*remote.Introspector, *http.Request) {
	t.Helper()
	last := &http.Request{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		*last = *r.Clone(context.Background())
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: server.URL + "/introspect", Audience: []string{"https://protected.example.net/resource"},
		Auth: remote.Bearer(func(context.Context) (oauthz.Secret, error) { return "23410913-abewfq.123483", nil }),
		Now:  func() time.Time { return time.Unix(1419350238, 0) },
	})
	require.NoError(t, err)
	return in, last
}

func checkIntrospectionRequest(t *testing.T, m rfcMessage) {
	head, body, _ := strings.Cut(m.text(t), "\r\n\r\n")
	want, err := url.ParseQuery(body)
	require.NoError(t, err)
	in, got := remoteAnswering(t, `{"active":false}`)
	_, err = in.Introspect(t.Context(), want.Get("token"))
	require.ErrorIs(t, err, oauthz.ErrInactive)
	assert.Equal(t, want.Get("token"), got.PostForm.Get("token"))
	lines := strings.Split(head, "\r\n")
	assert.Equal(t, lines[0], got.Method+" "+got.URL.Path+" "+got.Proto)
	for _, line := range lines[2:] { // after the Host
		name, value, _ := strings.Cut(line, ": ")
		assert.Equal(t, value, got.Header.Get(name), name)
	}
}

func checkIntrospectionResponse(t *testing.T, m rfcMessage) {
	in, _ := remoteAnswering(t, string(m.Value))
	got, err := in.Introspect(t.Context(), "2YotnFZFEjr1zCsicMWpAA")
	var claims map[string]any
	require.NoError(t, json.Unmarshal(m.Value, &claims))
	if claims["active"] == false {
		require.ErrorIs(t, err, oauthz.ErrInactive)
		return
	}
	require.NoError(t, err)
	checkClaims(t, claims, got)
	extension, ok := got.Claim("extension_field")
	assert.True(t, ok)
	assert.JSONEq(t, `"twenty-seven"`, string(extension))
}

// A token that no API will ever accept is revoked: the answer is 200 (RFC 7009 §2.2).
func checkRevocationRequest(t *testing.T, m rfcMessage) {
	var client, secret, token string
	handler, err := endpoint.Revocation(endpoint.RevocationConfig{
		Introspector: oauthz.IntrospectorFunc(func(_ context.Context, s string) (*oauthz.Token, error) {
			token = s
			return nil, oauthz.ErrInactive
		}),
		Revoker: &oauthz.MemoryRevocations{},
		Auth: endpoint.ClientSecret(func(_ context.Context, id string, s oauthz.Secret) error {
			client, secret = id, string(s)
			return nil
		}),
	})
	require.NoError(t, err)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(m.text(t))))
	require.NoError(t, err)
	_, body, _ := strings.Cut(m.text(t), "\r\n\r\n")
	r.Body = io.NopCloser(strings.NewReader(body)) // the text has no Content-Length
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code, w.Body)
	assert.Equal(t, []string{"s6BhdRkqt3", "gX1fBat3bV", "45ghiukldjahdnhzdauz"}, []string{client, secret, token})
}

// checkClaims compares the fields of a token with the claims that it was parsed from.
func checkClaims(t *testing.T, claims map[string]any, got *oauthz.Token) {
	t.Helper()
	assert.Equal(t, claims["iss"], got.Issuer)
	assert.Equal(t, claims["sub"], got.Subject)
	assert.Equal(t, claims["client_id"], got.ClientID)
	assert.Equal(t, []string{claims["aud"].(string)}, []string(got.Audience))
	assert.Equal(t, claims["scope"], got.Scopes.String())
	assert.Equal(t, claims["exp"], float64(got.ExpiresAt.Unix()))
	assert.Equal(t, claims["iat"], float64(got.IssuedAt.Unix()))
}

// The description is ours, and there is a realm; all else is as in the RFC.
func checkStepUp(t *testing.T, m rfcMessage) {
	want := parameters(t, m.text(t))
	req := oauthz.RequireMaxAge(5 * time.Second)
	if acr := want["acr_values"]; acr != "" {
		req = oauthz.RequireACR(acr)
	}
	response := ask(t, oauthz.Config{Introspector: parses(`{}`)}, req)
	assert.Equal(t, m.Status, response.StatusCode)
	got := parameters(t, response.Header.Get("WWW-Authenticate"))
	delete(got, "realm")
	delete(want, "error_description")
	assert.NotEmpty(t, got["error_description"])
	delete(got, "error_description")
	assert.Equal(t, want, got)
}

func checkResourceMetadata(t *testing.T, m rfcMessage) {
	want := parameters(t, m.text(t))
	response := ask(t, oauthz.Config{ResourceMetadataURL: want["resource_metadata"]}, oauthz.Require())
	got := parameters(t, response.Header.Get("WWW-Authenticate"))
	delete(got, "realm")
	assert.Equal(t, want, got)
}

// The Guard writes no DPoP challenge yet; the parser of the tests must read those of the RFC.
func checkParses(t *testing.T, m rfcMessage) {
	_, ok := challengetest.Parse(m.text(t))
	assert.True(t, ok)
}
