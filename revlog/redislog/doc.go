// Package redislog is a [revlog.Log] on Redis Streams, for fleets: a token that one instance
// revokes is refused by the others milliseconds later.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379"})
//	log, err := redislog.New(client, redislog.Config{})
//	err = log.CheckServer(ctx) // is the server configured to keep the entries that it acknowledges?
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{list}})
//	err = list.Revoke(ctx, oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": user}, IssuedUntil: now.Add(5 * time.Second), Expires: now.Add(life)})
//
// # What Redis must guarantee
//
// The log needs Redis 6.2 or newer (tested with 7.0), one master, and this configuration, which
// [Log.CheckServer] verifies:
//
//   - appendonly yes and appendfsync always. Otherwise a crash loses entries that were
//     acknowledged: with everysec about one second of them, without appendonly all of them
//     since the last dump.
//   - maxmemory-policy noeviction. The allkeys policies may evict the stream, and with it
//     every revocation at once. The keys must not have a time to live.
//
// Replication of Redis is asynchronous: a failover may lose entries that were acknowledged just
// before it, whatever appendfsync is. [Config.Replicas] makes that less likely, but cannot
// prevent it. An instance that is cut off together with a master that was replaced cannot
// detect the replacement. If this is not acceptable, configure no automatic failover, or use
// revlog/pglog.
//
// # Which losses are detected
//
// Instances that run detect, within a quarter of a second, that entries which they have read or
// written are missing: after FLUSHALL or DEL, an eviction, a restart with an older dump or with
// a truncated file, a failover to a replica that was behind. They report [revlog.ErrLost] and
// append the entries again, once for all instances.
//
// They cannot detect a loss of entries that none of them holds, a loss while no instance runs,
// and the removal of single entries by XDEL, except of the newest entry of a stream. An
// instance that starts between a loss and its repair, which takes seconds, does not have the
// entries until then. Back up Redis therefore, as the record of revocations that it is.
//
// # Clients
//
// Append and Read return soon after their context is done, whether or not the client was made
// with ContextTimeoutEnabled. A command that the server does not answer then continues in a
// goroutine, with a connection of the pool, until the timeouts of the client end it.
//
// A list uses one connection while it waits. Hundreds of lists cause the server little work:
// while revocations are frequent, each list reads about 30 times a second, and a single
// revocation is read at once.
//
// # Which entries are retained
//
// An entry stays until it can no longer match: [oauthz.MaxLeeway] after its Expires, by the
// clock of Redis and by the clock of the instance that appends. After that, later appends
// delete it. An entry that is needed for longer than [Config.Retention], or that never expires,
// is kept in a second stream. The reason is that entries are deleted from the head of a stream
// only: one that never expires would keep all entries behind it. In the second stream an entry
// that never expires does keep those behind it: each of them costs Redis about its JSON and 30
// bytes.
//
// # Format
//
// Entries of both streams have two fields. The field over is the time from which the entry can
// no longer match, in milliseconds since 1970, or empty if it never expires. The field rev is
// the JSON of an [oauthz.Revocation]. An entry of any other form stops every reader, because it
// may be a revocation: after [revlog.Config.MaxLag] the instances cannot tell whether a token
// is revoked, until the entry is removed by XDEL with the id that the error names.
//
// A user of Redis with limited rights needs the commands EVAL, EVALSHA, XREAD, XADD, XRANGE,
// XTRIM, XINFO, EXISTS, TIME and INFO on both keys; and CONFIG GET for CheckServer, WAIT for
// [Config.Replicas].
package redislog
