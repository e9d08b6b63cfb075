package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// A curlLine is a line of a doc comment, with the expected status:
//
//	curl -i -H "Authorization: Bearer $ALICE" http://127.0.0.1:8080/orders # 200
type curlLine struct {
	text         string // without the expected status
	method, path string
	header       [][2]string
	body         string
	want         int
}

var (
	promises = regexp.MustCompile(`(?m)^//\t(curl .*?) +# (\d{3})$`)
	commands = regexp.MustCompile(`(?m)^//\s*curl .*$`)
	words    = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// curlLines returns the curl lines in the source of a program. A line without an
// expected status is an error, and so is a program without curl lines.
func curlLines(source string) ([]curlLine, error) {
	found := promises.FindAllStringSubmatch(source, -1)
	if n := len(commands.FindAllString(source, -1)); n == 0 || n != len(found) {
		return nil, fmt.Errorf("stage: %d curl lines, %d of which end with the status that they promise", n, len(found))
	}
	lines := make([]curlLine, 0, len(found))
	for _, match := range found {
		line, err := parseCurl(match[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", match[1], err)
		}
		line.want, _ = strconv.Atoi(match[2]) // three digits
		lines = append(lines, line)
	}
	return lines, nil
}

// parseCurl reads the few options that the examples need.
func parseCurl(text string) (curlLine, error) {
	line := curlLine{text: text, method: http.MethodGet}
	var args []string
	for _, word := range words.FindAllString(text, -1)[1:] {
		args = append(args, strings.Trim(word, `"'`))
	}
	for len(args) > 0 {
		option, rest := args[0], args[1:]
		value := ""
		if option != "-i" && strings.HasPrefix(option, "-") {
			if len(rest) == 0 {
				return curlLine{}, fmt.Errorf("stage: %s without a value", option)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := line.take(option, value); err != nil {
			return curlLine{}, err
		}
		args = rest
	}
	if line.path == "" {
		return curlLine{}, errors.New("stage: no URL")
	}
	return line, nil
}

func (l *curlLine) take(option, value string) error {
	switch option {
	case "-i":
	case "-X":
		l.method = value
	case "-H":
		name, content, _ := strings.Cut(value, ": ")
		l.header = append(l.header, [2]string{name, content})
	case "-d":
		l.body = value
		if l.method == http.MethodGet {
			l.method = http.MethodPost
		}
	default:
		path, found := strings.CutPrefix(option, "http://"+DefaultAddr)
		if !found || l.path != "" {
			return fmt.Errorf("stage: do not understand %q", option)
		}
		l.path = path
	}
	return nil
}

// ask sends the line's request to base, with tokens in place of the variables of the
// shell. The answer is the text to print.
func (l curlLine) ask(ctx context.Context, client *http.Client, base string, tokens map[string]string) (answer []string, status int, err error) {
	r, err := http.NewRequestWithContext(ctx, l.method, base+l.path, strings.NewReader(l.body))
	if err != nil {
		return nil, 0, err
	}
	for _, field := range l.header {
		r.Header.Add(field[0], os.Expand(field[1], func(name string) string { return tokens[name] }))
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, err
	}
	answer = append(answer, resp.Proto+" "+resp.Status)
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		answer = append(answer, "WWW-Authenticate: "+challenge)
	}
	if text := strings.TrimSpace(string(body)); text != "" {
		answer = append(answer, text)
	}
	return answer, resp.StatusCode, nil
}
