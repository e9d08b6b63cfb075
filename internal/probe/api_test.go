package probe_test

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Adapters of another version import this package: what it exports stays as testdata/api.txt has it. A name may be added
// there, together with a line in CHANGELOG.md; no line may be removed or changed.
func TestExportedAPIIsFrozen(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/api.txt")
	require.NoError(t, err)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var got []string
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			got = append(got, exported(t, name)...)
		}
	}
	slices.Sort(got)
	assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), strings.Join(got, "\n")+"\n")
}

// exported returns the exported declarations of a file, without comments and the bodies of functions.
func exported(t *testing.T, name string) (decls []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.FileExports(file)
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			decl.Body = nil
		case *ast.GenDecl:
			if decl.Tok == token.IMPORT {
				continue
			}
		}
		var out strings.Builder
		require.NoError(t, printer.Fprint(&out, files, decl))
		decls = append(decls, out.String())
	}
	return decls
}
