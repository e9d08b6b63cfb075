package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/revlog"
)

// A stage has everything that the story needs: the authorization server, the log,
// the instances, and users with tokens.
type stage struct {
	ctx       context.Context
	as        *oauthztest.Server
	log       revlog.Log
	client    *http.Client
	instances map[string]*instance
	tokens    map[string]string
	jtis      map[string]string // as an administrator would find them in a log file
}

func newStage(ctx context.Context, log revlog.Log) *stage {
	s := &stage{
		ctx: ctx, log: log, instances: map[string]*instance{}, tokens: map[string]string{}, jtis: map[string]string{},
		as: oauthztest.NewServer(oauthztest.Config{Audience: []string{audience}}),
		// A transport of its own, without the proxies of the environment: the requests go to this machine.
		client: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second},
	}
	// Issued a minute ago, so that a revocation "until now" covers these tokens, and not those that are issued after it.
	mint := func(name, subject, scope string) {
		s.jtis[name] = fmt.Sprint(name, "-", time.Now().UnixNano())
		s.tokens[name] = s.as.Mint(oauthztest.Claims{
			"sub": subject, "scope": scope, "jti": s.jtis[name],
			"iat": time.Now().Add(-time.Minute), "exp": time.Now().Add(time.Hour),
		})
	}
	// The log may be an old one, in which the users of an earlier run are revoked.
	run := fmt.Sprint("-", time.Now().UnixNano())
	mint("ALICE_PHONE", "alice"+run, "orders:read")
	mint("ALICE_LAPTOP", "alice"+run, "orders:read")
	mint("BOB", "bob"+run, "orders:read")
	mint("CAROL", "carol"+run, "orders:read")
	mint("ADMIN", "admin"+run, "revocations:write")
	return s
}

func (s *stage) close() error {
	var errs []error
	for _, i := range s.instances {
		errs = append(errs, i.close())
	}
	s.client.CloseIdleConnections()
	s.as.Close()
	return errors.Join(errs...)
}

// start starts an instance, and blocks until it has read the whole log.
func (s *stage) start(name string) error {
	i, err := newInstance(s.ctx, name, s.as.Issuer(), s.log)
	if err != nil {
		return err
	}
	s.instances[name] = i
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	return i.api.revoked.Ready(ctx)
}

// ask sends a request to an instance.
func (s *stage) ask(st step) (status int, body string, err error) {
	var content io.Reader
	if st.body != nil {
		content = strings.NewReader(st.body(s))
	}
	r, err := http.NewRequestWithContext(s.ctx, st.method, s.instances[st.instance].url+st.path, content)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+s.tokens[st.bearer])
	if content != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(text)), err
}

func asJSON(v any) string {
	doc, _ := json.Marshal(v) // the values of the story can always be encoded
	return string(doc)
}
