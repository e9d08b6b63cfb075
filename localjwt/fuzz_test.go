package localjwt_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// FuzzIntrospect checks that each string is either a token that was minted or is
// refused. It must not cause a panic, nor a fault, because the key set is fixed.
func FuzzIntrospect(f *testing.F) {
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	f.Cleanup(as.Close)
	minted := []string{
		as.Mint(nil), as.Mint(oauthztest.Claims{"scope": "a b", "cnf": map[string]string{"jkt": "x"}}),
		as.Mint(nil, oauthztest.WithAlgorithm("RS256")), as.Mint(nil, oauthztest.WithAlgorithm("EdDSA")),
	}
	for _, token := range append(minted, corpusTokens()...) {
		f.Add(token)
	}
	in, err := localjwt.New(f.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, JWKS: as.JWKS()})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, token string) {
		got, err := in.Introspect(t.Context(), token)
		if err == nil {
			require.Equal(t, as.Issuer(), got.Issuer)
			require.Equal(t, "user-1", got.Subject)
			return
		}
		require.Nil(t, got)
		require.True(t, errors.Is(err, oauthz.ErrInvalidToken) || errors.Is(err, oauthz.ErrUnrecognized), "%v", err)
	})
}

// FuzzKeySet checks that each key set is accepted or refused, and that a token that
// another key signed is never accepted.
func FuzzKeySet(f *testing.F) {
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	f.Cleanup(as.Close)
	token := as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent))
	genuine := as.JWKS()
	f.Add([]byte(genuine))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"keys":[null,1,{}],"keys":[]}`))
	var key struct{ Keys []struct{ X, Y string } }
	require.NoError(f, json.Unmarshal(genuine, &key))
	f.Fuzz(func(t *testing.T, set []byte) {
		in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, JWKS: append(json.RawMessage{}, set...)})
		if err != nil {
			return
		}
		if _, err := in.Introspect(t.Context(), token); err == nil {
			var doc any // without the escapes that the set may have
			require.NoError(t, json.Unmarshal(set, &doc))
			plain, err := json.Marshal(doc)
			require.NoError(t, err)
			require.Contains(t, string(plain), key.Keys[0].X)
			require.Contains(t, string(plain), key.Keys[0].Y)
		}
	})
}

// corpusTokens returns the seeds from the folder of test data beside the project,
// none if there is no such folder.
func corpusTokens() []string {
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "vectors", "attack-corpus.json"))
	if err != nil {
		return nil
	}
	var c corpus
	if json.Unmarshal(raw, &c) != nil {
		return nil
	}
	var tokens []string
	for _, row := range c.Cases {
		if len(row.Token) < 8192 { // longer tokens only make the fuzzer slow
			tokens = append(tokens, row.Token)
		}
	}
	return tokens
}
