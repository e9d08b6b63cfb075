package oauthz

import (
	"hash/maphash"
	"time"
)

// add adds a revocation, if none covers it. There must be room for it.
func (x *index) add(m *matcher, t term, reason string) {
	id, issuer := x.shapeID(m.names), x.issuerID(m.issuer)
	hash := x.hash(x.shape(id), maphash.String(x.seed, m.issuer), m.values)
	slots, covered := x.covered(hash, &key{id, m.issuer, m.values}, t)
	if covered {
		return
	}
	place := x.write(appendRecord(nil, hash, id, issuer, m.values, t, reason))
	table := x.table.Load()
	for _, i := range slots {
		table.slots[i].Store(slotOf(hash, place))
	}
	if len(slots) == 0 {
		table.insert(hash, place)
	} else { // a user who logs out every day leaves one entry, not one a day
		x.records--
		x.replaced++
	}
	x.ends = sooner(x.ends, t.ends())
}

// covered looks for a record of the same key that revokes all that t would, for
// as long; else for the slots of those that t covers.
func (x *index) covered(hash uint32, k *key, t term) (slots []int, covered bool) {
	for i, place := range x.table.Load().having(hash) {
		if rest, ok := x.is(x.record(place), k); ok {
			switch old, _ := readTerm(rest); {
			case old.covers(t):
				return nil, true
			case t.covers(old):
				slots = append(slots, i)
			}
		}
	}
	return slots, false
}

// write copies a record to the end. No record is in two chunks.
func (x *index) write(r record) (place uint32) {
	at := int(x.end.Load()) * placeBytes
	chunks := *x.chunks.Load()
	if free := len(chunks)*chunkBytes - at; free < len(r) {
		at = max(at, len(chunks)*chunkBytes)
		chunks = append(chunks, make([]byte, chunkBytes))
		x.chunks.Store(&chunks)
	}
	copy(chunks[at/chunkBytes][at%chunkBytes:], r)
	place = uint32(at / placeBytes)
	x.end.Store(place + r.places())
	x.records++
	return place
}

// withRoom returns x with room for n more records of so many bytes together,
// or a copy of it without what is over or replaced, if that is much; nil if they
// are too many.
func (x *index) withRoom(n int, size int64, now time.Time) *index {
	const few = 1024 // that may always lie around
	due := !x.ends.IsZero() && !now.Before(x.ends) && now.Sub(x.looked) >= time.Minute
	full := x.records+n > x.table.Load().room()
	if !due && !full && x.replaced <= max(x.records, few) && x.takes(size) {
		return x
	}
	live := x.live(now)
	if live <= x.records/4*3 || x.replaced > max(live, few) {
		x = x.copy(live+n, now)
	} else if full {
		x.grow(2*x.records + n)
	}
	if !x.takes(size) {
		return nil
	}
	return x
}

// takes says whether there are places for records of so many bytes together. A
// chunk may be left half empty.
func (x *index) takes(size int64) bool {
	return int64(len(*x.chunks.Load()))*chunkBytes+2*size+chunkBytes <= maxBytes
}

// live counts what is not over.
func (x *index) live(now time.Time) int {
	live := 0
	x.ends, x.looked = time.Time{}, now
	for _, r := range x.held(now) {
		live++
		t := x.term(r)
		x.ends = sooner(x.ends, t.ends())
	}
	return live
}

// sooner returns the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// grow gives x a table for n records. Whoever reads the old one meanwhile finds
// all that was there when it began.
func (x *index) grow(n int) {
	old, table := x.table.Load(), newTable(n)
	for i := range old.slots {
		if slot := old.slots[i].Load(); slot != 0 {
			table.insert(uint32(slot>>32), uint32(slot))
		}
	}
	x.table.Store(table)
}

// copy returns an index that has what of x is held at now, and room for n in
// all. It follows live.
func (x *index) copy(n int, now time.Time) *index {
	out := newIndex(x.seed, n)
	for _, r := range x.held(now) {
		shape, issuer, rest := r.header()
		c := appendHeader(nil, r.hash(), out.shapeID(x.shape(shape).names), out.issuerID(x.issuer(issuer)))
		c = withSize(append(c, rest[:len(rest)-(len(r)-r.size())]...))
		out.table.Load().insert(r.hash(), out.write(c))
	}
	out.ends, out.looked = x.ends, x.looked // live has just set them
	return out
}
