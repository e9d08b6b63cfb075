package oauthz_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// floorModule is the path that every package of the project starts with, those of nested modules too.
const floorModule = "github.com/oauthz/oauthz"

// A room is a package and what it may import beside the standard library. Tests are free: they may import anything.
type room struct {
	path   string   // its folder, "." for the root; "x/..." is x and all below it
	may    []string // folders of packages of the project
	others []string // modules of others
	free   bool     // may import anything
}

// floorPlan is the house, a row for each room, low floors first: a row names only rooms below it.
// A package without a row fails the test: whoever adds a room says here what it stands on, and adds it to the table in
// CONTRIBUTING.md. Rows may be written before their rooms are built.
var floorPlan = []room{
	// 0: the standard library only
	{path: "internal/strictjson"},
	{path: "internal/fetch"},
	{path: "internal/doubling"}, // of tests
	{path: "internal/challengetest"},
	{path: "internal/settled"},
	{path: "internal/probe"}, // adapters import it: its API is frozen
	// 1: what users and introspectors share, and the index behind its revocation list
	{path: "internal/revindex", may: []string{"internal/strictjson"}},
	{path: ".", may: []string{"internal/probe", "internal/revindex", "internal/settled", "internal/strictjson"}},
	// 2
	{path: "internal/jose", may: []string{"internal/strictjson", "internal/fetch"}, others: []string{
		"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3", "github.com/MicahParks/jwkset",
	}},
	// 3
	{path: "localjwt", may: []string{".", "internal/strictjson", "internal/fetch", "internal/jose"}},
	{path: "remote", may: []string{".", "internal/strictjson", "internal/fetch", "internal/jose"}},
	{path: "cache", may: []string{"."}, others: []string{"github.com/maypok86/otter/v2"}},
	{path: "revlog", may: []string{"."}},
	{path: "revlog/logtest", may: []string{".", "revlog"}},
	{path: "endpoint", may: []string{".", "internal/strictjson", "internal/fetch", "internal/jose"}},
	// 4
	{path: "providers", may: []string{".", "internal/strictjson", "internal/fetch", "remote"}},
	{path: "providers/gusto", may: []string{".", "internal/strictjson", "internal/fetch", "remote", "providers"}},
	{path: "providers/affix", may: []string{".", "internal/strictjson", "internal/fetch", "remote", "providers"}},
	{path: "providers/polar", may: []string{".", "internal/strictjson", "internal/fetch", "remote", "providers"}},
	{path: "providers/agilicus", may: []string{".", "internal/strictjson", "internal/fetch", "remote", "providers"}},
	{path: "providers/internal/vendortest", may: []string{".", "cache", "providers"}, others: []string{"github.com/stretchr/testify"}},
	{path: "oauthztest", may: []string{"."}, others: []string{"github.com/golang-jwt/jwt/v5"}},
	// 5: each its own module, except the suite of the adapters
	{path: "adapters/adaptertest", may: []string{".", "oauthztest"}},
	{path: "adapters/authzchi", may: []string{".", "internal/probe"}, others: []string{"github.com/go-chi/chi/v5"}},
	{path: "adapters/authzgin", may: []string{".", "internal/probe"}, others: []string{"github.com/gin-gonic/gin"}},
	{path: "adapters/authzecho", may: []string{".", "internal/probe"}, others: []string{"github.com/labstack/echo/v5"}},
	{path: "adapters/authzecho4", may: []string{".", "internal/probe"}, others: []string{"github.com/labstack/echo/v4"}},
	{path: "revlog/boltlog", may: []string{".", "internal/settled", "revlog"}, others: []string{"go.etcd.io/bbolt"}},
	{path: "revlog/redislog", may: []string{".", "revlog"}, others: []string{"github.com/redis/go-redis/v9"}},
	{path: "revlog/pglog", may: []string{".", "revlog"}, others: []string{"github.com/jackc/pgx/v5"}},
	// 6: each its own module
	{path: "examples/...", free: true},
	{path: "bench/...", free: true},
	{path: "conformance/...", free: true}, // tests only
	{path: "interop/...", free: true},
	{path: "internal/release", free: true}, // not imported by any other
}

func TestImportsStayOnTheirFloor(t *testing.T) {
	t.Parallel()
	breaches, err := floorBreaches(os.DirFS("."))
	require.NoError(t, err)
	for _, breach := range breaches {
		t.Error(breach)
	}
}

// breachTests are imports of one file, and the breaches that floorBreaches returns for each.
var breachTests = []struct {
	name, file, imports string
	want                []string
}{
	{name: "standard library", file: "internal/fetch/fetch.go", imports: "net/http"},
	{name: "a room of the row", file: "token.go", imports: floorModule + "/internal/strictjson"},
	{name: "the root", file: "localjwt/localjwt.go", imports: floorModule},
	{name: "a module of the row", file: "internal/jose/jose.go", imports: "github.com/golang-jwt/jwt/v5/request"},
	{name: "a test imports anything", file: "internal/fetch/fetch_test.go", imports: "github.com/stretchr/testify/assert"},
	{name: "a program imports anything", file: "examples/quickstart/main.go", imports: "github.com/go-chi/chi/v5"},
	{name: "test data", file: "testdata/broken.go", imports: "github.com/go-chi/chi/v5"},
	{
		name: "a room above", file: "token.go", imports: floorModule + "/internal/jose",
		want: []string{"token.go: package . may not import " + floorModule + "/internal/jose"},
	},
	{
		name: "the root, from floor 0", file: "internal/fetch/fetch.go", imports: floorModule,
		want: []string{"internal/fetch/fetch.go: package internal/fetch may not import " + floorModule},
	},
	{
		name: "a module that the row does not name", file: "token.go", imports: "github.com/golang-jwt/jwt/v5",
		want: []string{"token.go: package . may not import github.com/golang-jwt/jwt/v5"},
	},
	{
		name: "a module whose path only begins like one of the row", file: "internal/jose/jose.go", imports: "github.com/golang-jwt/jwt/v55",
		want: []string{"internal/jose/jose.go: package internal/jose may not import github.com/golang-jwt/jwt/v55"},
	},
	{
		name: "C code", file: "internal/fetch/fetch.go", imports: "C",
		want: []string{"internal/fetch/fetch.go: package internal/fetch may not import C"},
	},
	{
		name: "a room without a row", file: "attic/attic.go", imports: "fmt",
		want: []string{"attic/attic.go: package attic has no row in floorPlan"},
	},
	{
		name: "a room without a row that has only tests", file: "attic/attic_test.go", imports: "fmt",
		want: []string{"attic/attic_test.go: package attic has no row in floorPlan"},
	},
}

func TestFloorBreachesAreSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range breachTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := fmt.Sprintf("package p\n\nimport _ %q\n", tt.imports)
			got, err := floorBreaches(fstest.MapFS{tt.file: {Data: []byte(source)}})
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestRowsNameOnlyRoomsBelow(t *testing.T) {
	t.Parallel()
	var below []string
	for _, r := range floorPlan {
		assert.Subset(t, below, r.may, "what %s may import", r.path)
		below = append(below, r.path)
	}
}

// Programs and tests that wait for real servers may sleep. Everything else takes its time from a clock that a test can set.
func TestNothingSleeps(t *testing.T) {
	t.Parallel()
	sleeps, err := sleepsIn(os.DirFS("."))
	require.NoError(t, err)
	assert.Empty(t, sleeps, "wait for an event, or inject a clock")
}

func TestSleepsAreSeen(t *testing.T) {
	t.Parallel()
	const (
		called   = "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }\n"
		renamed  = "package p\nimport clock \"time\"\nvar f = clock.Sleep\n"
		innocent = "package p\nimport \"time\"\nvar f, g = time.Now, server.Sleep\n"
	)
	got, err := sleepsIn(fstest.MapFS{
		"called.go":           {Data: []byte(called)},
		"cache/clock_test.go": {Data: []byte(renamed)},
		"innocent.go":         {Data: []byte(innocent)},
		"interop/run_test.go": {Data: []byte(called)},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"cache/clock_test.go:3", "called.go:3"}, got)
}

// Both keep verification keys. A new version is read before it is taken: internal/jose stands on how they behave.
func TestKeyLibrariesArePinned(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^\s*(require )?github\.com/MicahParks/keyfunc/v3 v3\.9\.0$`, string(mod))
	assert.Regexp(t, `(?m)^\s*(require )?github\.com/MicahParks/jwkset v0\.11\.3$`, string(mod))
}

func TestRootStandsOnTheStandardLibrary(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	out, err := list.Output()
	require.NoError(t, err)
	assert.Equal(t, []string{
		floorModule + "/internal/probe", floorModule + "/internal/strictjson", floorModule + "/internal/revindex",
		floorModule + "/internal/settled", floorModule,
	}, strings.Fields(string(out)))
}

// floorBreaches returns a sentence for every import in tree that floorPlan does not allow, and for every file that is in no room.
func floorBreaches(tree fs.FS) ([]string, error) {
	var breaches []string
	err := eachGoFile(tree, func(name string, source []byte) error {
		folder := path.Dir(name)
		in, ok := roomOf(folder)
		if !ok {
			breaches = append(breaches, fmt.Sprintf("%s: package %s has no row in floorPlan", name, folder))
			return nil
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		imports, err := importsOf(name, source)
		for _, imported := range imports {
			if !in.mayImport(imported) {
				breaches = append(breaches, fmt.Sprintf("%s: package %s may not import %s", name, folder, imported))
			}
		}
		return err
	})
	return breaches, err
}

// roomOf finds the row of a folder.
func roomOf(folder string) (room, bool) {
	i := slices.IndexFunc(floorPlan, func(r room) bool {
		below, all := strings.CutSuffix(r.path, "/...")
		return r.path == folder || all && within(folder, below)
	})
	if i < 0 {
		return room{}, false
	}
	return floorPlan[i], true
}

func (r room) mayImport(imported string) bool {
	switch {
	case r.free:
		return true
	case imported == floorModule:
		return slices.Contains(r.may, ".")
	case within(imported, floorModule):
		return slices.Contains(r.may, strings.TrimPrefix(imported, floorModule+"/"))
	case isStandard(imported):
		return true
	default:
		return slices.ContainsFunc(r.others, func(module string) bool { return within(imported, module) })
	}
}

// within reports whether name is base or is below it.
func within(name, base string) bool {
	return name == base || strings.HasPrefix(name, base+"/")
}

// isStandard goes by the rule that the go command has: the first element of every other path has a dot. (And "C" is cgo's.)
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return imported != "C" && !strings.Contains(first, ".")
}

// importsOf returns what a file imports, whatever its build constraints.
func importsOf(name string, source []byte) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	imports := make([]string, 0, len(file.Imports))
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, imported)
	}
	return imports, nil
}

// sleepsIn returns where the files of tree name time.Sleep, interop apart.
func sleepsIn(tree fs.FS) ([]string, error) {
	var sleeps []string
	err := eachGoFile(tree, func(name string, source []byte) error {
		if within(name, "interop") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		clock := nameOfTime(file)
		ast.Inspect(file, func(node ast.Node) bool {
			if isSelector(node, clock, "Sleep") {
				sleeps = append(sleeps, fmt.Sprintf("%s:%d", name, files.Position(node.Pos()).Line))
			}
			return true
		})
		return nil
	})
	return sleeps, err
}

// nameOfTime returns what a file calls the package time.
func nameOfTime(file *ast.File) string {
	for _, spec := range file.Imports {
		if spec.Path.Value == `"time"` && spec.Name != nil {
			return spec.Name.Name
		}
	}
	return "time"
}

// isSelector reports whether node is x.name.
func isSelector(node ast.Node, x, name string) bool {
	selector, ok := node.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	identifier, ok := selector.X.(*ast.Ident)
	return ok && identifier.Name == x
}

// eachGoFile visits the Go files of tree, but for those in folders that the go command leaves out as well and in node_modules.
func eachGoFile(tree fs.FS, visit func(name string, source []byte) error) error {
	return fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if leftOut(entry.Name()) {
				return fs.SkipDir
			}
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return visit(name, source)
	})
}

func leftOut(folder string) bool {
	hidden := folder != "." && strings.HasPrefix(folder, ".")
	return hidden || strings.HasPrefix(folder, "_") || slices.Contains([]string{"testdata", "vendor", "node_modules"}, folder)
}
