// Package providers is the kit that the clients of vendors share: the packages
// in this folder, and any client of a further vendor.
//
// A client introspects tokens with package remote and a
// [github.com/oauthz/oauthz/remote.Dialect] of its own. The kit is for the other
// operations of the vendor's API:
//
//   - [NewRequest] makes a request, and a [Caller] sends it within bounds.
//   - Every operation that fails returns an *[OperationError].
//   - A [Recorder] records a revocation in a list of revocations before the vendor
//     is called.
package providers
