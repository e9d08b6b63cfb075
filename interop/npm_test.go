package interop_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// installed are the folders that install made, for TestMain to remove.
var installed struct {
	sync.Mutex
	folders []string
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, folder := range installed.folders {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// oidcProviderFolder returns a folder in which `node server.mjs` runs. Without Node or the package the test skips.
func oidcProviderFolder(t *testing.T) string {
	t.Helper()
	folder, err := installOIDCProvider()
	if err != nil {
		unavailable(t, err)
	}
	return folder
}

// unavailable skips or fails a test whose server is not available on this machine.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("OAUTHZ_REQUIRE_SERVICES") == "1" {
		t.Fatalf("OAUTHZ_REQUIRE_SERVICES=1, but %v", err)
	}
	t.Skip(err)
}

// installOIDCProvider installs the server once for the whole test binary.
var installOIDCProvider = sync.OnceValues(func() (string, error) { return install("oidcprovider", "server.mjs") })

// install copies a program and its lock file out of the source tree, and installs the locked packages.
func install(name, program string) (string, error) {
	if err := checkNode(); err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp("", "oauthz-"+name+"-")
	if err != nil {
		return "", err
	}
	installed.Lock()
	installed.folders = append(installed.folders, folder)
	installed.Unlock()
	for _, file := range []string{".npmrc", "package.json", "package-lock.json", program} {
		if err := copyFile(filepath.Join(folder, file), filepath.Join(name, file)); err != nil {
			return "", err
		}
	}
	return folder, npmCI(folder)
}

// checkNode reports a Node that is missing or older than the 20.12 that oidc-provider 9 needs (it calls crypto.hash).
func checkNode() error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: apt-get install nodejs npm", program)
		}
	}
	if exec.Command("node", "--eval", "if (!require('node:crypto').hash) process.exit(1)").Run() != nil {
		return errors.New("node is too old: oidc-provider 9 needs Node.js 20.12 or newer")
	}
	return nil
}

// npmCI installs exactly what the lock file names. No package of it needs an install script, so none may run.
func npmCI(folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--prefer-offline")
	npm.Dir = folder
	npm.WaitDelay = 5 * time.Second
	if output, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	return nil
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
