package gusto_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/gusto"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

// None of these is ever part of an error.
const (
	token   = "canary-token-As8qKfNObHbwe7abbJqF0WUF6iCQoI"
	refresh = "canary-refresh-As8qKfNObHbwe7abbJqF0WUF6iCQ"
	secret  = "canary-secret-"
)

var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// client returns a client of v with all credentials.
func client(t *testing.T, v *vendortest.Vendor, change ...func(*gusto.Config)) *gusto.Client {
	t.Helper()
	cfg := gusto.Config{
		BaseURL: v.URL, ClientID: "app", ClientSecret: secret, InsecureAnyClient: true,
		HTTPClient: v.Client(), Now: func() time.Time { return epoch },
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := gusto.New(cfg)
	require.NoError(t, err)
	return c
}

// operation is an operation of the client.
type operation struct {
	name string
	call func(t *testing.T, c *gusto.Client) error
}

var operations = []operation{
	{"introspect", func(t *testing.T, c *gusto.Client) error {
		_, err := c.Introspect(t.Context(), token)
		return err
	}},
	{"token_info", func(t *testing.T, c *gusto.Client) error {
		_, err := c.IntrospectRaw(t.Context(), token)
		return err
	}},
	{"revoke", func(t *testing.T, c *gusto.Client) error { return c.Revoke(t.Context(), token) }},
	{"refresh_access_token", func(t *testing.T, c *gusto.Client) error {
		_, err := c.Refresh(t.Context(), refresh)
		return err
	}},
	{"disconnect_app_integration", func(t *testing.T, c *gusto.Client) error {
		return c.DisconnectAppIntegration(t.Context(), token, "company")
	}},
}

func operationError(t *testing.T, err error, name string, status int) *providers.OperationError {
	t.Helper()
	return vendortest.WantOperationError(t, err, "gusto", name, status)
}
