package boltlog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// What was revoked is revoked still when the program has been killed and started again.
func Example() {
	folder, err := os.MkdirTemp("", "boltlog")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "revocations.db")
	token := &oauthz.Token{Issuer: "https://login.example.com", Subject: "mallory"}

	runs(path, func(ctx context.Context, list *revlog.List) error {
		return list.Revoke(ctx, oauthz.Revocation{
			Match:   map[string]any{"iss": token.Issuer, "sub": token.Subject},
			Expires: time.Now().Add(time.Hour), // when the last of the tokens is dead
		})
	})
	runs(path, func(ctx context.Context, list *revlog.List) error {
		revoked, err := list.Revoked(ctx, token)
		fmt.Println("revoked:", revoked)
		return err
	})
	// Output: revoked: true
}

// runs is one run of a program.
func runs(path string, serve func(context.Context, *revlog.List) error) {
	ctx := context.Background()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second}) // another process has the file: an error
	if err != nil {
		panic(err)
	}
	defer db.Close()
	log, err := boltlog.New(db, boltlog.Config{})
	if err != nil {
		panic(err)
	}
	list, err := revlog.Open(ctx, log, revlog.Config{}) // a Guard has it among its Revocations
	if err != nil {
		panic(err)
	}
	defer list.Close()
	if err := list.Ready(ctx); err != nil {
		panic(err)
	}
	if err := serve(ctx, list); err != nil {
		panic(err)
	}
}
