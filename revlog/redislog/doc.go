// Package redislog is a [revlog.Log] on Redis Streams, for fleets: what one
// instance revokes, the others refuse milliseconds later.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379"})
//	log, err := redislog.New(client, redislog.Config{})
//	err = log.Check(ctx) // is the server configured to keep what it acknowledges?
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, Revocations: []oauthz.RevocationList{list}})
//	err = list.Revoke(ctx, oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": user}, IssuedUntil: now, Expires: now.Add(life)})
//
// # What Redis must guarantee
//
// Redis 6.2 or newer (tested with 7.0), one master, and this configuration, which
// [Log.Check] looks at:
//
//   - appendonly yes and appendfsync always: otherwise a crash loses what was
//     acknowledged, with everysec about a second of it, without it everything
//     since the last dump.
//   - maxmemory-policy noeviction: the allkeys policies may evict the stream, and
//     with it every revocation at once. The keys must not be given a time to live.
//
// Replication of Redis is asynchronous: a failover may lose entries that were
// acknowledged just before it, whatever appendfsync is. [Config.Replicas] makes that
// less likely, and does not rule it out. An instance that is cut off together with a
// master that was replaced cannot know that. If this is not acceptable, configure no
// automatic failover, or use revlog/pglog.
//
// # What is noticed when entries are lost
//
// Instances that run notice, within a quarter of a second, that entries which they
// have read or written are gone: after FLUSHALL or DEL, an eviction, a restart with
// an older dump or with a file that was cut off, a failover to a replica that was
// behind. They report [revlog.ErrLost] and append the entries again, once for all
// instances.
//
// They cannot notice a loss of entries that none of them holds, one that happens
// while no instance runs, and the removal of single entries by XDEL, unless it is the
// newest of its stream. An instance that starts between a loss and its repair, which
// takes seconds, does not know the entries until then. So back up Redis as the record
// of revocations that it is.
//
// # Clients
//
// Append and Read return soon after their context is done, whether or not the client
// was made with ContextTimeoutEnabled. A command that the server does not answer then
// goes on in a goroutine, with a connection of the pool, until the timeouts of the
// client end it.
//
// A list uses one connection while it waits. Hundreds of lists cost the server
// little: while revocations are frequent, each list reads about 30 times a second,
// and lone ones are read at once.
//
// # What is retained
//
// An entry stays until it can no longer match: [oauthz.MaxLeeway] after its
// Expires, by the clock of Redis and by that of the instance that appends. Then
// it is dropped while others are appended. An entry that is needed for longer
// than [Config.Retention], or for ever, is kept apart in a second stream,
// because entries are dropped from the head of a stream only: one that stays for
// ever would hold up all behind it. In the second stream one that stays for ever
// does hold them up: each costs Redis about its JSON and 30 bytes.
//
// # Format
//
// Entries of both streams have two fields: over, when it can no longer match in
// milliseconds since 1970, empty for never; and rev, the JSON of an
// [oauthz.Revocation]. An entry that is anything else stops every reader, for it
// may be a revocation: the instances cannot tell, once they have lost touch for
// too long, until it is removed by XDEL with the id that the error names.
//
// A user of Redis with limited rights needs the commands EVAL, EVALSHA, XREAD,
// XADD, XRANGE, XTRIM, XINFO, EXISTS, TIME and INFO on both keys; and CONFIG GET
// for Check, WAIT for [Config.Replicas].
package redislog
