// Package revlog shares revocations between instances: there is one ordered, durable [Log], and
// every instance keeps a [List] of it in memory.
//
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{list}})
//	err = list.Revoke(ctx, oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": user}, IssuedUntil: now.Add(5 * time.Second), Expires: now.Add(life)})
//
// A request reads only memory. When Revoke returns nil, the revocation is durable. The other
// instances apply it as soon as the log delivers it to them, which takes milliseconds. While
// the log is unreachable, the instances continue with the revocations that they have, for up to
// [Config.MaxLag]. After that they cannot tell whether a token is revoked, and the Guard
// answers 503.
//
// If the log loses entries that it acknowledged, the lists that hold these entries detect the
// loss, report [ErrLost], and append the entries again, once for all instances. They cannot
// detect the loss of entries that none of them holds, and they detect nothing while no instance
// runs.
//
// Each log is a module of its own: revlog/boltlog (one file, for one machine), revlog/redislog
// and revlog/pglog (for fleets). [Memory] is for tests. If you write another log, run the suite
// in revlog/logtest against it.
package revlog
