package jose_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/jose"
)

// compact returns a JWS with this header, the payload {} and the signature "\x00".
func compact(header string) string { return b64([]byte(header)...) + ".e30.AA" }

func TestParseReadsTheHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header string
		want   [3]string // alg, kid, typ
	}{
		{`{"alg":"ES256"}`, [3]string{"ES256"}},
		{`{"alg":"ES256","kid":"a","typ":"JWT"}`, [3]string{"ES256", "a", "jwt"}},
		{`{"alg":"none","typ":"application/AT+JWT"}`, [3]string{"none", "", "at+jwt"}},
		{`{"alg":"ES256","typ":"application/a/b"}`, [3]string{"ES256", "", "application/a/b"}},
		{" {\r\n\"alg\":\t\"\\u0045S256\"}", [3]string{"ES256"}},
		{`{"alg":"ES256","jwk":{"kty":"oct"},"jku":"https://evil.example","x5u":1,"x5c":[]}`, [3]string{"ES256"}}, // ignored
	} {
		j, err := jose.Parse(compact(tt.header), limits)
		require.NoError(t, err, tt.header)
		assert.Equal(t, tt.want, [3]string{j.Algorithm, j.KeyID, j.Type}, tt.header)
		payload, err := j.Payload()
		require.NoError(t, err)
		assert.Equal(t, "{}", string(payload))
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := compact(`{"alg":"ES256"}`)
	for token, want := range map[string]error{
		"": jose.ErrNotJWS, "opaque": jose.ErrNotJWS, "a.b": jose.ErrNotJWS, "a.b.c": jose.ErrNotJWS,
		good + ".x": jose.ErrNotJWS, compact(`[]`): jose.ErrNotJWS, " " + good: jose.ErrNotJWS,
		strings.TrimSuffix(good, "AA"): jose.ErrMalformed, // no signature
		compact(`{"kid":"a"}`):         jose.ErrMalformed, compact(`{"alg":""}`): jose.ErrMalformed, compact(`{"alg":1}`): jose.ErrMalformed,
		compact(`{"alg":"ES256","alg":"ES256"}`): jose.ErrMalformed, compact(`{"alg":"ES256"`): jose.ErrMalformed,
		compact(`{"alg":"ES256","kid":""}`): jose.ErrMalformed, compact(`{"alg":"ES256","kid":1}`): jose.ErrMalformed,
		compact(`{"alg":"ES256","typ":""}`): jose.ErrMalformed, compact(`{"alg":"ES256","typ":null}`): jose.ErrMalformed,
		compact(`{"alg":"ES256","crit":["b64"]}`): jose.ErrMalformed, compact(`{"alg":"ES256","crit":[]}`): jose.ErrMalformed,
		compact(`{"alg":"ES256","b64":true}`): jose.ErrMalformed, compact(`{"alg":"ES256","enc":"A128GCM"}`): jose.ErrMalformed,
		compact(`{"alg":"ES256","zip":"DEF"}`):                                         jose.ErrMalformed,
		good[:8] + "\n" + good[8:]:                                                     jose.ErrMalformed,
		strings.Replace(good, ".", "=.", 1):                                            jose.ErrMalformed,
		good + strings.Repeat("A", limits.Token):                                       jose.ErrMalformed,
		compact(`{"alg":"ES256","x":"` + strings.Repeat("x", limits.Header-10) + `"}`): jose.ErrMalformed,
	} {
		_, err := jose.Parse(token, limits)
		assert.ErrorIs(t, err, want, token)
	}
}

func TestParseAcceptsTheLimitsThemselves(t *testing.T) {
	t.Parallel()
	header := `{"alg":"ES256","x":""}`
	header = strings.Replace(header, `""`, `"`+strings.Repeat("x", 1023-len(header))+`"`, 1) // a multiple of three
	token := compact(header)
	_, err := jose.Parse(token, jose.Limits{Token: len(token), Header: len(header)})
	require.NoError(t, err)
	_, err = jose.Parse(token, jose.Limits{Token: len(token) - 1, Header: len(header)})
	require.ErrorIs(t, err, jose.ErrMalformed)
	_, err = jose.Parse(token, jose.Limits{Token: len(token), Header: len(header) - 1})
	assert.ErrorIs(t, err, jose.ErrMalformed)
}

func TestUnverifiedIssuer(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]string{
		`{"iss":"https://issuer.example"}`: "https://issuer.example",
		`{}`:                               "", `{"iss":1}`: "", `[]`: "", `{"iss":"a","iss":"b"}`: "",
	} {
		j := parse(t, b64([]byte(`{"alg":"ES256"}`)...)+"."+b64([]byte(claims)...)+".AA")
		assert.Equal(t, want, j.UnverifiedIssuer(), claims)
	}
	j := parse(t, b64([]byte(`{"alg":"ES256"}`)...)+".e31.AA") // trailing bits that are not zero
	_, err := j.Payload()
	require.ErrorIs(t, err, jose.ErrMalformed)
	assert.Empty(t, j.UnverifiedIssuer())
}
