package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// writeProxy writes the released modules as a module proxy in a folder (https://go.dev/ref/mod#goproxy-protocol): what a
// real proxy would serve once the versions of versions.txt were tagged at this tree.
func (r *repo) writeProxy(dir string) error {
	for _, m := range r.modules {
		if m.set == unreleased {
			continue
		}
		if err := r.writeVersion(dir, module.Version{Path: m.path, Version: m.version}, m.dir); err != nil {
			return err
		}
	}
	return nil
}

func (r *repo) writeVersion(proxy string, v module.Version, dir string) error {
	escaped, err := module.EscapePath(v.Path)
	if err != nil {
		return err
	}
	base := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(base, 0o777); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{v.Version, time.Now().UTC()})
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(r.root, dir, "go.mod"))
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"list": []byte(v.Version + "\n"), v.Version + ".info": info, v.Version + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(base, name), data, 0o666); err != nil {
			return err
		}
	}
	archive, err := os.Create(filepath.Join(base, v.Version+".zip"))
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := zip.CreateFromDir(archive, v, filepath.Join(r.root, dir)); err != nil {
		return err
	}
	return archive.Close()
}

// proxyURL returns the URL of a folder, as GOPROXY takes it.
func proxyURL(dir string) string {
	dir = filepath.ToSlash(dir)
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir
	}
	return "file://" + dir
}
