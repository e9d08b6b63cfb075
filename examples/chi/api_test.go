package main

import (
	"context"
	"strings"
	"testing"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
	"github.com/oauthz/oauthz/examples/stage"
	"github.com/oauthz/oauthz/oauthztest"
)

// TestRoutes compares the requirements of all routes with the table in testdata. It
// fails for a route without a Guard. OAUTHZTEST_UPDATE=1 go test writes the table.
func TestRoutes(t *testing.T) {
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(
		func(context.Context, string) (*oauthz.Token, error) { return nil, oauthz.ErrInvalidToken },
	)})
	if err != nil {
		t.Fatal(err)
	}
	oauthztest.Golden(t, "testdata/routes.txt", oauthztest.RouteTable(t, authzchi.Routes(newRouter(guard))))
}

func TestCurlLines(t *testing.T) {
	var out strings.Builder
	if err := stage.Run(t.Context(), []string{"-once", "-addr", "127.0.0.1:0"}, &out, source, newAPI); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
