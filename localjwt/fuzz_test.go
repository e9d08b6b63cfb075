package localjwt_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// FuzzIntrospect: whatever the string, the answer is a token that was minted, or
// a refusal; never a panic, and never a fault of a key set that is at hand.
func FuzzIntrospect(f *testing.F) {
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	f.Cleanup(as.Close)
	minted := []string{
		as.Mint(nil), as.Mint(oauthztest.Claims{"scope": "a b", "cnf": map[string]string{"jkt": "x"}}),
		as.Mint(nil, oauthztest.WithAlgorithm("RS256")), as.Mint(nil, oauthztest.WithAlgorithm("EdDSA")),
	}
	for _, token := range append(minted, hostileSeeds...) {
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

// FuzzKeySet: whatever the key set, it is taken or refused, and no token that
// was signed with another key passes.
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

// hostileSeeds are tokens of each kind that the module conformance tests.
var hostileSeeds = []string{
	"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.",                                                                                                                               // unsigned, alg "none"
	"eyJhbGciOiJIUzI1NiIsImtpZCI6InJzYS0yMDQ4IiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6ImEtaHMyNTYtcnNhLW4tYnl0ZXMiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.vngjxMX0BzGBxe84nLEcANJK3nWIIMdYVPdKmqh4iJ8",                                    // HS256 keyed with rsa-n-bytes
	"eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.mk5kzfVLbdS5_cJl_jrBu32MpuzAGzin8RQfD1RDYOw",                                                                                   // HS256, no kid, PEM public key
	"eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjLXAyNTYiLCJ0eXAiOiJhdCtqd3QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6ImEtZXMyNTYtZm9yZ2VkIiwic2NvcGUiOiJyZWFkIHdyaXRlIn0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ", // ES256 with r/s = r1-s1
	"eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uLy4uLy4uLy4uLy4uL2Rldi9udWxsIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.6o3SHA7EC50IpOeIwG9-c4eAgYBFJY1IFqN9HXUsGUM",                                                        // kid ../../../../../../dev/null, HS256 with an empty key; mus
	"eyJhbGciOiJIUzI1NiIsImtpZCI6Il9fcHJvdG9fXyJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ._WM0fVo16s2SX9moBbF2VJNcmZkeI0WnBQ54TmX6Jfs",                                                                               // kid __proto__, HS256 with an empty key; must not reach a fil
	"eyJhbGciOiJIUzI1NiIsImtpZCI6IiopKHVpZD0qIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.opdalqIVom2RGWuPT8Fmch_d_vtQ3lxJhW5MIBtyNfk",                                                                                // kid *)(uid=*, HS256 with an empty key; must not reach a file
	"eyJhbGciOiJIUzI1NiIsImtpZCI6IngnIFVOSU9OIFNFTEVDVCAnc2VjcmV0JyAtLSAifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.ZA6-XbUk5JULxk-hIreMsl8nPN9QCUWt0sFH40ARy4A",                                                     // SQL injection that makes the key 'secret'
	"eyJhbGciOiJIUzI1NiIsImtpZCI6Im9jdC0xIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.oztzTK6XOcXMoqKOJNSUeVTjanJy33ttbZcLVf0r1hQ",                                                                // symmetric key published in a public JWKS
	"eyJhbGciOiJFZERTQSIsImtpZCI6InNtYWxsIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6ImotZWQtaWRlbnRpdHkiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",     // public key is the identity point: anyone can sign, Go ed2551
	"eyJhbGciOiJFZERTQSIsImtpZCI6InNob3J0IiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.N1wHLk8BsXYR0UrmOJluWCsAxq3f7SAI5mvzFXWzCCsM2qxHds6nOzv7TAUO1aTkRoqiDOtCDPwdYC3XtLEuCg",                     // 31-octet Ed25519 x: ed25519.Verify panics on wrong length
	"eyJhbGciOiJFUzI1NiIsImtpZCI6ImluZiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsInN1YiI6InVzZXItMSIsImNsaWVudF9pZCI6ImNsaWVudC0xIiwiaWF0IjoxNzM1Njg5NjAwLCJleHAiOjQxMDI0NDQ4MDAsImp0aSI6IngiLCJzY29wZSI6InJlYWQgd3JpdGUifQ.l_bd-tKRLzlH-m_Urhr0zJJ01aNdjNkDT67NIsgnHgF2DAG_jRHPiPEeBoXiBoZZAAkOmdIscsdkWUFtBoiC5g",                        // x=y=0
	".", // not three non-empty segments / wrong order
	"eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0yMDQ4IiwidHlwIjoiYXQrand0In0..VmIgQ4JnnmpqPfkXJE_3G4abIvKkJ28wEl9Aqye0xriHJP3j-yDGarZi9uLFaia4RY9zbL02qqDHMXTnmUZUCfyVa-VSpjtDpY0ysdD2QBJ4ljdQBYPa6BDo5nA5zgy9Dv19-E1p6mFs9ko2-NMWVj7CSZLuwC4GrmVxEpI5OfwgwTkUYT-NLUZcJN2SO0t1soxKcA822-nwysuRtmdE-2JQny_F2gwx03hcr-V9XUPvyBbv6D_AKWmvYZ25kmrdFwnry97dZBY5qV7zU5FnfmQHm57Tan1fZTIr41uu-6X54jAMxtCl069nz-yixR_b1Bc_NPq9O-J4MyjJ0QTBgQ", // empty payload with a valid signature over it
	"eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJlbmMiOiJBMTI4R0NNIiwicDJzIjoiQUFBQUFBQUFBQUFBQUFBQSIsInAyYyI6MjE0NzQ4MzY0N30.AAAA.AAAA.AAAA.AAAA", // billion-hashes JWE: must return at once
	"eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0yMDQ4IiwidHlwIjoiYXQrand0In0.dHJ1ZQ.iB7SCtMRQkXi-9kSLmT5DAzxGdkSWSkpLiWTq-j1hnCDWqUQAJgZZSE0y8CoMEei_8lginLIxgw5cawleNS0PtgNSYutd2P0wBLk9kG74zaWL_N8mIJl8MdTOhxIoXAjkQkSVFNaL3Rvnl2oGMfPvTi0-bD6zTkqHkkVkOaesIdeQrB10R9EJoyDRRXUjV2BKU8aPm3TzedpT5HfJfZClo4sa_CY8NYYiLh_fs-q9pCUOs37J2xaqAgYNTCX14Ax1ZKvU7OISTW4cT5NOQD27TIrztTPwJDzjj5PRFwubbsXQxw0mmkE1R4A4FVaG5eqp0UI-bI0wTeX2CheiF7X3g", // payload is not a JSON object with the required claims
}
