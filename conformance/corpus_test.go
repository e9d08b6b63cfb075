package conformance

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

type corpus struct {
	Issuer, Audience string
	JWKS             json.RawMessage
	JWKSSets         map[string]json.RawMessage `json:"jwks_sets"`
	Cases            []struct {
		ID, Group, Token, Expect, Level, JWKS, Ref, Why string
	}
}

func readCorpus(t testing.TB) (c corpus) {
	t.Helper()
	readJSON(t, "attack-corpus.json", &c)
	return c
}

// Each token goes directly to the introspector, and through a Guard with that introspector. Both must accept it: the Guard
// alone refuses a token that is bound to a key, and the grammar of HTTP alone would drop a space before the token.
func TestHostileTokensAreRefusedAndOthersAccepted(t *testing.T) {
	t.Parallel()
	c := readCorpus(t)
	introspectors := map[string]*localjwt.Introspector{"": corpusIntrospector(t, c, c.JWKS)}
	for name, set := range c.JWKSSets {
		introspectors[name] = corpusIntrospector(t, c, set)
	}
	rows, wrong := map[string]int{}, map[string]int{}
	for _, row := range c.Cases {
		rows[row.Level]++
		require.Contains(t, []string{"accept", "reject"}, row.Expect, row.ID)
		if accepted := accepts(t, introspectors[row.JWKS], row.Token); accepted != (row.Expect == "accept") {
			wrong[row.Level]++
			t.Errorf("%s (%s): want %s: %s", row.ID, row.Level, row.Expect, row.Why)
		}
	}
	t.Logf("corpus: %d rows by level %v, wrong %v", len(c.Cases), rows, wrong)
	assert.Equal(t, map[string]int{"must": 272, "should": 52, "policy": 13}, rows)
}

// corpusIntrospector returns nil if the constructor refuses the set.
func corpusIntrospector(t *testing.T, c corpus, set json.RawMessage) *localjwt.Introspector {
	t.Helper()
	in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: c.Issuer, Audience: []string{c.Audience}, JWKS: set})
	if err != nil {
		assert.Regexp(t, `^localjwt: config: JWKS: (no usable key in the set|not a JWK Set within bounds)$`, err.Error())
		return nil
	}
	return in
}

// accepts reports whether the introspector and the Guard accept the token. It also checks that a token that is not accepted
// is refused: the answer is not a fault, and the Guard refuses for itself only a token that is bound to a key.
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

// status returns the status of a request with an Authorization field, which HTTP need not be able to carry. It is 204 if the
// handler ran.
func status(guard *oauthz.Guard, field string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = []string{field}
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	return w.Code
}
