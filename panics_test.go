package oauthz_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program may build a requirement, or protect a handler, while it answers a request: the comment of the function must document the panic.
func TestFunctionsThatPanicDocumentIt(t *testing.T) {
	t.Parallel()
	functions := rootFunctions(t)
	panics := map[string]bool{"panic": true}
	for before := 0; before != len(panics); { // until no caller is found any more
		before = len(panics)
		for _, f := range functions {
			if callsOne(f, panics) {
				panics[f.Name.Name] = true
			}
		}
	}
	for _, f := range functions {
		if f.Name.IsExported() && panics[f.Name.Name] {
			assert.Regexp(t, `\bpanics\b`, f.Doc.Text(), "the comment of %s", f.Name.Name)
		}
	}
	for _, name := range []string{"Require", "RequireAny", "RequireClaim", "RequireACR", "RequireMaxAge", "Any", "Protect"} {
		assert.True(t, panics[name], "%s is found", name)
	}
}

// rootFunctions are the functions and methods of package oauthz.
func rootFunctions(t *testing.T) []*ast.FuncDecl {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	var functions []*ast.FuncDecl
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok {
				functions = append(functions, f)
			}
		}
	}
	return functions
}

// callsOne reports whether f calls one of the functions by its name. (A method is called through a value.)
func callsOne(f *ast.FuncDecl, names map[string]bool) (found bool) {
	ast.Inspect(f.Body, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			callee, ok := call.Fun.(*ast.Ident)
			found = found || ok && names[callee.Name]
		}
		return true
	})
	return found
}
