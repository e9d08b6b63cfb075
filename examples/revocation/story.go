package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// A step of the story is a request to one of the instances, and the expected status.
type step struct {
	what     string
	start    string // an instance that starts before the step
	instance string
	method   string
	path     string
	bearer   string
	body     func(*stage) string
	want     int
	// soon means that the old answer may still come for a short time, which is measured.
	soon bool
}

func story() []step {
	return []step{
		{what: "Alice's phone, on A", instance: "A", method: "GET", path: "/orders", bearer: "ALICE_PHONE", want: 200},
		{what: "Alice's laptop, on B", instance: "B", method: "GET", path: "/orders", bearer: "ALICE_LAPTOP", want: 200},
		{what: "Bob, on B", instance: "B", method: "GET", path: "/orders", bearer: "BOB", want: 200},
		{what: "Alice logs out everywhere, on A", instance: "A", method: "POST", path: "/logout", bearer: "ALICE_PHONE", want: 204},
		{what: "her laptop, on B", instance: "B", method: "GET", path: "/orders", bearer: "ALICE_LAPTOP", want: 401, soon: true},
		{what: "her phone, on A", instance: "A", method: "GET", path: "/orders", bearer: "ALICE_PHONE", want: 401},
		{what: "Bob, on B: nobody revoked his token", instance: "B", method: "GET", path: "/orders", bearer: "BOB", want: 200},
		{what: "an administrator revokes his token by its jti, on B", instance: "B", method: "POST", path: "/revocations", bearer: "ADMIN", body: revokeBob, want: 204},
		{what: "Bob, on A", instance: "A", method: "GET", path: "/orders", bearer: "BOB", want: 401, soon: true},
		{what: "who may read orders may not revoke", instance: "A", method: "POST", path: "/revocations", bearer: "CAROL", body: revokeBob, want: 403},
		{what: "what is revoked, on A", instance: "A", method: "GET", path: "/revocations?limit=10", bearer: "ADMIN", want: 200},
		{what: "Bob, on C, which has just started", start: "C", instance: "C", method: "GET", path: "/orders", bearer: "BOB", want: 401},
		{what: "Alice's laptop, on C", instance: "C", method: "GET", path: "/orders", bearer: "ALICE_LAPTOP", want: 401},
	}
}

func revokeBob(s *stage) string {
	return asJSON([]any{map[string]any{
		"match":   map[string]any{"iss": s.as.Issuer(), "jti": s.jtis["BOB"]},
		"expires": time.Now().Add(longestLife),
		"reason":  "laptop stolen",
	}})
}

// tell runs the story. Its error names the steps with another status than expected.
func (s *stage) tell(out io.Writer) error {
	for _, name := range []string{"A", "B"} {
		if err := s.start(name); err != nil {
			return err
		}
		fmt.Fprintf(out, "instance %s: %s\n", name, s.instances[name].url)
	}
	for _, name := range []string{"ALICE_PHONE", "ALICE_LAPTOP", "BOB", "CAROL", "ADMIN"} {
		fmt.Fprintf(out, "export %s='%s'\n", name, s.tokens[name])
	}
	fmt.Fprintln(out)
	var broken []error
	since := time.Now()
	for i, st := range story() {
		if st.start != "" {
			if err := s.start(st.start); err != nil {
				return err
			}
		}
		if st.want == 204 {
			since = time.Now()
		}
		status, body, err := s.settle(st)
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, st.what, err)
		}
		fmt.Fprintf(out, "%2d. %s\n    %s %s%s -> %d %s\n", i+1, st.what, st.method, s.instances[st.instance].url, st.path, status, body)
		if st.soon {
			fmt.Fprintf(out, "    refused %v after the other instance was asked to revoke\n", time.Since(since).Round(10*time.Microsecond))
		}
		if status != st.want {
			broken = append(broken, fmt.Errorf("step %d, %s: status %d, promised %d", i+1, st.what, status, st.want))
		}
	}
	return errors.Join(broken...)
}

// settle sends the request of a step, and repeats it for some seconds until the status is the expected one.
func (s *stage) settle(st step) (status int, body string, err error) {
	deadline := time.Now().Add(5 * time.Second)
	for {
		status, body, err = s.ask(st)
		if err != nil || status == st.want || !st.soon || time.Now().After(deadline) {
			return status, body, err
		}
	}
}
