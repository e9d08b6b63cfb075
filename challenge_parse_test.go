package oauthz_test

import "github.com/oauthz/oauthz/internal/challengetest"

type challenge = challengetest.Challenge

// parseChallenges parses a WWW-Authenticate field. The module conformance tests it with vectors of other projects.
var parseChallenges = challengetest.Parse
