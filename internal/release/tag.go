package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// tag releases version of a set: it changes every go.mod and the changelog, commits, and tags each module of the set.
// Unless write is set it prints the steps and changes no file.
func (r *repo) tag(out io.Writer, set, version string, write bool) error {
	if err := r.checkRelease(set, version); err != nil {
		return err
	}
	tags := r.setVersion(set, version)
	if !write {
		fmt.Fprintf(out, "would write %s into %s and every go.mod that requires %s, tidy, commit, and tag:\n", version, versionsFile, set)
		for _, name := range tags {
			fmt.Fprintln(out, "\t"+name)
		}
		fmt.Fprintln(out, "this was a dry run: -write does it")
		return nil
	}
	if status, err := output(r.command(".", "git", "status", "--porcelain")); err != nil || status != "" {
		return errors.Join(err, errors.New("the work tree has changes: commit them first"))
	}
	for _, step := range []func() error{r.writeVersions, r.writeRequirements, r.tidy, func() error { return r.writeChangelog(version) }} {
		if err := step(); err != nil {
			return err
		}
	}
	return r.commitAndTag(out, version, tags)
}

// checkRelease refuses a version that does not come after the present one. The first release has the present one.
func (r *repo) checkRelease(set, version string) error {
	if !isVersion(version) {
		return fmt.Errorf("%s is not a semantic version", version)
	}
	for _, m := range r.modules {
		if m.set != set || set == unreleased {
			continue
		}
		existing, err := output(r.command(".", "git", "tag", "--list", m.tagName()))
		if err != nil {
			return err
		}
		if c := semver.Compare(version, m.version); c < 0 || c == 0 && existing != "" {
			return fmt.Errorf("%s is not above %s, the version of %s", version, m.version, m.dir)
		}
		return nil
	}
	return fmt.Errorf("%s: there is no released set %q", versionsFile, set)
}

// setVersion gives the modules of a set their new version, and returns their tags.
func (r *repo) setVersion(set, version string) (tags []string) {
	for _, m := range r.modules {
		if m.set == set {
			m.version = version
			tags = append(tags, m.tagName())
		}
	}
	return tags
}

// writeVersions writes versions.txt, whose comments stay.
func (r *repo) writeVersions() error {
	file := filepath.Join(r.root, versionsFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		fields := strings.Fields(line)
		at := slices.IndexFunc(r.modules, func(m *member) bool {
			return len(fields) == 3 && m.set == fields[0] && m.dir == fields[2]
		})
		if at >= 0 {
			lines[i] = strings.Replace(line, fields[1], r.modules[at].version, 1)
		}
	}
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o666)
}

// writeRequirements writes the versions into each go.mod that requires a module of the repository.
func (r *repo) writeRequirements() error {
	for _, m := range r.modules {
		for _, need := range m.file.Require {
			target := r.byPath[need.Mod.Path]
			if target == nil {
				continue
			}
			if err := m.file.AddRequire(need.Mod.Path, target.version); err != nil {
				return err
			}
		}
		data, err := m.file.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.root, m.dir, "go.mod"), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

func (r *repo) tidy() error {
	for _, m := range r.modules {
		if _, err := output(r.command(m.dir, "go", "mod", "tidy")); err != nil {
			return err
		}
	}
	return nil
}

const unreleasedHeading = "## [Unreleased]\n"

// writeChangelog gives the section of unreleased changes the version and the day, under a new, empty one.
func (r *repo) writeChangelog(version string) error {
	file := filepath.Join(r.root, "CHANGELOG.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.Count(text, []byte(unreleasedHeading)) != 1 {
		return fmt.Errorf("CHANGELOG.md: want one line %q", strings.TrimSpace(unreleasedHeading))
	}
	section := fmt.Sprintf("%s\n## [%s] - %s\n", unreleasedHeading, strings.TrimPrefix(version, "v"), time.Now().UTC().Format(time.DateOnly))
	return os.WriteFile(file, bytes.Replace(text, []byte(unreleasedHeading), []byte(section), 1), 0o666)
}

func (r *repo) commitAndTag(out io.Writer, version string, tags []string) error {
	if _, err := output(r.command(".", "git", "commit", "-a", "-q", "-m", "Release "+version)); err != nil {
		return err
	}
	for _, name := range tags {
		if _, err := output(r.command(".", "git", "tag", "-a", "-m", name, name)); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "committed and tagged; publish it with:\n\tgit push --atomic origin HEAD %s\n", strings.Join(tags, " "))
	return nil
}
