package oauthz_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/remote"
	"github.com/oauthz/oauthz/revlog"
)

// TestREADMECompiles: the program of the README is that of examples/minimal, and
// each line of its other Go blocks is one of this file or of an example; its
// table of routes is that of an example.
func TestREADMECompiles(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	minimal, err := os.ReadFile("examples/minimal/main.go")
	require.NoError(t, err)
	var copied []byte // what the other blocks are copied from
	for _, name := range []string{
		"readme_test.go", "examples/chi/api.go", "examples/gin/api.go", "examples/echo/api.go", "examples/chi/api_test.go",
	} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		copied = append(copied, source...)
	}
	table, err := os.ReadFile("examples/chi/testdata/routes.txt")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```\n"+string(table)+"```\n")
	_, program, found := strings.Cut(string(minimal), "package main\n")
	require.True(t, found)

	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 6)
	assert.Equal(t, "package main\n"+program, blocks[0][1])
	for _, block := range blocks[1:] {
		for line := range strings.Lines(block[1]) {
			code, _, _ := strings.Cut(line, "//")
			assert.Contains(t, withoutSpace(string(copied)), withoutSpace(code), line)
		}
	}
}

// The program of the package comment is the same.
func TestPackageCommentCompiles(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	minimal, err := os.ReadFile("examples/minimal/main.go")
	require.NoError(t, err)
	var program strings.Builder
	for line := range strings.Lines(string(doc)) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok || line == "//\n" && program.Len() > 0 {
			program.WriteString(strings.TrimPrefix(code, "//"))
		} else if program.Len() > 0 {
			break
		}
	}
	_, want, found := strings.Cut(string(minimal), "package main\n")
	require.True(t, found)
	assert.Equal(t, "package main\n"+want, strings.TrimRight(program.String(), "\n")+"\n")
}

func withoutSpace(s string) string { return strings.Join(strings.Fields(s), "") }

// readmeRequirements is "Requirements of a route".
func readmeRequirements(guard *oauthz.Guard) []func(http.Handler) http.Handler {
	return []func(http.Handler) http.Handler{
		guard.Protect(oauthz.Require("orders:read", "orders:write")),
		guard.Protect(oauthz.RequireAny("orders:write", "orders:admin")),
		guard.Protect(oauthz.RequireClaim("roles", "auditor")),
		guard.Protect(oauthz.RequireACR("urn:example:gold")),
		guard.Protect(oauthz.RequireMaxAge(5 * time.Minute)),
		guard.Protect(oauthz.All(oauthz.Require("orders:write"), oauthz.RequireMaxAge(time.Minute))),
		guard.Protect(oauthz.Require("orders:read").OrAnonymous()),
		guard.Protect(oauthz.Public()),
	}
}

// readmeOpaque is "Opaque tokens".
func readmeOpaque(ctx context.Context, secret oauthz.Secret) (*oauthz.Guard, error) {
	introspector, err := remote.New(ctx, remote.Config{
		Issuer:   "https://login.example.com",
		Auth:     remote.Basic("orders-api", secret),
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		return nil, err
	}
	remembering, err := cache.New(introspector, cache.Config{
		TTL:          time.Minute,
		StaleIfError: 10 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: remembering})
	return guard, err
}

// readmeRevocation is "Revocation".
func readmeRevocation(ctx context.Context, log revlog.Log, introspector oauthz.Introspector, now time.Time) (*oauthz.Guard, error) {
	list, err := revlog.Open(ctx, log, revlog.Config{})
	if err != nil {
		return nil, err
	}
	guard, err := oauthz.New(oauthz.Config{
		Introspector:    introspector,
		RevocationLists: []oauthz.RevocationList{list},
	})
	if err != nil {
		return nil, err
	}
	err = list.Revoke(ctx, oauthz.Revocation{
		Match:       map[string]any{"iss": "https://login.example.com", "sub": "alice"},
		IssuedUntil: now.Add(5 * time.Second),
		Expires:     now.Add(24 * time.Hour),
	})
	return guard, err
}

// The example revokes the tokens of a server whose clock is a little ahead, and not those of a login after that.
func TestREADMERevocation(t *testing.T) {
	t.Parallel()
	for issued, want := range map[time.Duration]answer{
		-time.Hour: badToken, 0: badToken, 5 * time.Second: badToken, 6 * time.Second: allowed, time.Minute: allowed,
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			alice := knows(fmt.Sprintf(`{"iss":"https://login.example.com","sub":"alice","iat":%d}`, now.Add(issued).Unix()))
			guard, err := readmeRevocation(t.Context(), &revlog.Memory{}, alice, now)
			require.NoError(t, err)
			synctest.Wait() // until the list has caught up with its log
			want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
		})
	}
}

func TestREADMESnippets(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is discovered
	guard, err := readmeOpaque(ctx, "secret")
	require.NoError(t, err)
	assert.Len(t, readmeRequirements(guard), 8)
}
