package remote_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// records returns the attributes of the records in out, without the time.
func records(t *testing.T, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for decoder := json.NewDecoder(out); decoder.More(); {
		var record map[string]any
		require.NoError(t, decoder.Decode(&record))
		delete(record, "time")
		all = append(all, record)
	}
	return all
}

// The warnings about the keys of the issuer go to Config.Logger: a key set that
// cannot be fetched, and private keys in a key set.
func TestLoggerReceivesWarningsAboutKeys(t *testing.T) {
	t.Parallel()
	const private = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1",` +
		`"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}` // RFC 8037 A.1
	for name, tt := range map[string]struct {
		status  int
		body    string
		message string
		attr    string
	}{
		"fetch fails":  {500, ``, "oauthz: cannot fetch the issuer's keys", "error"},
		"private keys": {200, private, "oauthz: the issuer's key set holds private keys: every reader of it can sign answers", "private"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				_, err := remote.New(t.Context(), remote.Config{
					Endpoint: "https://issuer.example/i", Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience},
					Signed: &remote.Signed{Audience: "api", JWKSURL: "https://issuer.example/jwks"},
					Logger: slog.New(slog.NewJSONHandler(&out, nil)),
					HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
						return reply(tt.status, tt.body), nil
					})},
				})
				require.NoError(t, err)
				synctest.Wait()
				got := records(t, &out)
				require.Len(t, got, 1)
				assert.Equal(t, "WARN", got[0]["level"])
				assert.Equal(t, tt.message, got[0]["msg"])
				assert.Equal(t, "https://issuer.example", got[0]["issuer"])
				assert.NotEmpty(t, got[0][tt.attr])
			})
		})
	}
}
