// Package interop holds tests only: they run the library against real authorization servers, started on loopback, and an
// independent client against the endpoints of the library.
//
// If a server or client is not installed, its tests are skipped, and their output names the program to install. With
// OAUTHZ_REQUIRE_SERVICES=1 they fail instead, so that a run that must test everything cannot pass by skipping.
package interop
