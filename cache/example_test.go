package cache_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// An API with opaque tokens calls the authorization server once a minute for each
// token, and forgets a token at once when it is revoked. The server in this example
// is a fake one, in the same process.
func Example() {
	server := oauthztest.NewServer(oauthztest.Config{ClientID: "orders-api", ClientSecret: "secret"})
	defer server.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	introspector, err := remote.New(ctx, remote.Config{
		Issuer:   server.Issuer(),
		Auth:     remote.Basic("orders-api", "secret"),
		Audience: []string{"https://api.example"},
	})
	if err != nil {
		log.Fatal(err)
	}
	remembering, err := cache.New(introspector, cache.Config{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer remembering.Close()

	opaque := server.MintOpaque(oauthztest.Claims{"sub": "alice"})
	for range 3 {
		token, err := remembering.Introspect(ctx, opaque)
		fmt.Println(token.Subject, err)
	}
	fmt.Println("questions to the server:", server.Count(oauthztest.EndpointIntrospection))

	server.Revoke(opaque)
	remembering.Forget(opaque) // call it on each instance after a revocation
	_, err = remembering.Introspect(ctx, opaque)
	fmt.Println(err == oauthz.ErrInactive, err)
	// Output:
	// alice <nil>
	// alice <nil>
	// alice <nil>
	// questions to the server: 1
	// true oauthz: invalid token: inactive
}
