// Package boltlog keeps a [revlog.Log] in a bucket of a bbolt file: one file,
// which survives kill -9, for one machine. It is the embedded default.
//
//	db, err := bolt.Open("revocations.db", 0o600, &bolt.Options{Timeout: time.Second})
//	log, err := boltlog.New(db, boltlog.Config{})
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//
// The file belongs to one process at a time, for as long as it is open: a second
// bolt.Open of it waits until the first is closed, for ever if its options have no
// Timeout. Set one, and where several processes serve, use another log.
//
// Make one [Log] for a file and give it to every [revlog.List] of the process: a
// List is woken at once by what was appended to the same Log. By what another Log
// appended, it is told when its Read ends, within its Poll.
//
// The database is the caller's, who may keep other buckets in it. Close the lists
// first, then the database. A transaction of the program that stays open holds up
// the log: one that writes holds up Append, and one that reads, if it lasts while
// the file must grow, everything. Append and Read then return when their context
// ends.
package boltlog
