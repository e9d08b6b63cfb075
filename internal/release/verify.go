package main

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// verify reports everything that would break a user who fetches a module of the repository.
func (r *repo) verify() error {
	errs := []error{r.verifyList(), r.verifySets()}
	for _, m := range r.modules {
		if m.file.Module.Mod.Path != m.path {
			errs = append(errs, fmt.Errorf("%s: the module is named %s, want %s", m.dir, m.file.Module.Mod.Path, m.path))
		}
		if m.file.Go == nil || semver.Compare("v"+m.file.Go.Version, "v"+goFloor) > 0 {
			errs = append(errs, fmt.Errorf("%s: the go line is above %s, the oldest Go that the project supports", m.dir, goFloor))
		}
		for _, need := range m.file.Require {
			errs = append(errs, r.verifyRequirement(m, need.Mod))
		}
	}
	return errors.Join(errs...)
}

// verifyList compares versions.txt with the go.mod files that git knows.
func (r *repo) verifyList() error {
	listed, err := output(r.command(".", "git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "go.mod", "*/go.mod"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range strings.Fields(listed) {
		if dir := path.Dir(file); r.byPath[path.Join(rootPath, dir)] == nil {
			errs = append(errs, fmt.Errorf("%s: no line for %s", versionsFile, dir))
		}
	}
	return errors.Join(errs...)
}

// verifySets checks that each set has one version.
func (r *repo) verifySets() error {
	var errs []error
	versions := map[string]string{unreleased: noVersion}
	for _, m := range r.modules {
		switch want, seen := versions[m.set]; {
		case m.set != unreleased && !slices.Contains(released, m.set):
			errs = append(errs, fmt.Errorf("%s: %s: there is no set %q", versionsFile, m.dir, m.set))
		case seen && m.version != want:
			errs = append(errs, fmt.Errorf("%s: %s: the version is %s, want %s, as for all of %s", versionsFile, m.dir, m.version, want, m.set))
		case !isVersion(m.version), m.set != unreleased && m.version == noVersion:
			errs = append(errs, fmt.Errorf("%s: %s: %s is not a version that can be tagged", versionsFile, m.dir, m.version))
		}
		versions[m.set] = m.version
	}
	return errors.Join(errs...)
}

// verifyRequirement checks what m requires of this repository: the version that versions.txt has, and a replace
// directive for the work tree. A user's build ignores the replace, so the version must be one that is released.
func (r *repo) verifyRequirement(m *member, need module.Version) error {
	if need.Path != rootPath && !strings.HasPrefix(need.Path, rootPath+"/") {
		return nil
	}
	target := r.byPath[need.Path]
	if target == nil {
		return fmt.Errorf("%s: requires %s, which is not in %s", m.dir, need.Path, versionsFile)
	}
	var errs []error
	if need.Version != target.version {
		errs = append(errs, fmt.Errorf("%s: requires %s %s, want %s, the version in %s", m.dir, need.Path, need.Version, target.version, versionsFile))
	}
	if rank(target) > rank(m) {
		errs = append(errs, fmt.Errorf("%s (%s) requires %s (%s), which is released later or never", m.dir, m.set, target.dir, target.set))
	}
	if want := replacement(m, target); !replaces(m.file, need.Path, want) {
		errs = append(errs, fmt.Errorf("%s: want replace %s => %s", m.dir, need.Path, want))
	}
	return errors.Join(errs...)
}

// rank orders the sets: a module may require those of its own rank and of lower ranks.
func rank(m *member) int {
	if i := slices.Index(released, m.set); i >= 0 {
		return i
	}
	return len(released)
}

// replacement returns the path from the folder of m to that of target, as a replace directive writes it.
func replacement(m, target *member) string {
	rel, err := filepath.Rel(m.dir, target.dir)
	if err != nil {
		panic(err) // both are relative
	}
	if !strings.HasPrefix(rel, ".") {
		rel = "./" + rel
	}
	return filepath.ToSlash(rel)
}

func replaces(file *modfile.File, modulePath, dir string) bool {
	return slices.ContainsFunc(file.Replace, func(r *modfile.Replace) bool {
		return r.Old.Path == modulePath && r.Old.Version == "" && r.New.Path == dir
	})
}
