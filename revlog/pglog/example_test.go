package pglog_test

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// Each instance of a service follows the log in a table that all of them share.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	table, err := pglog.New(pool, pglog.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := table.CreateSchema(ctx); err != nil { // or run table.Schema() with your migrations
		log.Fatal(err)
	}
	revoked, err := revlog.Open(ctx, table, revlog.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer revoked.Close()

	// Pass it to the Guard: RevocationLists: []oauthz.RevocationList{revoked}. When a user logs out:
	err = revoked.Revoke(ctx, oauthz.Revocation{
		Match:       map[string]any{"iss": "https://login.example.com", "sub": "ann"},
		IssuedUntil: time.Now(),
		Expires:     time.Now().Add(time.Hour), // no access token lives longer
	})
	if err != nil {
		log.Fatal(err)
	}
}
