package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const (
	rootPath     = "github.com/oauthz/oauthz"
	versionsFile = "versions.txt"
	goFloor      = "1.25.0"
	// unreleased is the set of the modules that are never tagged, such as the examples.
	unreleased = "unreleased"
	noVersion  = "v0.0.0" // of an unreleased module, in the go.mod files that require it
)

// released are the sets of versions.txt whose modules are tagged, in the order of their releases: no module may require
// one of a later set.
var released = []string{"core", "edge"}

// member is one go.mod of the repository.
type member struct {
	dir     string // "." for the root
	path    string // as its go.mod declares it
	set     string
	version string
	file    *modfile.File
}

// tagName returns the git tag of the module's version.
func (m *member) tagName() string {
	if m.dir == "." {
		return m.version
	}
	return m.dir + "/" + m.version
}

// repo is a work tree with its modules, in the order of versions.txt.
type repo struct {
	root    string
	modules []*member
	byPath  map[string]*member
}

// open reads versions.txt and the go.mod files that it lists.
func open(root string) (*repo, error) {
	text, err := os.ReadFile(filepath.Join(root, versionsFile))
	if err != nil {
		return nil, err
	}
	r := &repo{root: root, byPath: map[string]*member{}}
	var errs []error
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := r.add(fields); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", versionsFile, i+1, err))
		}
	}
	return r, errors.Join(errs...)
}

// add reads the module of one line: its set, its version, its folder.
func (r *repo) add(fields []string) error {
	if len(fields) != 3 {
		return errors.New("want a set, a version and a folder")
	}
	m := &member{set: fields[0], version: fields[1], dir: fields[2]}
	m.path = path.Join(rootPath, m.dir)
	if r.byPath[m.path] != nil {
		return fmt.Errorf("%s is listed twice", m.dir)
	}
	data, err := os.ReadFile(filepath.Join(r.root, m.dir, "go.mod"))
	if err != nil {
		return err
	}
	if m.file, err = modfile.Parse(path.Join(m.dir, "go.mod"), data, nil); err != nil {
		return err
	}
	r.modules = append(r.modules, m)
	r.byPath[m.path] = m
	return nil
}

// command returns a command that runs in a folder of the repository, outside of its workspace.
func (r *repo) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join(r.root, dir)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}

// output runs cmd and returns what it writes. The error holds the output of a command that fails.
func output(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out.String())
	}
	return out.String(), nil
}

// isVersion reports whether v is a whole semantic version, as a tag needs it.
func isVersion(v string) bool {
	return semver.IsValid(v) && semver.Canonical(v) == v && semver.Build(v) == ""
}
