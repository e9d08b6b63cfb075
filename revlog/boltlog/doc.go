// Package boltlog keeps a [revlog.Log] in a bucket of a bbolt file: one file, which survives
// kill -9, for one machine. It is the embedded default.
//
//	db, err := bolt.Open("revocations.db", 0o600, &bolt.Options{Timeout: time.Second})
//	log, err := boltlog.New(db, boltlog.Config{})
//	list, err := revlog.Open(ctx, log, revlog.Config{})
//
// One process at a time can have the file open. A second bolt.Open of the file blocks until the
// first process closes it, without a limit if its options have no Timeout. Set a Timeout. Where
// several processes serve, use another log.
//
// Make one [Log] for a file and pass it to every [revlog.List] of the process. An entry that is
// appended to a Log wakes the lists of that Log at once. An entry that another Log appended is
// found when the Read of the list ends, within its Poll.
//
// The database belongs to the caller, who may keep other buckets in it. Close the lists first,
// then the database. A transaction of the program that stays open blocks the log: a write
// transaction blocks Append. A read transaction blocks both Append and Read if the file must
// grow meanwhile. Append and Read then return when their context ends.
package boltlog
