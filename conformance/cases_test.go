package conformance

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/conformance/wire"
)

// casesFile lists every case. OAUTHZTEST_UPDATE=1 rewrites it.
const casesFile = "CASES.md"

// A caseTable is a section of CASES.md: a row has the id, the input in short, the outcome and the reason.
type caseTable struct {
	title string
	rows  [][4]string
}

func TestCasesAreListed(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# The cases\n\nGenerated from testdata by `OAUTHZTEST_UPDATE=1 go test ./conformance -run Cases`; the same test without the variable\n" +
		"compares this file with the data. README.md describes the files. A token is shown by its header and its length.\n")
	for _, table := range []caseTable{
		corpusCases(t), headerCases(t), challengeCases(t), wireCases(t),
		wycheproofCases(t, "json_web_signature_test.json", readDecisions(t).WycheproofSignatures),
		wycheproofCases(t, "json_web_key_test.json", readDecisions(t).WycheproofKeys),
		joseCases(t), messageCases(t),
	} {
		fmt.Fprintf(&b, "\n## %s (%d)\n\n| case | input | outcome | reason |\n|---|---|---|---|\n", table.title, len(table.rows))
		ids := map[string]bool{}
		for _, row := range table.rows {
			assert.False(t, ids[row[0]], "%s is there twice", row[0])
			assert.NotEmpty(t, row[3], "%s has no reason", row[0])
			ids[row[0]] = true
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", "`"+strings.ReplaceAll(row[0], "|", `\|`)+"`", row[1], plain(row[2]), plain(row[3]))
		}
		t.Logf("%s: %d cases", table.title, len(table.rows))
	}
	if os.Getenv("OAUTHZTEST_UPDATE") == "1" {
		require.NoError(t, os.WriteFile(casesFile, []byte(b.String()), 0o644))
		return
	}
	got, err := os.ReadFile(casesFile)
	require.NoError(t, err)
	if string(got) != b.String() {
		t.Errorf("%s differs from testdata: run with OAUTHZTEST_UPDATE=1", casesFile)
	}
}

// plain returns s for a cell of a table.
func plain(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
}

// code returns the start of s for a cell, as code in ASCII.
func code(s string) string {
	const most = 90
	rest := ""
	if len(s) > most {
		s, rest = s[:most], fmt.Sprintf(" … (%d bytes)", len(s))
	}
	quoted := strings.NewReplacer("|", `\x7c`, "`", `\x60`).Replace(strconv.QuoteToASCII(s))
	quoted = quoted[1 : len(quoted)-1]
	if strings.TrimSpace(quoted) == "" {
		return "(empty)" + rest
	}
	return "`" + strings.ReplaceAll(quoted, `\"`, `"`) + "`" + rest
}

// jws returns the header of a token, or its start if it has none, and its length.
func jws(token string) string {
	first, _, _ := strings.Cut(token, ".")
	header, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || len(header) == 0 {
		return code(token)
	}
	return fmt.Sprintf("%s, %d bytes", code(string(header)), len(token))
}

func corpusCases(t *testing.T) caseTable {
	table := caseTable{title: "Hostile tokens: attack-corpus.json"}
	for _, c := range readCorpus(t).Cases {
		input := jws(c.Token)
		if c.JWKS != "" {
			input += ", keys " + code(c.JWKS)
		}
		table.rows = append(table.rows, [4]string{c.ID, input, c.Expect + " (" + c.Level + ")", join(c.Why, c.Ref)})
	}
	return table
}

// join returns a reason with its reference, which may be empty.
func join(why, ref string) string {
	if ref == "" {
		return why
	}
	return why + " (" + ref + ")"
}

func headerCases(t *testing.T) caseTable {
	table := caseTable{title: "Authorization fields: authorization-header.json"}
	d := readDecisions(t)
	for _, v := range readHeaders(t) {
		var lines []string
		for _, h := range v.Headers {
			lines = append(lines, h[0]+": "+h[1])
		}
		if v.URL != "" {
			lines = append(lines, v.URL)
		}
		if v.Body != "" {
			lines = append(lines, "body "+v.Body)
		}
		outcome, why := fmt.Sprint(v.Status, " ", v.Error), join(v.Why, v.Ref)
		if decided, ok := d.Headers[v.ID]; ok {
			outcome = fmt.Sprint(decided.Status, " ", decided.Error)
			why = "decided otherwise: " + decided.Why + "; the file: " + why
		}
		table.rows = append(table.rows, [4]string{v.ID, code(strings.Join(lines, "; ")), strings.TrimSpace(outcome), why})
	}
	return table
}

func challengeCases(t *testing.T) caseTable {
	table := caseTable{title: "Challenges: www-authenticate.json"}
	for _, v := range readChallenges(t) {
		outcome := "refused"
		if v.Expected != nil {
			outcome = fmt.Sprintf("%d parsed", len(v.Expected))
		}
		table.rows = append(table.rows, [4]string{v.Description, code(v.Header), outcome, "RFC 9110 §11.6.1"})
	}
	return table
}

func wireCases(t *testing.T) caseTable {
	table := caseTable{title: "Exchanges: wire-samples.json"}
	samples, _, d := wire.Read(t, "testdata")
	for _, s := range samples {
		outcome, why := "the operation succeeds or fails as answered", s.Outcome+" ("+s.Evidence+")"
		if s.Expect != nil {
			outcome = s.Expect.Verdict
		}
		decision, ok := d.Samples[s.ID]
		if !ok {
			decision, ok = d.Systems[s.System]
		}
		switch {
		case ok && decision.Answer:
			why = "only the answer is replayed: " + decision.Why + "; " + why
		case ok:
			outcome, why = "not replayed", decision.Why
		}
		input := fmt.Sprintf("%s %s, status %d", s.Request.Method, code(s.Request.URL), s.Response.Status)
		table.rows = append(table.rows, [4]string{s.ID, input, outcome, why})
	}
	return table
}

func wycheproofCases(t *testing.T, name string, decided map[string]signatureDecision) caseTable {
	table := caseTable{title: "Project Wycheproof: " + name}
	symmetric := readDecisions(t).SymmetricKeys
	outcomes := map[bool]string{true: "verifies", false: "refused"}
	for _, group := range readWycheproof(t, name).TestGroups {
		for _, test := range group.Tests {
			id := strconv.Itoa(test.TCID)
			verifies, why := test.Result == "valid", group.Comment+": "+test.Comment
			if verifies && group.Public == nil {
				verifies, why = false, why+"; "+symmetric
			}
			if decision, ok := decided[id]; ok {
				verifies, why = decision.Verifies, why+"; decided otherwise: "+decision.Why
			}
			table.rows = append(table.rows, [4]string{"tc" + id, jws(test.JWS), outcomes[verifies], why})
		}
	}
	return table
}

func joseCases(t *testing.T) caseTable {
	file := readJOSE(t)
	table := caseTable{title: "RFC examples of keys and tokens: rfc-jose.json, rfc9701-example.json"}
	add := func(id, input, outcome, why string) {
		table.rows = append(table.rows, [4]string{id, input, outcome, why})
	}
	for _, v := range file.JWS {
		outcome := "verifies"
		if v.Alg == "HS256" || v.Alg == "none" {
			outcome = "refused"
		}
		add(v.ID, jws(v.JWS), outcome, v.Want)
	}
	const bound = "the token is bound to a key, and no Confirmer checks that"
	for _, v := range file.Thumbprints {
		add(v.ID, "cnf with jkt "+code(v.SHA256), "read, then refused", bound)
	}
	add("RFC8705-A", code(string(file.AppendixA.CNF)), "read, then refused", bound)
	add("RFC8705-3", code(string(file.Section3)), "read, then refused", bound)
	add("RFC9068-2", code(string(file.Figure2.Claims)), "read", "each claim is in the field of Token that has its name")
	add("RFC9701-5", jws(file.RFC9701.JWT), "refused", "an introspection answer is not an access token; its claims are read")
	return table
}

func messageCases(t *testing.T) caseTable {
	table := caseTable{title: "RFC messages: rfc-messages.json"}
	undecided := readDecisions(t).RFCMessages
	for _, m := range readMessages(t) {
		outcome, why := "checked", "the library sends, reads or writes this example"
		if reason, ok := undecided[m.ID]; ok {
			outcome, why = "nothing to check", reason
		}
		input := string(m.Value)
		if strings.HasPrefix(input, `"`) {
			input = m.text(t)
		}
		table.rows = append(table.rows, [4]string{m.ID, code(strings.Join(strings.Fields(input), " ")), outcome, why})
	}
	return table
}
