package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"go.etcd.io/bbolt"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
	"github.com/oauthz/oauthz/revlog/pglog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// A store is the place in which the log keeps its records: at most one of these. If
// all are empty, the log is a new temporary file.
type store struct{ bolt, redis, postgres string }

func (s store) check() error {
	named := 0
	for _, name := range []string{s.bolt, s.redis, s.postgres} {
		if name != "" {
			named++
		}
	}
	if named > 1 {
		return errors.New("-bolt, -redis and -postgres: want one of them")
	}
	return nil
}

// open opens the log. This program makes the client of the store, and closes it at
// the end.
func (s store) open(ctx context.Context) (log revlog.Log, end func() error, err error) {
	switch {
	case s.redis != "":
		return openRedis(s.redis)
	case s.postgres != "":
		return openPostgres(ctx, s.postgres)
	case s.bolt != "":
		return openBolt(s.bolt)
	}
	folder, err := os.MkdirTemp("", "oauthz-revocation-")
	if err != nil {
		return nil, nil, err
	}
	file, closeFile, err := openBolt(filepath.Join(folder, "revocations.db"))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	return file, func() error { return errors.Join(closeFile(), os.RemoveAll(folder)) }, nil
}

func openBolt(file string) (revlog.Log, func() error, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second}) // another process may have locked it
	if err != nil {
		return nil, nil, err
	}
	log, err := boltlog.New(db, boltlog.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return log, db.Close, nil
}

// openRedis opens a log in Redis. The server should have "appendonly yes" and
// "appendfsync always": otherwise it may lose entries that it has acknowledged (see
// package redislog).
func openRedis(address string) (revlog.Log, func() error, error) {
	client := redis.NewClient(&redis.Options{Addr: address})
	log, err := redislog.New(client, redislog.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return log, client.Close, nil
}

func openPostgres(ctx context.Context, dsn string) (revlog.Log, func() error, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, nil, err
	}
	closePool := func() error { pool.Close(); return nil }
	log, err := pglog.New(pool, pglog.Config{})
	if err == nil {
		err = log.CreateSchema(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, closePool())
	}
	return log, closePool, nil
}
