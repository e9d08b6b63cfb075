// Command release checks and makes the releases of this repository, which holds several Go modules. RELEASE.md describes
// a whole release.
//
//	release verify            compare versions.txt with every go.mod
//	release stranger          build and run the examples of each released module, as a user without this repository would
//	release tag [-write] SET VERSION
//	                          write VERSION into versions.txt and every go.mod, tidy, commit, and tag each module of SET;
//	                          without -write it only prints what it would do
//
// It reads the folder in which it is started, which must be the root of the repository.
package main
