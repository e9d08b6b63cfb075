package redislog_test

import (
	"context"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// Two instances share their revocations.
func Example() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379"})
	shared, err := redislog.New(client, redislog.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := shared.CheckServer(ctx); err != nil {
		log.Fatal(err) // Redis is not configured to keep the entries that it acknowledges
	}
	list, err := revlog.Open(ctx, shared, revlog.Config{Report: func(err error) { log.Print(err) }})
	if err != nil {
		log.Fatal(err)
	}
	// The list goes into oauthz.Config.RevocationLists of each instance. A user is logged out everywhere:
	err = list.Revoke(ctx, oauthz.Revocation{
		Match:       map[string]any{"iss": "https://login.example.com", "sub": "alice"},
		IssuedUntil: time.Now(),
		Expires:     time.Now().Add(time.Hour), // as long as the access tokens live
	})
	if err != nil {
		log.Fatal(err) // the revocation may not be durable: try again
	}
}
