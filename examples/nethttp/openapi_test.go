package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/oauthz/oauthz"
)

// document has the parts of openapi.json that this test reads.
type document struct {
	Components struct {
		SecuritySchemes map[string]oauthz.SecurityScheme `json:"securitySchemes"`
	} `json:"components"`
	Paths map[string]map[string]struct {
		Security []map[string][]string `json:"security"`
	} `json:"paths"`
}

// TestOpenAPI compares the security of every operation in the document with the
// requirements of its route. The document must describe all routes and no others.
func TestOpenAPI(t *testing.T) {
	content, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(content, &doc); err != nil {
		t.Fatal(err)
	}
	guard := newGuard(t)
	if got, want := doc.Components.SecuritySchemes["accessToken"], guard.OpenAPI(); got != want {
		t.Errorf("the security scheme says %+v, the Guard %+v", got, want)
	}
	for _, route := range routes(guard) {
		requirement, _ := route.Combined()
		want, err := requirement.OpenAPI("accessToken")
		if err != nil {
			t.Fatal(err)
		}
		operation, ok := doc.Paths[route.Pattern][strings.ToLower(route.Method)]
		if !ok || !reflect.DeepEqual(operation.Security, want) {
			t.Errorf("%s %s: the document says %v, the Guard %v", route.Method, route.Pattern, operation.Security, want)
		}
		delete(doc.Paths[route.Pattern], strings.ToLower(route.Method))
	}
	for path, operations := range doc.Paths {
		for method := range operations {
			t.Errorf("%s %s is described, and there is no such route", method, path)
		}
	}
}
