package oauthz_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestREADMEProgramIsTheExample: the program of the README is one that compiles.
func TestREADMEProgramIsTheExample(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	example, err := os.ReadFile("examples/minimal/main.go")
	require.NoError(t, err)
	_, program, found := strings.Cut(string(example), "package main\n")
	require.True(t, found)
	assert.Contains(t, string(readme), "```go\npackage main\n"+program+"```\n")
}
