package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One quick round of two cases: this tests the program, and no figure.
func TestRunWritesFigures(t *testing.T) {
	folder := t.TempDir()
	markdown, svg := filepath.Join(folder, "figures.md"), filepath.Join(folder, "figures.svg")
	var stdout strings.Builder
	err := run(t.Context(), []string{
		"-rounds", "1", "-time", "1ns", "-run", "(Seen|New)Token/alg=EdDSA/goroutines=1/by=(oauthz|byhand)$", "-markdown", markdown, "-svg", svg,
	}, &stdout, io.Discard)
	require.NoError(t, err)
	assert.Contains(t, stdout.String(), "EdDSA")
	assert.Contains(t, stdout.String(), "byhand")
	for name, want := range map[string]string{markdown: "github.com/golang-jwt/jwt/v5", svg: "</svg>"} {
		written, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Contains(t, string(written), want)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{name: "an unknown flag", args: []string{"-quick"}, want: "flags: "},
		{name: "an argument", args: []string{"quick"}, want: "unexpected argument"},
		{name: "no rounds", args: []string{"-rounds", "0"}, want: "have to be positive"},
		{name: "no time", args: []string{"-time", "0s"}, want: "have to be positive"},
		{name: "no regexp", args: []string{"-run", "("}, want: "flags: run: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.ErrorContains(t, run(t.Context(), tt.args, io.Discard, io.Discard), tt.want)
		})
	}
}

func TestRunOfNothing(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, run(t.Context(), []string{"-run", "nothing"}, io.Discard, io.Discard), "no case matches")
	assert.NoError(t, run(t.Context(), []string{"-help"}, io.Discard, io.Discard))
}

func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	progress := writer(func(p []byte) (int, error) { cancel(); return len(p), nil })
	assert.ErrorContains(t, run(ctx, nil, io.Discard, progress), "interrupted")
}

type writer func([]byte) (int, error)

// Write implements [io.Writer].
func (w writer) Write(p []byte) (int, error) { return w(p) }
