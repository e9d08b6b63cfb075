// Package adaptertest is the test suite of the adapters of oauthz for web frameworks: [RunOutcomes] compares an adapter with
// net/http. It is for authors of adapters. For tests of a program that uses oauthz there is package oauthztest.
package adaptertest
