package oauthz

import (
	"hash/maphash"
	"iter"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// index finds revocations by what they match by. One goroutine at a time
// changes it; any number read it meanwhile, and none waits for another.
//
// A revocation is a record of bytes, which never changes once it is written,
// and one slot of a hash table that is stored after it. So there is nothing in
// it that the garbage collector must follow, and a token that is not revoked
// costs a look at one slot for each shape of match that is in use. Expired
// records are left out when the index is copied, which is also the only way in
// which anything leaves it.
type index struct {
	seed    maphash.Seed
	shapes  atomic.Pointer[[]shape]
	issuers atomic.Pointer[[]string]
	chunks  atomic.Pointer[[][]byte] // of records
	table   atomic.Pointer[table]
	end     atomic.Uint32 // the place behind the last record

	// The writer's own.
	shapeIDs, issuerIDs map[string]int
	records             int       // slots in use
	replaced            int       // records that no slot names any more
	ends                time.Time // when the first of them is over; zero: never
	looked              time.Time // when live was last counted, by the monotonic clock
	same                []entry   // what entries returned last
}

// shape is a list of names that revocations match by, beside iss.
type shape struct {
	names []string
	hash  uint64
	rows  *atomic.Pointer[[]uint32] // of two names or more: see addRow
}

// table is a hash table with open addressing: each slot is 0, or the upper half
// of it is a hash and the lower half the place of a record with that hash.
type table struct {
	slots []atomic.Uint64
	shift uint // from a hash to its slot
}

const (
	chunkBytes = 64 << 10
	placeBytes = 8 // records begin at multiples of it, so that 32 bits can name 32 GiB
	maxBytes   = min(placeBytes<<32, math.MaxInt)
)

func newIndex(seed maphash.Seed, capacity int) *index {
	x := &index{seed: seed, shapeIDs: map[string]int{}, issuerIDs: map[string]int{}}
	x.shapes.Store(&[]shape{})
	x.issuers.Store(&[]string{})
	x.chunks.Store(&[][]byte{})
	x.end.Store(1) // place 0 would be an empty slot
	x.table.Store(newTable(capacity))
	return x
}

// newTable has room for n records, at 5/8 of its slots.
func newTable(n int) *table {
	log := min(max(bits.Len(uint(n+n/2+n/8)), 4), 32) // a hash has no more
	return &table{slots: make([]atomic.Uint64, 1<<log), shift: uint(32 - log)}
}

func (t *table) room() int { return len(t.slots) / 8 * 5 }

func (t *table) home(hash uint32) int { return int(hash >> t.shift) }

func (t *table) next(i int) int { return (i + 1) & (len(t.slots) - 1) }

func (t *table) insert(hash, place uint32) {
	i := t.home(hash)
	for t.slots[i].Load() != 0 {
		i = t.next(i)
	}
	t.slots[i].Store(slotOf(hash, place))
}

// having yields the slots that have hash, and the places that they name.
func (t *table) having(hash uint32) iter.Seq2[int, uint32] {
	return func(yield func(int, uint32) bool) {
		for i := t.home(hash); ; i = t.next(i) {
			slot := t.slots[i].Load()
			if slot == 0 || uint32(slot>>32) == hash && !yield(i, uint32(slot)) {
				return
			}
		}
	}
}

// names says whether a slot is that of the record at place, which has that hash.
func (t *table) names(hash, place uint32) bool {
	for _, at := range t.having(hash) {
		if at == place {
			return true
		}
	}
	return false
}

func slotOf(hash, place uint32) uint64 { return uint64(hash)<<32 | uint64(place) }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9E3779B97F4A7C15, b^0xD1B54A32D192ED03)
	return hi ^ lo
}

// hash is of the key that a record is found by.
func (x *index) hash(s *shape, issuer uint64, values []matchValue) uint32 {
	h := mix(s.hash, issuer)
	for i := range values {
		h = mix(h+uint64(values[i].kind), maphash.String(x.seed, values[i].text))
	}
	return uint32(h >> 32)
}

func (x *index) shape(id int) *shape { return &(*x.shapes.Load())[id] }

func (x *index) issuer(id int) string { return (*x.issuers.Load())[id] }

// record is the one at place, from its hash on. It is only read.
func (x *index) record(place uint32) record {
	at := int(place) * placeBytes
	return (*x.chunks.Load())[at/chunkBytes][at%chunkBytes:]
}

// revoked says whether a record matches t.
//
// It reads the first slots of several shapes at once, when it knows all the
// hashes: slots lie anywhere in memory, and so the processor waits for all of
// them together.
func (x *index) revoked(t *Token, now func() time.Time) bool {
	const together = 4
	shapes, table := *x.shapes.Load(), x.table.Load()
	issuer := maphash.String(x.seed, t.Issuer)
	for first := 0; first < len(shapes); first += together {
		some := shapes[first:min(first+together, len(shapes))]
		var looks [together]look
		for i := range some {
			looks[i] = x.look(&some[i], issuer, t)
		}
		for i := range some {
			looks[i].slot = table.slots[table.home(looks[i].hash)].Load()
		}
		for i := range some {
			if looks[i].found(table) && x.shapeRevokes(first+i, &some[i], issuer, t, now) {
				return true
			}
		}
	}
	return false
}

// look is the first look for a token in a shape.
type look struct {
	hash uint32
	slot uint64 // the first for that hash
	none bool   // the token has not all claims of the shape
	many bool   // one of them is an array: there are other hashes
}

func (x *index) look(s *shape, issuer uint64, t *Token) look {
	var few [4]matchValue
	values, lists, ok := s.values(t, few[:0])
	return look{hash: x.hash(s, issuer, values), none: !ok, many: lists != nil}
}

// found says whether it is worth the while to look closer.
func (l *look) found(table *table) bool {
	if l.none || l.many {
		return l.many
	}
	if l.slot == 0 {
		return false
	}
	for range table.having(l.hash) {
		return true
	}
	return false
}

// values appends to some those of the claims of s, if t has all of them. Of
// claims that are arrays, lists has the further elements.
func (s *shape) values(t *Token, some []matchValue) (values []matchValue, lists [][]matchValue, ok bool) {
	for i, name := range s.names {
		first, more, ok := t.matchable(name)
		if !ok {
			return nil, nil, false
		}
		some = append(some, first)
		if more != nil {
			if lists == nil {
				lists = make([][]matchValue, len(s.names))
			}
			lists[i] = more
		}
	}
	return some, lists, true
}

// all yields the records and their places, in the order in which they were
// added, those too that are over or that another has replaced.
func (x *index) all() iter.Seq2[uint32, record] {
	return func(yield func(uint32, record) bool) {
		const perChunk = chunkBytes / placeBytes
		end := x.end.Load()
		for place := uint32(1); place < end; {
			r := x.record(place)
			if r.size() == 0 { // the rest of the chunk is empty
				place = (place/perChunk + 1) * perChunk
				continue
			}
			if !yield(place, r) {
				return
			}
			place += r.places()
		}
	}
}

// held yields those of all that apply at now.
func (x *index) held(now time.Time) iter.Seq2[uint32, record] {
	return func(yield func(uint32, record) bool) {
		for place, r := range x.all() {
			t := x.term(r)
			if !t.over(now) && x.table.Load().names(r.hash(), place) && !yield(place, r) {
				return
			}
		}
	}
}

func (x *index) shapeID(names []string) int {
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

func (x *index) issuerID(issuer string) int {
	id, ok := x.issuerIDs[issuer]
	if !ok {
		id = len(x.issuerIDs)
		x.issuerIDs[issuer] = id
		issuers := append(*x.issuers.Load(), issuer)
		x.issuers.Store(&issuers)
	}
	return id
}
