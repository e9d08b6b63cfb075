// Package interop holds tests only: they run the library against real authorization servers, started on loopback, and an
// independent client against the endpoints of the library.
//
// A server or client that is not installed makes its tests skip, and they say what to install. With OAUTHZ_REQUIRE_SERVICES=1
// they fail instead, so that a run which must have tested everything cannot pass by skipping.
package interop
