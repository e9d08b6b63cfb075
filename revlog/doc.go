// Package revlog shares revocations between instances: one ordered, durable
// [Log], of which every instance keeps a [List] in memory.
//
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//	guard, err := oauthz.New(oauthz.Config{Introspector: in, Revocations: []oauthz.RevocationList{list}})
//	err = list.Revoke(ctx, oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": user}, IssuedUntil: now, Expires: now.Add(life)})
//
// A request asks only memory. What one instance revokes is durable when Revoke
// returns, and the others apply it as soon as the log has told them, which is
// milliseconds. While the log cannot be reached they go on with what they have,
// up to [Config.MaxLag]; from then on they cannot tell, which is a 503.
//
// If the log loses entries that it acknowledged, the lists that hold them notice,
// report [ErrLost], and append them again, once for all instances. They cannot
// notice a loss of entries that none of them holds, and none while no instance runs.
//
// The logs are modules of their own: revlog/boltlog (one file, for one machine),
// revlog/redislog and revlog/pglog (for fleets). [Memory] is for tests. Whoever
// writes another runs the suite in revlog/logtest.
package revlog
