package oauthz_test

// Each of these was once a bug.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// An empty list with spare capacity is not shared: otherwise two handlers would append to one array.
// ParseToken makes such a list from an scp array without a valid scope.
func TestCloneSharesNoEmptyLists(t *testing.T) {
	t.Parallel()
	token := parse(t, `{"scp":["not a scope"]}`)
	alice, bob := token.Clone(), token.Clone()
	alice.Scopes = append(alice.Scopes, "alice")
	bob.Scopes = append(bob.Scopes, "bob")
	assert.Equal(t, oauthz.Scopes{"alice"}, alice.Scopes)
}

// A nil list stays nil, also where the other list is not empty.
func TestCloneOfNil(t *testing.T) {
	t.Parallel()
	assert.Nil(t, parse(t, `{"scope":"a"}`).Clone().Audience)
}

// For a verb that does not fit (%s, %d, %q) package fmt prints the targets of the pointers in a struct, and calls no
// method of theirs. A Guard and a Config prevent it.
func TestGuardPrintsNoSecrets(t *testing.T) {
	t.Parallel()
	c := someCredentials()
	assert.NotContains(t, fmt.Sprintf("%s", newGuard(t, oauthz.Config{Introspector: &c})), canarySecret)
	assert.NotContains(t, fmt.Sprintf("%s", oauthz.Config{Introspector: &c}), canarySecret)
}

// An introspector does not see the request. If it returns an error about the request, that is a fault like any other.
func TestFaultThatWrapsRequestErrors(t *testing.T) {
	t.Parallel()
	for _, err := range []error{oauthz.ErrNoToken, oauthz.ErrInvalidRequest} {
		cannotTell.check(t, serve(t, newGuard(t, oauthz.Config{Introspector: answers(nil, err)}), oauthz.Require(), withGoodToken()))
	}
}

// If an ErrorHandler panics after it has written, nothing more is written.
func TestErrorHandlerThatPanicsLate(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
		w.WriteHeader(e.Status)
		_, _ = w.Write([]byte("own"))
		panic("late")
	}})
	var logged bytes.Buffer
	server := httptest.NewUnstartedServer(guard.Protect(oauthz.Require())(&spy{}))
	server.Config.ErrorLog = log.New(&logged, "", 0)
	server.Start()
	got, err := http.Get(server.URL)
	if err == nil {
		assert.Equal(t, "own", seen(t, got, &spy{}).body)
	}
	server.Close()
	assert.NotContains(t, logged.String(), "superfluous")
}

// A list that returns a nil *Error as its error has failed.
func TestNilErrorOfAList(t *testing.T) {
	t.Parallel()
	checked, err := oauthz.CheckRevoked(knows(`{}`), listSays{false, (*oauthz.Error)(nil)})
	require.NoError(t, err)
	assert.NotPanics(t, func() { _, _ = checked.Introspect(context.Background(), goodToken) })
}

// A 503 has no challenge, even if the Error of a hook has one, and no value of Error.Header can end its field.
func TestErrorHeader(t *testing.T) {
	t.Parallel()
	e := &oauthz.Error{Status: 503, Header: http.Header{"WWW-Authenticate": {`Bearer error="invalid_token"`}, "X": {"a\r\nb"}}}
	got := serve(t, newGuard(t, oauthz.Config{Introspector: answers(nil, e)}), oauthz.Require(), withGoodToken())
	assert.Empty(t, got.challenge)
	assert.NotContains(t, got.header.Get("X"), "\n")
}

// With middleware between two Protects of one Guard, the handler receives the token that was validated.
func TestNestedProtectLeavesNoForeignToken(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{Introspector: knows(`{"sub":"alice"}`)})
	inside(t, guard, func(r *http.Request) {
		r = r.WithContext(oauthz.WithToken(r.Context(), &oauthz.Token{Subject: "mallory"}))
		got := serve(t, guard, oauthz.Require(), r)
		allowed.check(t, got)
		assert.Equal(t, "alice", got.token.Subject)
	})
}

// A port without a host is not a host.
func TestMetadataURLWithoutHost(t *testing.T) {
	t.Parallel()
	_, err := oauthz.New(oauthz.Config{Introspector: knows(`{}`), ResourceMetadataURL: "https://:443/x"})
	assert.Error(t, err)
}

// A scope of null grants nothing, and is not an error.
func TestScopeNull(t *testing.T) {
	t.Parallel()
	lacksScope("read").check(t, serve(t, newGuard(t, oauthz.Config{Introspector: knows(`{"scope":null}`)}), oauthz.Require("read"), withGoodToken()))
}

// The limit of scopes holds for an scp array too.
func TestSCPArrayIsCapped(t *testing.T) {
	t.Parallel()
	scopes, _ := json.Marshal(bytesOf(100_000))
	assert.LessOrEqual(t, len(parse(t, `{"scp":`+string(scopes)+`}`).Scopes), 4096)
}

func bytesOf(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(i))
	}
	return list
}
