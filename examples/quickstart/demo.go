package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz/oauthztest"
)

// A row of the table is an outcome: a request, and the expected answer of the API.
type row struct {
	outcome string
	because string
	method  string
	path    string
	// authorization is the header as a shell would write it: $GOOD is the token of that name.
	authorization string
	want          promise
}

// A promise is the expected answer, as far as a client acts on it.
type promise struct {
	status     int
	challenged bool   // the answer has a WWW-Authenticate header
	code       string // the error in that header
	retryAfter bool   // the answer has a Retry-After header, in seconds
}

func outcomes() []row {
	return []row{
		{
			outcome: "allowed", because: "the token is good, and grants what the route requires",
			method: "GET", path: "/orders", authorization: "Bearer $GOOD",
			want: promise{status: 200},
		}, {
			outcome: "no token", because: "the challenge says which scope to ask for",
			method: "GET", path: "/orders",
			want: promise{status: 401, challenged: true},
		}, {
			outcome: "malformed", because: "the scheme is there twice, a bug in the client",
			method: "GET", path: "/orders", authorization: "Bearer Bearer $GOOD",
			want: promise{status: 400, challenged: true, code: "invalid_request"},
		}, {
			outcome: "expired", because: "the token was good, until an hour ago",
			method: "GET", path: "/orders", authorization: "Bearer $EXPIRED",
			want: promise{status: 401, challenged: true, code: "invalid_token"},
		}, {
			outcome: "wrong audience", because: "the token is good, for another API",
			method: "GET", path: "/orders", authorization: "Bearer $OTHER_API",
			want: promise{status: 401, challenged: true, code: "invalid_token"},
		}, {
			outcome: "insufficient scope", because: "the token lets its holder read, not delete",
			method: "DELETE", path: "/orders/1", authorization: "Bearer $GOOD",
			want: promise{status: 403, challenged: true, code: "insufficient_scope"},
		}, {
			outcome: "issuer unreachable", because: "nobody can tell, so the client keeps its token and comes back",
			method: "GET", path: "/partner/orders", authorization: "Bearer $PARTNER",
			want: promise{status: 503, retryAfter: true},
		},
	}
}

// issuers are the authorization servers: one that works, and one that is down and
// whose keys the API has never fetched.
type issuers struct{ own, partner *oauthztest.Server }

func startIssuers() issuers {
	// ES256, because its signature is short: the tokens are printed.
	cfg := oauthztest.Config{Audience: []string{audience}, Algorithm: "ES256"}
	s := issuers{own: oauthztest.NewServer(cfg), partner: oauthztest.NewServer(cfg)}
	s.partner.Stop() // before an API can fetch its keys
	return s
}

func (s issuers) close() {
	s.own.Close()
	s.partner.Close()
}

// A variable of the shell holds a token.
type variable struct{ name, token string }

// mint makes the tokens. They are valid for a day, so that the curl lines work that
// long.
func (s issuers) mint() []variable {
	now := time.Now()
	claims := func(differing oauthztest.Claims) oauthztest.Claims {
		c := oauthztest.Claims{"sub": "alice", "scope": "orders:read", "exp": now.Add(24 * time.Hour)}
		maps.Copy(c, differing)
		return c
	}
	return []variable{
		{"GOOD", s.own.Mint(claims(nil))},
		{"EXPIRED", s.own.Mint(claims(oauthztest.Claims{"iat": now.Add(-2 * time.Hour), "exp": now.Add(-time.Hour)}))},
		{"OTHER_API", s.own.Mint(claims(oauthztest.Claims{"aud": "https://invoices.example"}))},
		{"PARTNER", s.partner.Mint(claims(oauthztest.Claims{"sub": "bob"}))},
	}
}

// demonstrate prints the tokens, and for every row the answer of the API at base.
// Its error names the rows with another answer than expected.
func demonstrate(ctx context.Context, out io.Writer, base string, from issuers, rows []row) error {
	tokens := from.mint()
	if err := introduce(out, base, from.own.Issuer(), tokens); err != nil {
		return err
	}
	// A transport of its own, without the proxies of the environment: the requests go to this machine.
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var broken []error
	for i, r := range rows {
		got, err := r.ask(ctx, client, base, tokens)
		if err != nil {
			return fmt.Errorf("row %d, %s: %w", i+1, r.outcome, err)
		}
		if _, err := fmt.Fprintf(out, "%d. %s: %s\n   %s\n      %s\n\n",
			i+1, r.outcome, r.because, r.curl(base), strings.Join(got.lines, "\n      ")); err != nil {
			return err
		}
		if got.promise != r.want {
			broken = append(broken, fmt.Errorf("row %d, %s: promised %+v, got %+v", i+1, r.outcome, r.want, got.promise))
		}
	}
	return errors.Join(broken...)
}

func introduce(out io.Writer, base, issuer string, tokens []variable) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The API is at %s, its authorization server at %s.\n", base, issuer)
	b.WriteString("To try the lines below in another terminal, paste these tokens there first:\n\n")
	for _, v := range tokens {
		fmt.Fprintf(&b, "export %s='%s'\n", v.name, v.token)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(out, b.String())
	return err
}

// curl returns the command that sends the row's request. The URL is quoted because
// some shells would expand the brackets of an IPv6 address.
func (r row) curl(base string) string {
	line := "curl -i"
	if r.method != http.MethodGet {
		line += " -X " + r.method
	}
	if r.authorization != "" {
		line += ` -H "Authorization: ` + r.authorization + `"`
	}
	return line + ` "` + base + r.path + `"`
}

// An answer is the response of the server: the text to print, and the parts to
// compare.
type answer struct {
	lines   []string
	promise promise
}

// ask sends the row's request, with tokens in place of the variables of the shell.
func (r row) ask(ctx context.Context, client *http.Client, base string, tokens []variable) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, nil)
	if err != nil {
		return answer{}, err
	}
	if r.authorization != "" {
		req.Header.Set("Authorization", os.Expand(r.authorization, func(name string) string {
			for _, v := range tokens {
				if v.name == name {
					return v.token
				}
			}
			return ""
		}))
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return read(resp, body), nil
}

// challengeError returns the error of a challenge (RFC 6750 §3).
var challengeError = regexp.MustCompile(`\berror="([^"]*)"`)

func read(resp *http.Response, body []byte) answer {
	lines := []string{resp.Proto + " " + resp.Status}
	for _, name := range []string{"WWW-Authenticate", "Retry-After"} {
		for _, value := range resp.Header.Values(name) {
			lines = append(lines, name+": "+value)
		}
	}
	lines = append(lines, strings.TrimRight(string(body), "\n"))

	got := promise{status: resp.StatusCode}
	challenge := resp.Header.Get("WWW-Authenticate")
	got.challenged = challenge != ""
	if m := challengeError.FindStringSubmatch(challenge); m != nil {
		got.code = m[1]
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	got.retryAfter = err == nil && seconds > 0
	return answer{lines: lines, promise: got}
}
