package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStory(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-once"}, &out))
	for _, step := range story() {
		assert.Contains(t, out.String(), step.what)
	}
	assert.Len(t, regexp.MustCompile(`refused \S+ after`).FindAllString(out.String(), -1), 2)
}

// An existing file is continued.
func TestStoryOverAnOldFile(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/revocations.db"
	for range 2 {
		require.NoError(t, run(t.Context(), []string{"-once", "-bolt", file}, &bytes.Buffer{}))
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-redis", "a", "-postgres", "b"}, "want one of them"},
		{[]string{"extra"}, `unexpected argument "extra"`},
		{[]string{"-nonsense"}, "flag provided but not defined"},
	} {
		assert.ErrorContains(t, run(t.Context(), tt.args, &bytes.Buffer{}), tt.want)
	}
	assert.NoError(t, run(t.Context(), []string{"-h"}, &bytes.Buffer{}))
}
