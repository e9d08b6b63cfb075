package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// stranger builds and runs the examples of each released module in an empty folder. It can fetch modules from two places
// alone: a proxy made from this tree, and the cache of downloaded modules, for those of others. No replace directive and
// no workspace can help it.
func (r *repo) stranger(out io.Writer) error {
	temp, err := os.MkdirTemp("", "stranger")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	proxy := filepath.Join(temp, "proxy")
	if err := r.writeProxy(proxy); err != nil {
		return err
	}
	cache, err := output(r.command(".", "go", "env", "GOMODCACHE"))
	if err != nil {
		return err
	}
	env := append(os.Environ(),
		"GOPROXY="+proxyURL(proxy)+","+proxyURL(filepath.Join(strings.TrimSpace(cache), "cache", "download")),
		"GOMODCACHE="+filepath.Join(temp, "modules"), "GOFLAGS=-modcacherw -mod=mod -trimpath", "GOSUMDB=off", "GOWORK=off")
	for i, m := range r.modules {
		if m.set == unreleased {
			continue
		}
		dir := filepath.Join(temp, fmt.Sprintf("user%d", i))
		examples, err := r.copyExamples(m, dir)
		if err != nil {
			return err
		}
		if examples == 0 {
			return fmt.Errorf("%s has no package example", m.dir)
		}
		fmt.Fprintf(out, "go get %s@%s, and the examples of %d of its packages\n", m.path, m.version, examples)
		if err := use(m, dir, env); err != nil {
			return err
		}
	}
	return nil
}

// use fetches a module in the folder of its user, and runs the examples there.
func use(m *member, dir string, env []string) error {
	for _, args := range [][]string{
		{"mod", "init", "example.com/user"},
		{"get", m.path + "@" + m.version},
		{"test", "-count=1", "./..."},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, env
		if _, err := output(cmd); err != nil {
			return fmt.Errorf("a user of %s: %w", m.path, err)
		}
	}
	return nil
}

// copyExamples copies the files example_test.go of a module into dir, each into a folder of its own, and returns how
// many there are. They are of external test packages, so they are programs of a user.
func (r *repo) copyExamples(m *member, dir string) (int, error) {
	copied, top := 0, filepath.Join(r.root, m.dir)
	err := filepath.WalkDir(top, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != top && skipped(file, entry.Name()):
			return filepath.SkipDir
		case entry.Name() != "example_test.go":
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		copied++
		to := filepath.Join(dir, fmt.Sprintf("example%d", copied))
		if err := os.MkdirAll(to, 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, entry.Name()), data, 0o666)
	})
	return copied, err
}

// skipped reports whether the examples of a folder are not those of the module's users: they are of another module, or
// of a package that cannot be imported.
func skipped(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil || strings.HasPrefix(name, ".") || name == "internal" || name == "testdata"
}
