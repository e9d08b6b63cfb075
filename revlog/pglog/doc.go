// Package pglog keeps a log of revocations in a table of PostgreSQL (13 or newer), over the
// caller's own pgx pool.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	log, err := pglog.New(pool, pglog.Config{})
//	err = log.CreateSchema(ctx) // or run log.Schema() with your migrations
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{list}})
//
// # Rights
//
// An instance that revokes needs the first grant. An instance that only reads needs the second:
//
//	GRANT SELECT, INSERT, DELETE, UPDATE (mark) ON oauthz_revocations TO writers;
//	GRANT SELECT ON oauthz_revocations TO readers;
//
// Appends wait for each other: each locks the row 0 of the table, which is not an entry. Only a
// role with the right to write can hold that lock. An Append waits for it three seconds and
// then returns an error. Any other login of the server can slow the log down with
// notifications, which need no right, but cannot stop it: a Read whose connection receives very
// many stops listening for 30 seconds and polls. Put the schema into Config.Table if other
// roles may create tables or schemas that the search_path finds first.
//
// The owner must alter a table that was created without the row 0, once, while no instance
// runs:
//
//	ALTER TABLE oauthz_revocations DROP CONSTRAINT oauthz_revocations_id_check, ADD CHECK (id >= 0);
//	GRANT UPDATE (mark) ON oauthz_revocations TO writers;
//
// # Connections
//
// The pool must lead to the primary: a standby may lag, and Read returns an error for it.
//
// Each [revlog.List] holds one connection, over which it listens and reads. This connection is
// made as those of the pool are, but does not belong to the pool: a pool counts broken
// connections for 15 seconds, and would keep the list from reading. Appends use the pool, one
// connection at a time for each Log, and connect outside the pool if it supplies none within a
// second. A server therefore needs
//
//	max_connections ≥ instances × (1 + connections of the pool) + connections of other programs
//
// With PostgreSQL's default of 100, about 45 instances can listen if each pool has one
// connection. For more instances, set [Config.PollInterval]. A log then connects only while it
// reads or writes, or uses a connection that is idle in the pool, and revocations arrive up to
// one interval later. 200 instances that poll every 4 seconds connect some 70 times a second; a
// pooler such as PgBouncer (in transaction mode) makes that cheap. Notifications do not arrive
// through a pooler that does not keep a session: set PollInterval there, too, or connect
// directly.
//
// A connection that is silent for two seconds while an answer is due is replaced within the
// same Read.
//
// # Load
//
// A list reads when it receives a notification. Above 20 notifications a second it stops
// listening and reads every 40 to 80 ms instead, until no entry was new for half a second. One
// read then returns many revocations. The calls of Append that arrive while another one is
// committed share the next transaction, and its flush of the disk.
//
// # Durability
//
// The entries of an Append that returned nil were committed, and flushed by the server, also if
// synchronous_commit is off for the database. Whether they are durable on a standby depends on
// synchronous_standby_names. With fsync = off or an UNLOGGED table they are not durable. The
// notification is sent after the commit. If it fails, the other lists see the entries at the
// end of their current Read, after [revlog.Config.Poll] at most.
//
// # Retention
//
// An entry is kept for an hour after it expired, by the clock of the server. That is far longer
// than [oauthz.MaxLeeway]. After that, later Appends delete it, a few entries at a time. The
// newest hundred entries stay, and entries that never expire are never deleted. No entry is
// deleted that could still match a token. Therefore no reader misses an entry that matters, and
// retention alone rarely makes a reader start again.
//
// Each Log remembers up to which time of expiry it has deleted, and continues there. Once an
// hour it begins at the oldest entry again.
//
// # Order
//
// The ids of a sequence become visible in the order in which transactions commit, not in the
// order in which they were drawn: a reader that has read id 8 never sees id 7 if that commits
// late. Therefore there is no sequence. The id of an entry is one more than the greatest id
// that is committed, as seen under a lock that is held until the commit. (PostgreSQL makes a
// commit visible before it releases its locks: CommitTransaction in xact.c.) The primary key
// alone would be sufficient, because of two transactions that take the same id the second one
// fails; with the lock it waits instead. An INSERT by hand must take max(id) + 1 as well, and
// never an id below one that was ever used.
//
// # Lost entries
//
// Each entry has a random mark as well, and a position is an id with its mark. If the entry at
// the position is missing or has another mark (the table was truncated or created again, a
// backup was restored, a failover lost commits), Read returns [revlog.ErrTruncated]. The list
// then continues from an older position whose entry is still in the table, reports the missing
// entries and appends them again. It keeps all entries that it has read.
package pglog
