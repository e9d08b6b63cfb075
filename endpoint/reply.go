package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// reply is a complete response. Writing it cannot fail because of its content.
type reply struct {
	status      int
	contentType string // "": no body
	body        []byte
}

const mediaJSON = "application/json"

// jsonReply returns a 200 with v, or a server error if v cannot be encoded.
func jsonReply(v any) (reply, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return reply{}, serverError(fmt.Errorf("the answer is not JSON: %w", err))
	}
	return reply{http.StatusOK, mediaJSON, body}, nil
}

// handler answers requests with the result of decide, which writes nothing itself.
type handler struct {
	methods []string
	decide  func(w http.ResponseWriter, r *http.Request) (reply, error)
	report  func(context.Context, error)
}

// serve writes every response, except the refusals of a Guard.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	out, err := h.decideSafely(w, r)
	if err != nil {
		err = h.callReport(r.Context(), err)
		var refused *guardRefusal
		if errors.As(err, &refused) {
			refused.guard.WriteError(w, r, refused.err)
			return
		}
		out = failureOf(err).reply(w.Header())
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if out.contentType != "" {
		w.Header().Set("Content-Type", out.contentType)
	}
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.body) // the client may have disconnected
	}
}

// decideSafely calls decide if the method is allowed, and turns a panic into an error.
func (h *handler) decideSafely(w http.ResponseWriter, r *http.Request) (out reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = reply{}, panicFailure(v)
		}
	}()
	if !slices.Contains(h.methods, r.Method) {
		return reply{}, &failure{
			status: http.StatusMethodNotAllowed, code: codeInvalidRequest,
			header: http.Header{"Allow": {strings.Join(h.methods, ", ")}}, err: errors.New("method not allowed"),
		}
	}
	return h.decide(w, r)
}

// callReport calls the report hook and returns err, or an error if the hook panics.
func (h *handler) callReport(ctx context.Context, err error) (out error) {
	defer func() {
		if v := recover(); v != nil {
			out = panicFailure(v)
		}
	}()
	h.report(ctx, err)
	return err
}

// reportOrLog returns report. If report is nil, it returns a function that logs
// faults: the client does not receive the cause, so it must not be lost.
func reportOrLog(report func(context.Context, error)) func(context.Context, error) {
	if report != nil {
		return report
	}
	return func(ctx context.Context, err error) {
		var refused *guardRefusal
		if !errors.As(err, &refused) && failureOf(err).status >= http.StatusInternalServerError {
			slog.WarnContext(ctx, "oauthz: an endpoint failed", "error", err)
		}
	}
}

// The error codes that clients receive: RFC 6749 §5.2 and RFC 7009 §2.2.1, and for
// faults those of RFC 6749 §4.1.2.1, as in the rest of this module.
const (
	codeInvalidRequest         = "invalid_request"
	codeInvalidClient          = "invalid_client"
	codeUnauthorizedClient     = "unauthorized_client"
	codeUnsupportedTokenType   = "unsupported_token_type"
	codeTemporarilyUnavailable = "temporarily_unavailable"
	codeServerError            = "server_error"
)

// failure is an answer with an error: the response for the client, and the cause.
type failure struct {
	status            int
	code, description string // sent; only fixed strings, both empty if there is no code
	retryAfter        time.Duration
	header            http.Header
	err               error // the cause: reported, never sent
}

func (f *failure) Error() string { return fmt.Sprintf("endpoint: status %d: %v", f.status, f.err) }
func (f *failure) Unwrap() error { return f.err }

// failureOf returns the failure in err. Any other error is a fault: 503.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return unavailable(err)
}

// unavailable returns a fault: the token could not be checked or revoked.
func unavailable(err error) *failure {
	f := &failure{status: http.StatusServiceUnavailable, code: codeTemporarilyUnavailable, err: err}
	var e *oauthz.Error
	if errors.As(err, &e) && e != nil {
		f.retryAfter = e.RetryAfter
	}
	return f
}

// serverError returns a failure for a mistake of this package or of a hook.
func serverError(err error) *failure {
	return &failure{status: http.StatusInternalServerError, code: codeServerError, err: err}
}

// badRequest returns a failure for a mistake of the client. description is a fixed string.
func badRequest(description string) *failure {
	return &failure{
		status: http.StatusBadRequest, code: codeInvalidRequest, description: description, err: errors.New(description),
	}
}

// reply adds the headers of the failure to h, and returns the rest of the response.
func (f *failure) reply(h http.Header) reply {
	for name, values := range f.header {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	if f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter(f.retryAfter))
	}
	body, _ := json.Marshal(struct {
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description,omitempty"`
	}{f.code, f.description}) // strings always marshal
	return reply{f.status, mediaJSON, body}
}

// retryAfter returns d in seconds, rounded up, within the same bounds as in a Guard.
func retryAfter(d time.Duration) string {
	const byDefault, most = 5 * time.Second, time.Hour
	if d <= 0 {
		d = byDefault
	}
	return strconv.FormatInt(int64((min(d, most)+time.Second-1)/time.Second), 10)
}

// panicFailure omits the value of a panic, which may hold a token or a secret,
// unless the Go runtime created it. It reports the type and the place instead.
func panicFailure(value any) *failure {
	cause := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		cause = err.Error()
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return serverError(fmt.Errorf("panic: %s at %s:%d", cause, frame.Function, frame.Line))
		}
	}
}
