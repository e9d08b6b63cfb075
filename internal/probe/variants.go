package probe

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"slices"
)

// variants change a request into one that a middleware may handle differently. Each changes one property: in a request with
// several changes, the first one that a middleware examines would hide the others.
var variants = []func(*http.Request){
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

// withFields returns a function that adds header fields. The pairs are names and values in turn.
func withFields(pairs ...string) func(*http.Request) {
	fields := http.Header{}
	for pair := range slices.Chunk(pairs, 2) {
		fields.Set(pair[0], pair[1])
	}
	return func(r *http.Request) { maps.Copy(r.Header, fields) }
}
