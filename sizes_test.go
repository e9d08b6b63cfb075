package oauthz_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Bounds of the size of a file and of a function, both in lines. A function counts from its func to its last brace.
const (
	maxFileLines     = 350
	maxFunctionLines = 40
)

func TestFilesAndFunctionsAreSmall(t *testing.T) {
	t.Parallel()
	tooLong, err := tooLongIn(os.DirFS("."))
	require.NoError(t, err)
	assert.Empty(t, tooLong, "split the file, or move a part of the function into a function of its own")
}

func TestLongFilesAndFunctionsAreSeen(t *testing.T) {
	t.Parallel()
	function := func(head string, lines int) string { return head + " {" + strings.Repeat("\n", lines-1) + "}\n" }
	file := func(lines int) string { return "package p\n" + strings.Repeat("\n", lines-1) }
	got, err := tooLongIn(fstest.MapFS{
		"file.go":             {Data: []byte(file(maxFileLines))},
		"function.go":         {Data: []byte("package p\n" + function("func f()", maxFunctionLines))},
		"long_file.go":        {Data: []byte(file(maxFileLines + 1))},
		"no_line_end.go":      {Data: []byte(file(maxFileLines) + "// end")},
		"cache/long_test.go":  {Data: []byte("package p\n// f is\n// long.\n" + function("func (x *T) f()", maxFunctionLines+1))},
		"cache/stub.go":       {Data: []byte("package p\nfunc f()\n")},
		"interop/notes.md":    {Data: []byte(file(maxFileLines + 1))},
		"cache/testdata/x.go": {Data: []byte(file(maxFileLines + 1))},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"cache/long_test.go:4: function f has 41 lines, of at most 40",
		"long_file.go: 351 lines, of at most 350",
		"no_line_end.go: 351 lines, of at most 350",
	}, got)
}

// tooLongIn returns a sentence for every Go file of tree, and for every function in one, that has too many lines.
func tooLongIn(tree fs.FS) ([]string, error) {
	var tooLong []string
	err := eachGoFile(tree, func(name string, source []byte) error {
		if lines := linesOf(source); lines > maxFileLines {
			tooLong = append(tooLong, fmt.Sprintf("%s: %d lines, of at most %d", name, lines, maxFileLines))
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := files.Position(function.Pos()).Line, files.Position(function.End()).Line
			if lines := last - first + 1; lines > maxFunctionLines {
				tooLong = append(tooLong, fmt.Sprintf("%s:%d: function %s has %d lines, of at most %d", name, first, function.Name.Name, lines, maxFunctionLines))
			}
		}
		return nil
	})
	return tooLong, err
}

// linesOf returns the number of lines of source. The last one counts without a line end too.
func linesOf(source []byte) int {
	lines := bytes.Count(source, []byte("\n"))
	if len(source) > 0 && !bytes.HasSuffix(source, []byte("\n")) {
		lines++
	}
	return lines
}
