package agilicus_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

const (
	jwt      = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJjYW5hcnkifQ.canary-signature"
	apiToken = "canary-api-token"
	audience = "urn:api:agilicus:users"
)

var clock = time.Unix(1767650000, 0)

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func answers(t *testing.T, status int, body string) *vendortest.Vendor {
	t.Helper()
	return vendortest.Serve(t, vendortest.JSON(status, body))
}

func config(base string, client *http.Client) agilicus.Config {
	return agilicus.Config{
		BaseURL: base, Audience: []string{audience}, HTTPClient: client, Now: func() time.Time { return clock },
		BearerToken: func(context.Context) (oauthz.Secret, error) { return apiToken, nil },
	}
}

// newClient returns a Client of v.
func newClient(t *testing.T, v *vendortest.Vendor, edit ...func(*agilicus.Config)) *agilicus.Client {
	t.Helper()
	cfg := config(v.URL, v.Client())
	for _, e := range edit {
		e(&cfg)
	}
	client, err := agilicus.New(cfg)
	require.NoError(t, err)
	return client
}

func operationError(t *testing.T, err error, operation string, status int) {
	t.Helper()
	vendortest.WantOperationError(t, err, "agilicus", operation, status)
}
