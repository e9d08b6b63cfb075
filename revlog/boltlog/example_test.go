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

// A revocation still applies after the program was killed and started again.
func Example() {
	folder, err := os.MkdirTemp("", "boltlog")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "revocations.db")
	token := &oauthz.Token{Issuer: "https://login.example.com", Subject: "mallory"}

	runProgram(path, func(ctx context.Context, list *revlog.List) error {
		return list.Revoke(ctx, oauthz.Revocation{
			Match:   map[string]any{"iss": token.Issuer, "sub": token.Subject},
			Expires: time.Now().Add(time.Hour), // when the last of the tokens has expired
		})
	})
	runProgram(path, func(ctx context.Context, list *revlog.List) error {
		revoked, err := list.Revoked(ctx, token)
		fmt.Println("revoked:", revoked)
		return err
	})
	// Output: revoked: true
}

// runProgram is one run of a program.
func runProgram(path string, serve func(context.Context, *revlog.List) error) {
	ctx := context.Background()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second}) // fails if another process has the file open
	if err != nil {
		panic(err)
	}
	defer db.Close()
	log, err := boltlog.New(db, boltlog.Config{})
	if err != nil {
		panic(err)
	}
	list, err := revlog.Open(ctx, log, revlog.Config{}) // pass it to oauthz.Config
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
