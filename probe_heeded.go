package oauthz

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// Reasons why a request may reach the handler without meeting the requirements of
// the Guards in a middleware. An adapter puts the name of its package before them.
var (
	errUnheeded = errors.New("a middleware asks a Guard, and goes on when that refuses: require one of several with Any, and nothing without a token with OrAnonymous")
	errBlocked  = errors.New("a middleware that asks a Guard answers by itself: whether it goes on when the Guard refuses is not known")
	errDepends  = errors.New("which Guards a middleware asks depends on the request")
)

// maxAnswers bounds how many combinations of answers [ProbeHeeded] tries: all of
// six Guards in one middleware, and of more those with the fewest refusals.
const maxAnswers = 64

// ProbeHeeded reports whether a middleware lets a request through only if every
// Guard in it does. It is for adapters: serve runs the middleware with the request
// that it is given, around an end that does no harm, and reports whether the end
// was reached. The requests are those of [Probe].
//
// The error is nil if no Guard was asked, or if each run in which one of them
// refused ended before the end. For that, serve is called with each combination
// of refusals, with each reason that a Guard has to refuse, and with requests that
// differ in the things by which a program may decide: credentials of several
// kinds, a client certificate, a preflight, an upgrade, the address of a proxy.
//
// A condition on anything else, such as a header field of the program's own, a
// path or the time, remains unseen. The documentation of each adapter states this.
func ProbeHeeded(r *http.Request, serve func(*http.Request) (reached bool)) error {
	met, reached := answered(r, nil, nil, serve)
	switch {
	case len(met) == 0:
		return nil
	case !reached:
		return errBlocked
	}
	for _, refusal := range probeRefusals() {
		if !heeds(r, refusal, serve) {
			return errUnheeded
		}
	}
	for _, change := range probeVariants {
		other := r.Clone(r.Context())
		change(other)
		found, reached := answered(other, nil, nil, serve)
		if reached && !slices.EqualFunc(met, found, sameRequirement) {
			return errDepends
		}
	}
	return nil
}

func sameRequirement(a, b Requirement) bool { return a.String() == b.String() }

// heeds tries all combinations of answers, those with the fewest refusals first:
// each is one that was tried, with a later Guard refusing as well.
func heeds(r *http.Request, refusal *Error, serve func(*http.Request) bool) bool {
	tries := [][]bool{nil} // of a combination: which Guards refuse. The others do not
	for i := 0; i < len(tries) && i < maxAnswers; i++ {
		refuses := tries[i]
		met, reached := answered(r, refuses, refusal, serve)
		if reached && len(refuses) > 0 {
			return false
		}
		for n := len(refuses); n < len(met) && len(tries) < maxAnswers; n++ {
			next := make([]bool, n+1)
			copy(next, refuses)
			next[n] = true
			tries = append(tries, next)
		}
	}
	return true
}

// answered runs serve once. The Guards for which refuses is true give refusal.
func answered(r *http.Request, refuses []bool, refusal *Error, serve func(*http.Request) bool) (met []Requirement, reached bool) {
	p := &probe{Context: r.Context(), answer: func(n int) error {
		if n <= len(refuses) && refuses[n-1] {
			return refusal
		}
		return nil
	}}
	reached = serve(r.Clone(p)) // a middleware may leave its marks on a request
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.met), reached
}

// probeRefusals has each kind of refusal: a middleware may heed some of them only.
func probeRefusals() []*Error {
	because := func(err error) error { return fmt.Errorf("%w: %w", err, errProbe) }
	return []*Error{
		unavailable(errProbe),
		told(because(ErrNoToken)),
		told(because(ErrInvalidToken)),
		told(because(ErrExpired)),
		told(because(ErrInvalidRequest)),
		{Status: http.StatusForbidden, Code: codeInsufficientScope, Err: because(ErrInsufficientScope)},
		{Status: http.StatusUnauthorized, Code: codeInsufficientAuthentication, Err: because(ErrInsufficientAuthentication)},
		serverError(errProbe),
	}
}

// probeVariants make a request into one that a middleware may treat in another
// way. Each changes one thing: the first that a middleware looks at would hide the
// others.
var probeVariants = []func(*http.Request){
	withFields("Authorization", "Bearer probe"),
	withFields("Authorization", "Basic cHJvYmU6cHJvYmU="),
	withFields("Cookie", "session=probe; session_id=probe; token=probe"),
	withFields("X-Api-Key", "probe", "Api-Key", "probe", "X-Auth-Token", "probe", "X-Access-Token", "probe"),
	withFields("X-Internal", "true", "X-Admin", "true", "X-Debug", "true", "X-Test", "true"),
	withFields("X-User", "probe", "X-Role", "probe", "X-Tenant", "probe", "X-Service", "probe", "X-Client-Id", "probe"),
	withFields("Origin", "https://probe.invalid", "Access-Control-Request-Method", "GET"),
	withFields("Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13"),
	withFields("X-Forwarded-For", "127.0.0.1", "X-Real-Ip", "127.0.0.1", "X-Forwarded-Proto", "https"),
	withFields("Accept", "text/html", "X-Requested-With", "XMLHttpRequest", "User-Agent", "kube-probe/1.30", "Sec-Fetch-Site", "same-origin"),
	withFields("Content-Type", "application/json"),
	func(r *http.Request) { r.RemoteAddr = "127.0.0.1:49152" },
	func(r *http.Request) {
		certificates := []*x509.Certificate{{}}
		r.TLS = &tls.ConnectionState{
			HandshakeComplete: true, PeerCertificates: certificates, VerifiedChains: [][]*x509.Certificate{certificates},
		}
	},
	func(r *http.Request) {
		r.URL.RawQuery = "access_token=probe&token=probe&api_key=probe&debug=1"
		r.RequestURI = r.URL.RequestURI()
	},
}

// withFields adds header fields: names and values in turn.
func withFields(pairs ...string) func(*http.Request) {
	fields := http.Header{}
	for pair := range slices.Chunk(pairs, 2) {
		fields.Set(pair[0], pair[1])
	}
	return func(r *http.Request) { maps.Copy(r.Header, fields) }
}
