package oauthz_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rootBuildList is the build list of a program that imports the root: the dependencies of the root module.
var rootBuildList = []string{
	"github.com/MicahParks/jwkset", "github.com/MicahParks/keyfunc/v3", "github.com/golang-jwt/jwt/v5", "github.com/maypok86/otter/v2",
	floorModule, "github.com/stretchr/testify", "go.yaml.in/yaml/v3", "golang.org/x/time",
}

// nestedModules are the modules with a framework or a client of their own. A program that does not use them must not
// depend on it.
var nestedModules = map[string]string{
	"adapters/authzchi":   "github.com/go-chi/chi/v5",
	"adapters/authzgin":   "github.com/gin-gonic/gin",
	"adapters/authzecho":  "github.com/labstack/echo/v5",
	"adapters/authzecho4": "github.com/labstack/echo/v4",
	"revlog/boltlog":      "go.etcd.io/bbolt",
	"revlog/redislog":     "github.com/redis/go-redis/v9",
	"revlog/pglog":        "github.com/jackc/pgx/v5",
}

// TestConsumersPayForTheRootAlone checks the build list of a temporary module that imports only the root, and the packages
// that are linked into it.
func TestConsumersPayForTheRootAlone(t *testing.T) {
	t.Parallel()
	dir := consumer(t, floorModule)
	assert.Equal(t, append([]string{"consumer"}, rootBuildList...), goList(t, dir, "-m", "-f", "{{.Path}}", "all"))
	assert.ElementsMatch(t, []string{"consumer", floorModule, floorModule, floorModule, floorModule, floorModule}, // and its four internal packages
		goList(t, dir, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
}

// TestConsumersPayForWhatTheyUse: a nested module brings its own client, and none of the clients of the others.
func TestConsumersPayForWhatTheyUse(t *testing.T) {
	t.Parallel()
	for folder, client := range nestedModules {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			list := goList(t, consumer(t, floorModule+"/"+folder), "-m", "-f", "{{.Path}}", "all")
			assert.Contains(t, list, client)
			for other := range maps.Values(nestedModules) {
				assert.True(t, other == client || !slices.Contains(list, other), "%s is in the build list", other)
			}
		})
	}
}

// consumer makes a module that imports one package of the project.
func consumer(t *testing.T, imported string) (dir string) {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	mod := fmt.Sprintf("module consumer\n\ngo 1.25.0\n\nrequire %s v0.0.0\n\nreplace %s => %q\n", imported, floorModule, here)
	if nested, ok := strings.CutPrefix(imported, floorModule+"/"); ok {
		mod += fmt.Sprintf("\nreplace %s => %q\n", imported, filepath.Join(here, nested))
	}
	dir = t.TempDir()
	main := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", imported)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o600))
	return dir
}

// goList returns the lines of a go list command that is run in dir.
func goList(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	list.Dir = dir
	list.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "PWD="+dir)
	out, err := list.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	}
	require.NoError(t, err)
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return line == "" })
}
