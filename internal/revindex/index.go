// Package revindex is the index of a list of revocations in memory.
package revindex

import (
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Index finds revocations by the issuer and the claims that they match. One
// goroutine at a time may call [Index.WithRoom], [Index.Add] and [Index.Covers].
// Any number of goroutines may read the Index meanwhile; none waits for another.
//
// An entry is a record of bytes, which never changes after it is written, and one
// slot of a hash table, which is stored after the record. So the garbage collector
// has no pointers to follow, and a look-up of a token that is not revoked reads one
// slot for each shape in use. Expired records are left out when the Index is copied;
// a record leaves the Index in no other way.
type Index struct {
	leeway  time.Duration
	seed    maphash.Seed
	shapes  atomic.Pointer[[]shape]
	issuers atomic.Pointer[[]string]
	chunks  atomic.Pointer[[][]byte] // of records
	table   atomic.Pointer[table]
	end     atomic.Uint32 // the position behind the last record

	// Only the writer reads and writes these.
	shapeIDs, issuerIDs map[string]int
	used                int       // slots in use
	replaced            int       // records that no slot holds any more
	nextExpiry          time.Time // of all records; zero: never
	counted             time.Time // when countLive was last called, by the monotonic clock
	entriesBuffer       []slotEntry
}

// shape is a list of claim names that entries match by, beside iss.
type shape struct {
	names []string
	hash  uint64
	rows  *atomic.Pointer[[]uint32] // of two names or more: see addRow
}

const (
	chunkBytes = 64 << 10
	unitBytes  = 8 // records begin at multiples of it, so that 32 bits can address 32 GiB
	maxBytes   = min(unitBytes<<32, math.MaxInt)
)

// New returns an Index with room for capacity entries. An entry applies until
// leeway after its Term.Expires, and a token whose iat is more than leeway in the
// future counts as one without iat.
func New(leeway time.Duration, capacity int) *Index {
	return newIndex(leeway, maphash.MakeSeed(), capacity)
}

func newIndex(leeway time.Duration, seed maphash.Seed, capacity int) *Index {
	x := &Index{leeway: leeway, seed: seed, shapeIDs: map[string]int{}, issuerIDs: map[string]int{}}
	x.shapes.Store(&[]shape{})
	x.issuers.Store(&[]string{})
	x.chunks.Store(&[][]byte{})
	x.end.Store(1) // position 0 would be an empty slot
	x.table.Store(newTable(capacity))
	return x
}

// hash returns the hash of a key.
func (x *Index) hash(s *shape, issuer uint64, values []Value) uint32 {
	h := mix(s.hash, issuer)
	for i := range values {
		h = mix(h+uint64(values[i].kind), maphash.String(x.seed, values[i].text))
	}
	return uint32(h >> 32)
}

func (x *Index) shape(id int) *shape { return &(*x.shapes.Load())[id] }

func (x *Index) issuer(id int) string { return (*x.issuers.Load())[id] }

// record returns the record at pos, from its hash on. It must only be read.
func (x *Index) record(pos uint32) record {
	at := int(pos) * unitBytes
	return (*x.chunks.Load())[at/chunkBytes][at%chunkBytes:]
}

// Revokes reports whether an entry matches t. It calls now only if a record has the
// key of the token.
//
// It computes the hashes of several shapes and then reads their first slots
// together: slots lie anywhere in memory, and so the processor waits once for all of
// them.
func (x *Index) Revokes(t *Token, now func() time.Time) bool {
	const batch = 4
	shapes, table := *x.shapes.Load(), x.table.Load()
	issuer := maphash.String(x.seed, t.Issuer)
	for first := 0; first < len(shapes); first += batch {
		some := shapes[first:min(first+batch, len(shapes))]
		var lookups [batch]lookup
		for i := range some {
			lookups[i] = x.newLookup(&some[i], issuer, t)
		}
		for i := range some {
			lookups[i].slot = table.slots[table.home(lookups[i].hash)].Load()
		}
		for i := range some {
			if lookups[i].mayMatch(table) && x.shapeRevokes(first+i, &some[i], issuer, t, now) {
				return true
			}
		}
	}
	return false
}

// lookup is the first, quick look-up of a token in a shape.
type lookup struct {
	hash    uint32
	slot    uint64 // the first one for that hash
	missing bool   // the token lacks a claim of the shape
	array   bool   // a claim is an array: there are other hashes
}

func (x *Index) newLookup(s *shape, issuer uint64, t *Token) lookup {
	var few [4]Value
	values, lists, ok := s.values(t, few[:0])
	return lookup{hash: x.hash(s, issuer, values), missing: !ok, array: lists != nil}
}

// mayMatch reports whether a full comparison is needed.
func (l *lookup) mayMatch(table *table) bool {
	if l.missing || l.array {
		return l.array
	}
	if l.slot == 0 {
		return false
	}
	for range table.slotsWith(l.hash) {
		return true
	}
	return false
}

// values appends to some the values of the claims of s. If t lacks one of these, ok
// is false. Of claims that are arrays, lists has the further elements.
func (s *shape) values(t *Token, some []Value) (values []Value, lists [][]Value, ok bool) {
	for i, name := range s.names {
		first, more, ok := t.Claims.Values(name)
		if !ok {
			return nil, nil, false
		}
		some = append(some, first)
		if more != nil {
			if lists == nil {
				lists = make([][]Value, len(s.names))
			}
			lists[i] = more
		}
	}
	return some, lists, true
}

// Covers reports whether an entry that was added with the same key revokes every
// token that one with k and t would revoke, for as long. It ignores entries that the
// Index made of several.
func (x *Index) Covers(k *Key, t *Term) bool {
	id, known := x.shapeIDs[joined(k.Names)]
	if !known {
		return false
	}
	hash := x.hash(x.shape(id), maphash.String(x.seed, k.Issuer), k.Values)
	return slices.ContainsFunc(x.entries(hash, &recordKey{id, k.Issuer, k.Values}, time.Time{}), func(e slotEntry) bool {
		return e.term.covers(t) && !e.term.combined
	})
}

// records yields the records and their positions in the order in which they were
// added, also those that have expired or were replaced.
func (x *Index) records() iter.Seq2[uint32, record] {
	return func(yield func(uint32, record) bool) {
		const perChunk = chunkBytes / unitBytes
		end := x.end.Load()
		for pos := uint32(1); pos < end; {
			r := x.record(pos)
			if r.size() == 0 { // the rest of the chunk is empty
				pos = (pos/perChunk + 1) * perChunk
				continue
			}
			if !yield(pos, r) {
				return
			}
			pos += r.units()
		}
	}
}

// live yields the records that apply at now.
func (x *Index) live(now time.Time) iter.Seq[record] {
	return func(yield func(record) bool) {
		for pos, r := range x.records() {
			t := x.term(r)
			if !t.expired(now, x.leeway) && x.table.Load().contains(r.hash(), pos) && !yield(r) {
				return
			}
		}
	}
}

func (x *Index) shapeID(names []string) int {
	joined := joined(names)
	id, ok := x.shapeIDs[joined]
	if !ok {
		id = len(x.shapeIDs)
		x.shapeIDs[joined] = id
		s := shape{names: names, hash: maphash.String(x.seed, joined), rows: new(atomic.Pointer[[]uint32])}
		s.rows.Store(new([]uint32))
		shapes := append(*x.shapes.Load(), s)
		x.shapes.Store(&shapes)
	}
	return id
}

func (x *Index) issuerID(issuer string) int {
	id, ok := x.issuerIDs[issuer]
	if !ok {
		id = len(x.issuerIDs)
		x.issuerIDs[issuer] = id
		issuers := append(*x.issuers.Load(), issuer)
		x.issuers.Store(&issuers)
	}
	return id
}
