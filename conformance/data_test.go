package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// readJSON reads a file of testdata into v.
func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, v))
}

// decisions is testdata/decisions.json, by the id of the case.
type decisions struct {
	Headers map[string]struct {
		Status     int
		Error, Why string
	}
	HeaderEncodings map[string]struct {
		Latin1 bool
		Why    string
	} `json:"header_encodings"`
	SymmetricKeys        string                       `json:"symmetric_keys"`
	WycheproofSignatures map[string]signatureDecision `json:"wycheproof_signatures"`
	WycheproofKeys       map[string]signatureDecision `json:"wycheproof_keys"`
	RFCMessages          map[string]string            `json:"rfc_messages"` // why nothing is checked
}

type signatureDecision struct {
	Verifies bool
	Why      string
}

func readDecisions(t testing.TB) (d decisions) {
	t.Helper()
	readJSON(t, "decisions.json", &d)
	return d
}
