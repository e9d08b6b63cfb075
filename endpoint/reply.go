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

// reply is a response that is ready: nothing can go wrong with it any more.
type reply struct {
	status      int
	contentType string // "": no body
	body        []byte
}

const mediaJSON = "application/json"

// jsonReply is a 200 with v, or the mistake of whoever made v.
func jsonReply(v any) (reply, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return reply{}, serverError(fmt.Errorf("the answer is not JSON: %w", err))
	}
	return reply{http.StatusOK, mediaJSON, body}, nil
}

// handler answers requests with what decide returns, which writes nothing.
type handler struct {
	methods []string
	decide  func(w http.ResponseWriter, r *http.Request) (reply, error)
	report  func(context.Context, error)
}

// serve is the only place that writes a response, but for what a Guard refuses.
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
		_, _ = w.Write(out.body) // the client may be gone
	}
}

// attempt is decide for the methods that there are, without its panics.
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

// reported returns err, or what became of it when the hook panicked.
func (h *handler) callReport(ctx context.Context, err error) (out error) {
	defer func() {
		if v := recover(); v != nil {
			out = panicFailure(v)
		}
	}()
	h.report(ctx, err)
	return err
}

// reporter is report, or what there is without one: a fault must not vanish,
// since the client is not told what it is.
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

// The error codes that clients see: RFC 6749 §5.2, RFC 7009 §2.2.1, and for
// faults those of RFC 6749 §4.1.2.1, as everywhere in this module.
const (
	codeInvalidRequest         = "invalid_request"
	codeInvalidClient          = "invalid_client"
	codeUnauthorizedClient     = "unauthorized_client"
	codeUnsupportedTokenType   = "unsupported_token_type"
	codeTemporarilyUnavailable = "temporarily_unavailable"
	codeServerError            = "server_error"
)

// failure is an answer that is an error: what the client is told, and why.
type failure struct {
	status            int
	code, description string // sent: fixed strings, none if there is no code
	retryAfter        time.Duration
	header            http.Header
	err               error // the cause: reported, never sent
}

func (f *failure) Error() string { return fmt.Sprintf("endpoint: status %d: %v", f.status, f.err) }
func (f *failure) Unwrap() error { return f.err }

// failureOf is how the client is told of err: a fault, unless it says better.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return unavailable(err)
}

// unavailable is a fault: nothing is known, or nothing was done.
func unavailable(err error) *failure {
	f := &failure{status: http.StatusServiceUnavailable, code: codeTemporarilyUnavailable, err: err}
	var e *oauthz.Error
	if errors.As(err, &e) && e != nil {
		f.retryAfter = e.RetryAfter
	}
	return f
}

// serverError is our own mistake, or that of a hook.
func serverError(err error) *failure {
	return &failure{status: http.StatusInternalServerError, code: codeServerError, err: err}
}

// badRequest is the client's mistake, told by a fixed string.
func badRequest(description string) *failure {
	return &failure{
		status: http.StatusBadRequest, code: codeInvalidRequest, description: description, err: errors.New(description),
	}
}

// reply adds to h what belongs to the failure, and returns the rest of it.
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

// retryAfter is in seconds, rounded up, and within the bounds of the Guard's.
func retryAfter(d time.Duration) string {
	const byDefault, most = 5 * time.Second, time.Hour
	if d <= 0 {
		d = byDefault
	}
	return strconv.FormatInt(int64((min(d, most)+time.Second-1)/time.Second), 10)
}

// panicked leaves out the value of a panic, unless the runtime made it: it might
// hold a token or a secret. Where it happened is said instead.
func panicFailure(value any) *failure {
	what := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		what = err.Error()
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return serverError(fmt.Errorf("panic: %s at %s:%d", what, frame.Function, frame.Line))
		}
	}
}
