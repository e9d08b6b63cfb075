package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A row of the table is an outcome: a request, and the expected answer of the API.
// The order matters: each row continues from the state after the one before.
type row struct {
	outcome string
	because string
	scene   func(*play) // what happens before the request; nil: nothing
	method  string
	path    string
	bearer  string // the variable of the shell that holds the token
	want    promise
}

// A promise is the expected answer, as far as a client acts on it, and the values
// that the API's owner observes.
type promise struct {
	status     int
	challenged bool   // the answer has a WWW-Authenticate header
	code       string // the error in that header
	retryAfter bool   // the answer has a Retry-After header, in seconds

	source string // the Source that Observe receives; "" if there is no token
	calls  int    // number of introspection requests so far
}

// outcomes returns the rows of the table, in the order of the demonstration.
func outcomes() []row {
	return slices.Concat(outcomesWhileUp(), outcomesOfAnOutage())
}

// outcomesWhileUp returns the rows before the server stops.
func outcomesWhileUp() []row {
	return []row{
		{
			outcome: "allowed", because: "nobody has seen this token before, so the server is asked",
			method: "GET", path: "/notes", bearer: "ALICE",
			want: promise{status: 200, source: "fresh", calls: 1},
		}, {
			outcome: "allowed again", because: "the server is not asked: its answer is remembered for a minute",
			method: "GET", path: "/notes", bearer: "ALICE",
			want: promise{status: 200, source: "remembered", calls: 1},
		}, {
			outcome: "insufficient scope", because: "what the token says is remembered; what the route requires is checked each time",
			method: "DELETE", path: "/notes/1", bearer: "ALICE",
			want: promise{status: 403, challenged: true, code: "insufficient_scope", source: "remembered", calls: 1},
		}, {
			outcome: "unknown token", because: "the server does not know it",
			method: "GET", path: "/notes", bearer: "NOBODY",
			want: promise{status: 401, challenged: true, code: "invalid_token", calls: 2},
		}, {
			outcome: "log out", because: "the API revokes the token at the server, and has the cache forget it",
			method: "POST", path: "/logout", bearer: "BOB",
			want: promise{status: 204, source: "fresh", calls: 3},
		}, {
			outcome: "logged out", because: "forgotten, so the server is asked again, and nobody waits for the minute to pass",
			method: "GET", path: "/notes", bearer: "BOB",
			want: promise{status: 401, challenged: true, code: "invalid_token", calls: 4},
		},
	}
}

// outcomesOfAnOutage returns the rows from the stop of the server on, in which it stops and starts again.
func outcomesOfAnOutage() []row {
	return []row{
		{
			outcome: "server down", because: "the server stopped and two minutes went by; better a stale answer than none, and Observe is told",
			scene:  (*play).outage,
			method: "GET", path: "/notes", bearer: "ALICE",
			want: promise{status: 200, source: "stale", calls: 4},
		}, {
			outcome: "server down, new token", because: "nobody can tell, so the client keeps its token and comes back",
			method: "GET", path: "/notes", bearer: "CAROL",
			want: promise{status: 503, retryAfter: true, calls: 4},
		}, {
			outcome: "revoked", because: "the server is back, where the token was revoked; the minute is over, so it is asked",
			scene:  (*play).recovery,
			method: "GET", path: "/notes", bearer: "ALICE",
			want: promise{status: 401, challenged: true, code: "invalid_token", calls: 5},
		},
	}
}

// demonstrate prints the tokens, and for every row the answer of the API. Its error
// names the rows with another answer than expected.
func (s *play) demonstrate(ctx context.Context, out io.Writer, rows []row) error {
	if err := s.introduce(out); err != nil {
		return err
	}
	// A transport of its own, without the proxies of the environment: the requests go to this machine.
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var broken []error
	for i, r := range rows {
		if r.scene != nil {
			r.scene(s)
		}
		got, err := s.ask(ctx, client, r)
		if err != nil {
			return fmt.Errorf("row %d, %s: %w", i+1, r.outcome, err)
		}
		if _, err := fmt.Fprintf(out, "%d. %s: %s\n   %s\n      %s\n\n",
			i+1, r.outcome, r.because, r.curl(s.base), strings.Join(got.lines, "\n      ")); err != nil {
			return err
		}
		if got.promise != r.want {
			broken = append(broken, fmt.Errorf("row %d, %s: promised %+v, got %+v", i+1, r.outcome, r.want, got.promise))
		}
	}
	return errors.Join(broken...)
}

func (s *play) introduce(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The API is at %s, its authorization server at %s.\n", s.base, s.as.Issuer())
	b.WriteString("These are the tokens of the story:\n\n")
	for _, v := range s.tokens {
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
	return line + ` -H "Authorization: Bearer $` + r.bearer + `" "` + base + r.path + `"`
}

// An answer is the response of the API: the text to print, and the parts to compare.
type answer struct {
	lines   []string
	promise promise
}

// ask sends the row's request, and records the decision that Observe receives.
func (s *play) ask(ctx context.Context, client *http.Client, r row) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, s.base+r.path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", os.Expand("Bearer $"+r.bearer, s.token))
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	got := read(resp, body)
	outcome, source := s.heard.decision()
	got.promise.source, got.promise.calls = source, s.calls()
	observed := string(outcome)
	if source != "" {
		observed += ", " + source
	}
	got.lines = append(got.lines, fmt.Sprintf("(Observe: %s. Calls to the server so far: %d)", observed, got.promise.calls))
	return got, nil
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
	if text := strings.TrimRight(string(body), "\n"); text != "" {
		lines = append(lines, text)
	}

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
