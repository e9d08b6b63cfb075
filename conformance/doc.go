// Package conformance runs published and collected test vectors against the library. It has tests only: hostile tokens,
// Authorization fields, challenges, exchanges with real servers, Project Wycheproof, and the examples of the RFCs. README.md
// describes each file of testdata, with its source and license. CASES.md lists every case.
package conformance
