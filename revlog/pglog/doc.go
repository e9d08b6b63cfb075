// Package pglog keeps a log of revocations in a table of PostgreSQL (13 or
// newer), over the caller's own pgx pool.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	log, err := pglog.New(pool, pglog.Config{})
//	err = log.CreateSchema(ctx) // or run log.Schema() with your migrations
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, Revocations: []oauthz.RevocationList{list}})
//
// # Rights
//
// An instance that revokes needs the first grant, one that only reads the second:
//
//	GRANT SELECT, INSERT, DELETE, UPDATE (mark) ON oauthz_revocations TO writers;
//	GRANT SELECT ON oauthz_revocations TO readers;
//
// Appends wait for each other: each locks the row 0 of the table, which is not an
// entry. Only a role with the right to write can hold that lock; an Append waits for
// it three seconds and then returns an error. Any other login of the server can slow the log
// down with notifications, which need no right, but cannot stop it: a Read whose
// connection receives very many stops listening for 30 seconds and polls. Name the schema in
// Config.Table where other roles may create tables or schemas that the search_path finds first.
//
// A table of a version before the row 0 must be altered by its owner, once, while no instance runs:
//
//	ALTER TABLE oauthz_revocations DROP CONSTRAINT oauthz_revocations_id_check, ADD CHECK (id >= 0);
//	GRANT UPDATE (mark) ON oauthz_revocations TO writers;
//
// # Connections
//
// The pool must lead to the primary: a standby may lag, and is refused.
//
// Each [revlog.List] holds one connection, over which it listens and reads. It is made as
// those of the pool are, but is not one of them: a pool counts broken connections for 15
// seconds, and would keep the list from reading. Appends use the pool, one connection at a time for each Log, and
// connect outside the pool if it supplies none within a second. A server therefore needs
//
//	max_connections ≥ instances × (1 + connections of the pool) + what others need
//
// With PostgreSQL's default of 100, about 45 instances can listen if each pool has one connection.
// For more, set [Config.PollInterval]: then a log connects only while it reads or writes,
// or uses a connection that is idle in the pool, and revocations arrive up to one interval later. 200 instances that poll every 4 seconds
// connect some 70 times a second; a pooler such as PgBouncer (in transaction mode) makes that cheap. Through a pooler
// that does not keep a session no notification arrives; set PollInterval there, too, or connect directly.
//
// A connection that is silent for two seconds while an answer is due is replaced within the same Read.
//
// # Load
//
// A list reads when it is notified. Above 20 notifications a second it stops listening and
// reads every 40 to 80 ms instead, until nothing was new for half a second: one read then returns many
// revocations. The calls of Append that arrive while another is committed share the next
// transaction, and its flush of the disk.
//
// # What is durable
//
// The entries of an Append that returned nil were committed, and flushed by the server, also where
// synchronous_commit is off for the database; whether they are durable on a
// standby depends on synchronous_standby_names. fsync = off or an UNLOGGED table void it.
// The notification is sent after the commit. If it fails, the other lists see the
// entries at the end of their current Read, after [revlog.Config.Poll] at most.
//
// # Retention
//
// An entry is kept for an hour after it expired, by the server's clock, which is
// far longer than [oauthz.MaxLeeway]; then later Appends delete it, a few at a
// time. The newest hundred entries stay, and those that never expire are never
// deleted. Since no entry is deleted that could still match a token, no reader misses
// one that matters, and retention alone rarely makes a reader start again.
//
// Each Log remembers up to which time of expiry it has deleted, and continues there. Once an hour
// it begins at the oldest entry again.
//
// # Order
//
// The ids of a sequence become visible in the order in which transactions commit,
// not in the order in which they were drawn: a reader that is past 8 never sees the 7
// that commits late. Therefore there is no sequence. The id of an entry is one more than
// the greatest that is committed, as seen under a lock that is held to the commit.
// (PostgreSQL makes a commit visible before it releases its locks: CommitTransaction
// in xact.c.) The primary key alone would be sufficient, for of two transactions that take the same id the
// second fails; with the lock it waits instead. An INSERT by hand must take
// max(id) + 1 as well, and never an id below one that was ever used.
//
// # Lost entries
//
// Each entry has a random mark as well, and a position is an id with its mark. If
// the entry at the position is missing or another one (the table was truncated or made anew, a backup was
// restored, a failover lost commits), Read returns [revlog.ErrTruncated]. The list then
// goes on from an older position whose entry is still there, reports the entries that are missing and
// appends them again. It keeps all that it has read.
package pglog
