package localjwt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

// vectors reads a file of the folder of test data beside the project. It skips the
// test if there is no such file.
func vectors(tb testing.TB, name string, v any) {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "vectors", name))
	if errors.Is(err, os.ErrNotExist) {
		tb.Skipf("no ../shared/vectors/%s beside the project", name)
	}
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(raw, v))
}

type corpus struct {
	Issuer, Audience string
	JWKS             json.RawMessage
	JWKSSets         map[string]json.RawMessage `json:"jwks_sets"`
	Cases            []struct {
		ID, Group, Token, Expect, Level, JWKS, Why string
	}
}

// TestAttackCorpus sends each row to the introspector directly and to a Guard that
// uses it. A row counts as accepted only if both accept it: only the Guard refuses
// a token that is bound to a key, and only the Guard, by the grammar of HTTP,
// ignores a space before the token.
func TestAttackCorpus(t *testing.T) {
	t.Parallel()
	var c corpus
	vectors(t, "attack-corpus.json", &c)
	introspectors := map[string]*localjwt.Introspector{"": newCorpusIntrospector(t, c, c.JWKS)}
	for name, set := range c.JWKSSets {
		introspectors[name] = newCorpusIntrospector(t, c, set)
	}
	rows, wrong := map[string]int{}, map[string]int{}
	for _, row := range c.Cases {
		rows[row.Level]++
		if accepted := accepts(t, introspectors[row.JWKS], row.Token); accepted != (row.Expect == "accept") {
			wrong[row.Level]++
			t.Errorf("%s (%s): want %s: %s", row.ID, row.Level, row.Expect, row.Why)
		}
	}
	t.Logf("rows %v, wrong %v", rows, wrong)
	assert.Equal(t, 337, rows["must"]+rows["should"]+rows["policy"])
}

// newCorpusIntrospector returns nil if New refuses the set.
func newCorpusIntrospector(t *testing.T, c corpus, set json.RawMessage) *localjwt.Introspector {
	t.Helper()
	in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: c.Issuer, Audience: []string{c.Audience}, JWKS: set})
	if err != nil {
		assert.Contains(t, []string{
			"localjwt: config: JWKS: no usable key in the set", "localjwt: config: JWKS: not a JWK Set within bounds",
		}, err.Error())
	}
	return in
}

// accepts reports whether the Guard and in accept jws. It fails the test if in
// returns a fault, or if only one of them accepts a token that is not bound to a
// key.
func accepts(t *testing.T, in *localjwt.Introspector, jws string) bool {
	t.Helper()
	if in == nil {
		return false
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: in})
	require.NoError(t, err)
	throughGuard := status(guard, "Bearer "+jws) == http.StatusNoContent
	token, err := in.Introspect(t.Context(), jws)
	if err != nil {
		assert.True(t, errors.Is(err, oauthz.ErrInvalidToken) || errors.Is(err, oauthz.ErrUnrecognized), "not a refusal: %v", err)
		return false
	}
	assert.Equal(t, throughGuard, token.Confirmation == nil)
	return throughGuard
}

// status returns the status of a request with this Authorization field, which need
// not be valid in HTTP. It is 204 if the handler ran.
func status(guard *oauthz.Guard, field string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = []string{field}
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	return w.Code
}

// TestWycheproof checks the JWS vectors of Project Wycheproof, each with its key as
// a fixed set. Their payloads are not claims, so a signature that verifies shows in
// the reason of the refusal. Six rows are left out: their alg or their text is
// questionable for a strict verifier.
func TestWycheproof(t *testing.T) {
	t.Parallel()
	var file struct {
		TestGroups []struct {
			Comment string
			Public  json.RawMessage
			Private json.RawMessage
			Tests   []struct {
				TCID    int `json:"tcId"`
				JWS     string
				Result  string
				Comment string
			}
		}
	}
	vectors(t, "wycheproof/json_web_signature_test.json", &file)
	questionable := []int{346, 347, 350, 351, 372, 373}
	rows := 0
	for _, group := range file.TestGroups {
		key, symmetric := group.Public, group.Public == nil
		if symmetric {
			key = group.Private
		}
		set := json.RawMessage(fmt.Sprintf(`{"keys":[%s]}`, key))
		in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: "https://issuer.example", Audience: []string{"a"}, JWKS: set})
		for _, test := range group.Tests {
			if slices.Contains(questionable, test.TCID) {
				continue
			}
			rows++
			verified := err == nil && signatureVerifies(t, in, test.JWS)
			want := test.Result == "valid" && !symmetric // a symmetric key is never accepted
			assert.Equal(t, want, verified, "tc%d %s: %s", test.TCID, group.Comment, test.Comment)
		}
	}
	t.Logf("rows %d", rows)
	assert.Equal(t, 395, rows)
}

// signatureVerifies reports whether jws was refused for its claims, which are
// checked after the signature.
func signatureVerifies(t *testing.T, in *localjwt.Introspector, jws string) bool {
	t.Helper()
	_, err := in.Introspect(t.Context(), jws)
	require.Error(t, err)
	return strings.Contains(err.Error(), "oauthz: invalid token: claims:") || strings.Contains(err.Error(), "iss is another issuer")
}
