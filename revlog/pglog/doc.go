// Package pglog keeps a log of revocations in a table of PostgreSQL (13 or
// newer), over the caller's own pgx pool.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	log, err := pglog.New(pool, pglog.Config{})
//	err = log.CreateSchema(ctx) // or run log.Schema() with your migrations
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, Revocations: []oauthz.RevocationList{list}})
//
// # The server
//
// The pool must lead to the primary: a standby may lag, and is refused. Whoever
// uses the log needs SELECT, INSERT and DELETE on the table.
//
// While a [revlog.List] waits for more it holds one connection of the pool,
// which listens on a channel of the table's; so give the pool one connection more
// for each list. Through a pooler that does not keep a session (PgBouncer in
// transaction mode) no notification arrives: then revocations are seen when the
// wait is over, which is once in each [revlog.Config.Poll]. Prefer a direct connection.
//
// # What is durable
//
// What Append acknowledged was committed, and flushed by the server, also where
// synchronous_commit is off for the database; whether that holds on a
// standby is up to synchronous_standby_names. fsync = off or an UNLOGGED table void it.
//
// # Retention
//
// An entry is kept for an hour after it expired, by the server's clock, which is
// far longer than [oauthz.MaxLeeway]; then later Appends delete it, a few at a
// time. The newest hundred entries stay, and those that never expire are kept for
// ever. Since nothing is deleted that could still match a token, no reader misses
// anything that matters, and retention alone rarely makes one start again.
//
// # Order
//
// The ids of a sequence become visible in the order in which transactions commit,
// not in that in which they were drawn: a reader that is past 8 never sees the 7
// that commits late. Here there is no sequence. The id of an entry is one more than
// the greatest that is committed, as seen under a lock that is held to the commit.
// (PostgreSQL makes a commit visible before it lets its locks go: CommitTransaction
// in xact.c.) The primary key alone would do, for of two that take the same id the
// second fails; with the lock it waits instead. Whoever inserts by hand must take
// max(id) + 1 as well, and never an id below one that was ever there.
//
// Each entry has a random mark as well, and a position is an id with its mark. If
// the entry there is another one (a backup was restored, a failover lost commits,
// the table was made anew), the reader is told so by [revlog.ErrTruncated] and starts
// again. It keeps what it has.
package pglog
