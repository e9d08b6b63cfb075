package interop_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// installOAuth4webapi installs the client once for the whole test binary.
var installOAuth4webapi = sync.OnceValues(func() (string, error) { return install("oauth4webapi", "client.mjs") })

// oauth4webapiFolder returns a folder in which `node client.mjs` runs. Without Node or the package the test skips.
func oauth4webapiFolder(t *testing.T) string {
	t.Helper()
	folder, err := installOAuth4webapi()
	if err != nil {
		unavailable(t, err)
	}
	return folder
}

// An inquiry is a request for oauth4webapi to send.
type inquiry struct {
	Ask       string `json:"ask"` // "introspect" or "revoke"
	Token     string `json:"token"`
	Client    string `json:"client"`
	Secret    string `json:"secret"`
	Method    string `json:"method"`
	Algorithm string `json:"algorithm,omitempty"` // of signed responses; if empty, plain JSON
}

// An outcome is the result of oauth4webapi for a response.
type outcome struct {
	Type    string         `json:"type"`
	Answer  map[string]any `json:"answer"`
	Status  int            `json:"status"`
	Code    string         `json:"code"` // of its own error
	Message string         `json:"message"`
	Error   string         `json:"error"`  // that the endpoint sent
	Scheme  string         `json:"scheme"` // of the challenge
	Realm   string         `json:"realm"`
}

// A served is a server with our endpoints, for tokens of an authorization server without such endpoints.
type served struct {
	url     string
	as      *oauthztest.Server
	revoked *oauthz.MemoryRevocations
}

// outOfReach is a token whose introspection fails.
const outOfReach = "out-of-reach"

func serveEndpoints(t *testing.T, algorithm string, key crypto.Signer, public privateJWK) *served {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s := &served{url: server.URL, as: oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"}), revoked: &oauthz.MemoryRevocations{}}
	t.Cleanup(s.as.Close)
	verifier, err := localjwt.New(t.Context(), localjwt.Config{Issuer: s.as.Issuer(), Audience: []string{"https://api.example"}})
	require.NoError(t, err)
	judged := oauthz.IntrospectorFunc(func(ctx context.Context, token string) (*oauthz.Token, error) {
		if token == outOfReach {
			return nil, errors.New("out of reach")
		}
		return verifier.Introspect(ctx, token)
	})
	auth := endpoint.ClientSecret(func(_ context.Context, id string, secret oauthz.Secret) error {
		if id != "orders api:1" || secret != specialSecret {
			return endpoint.ErrInvalidClient
		}
		return nil
	})
	introspection, err := endpoint.Introspection(endpoint.IntrospectionConfig{
		Introspector: judged, RevocationLists: []oauthz.RevocationList{s.revoked}, Auth: auth,
		Signing: &endpoint.Signing{Issuer: s.url, Key: key, Algorithm: algorithm, KeyID: "k1"},
	})
	require.NoError(t, err)
	revocation, err := endpoint.Revocation(endpoint.RevocationConfig{Introspector: judged, Revoker: s.revoked, Auth: auth})
	require.NoError(t, err)
	mux.Handle("/introspect", introspection)
	mux.Handle("/revoke", revocation)
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []privateJWK{public}})
	})
	return s
}

// ask makes oauth4webapi send all inquiries, in a process that ends before ask returns.
func (s *served) ask(t *testing.T, inquiries []inquiry) []outcome {
	t.Helper()
	folder := oauth4webapiFolder(t)
	input, err := json.Marshal(map[string]any{
		"as": map[string]string{
			"issuer": s.url, "introspection_endpoint": s.url + "/introspect", "revocation_endpoint": s.url + "/revoke", "jwks_uri": s.url + "/jwks",
		},
		"questions": inquiries,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", filepath.Join(folder, "client.mjs"))
	var said, log bytes.Buffer
	node.Stdin, node.Stdout, node.Stderr, node.WaitDelay = bytes.NewReader(input), &said, &log, 5*time.Second
	require.NoError(t, node.Run(), "client.mjs said:\n%s", &log)
	var outcomes []outcome
	require.NoError(t, json.Unmarshal(said.Bytes(), &outcomes))
	require.Len(t, outcomes, len(inquiries))
	return outcomes
}

// An independent client understands the responses of our endpoints (RFC 7662, RFC 9701, RFC 7009), with both kinds of client
// secret.
func TestOAuth4webapi(t *testing.T) {
	t.Parallel()
	keys := signingKeys(t)
	for _, algorithm := range []string{"", "RS256", "PS256", "ES256", "EdDSA"} {
		for _, method := range []string{"client_secret_basic", "client_secret_post"} {
			t.Run(algorithm+" "+method, func(t *testing.T) {
				t.Parallel()
				key := algorithm
				if key == "" {
					key = "ES256"
				}
				s := serveEndpoints(t, key, keys[key].private, keys[key].public)
				checkOAuth4webapi(t, s, inquiry{Client: "orders api:1", Secret: specialSecret, Method: method, Algorithm: algorithm})
			})
		}
	}
}

// about returns the inquiry with another endpoint and another token.
func (q inquiry) about(ask, token string) inquiry {
	q.Ask, q.Token = ask, token
	return q
}

// mediaType returns the Content-Type of an introspection response, which is signed if the inquiry has an algorithm (RFC 9701).
func (q inquiry) mediaType() string {
	if q.Algorithm != "" {
		return "application/token-introspection+jwt"
	}
	return "application/json"
}

// assertActive checks the introspection response of an active token of the client.
func assertActive(t *testing.T, s *served, as inquiry, got outcome) {
	t.Helper()
	require.Equal(t, as.mediaType(), got.Type, got)
	for name, want := range map[string]any{
		"active": true, "iss": s.as.Issuer(), "sub": "user-1", "client_id": as.Client, "scope": "read write", "aud": "https://api.example",
		"token_type": "DPoP", "cnf": map[string]any{"jkt": "k"},
	} {
		assert.Equal(t, want, got.Answer[name], name)
	}
}

func checkOAuth4webapi(t *testing.T, s *served, as inquiry) {
	t.Helper()
	mine := s.as.Mint(oauthztest.Claims{"client_id": as.Client, "scope": "read write", "cnf": map[string]any{"jkt": "k"}})
	other := s.as.Mint(oauthztest.Claims{"client_id": "another"})
	stranger := as.about("introspect", mine)
	stranger.Secret = "wrong"

	got := s.ask(t, []inquiry{
		as.about("introspect", mine),
		as.about("introspect", "unknown"),
		as.about("introspect", outOfReach),
		stranger,
		as.about("revoke", other),
		as.about("revoke", outOfReach),
		as.about("revoke", "unknown"),
		as.about("revoke", mine),
		as.about("introspect", mine),
		as.about("introspect", other),
	})

	for i := range got {
		got[i].Message = "" // the code is compared instead
	}
	media := as.mediaType()
	inactive := outcome{Type: media, Answer: map[string]any{"active": false}}
	unavailable := outcome{Status: http.StatusServiceUnavailable, Code: "OAUTH_RESPONSE_IS_NOT_CONFORM"}
	assertActive(t, s, as, got[0])
	assert.Equal(t, inactive, got[1], "unknown")
	assert.Equal(t, unavailable, got[2], "a fault is no answer")
	assert.Equal(t, outcome{Status: http.StatusUnauthorized, Code: "OAUTH_WWW_AUTHENTICATE_CHALLENGE", Scheme: "basic", Realm: "oauth"}, got[3], "wrong secret")
	assert.Equal(t, outcome{Status: http.StatusBadRequest, Code: "OAUTH_RESPONSE_BODY_ERROR", Error: "unauthorized_client"}, got[4], "another client's")
	assert.Equal(t, unavailable, got[5], "a fault is no revocation")
	assert.Equal(t, outcome{Status: http.StatusOK}, got[6], "revoke what there is not")
	assert.Equal(t, outcome{Status: http.StatusOK}, got[7], "revoke")
	assert.Equal(t, inactive, got[8], "revoked")
	assert.Equal(t, true, got[9].Answer["active"], "another client's is not revoked")
}

// The client accepts a signed response only with the server's own key and the algorithm that it expects.
func TestOAuth4webapiRefusesSignedAnswers(t *testing.T) {
	t.Parallel()
	keys := signingKeys(t)
	s := serveEndpoints(t, "ES256", keys["ES256"].private, keys["ES256"].public)
	impostor := serveEndpoints(t, "ES256", mustEC(t), keys["ES256"].public)
	good := inquiry{
		Ask: "introspect", Token: s.as.Mint(nil), Client: "orders api:1", Secret: specialSecret, Method: "client_secret_basic", Algorithm: "ES256",
	}
	otherAlgorithm := good
	otherAlgorithm.Algorithm = "RS256"
	got := s.ask(t, []inquiry{good, otherAlgorithm})
	assert.Equal(t, true, got[0].Answer["active"])
	assert.Equal(t, invalidResponse(`unexpected JWT "alg" header parameter`), got[1], "another algorithm")
	forged := good
	forged.Token = impostor.as.Mint(nil)
	assert.Equal(t, invalidResponse("JWT signature verification failed"), impostor.ask(t, []inquiry{forged})[0], "a key that is not published")
}

func invalidResponse(message string) outcome {
	return outcome{Code: "OAUTH_INVALID_RESPONSE", Message: message}
}

type signingKey struct {
	private crypto.Signer
	public  privateJWK
}

// signingKeys makes a key for each of algorithms.
func signingKeys(t *testing.T) map[string]signingKey {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey := mustEC(t)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	named := func(key privateJWK) privateJWK {
		key = key.public()
		key["kid"] = "k1"
		return key
	}
	return map[string]signingKey{
		"RS256": {rsaKey, named(rsaJWK(rsaKey))},
		"PS256": {rsaKey, named(rsaJWK(rsaKey))},
		"ES256": {ecKey, named(ecJWK(t, ecKey))},
		"EdDSA": {edKey, named(edJWK(edKey))},
	}
}

func mustEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}
