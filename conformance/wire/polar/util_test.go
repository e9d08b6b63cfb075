package polar_test

import (
	"encoding/json"
	"hash/crc32"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/conformance/wire"
	"github.com/oauthz/oauthz/providers/polar"
)

const (
	clientID     = "polar_ci_abc"
	clientSecret = "polar_cs_canary-secret"
	random       = "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8N" // 37 characters
)

var clock = time.Unix(1767650000, 0)

// mint returns a secret in the form of Polar. It uses math/big, and not the arithmetic of the package.
func mint(prefix, random string) string {
	digits := big.NewInt(int64(crc32.ChecksumIEEE([]byte(random)))).Text(62)
	// math/big has a-z before A-Z, Polar has A-Z before a-z: the digits change their case.
	swapped := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return r
		}
	}, digits)
	return prefix + random + strings.Repeat("0", max(6-len(swapped), 0)) + swapped
}

// form returns the credentials of a request, which are in the form or in the header, and the rest of the form.
func form(t *testing.T, sent wire.Request) (id, secret string, rest url.Values) {
	t.Helper()
	rest, err := url.ParseQuery(sent.Body)
	require.NoError(t, err)
	id, secret = rest.Get("client_id"), rest.Get("client_secret")
	rest.Del("client_id")
	rest.Del("client_secret")
	r := &http.Request{Header: sent.Header}
	if user, password, ok := r.BasicAuth(); ok {
		assert.Empty(t, id, "two ways of client authentication at once")
		id, secret = user, password
	}
	return id, secret, rest
}

// newClient returns a Client of v.
func newClient(t *testing.T, v *wire.Server, edit ...func(*polar.Config)) *polar.Client {
	t.Helper()
	cfg := polar.Config{
		BaseURL: v.URL, ClientID: clientID, ClientSecret: clientSecret,
		HTTPClient: v.Client(), Now: func() time.Time { return clock },
	}
	for _, e := range edit {
		e(&cfg)
	}
	client, err := polar.New(cfg)
	require.NoError(t, err)
	return client
}

func operationError(t *testing.T, err error, operation string, status int) {
	t.Helper()
	wire.WantOperationError(t, err, "polar", operation, status)
}

// members returns the members of a body, which may be null.
func members(t *testing.T, body []byte) (out map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &out))
	return out
}
