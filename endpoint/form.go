package endpoint

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
)

// maxForm has room for the longest token together with a signed client assertion.
const maxForm = 64 << 10

// readForm returns the parameters of a request (RFC 7662 §2.1, RFC 7009 §2.1). It
// reads only the body, because servers and proxies log the query (RFC 6749 §2.3.1,
// RFC 9700 §4.3.2). A repeated parameter is an error (RFC 6749 §3.2).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if !hasMediaType(r, "application/x-www-form-urlencoded") {
		return nil, badRequest("The body must be application/x-www-form-urlencoded")
	}
	body, err := readBody(w, r, maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil { // not reported: its text quotes the body
		return nil, badRequest("The body is malformed")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, badRequest("A parameter is repeated")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) { // RFC 6749 appendix B
			return nil, badRequest("The body is malformed")
		}
	}
	return form, nil
}

// hasMediaType reports whether r has exactly one Content-Type field and its type is
// want. With two fields, a proxy in front of the server may use the other one.
func hasMediaType(r *http.Request, want string) bool {
	return len(r.Header["Content-Type"]) == 1 && fetch.MediaType(r.Header) == want
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		f := badRequest("The body is too large")
		f.status = http.StatusRequestEntityTooLarge
		return nil, f
	case err != nil:
		return nil, badRequest("The body cannot be read")
	}
	return body, nil
}

// isTokenSyntax reports whether s can be an access token (RFC 6749 appendix A.12,
// without the space, which cannot be sent in an Authorization header).
func isTokenSyntax(s string) bool {
	if len(s) > oauthz.MaxTokenBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7E {
			return false
		}
	}
	return s != ""
}
