package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tree is a repository of three modules, as small as they can be.
func tree() map[string]string {
	const adapter = "module github.com/oauthz/oauthz/adapters/a\n\ngo 1.25.0\n\n" +
		"require github.com/oauthz/oauthz v0.1.0\n\nreplace github.com/oauthz/oauthz => ../..\n"
	return map[string]string{
		"versions.txt":               "# a comment\ncore v0.1.0 .\ncore v0.1.0 adapters/a\nunreleased v0.0.0 examples/e\n",
		"CHANGELOG.md":               "# Changelog\n\n## [Unreleased]\n\n- all of it\n",
		"go.mod":                     "module github.com/oauthz/oauthz\n\ngo 1.25.0\n",
		"oauthz.go":                  "package oauthz\n\nconst Name = \"oauthz\"\n",
		"example_test.go":            "package oauthz_test\n\nimport (\n\t\"fmt\"\n\n\t\"github.com/oauthz/oauthz\"\n)\n\nfunc Example() {\n\tfmt.Println(oauthz.Name)\n\t// Output: oauthz\n}\n",
		"adapters/a/go.mod":          adapter,
		"adapters/a/a.go":            "package a\n\nimport \"github.com/oauthz/oauthz\"\n\nconst Name = oauthz.Name + \" for a\"\n",
		"adapters/a/example_test.go": "package a_test\n\nimport (\n\t\"fmt\"\n\n\t\"github.com/oauthz/oauthz/adapters/a\"\n)\n\nfunc Example() {\n\tfmt.Println(a.Name)\n\t// Output: oauthz for a\n}\n",
		"examples/e/go.mod":          "module github.com/oauthz/oauthz/examples/e\n\ngo 1.25.0\n\nrequire github.com/oauthz/oauthz v0.1.0\n\nreplace github.com/oauthz/oauthz => ../..\n",
		"examples/e/main.go":         "package main\n\nimport _ \"github.com/oauthz/oauthz\"\n\nfunc main() {}\n",
	}
}

// inRepo makes a git repository of files, and returns its folder.
func inRepo(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
	git(t, dir, "init", "-q")
	git(t, dir, "config", "user.name", "a")
	git(t, dir, "config", "user.email", "a@example.com")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "all")
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, old, new string
		want                 string // in the error; empty: nil
	}{
		{name: "as it should be", file: "go.mod"},
		{name: "a requirement that nobody can fetch", file: "adapters/a/go.mod", old: "oauthz v0.1.0", new: "oauthz v0.0.0",
			want: "adapters/a: requires github.com/oauthz/oauthz v0.0.0, want v0.1.0"},
		{name: "an example that lags behind", file: "examples/e/go.mod", old: "v0.1.0", new: "v0.0.9", want: "examples/e: requires"},
		{name: "no replace", file: "adapters/a/go.mod", old: "=> ../..", new: "=> ../../x", want: "want replace github.com/oauthz/oauthz => ../.."},
		{name: "another name", file: "adapters/a/go.mod", old: "adapters/a", new: "adapters/b", want: "named github.com/oauthz/oauthz/adapters/b"},
		{name: "a newer Go", file: "adapters/a/go.mod", old: "go 1.25.0", new: "go 1.26.0", want: "the go line is above 1.25.0"},
		{name: "not listed", file: "versions.txt", old: "core v0.1.0 adapters/a\n", want: "no line for adapters/a"},
		{name: "listed twice", file: "versions.txt", old: "core v0.1.0 adapters/a\n", new: "core v0.1.0 .\n", want: ". is listed twice"},
		{name: "not there", file: "versions.txt", old: "adapters/a", new: "adapters/c", want: "adapters/c"},
		{name: "two versions in a set", file: "versions.txt", old: "core v0.1.0 adapters/a", new: "core v0.2.0 adapters/a", want: "the version is v0.2.0, want v0.1.0"},
		{name: "no such set", file: "versions.txt", old: "core v0.1.0 adapters/a", new: "cores v0.1.0 adapters/a", want: `no set "cores"`},
		{name: "not a version", file: "versions.txt", old: "core v0.1.0 .\ncore v0.1.0 a", new: "core v0.1 .\ncore v0.1 a", want: "v0.1 is not a version"},
		{name: "a fourth field", file: "versions.txt", old: "core v0.1.0 .\n", new: "core v0.1.0 . x\n", want: "versions.txt:2: want a set"},
		{name: "released before what it requires", file: "versions.txt", old: "core v0.1.0 .\n", new: "edge v0.1.0 .\n", want: "released later or never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := tree()
			require.Contains(t, files[tt.file], tt.old)
			files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			r, err := open(inRepo(t, files))
			if err == nil {
				err = r.verify()
			}
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestStranger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r, err := open(inRepo(t, tree()))
	require.NoError(t, err)
	require.NoError(t, r.stranger(&out))
	assert.Equal(t, "go get github.com/oauthz/oauthz@v0.1.0, and the examples of 1 of its packages\n"+
		"go get github.com/oauthz/oauthz/adapters/a@v0.1.0, and the examples of 1 of its packages\n", out.String())
}

func TestStrangerFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, old, new, want string }{
		{"a requirement that nobody can fetch", "adapters/a/go.mod", "oauthz v0.1.0", "oauthz v0.0.0", "a user of github.com/oauthz/oauthz/adapters/a"},
		{"an example that needs more than its file", "example_test.go", "oauthz.Name", "name", "undefined: name"},
		{"an example with another output", "adapters/a/example_test.go", "for a\n", "for b\n", "want:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := tree()
			require.Contains(t, files[tt.file], tt.old)
			files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			r, err := open(inRepo(t, files))
			require.NoError(t, err)
			require.ErrorContains(t, r.stranger(&bytes.Buffer{}), tt.want)
		})
	}
}

func TestStrangerWantsAnExample(t *testing.T) {
	t.Parallel()
	files := tree()
	delete(files, "adapters/a/example_test.go")
	r, err := open(inRepo(t, files))
	require.NoError(t, err)
	require.EqualError(t, r.stranger(&bytes.Buffer{}), "adapters/a has no package example")
}

func TestTagIsDry(t *testing.T) {
	t.Parallel()
	dir := inRepo(t, tree())
	r, err := open(dir)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, r.tag(&out, "core", "v0.2.0", false))
	assert.Contains(t, out.String(), "\tv0.2.0\n\tadapters/a/v0.2.0\nthis was a dry run")
	assert.Empty(t, git(t, dir, "status", "--porcelain"))
	assert.Empty(t, git(t, dir, "tag"))
}

func TestTag(t *testing.T) {
	t.Parallel()
	dir := inRepo(t, tree())
	r, err := open(dir)
	require.NoError(t, err)
	require.NoError(t, r.tag(&bytes.Buffer{}, "core", "v0.2.0", true))
	assert.Empty(t, git(t, dir, "status", "--porcelain"))
	assert.Equal(t, "adapters/a/v0.2.0\nv0.2.0\n", git(t, dir, "tag"))
	assert.Equal(t, "Release v0.2.0\n", git(t, dir, "log", "-1", "--format=%s", "v0.2.0"))
	again, err := open(dir)
	require.NoError(t, err)
	require.NoError(t, again.verify())
	assert.Equal(t, "v0.2.0", again.modules[1].version)
	changelog, err := os.ReadFile(filepath.Join(dir, "CHANGELOG.md"))
	require.NoError(t, err)
	assert.Regexp(t, `^# Changelog\n\n## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n- all of it\n$`, string(changelog))
}

func TestTagRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, set, version, dirty, tagged, want string }{
		{name: "an older version", set: "core", version: "v0.0.9", want: "not above v0.1.0"},
		{name: "the version that is out", set: "core", version: "v0.1.0", tagged: "v0.1.0", want: "not above v0.1.0"},
		{name: "not a version", set: "core", version: "0.2.0", want: "not a semantic version"},
		{name: "no such set", set: "edge", version: "v0.2.0", want: `no released set "edge"`},
		{name: "what is never released", set: "unreleased", version: "v0.2.0", want: "no released set"},
		{name: "changes in the work tree", set: "core", version: "v0.2.0", dirty: "new.go", want: "commit them first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := inRepo(t, tree())
			if tt.tagged != "" {
				git(t, dir, "tag", tt.tagged)
			}
			if tt.dirty != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, tt.dirty), []byte("package oauthz\n"), 0o666))
			}
			tags := git(t, dir, "tag")
			r, err := open(dir)
			require.NoError(t, err)
			require.ErrorContains(t, r.tag(&bytes.Buffer{}, tt.set, tt.version, true), tt.want)
			assert.Equal(t, tags, git(t, dir, "tag"))
			assert.Equal(t, "all\n", git(t, dir, "log", "--format=%s"))
		})
	}
}
