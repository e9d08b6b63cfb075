package oauthztest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/oauthz/oauthz/oauthztest"
)

// A token is active until it is revoked.
func ExampleServer_MintOpaque() {
	as := oauthztest.NewServer(oauthztest.Config{})
	defer as.Close()

	// First mint a token with exactly these claims.
	token := as.MintOpaque(oauthztest.Claims{
		"scope": "read", "sub": "alice",
		"iss": oauthztest.Absent, "aud": oauthztest.Absent, "client_id": oauthztest.Absent,
		"iat": oauthztest.Absent, "exp": oauthztest.Absent, "jti": oauthztest.Absent,
	})

	// Next introspect it, as a resource server does (RFC 7662).
	ask := func() {
		resp, err := as.Client().PostForm(as.IntrospectionURL(), url.Values{"token": {token}})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		fmt.Print(string(body))
	}
	ask()

	// Finally revoke it, and introspect it again.
	as.Revoke(token)
	ask()

	// Output:
	// {"active":true,"scope":"read","sub":"alice","token_type":"Bearer"}
	// {"active":false}
}

// An endpoint fails until it is healed.
func ExampleServer_Inject() {
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	defer as.Close()
	fetch := func() {
		resp, err := as.Client().Get(as.JWKSURL())
		if err != nil {
			fmt.Println("no answer")
			return
		}
		defer resp.Body.Close()
		fmt.Println(resp.Status)
	}

	as.Inject(oauthztest.EndpointJWKS, oauthztest.TooManyRequests("30"))
	fetch()

	// A fault of your own need not fail every request: this one passes every second request on to the endpoint.
	as.Inject(oauthztest.EndpointJWKS, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if as.Count(oauthztest.EndpointJWKS)%2 == 0 {
			oauthztest.Status(http.StatusBadGateway)(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
	fetch()
	fetch()

	as.Heal(oauthztest.EndpointJWKS)
	fetch()

	as.Stop() // and now the whole server
	fetch()

	// Output:
	// 429 Too Many Requests
	// 502 Bad Gateway
	// 200 OK
	// 200 OK
	// no answer
}
