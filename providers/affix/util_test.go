package affix_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/affix"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

// token is never part of an error.
const token = "eyJhbGciOiJFUzI1NiJ9.canary.canary"

var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// ours is the client whose tokens are accepted.
const ours = "00000000-00000000-00000000-00000000"

func client(t *testing.T, v *vendortest.Vendor, change ...func(*affix.Config)) *affix.Client {
	t.Helper()
	cfg := affix.Config{BaseURL: v.URL, ClientIDs: []string{"another", ours}, HTTPClient: v.Client(), Now: func() time.Time { return epoch }}
	for _, f := range change {
		f(&cfg)
	}
	c, err := affix.New(cfg)
	require.NoError(t, err)
	return c
}

func operationError(t *testing.T, err error, status int) *providers.OperationError {
	t.Helper()
	return vendortest.WantOperationError(t, err, "affix", "introspect", status)
}
