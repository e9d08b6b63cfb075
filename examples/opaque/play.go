package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// The credentials of the API at the authorization server. Your own come from your
// secret store.
const (
	clientID     = "notes-api"
	clientSecret = "notes-api-secret"
)

// A play is the environment of the API: the authorization server, the users with
// their tokens, a clock that can be put forward, and an ear for the decisions of the
// Guard.
type play struct {
	as     *oauthztest.Server
	base   string // of the API
	tokens []variable
	ahead  atomic.Int64 // how far the clock is put forward, in nanoseconds
	heard  ear
}

// A variable of the shell holds a token.
type variable struct{ name, token string }

func newPlay() *play {
	as := oauthztest.NewServer(oauthztest.Config{
		Audience: []string{audience}, ClientID: clientID, ClientSecret: clientSecret,
	})
	// The tokens are valid for a day, so that the curl lines work that long.
	mint := func(subject string) string {
		return as.MintOpaque(oauthztest.Claims{
			"sub": subject, "scope": "notes:read", "exp": time.Now().Add(24 * time.Hour),
		})
	}
	return &play{as: as, tokens: []variable{
		{"ALICE", mint("alice")}, {"BOB", mint("bob")}, {"CAROL", mint("carol")}, {"NOBODY", "not-a-token-of-that-server"},
	}}
}

func (s *play) config() config {
	return config{
		Issuer:        s.as.Issuer(),
		RevocationURL: s.as.RevocationURL(),
		Auth:          remote.Basic(clientID, clientSecret),
		Observe:       s.heard.observe,
		Now:           func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
	}
}

// token returns the value of a variable of the shell.
func (s *play) token(name string) string {
	for _, v := range s.tokens {
		if v.name == name {
			return v.token
		}
	}
	return ""
}

// calls returns the number of introspection requests so far.
func (s *play) calls() int { return s.as.Count(oauthztest.EndpointIntrospection) }

// The scenes are the events between two requests.

// outage stops the authorization server, for so long that all entries of the cache
// are older than its TTL.
func (s *play) outage() {
	s.as.Stop()
	s.ahead.Add(int64(2 * time.Minute))
}

// recovery starts the server again, and revokes Alice's token there.
func (s *play) recovery() {
	s.as.Revoke(s.token("ALICE"))
	s.as.Start()
}

// invite prints commands for another terminal.
func (s *play) invite(out io.Writer) error {
	_, err := fmt.Fprintf(out, `Serving until interrupted (Ctrl-C). $CAROL is still good. Revoke her token behind the API's back, and see for
how long it is remembered:

curl -i -H "Authorization: Bearer $CAROL" "%s/notes"
curl -i -u %s:%s -d "token=$CAROL" "%s"
`, s.base, clientID, clientSecret, s.as.RevocationURL())
	return err
}

// An ear keeps the last decision. In your API Observe writes a log line, and counts
// outcomes and sources: an increase of stale ones is an outage of the authorization
// server.
type ear struct {
	mu   sync.Mutex
	last oauthz.Decision
}

func (e *ear) observe(_ context.Context, d oauthz.Decision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = d
}

// decision returns the last decision in words: the outcome, and the source of the
// token if there is one.
func (e *ear) decision() (outcome oauthz.Outcome, source string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last.Token != nil {
		source = e.last.Source.String()
	}
	return e.last.Outcome, source
}
