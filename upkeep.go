package oauthz

import (
	"hash/maphash"
	"slices"
	"time"
)

// maxLimited is how many entries of one key may have an IssuedUntil. Each look-up
// and each addition goes through all entries of a key, so without a bound a client
// that revokes again and again would cost every instance the square of that.
const maxLimited = 64

// add adds a revocation, if none covers it. There must be room for it. sure is a
// time that has certainly passed.
func (x *index) add(m *matcher, t term, reason string, sure time.Time) {
	id, issuer := x.shapeID(m.names), x.issuerID(m.issuer)
	hash := x.hash(x.shape(id), maphash.String(x.seed, m.issuer), m.values)
	same := x.entries(hash, &key{id, m.issuer, m.values}, sure)
	if slices.ContainsFunc(same, func(e entry) bool { return e.term.covers(t) }) {
		return
	}
	t = t.within(same)
	place := x.write(appendRecord(nil, hash, id, issuer, m.values, t, reason))
	x.addRow(place)
	table, used := x.table.Load(), false
	for _, e := range same {
		if e.spare || t.covers(e.term) {
			table.slots[e.slot].Store(slotOf(hash, place))
			used = true
			if !e.copied { // a user who logs out every day leaves one entry, not one a day
				x.replaced++
			}
		}
	}
	if used {
		x.records--
	} else {
		table.insert(hash, place)
	}
	x.ends = sooner(x.ends, t.ends())
}

// entry is a slot that names a record of some key.
type entry struct {
	slot   int
	place  uint32
	term   term
	copied bool // a later slot names the record too
	spare  bool // the slot can be given to another record of the key
}

// entries returns the slots of a key, in the order in which a reader sees them.
//
// A reader goes on while slots change. So a slot is given away only if the reader
// loses nothing: if its record has ended, or a slot that the reader sees later
// names that record too.
func (x *index) entries(hash uint32, k *key, sure time.Time) []entry {
	same := x.same[:0]
	for i, place := range x.table.Load().having(hash) {
		rest, ok := x.is(x.record(place), k)
		if !ok {
			continue
		}
		for j := range same {
			if same[j].place == place {
				same[j].copied, same[j].spare = true, true
			}
		}
		t, _ := readTerm(rest)
		same = append(same, entry{slot: i, place: place, term: t, spare: t.over(sure)})
	}
	x.same = same
	return same
}

// within returns t, or what becomes of it if there are enough entries of its key:
// it and the one whose IssuedUntil is the closest (of two, the earlier) become
// one, which covers both.
func (t term) within(same []entry) term {
	if t.issuedUntil.IsZero() {
		return t
	}
	limited, closest := 0, term{}
	for _, e := range same {
		if e.spare || e.term.issuedUntil.IsZero() || t.covers(e.term) {
			continue
		}
		if limited == 0 || t.isCloserTo(e.term, closest) {
			closest = e.term
		}
		limited++
	}
	if limited < maxLimited {
		return t
	}
	t.issuedUntil = later(t.issuedUntil, closest.issuedUntil)
	t.expires = later(t.expires, closest.expires)
	t.combined = true
	return t
}

func (t term) isCloserTo(a, b term) bool {
	toA, toB := t.issuedUntil.Sub(a.issuedUntil).Abs(), t.issuedUntil.Sub(b.issuedUntil).Abs()
	return toA < toB || toA == toB && a.issuedUntil.Before(b.issuedUntil)
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
// or a copy of it without expired and replaced records, if these are many; nil if
// the index cannot hold n more. sure is a time that has certainly passed.
func (x *index) withRoom(n int, size int64, sure time.Time) *index {
	const few = 1024 // that may always lie around
	due := !x.ends.IsZero() && !sure.Before(x.ends) && time.Since(x.looked) >= time.Minute
	full := x.records+n > x.table.Load().room()
	if !due && !full && x.replaced <= max(x.records, few) && x.takes(size) {
		return x
	}
	live := x.live(sure)
	if live <= x.records/4*3 || x.replaced > max(live, few) {
		x = x.copy(live+n, sure)
	} else if full {
		x.grow(2*x.records + n)
	}
	if !x.takes(size) {
		return nil
	}
	return x
}

// takes reports whether there are places for records of so many bytes together. A
// chunk may be left half empty.
func (x *index) takes(size int64) bool {
	return int64(len(*x.chunks.Load()))*chunkBytes+2*size+chunkBytes <= maxBytes
}

// live counts the records that had not ended at sure.
func (x *index) live(sure time.Time) int {
	live := 0
	x.ends, x.looked = time.Time{}, time.Now()
	for _, r := range x.held(sure) {
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

// later returns the later of two times, of which zero is never.
func later(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && a.After(b) {
		return a
	}
	return b
}

// grow gives x a table for n records. A reader of the old one still finds all that
// was there when it began.
func (x *index) grow(n int) {
	old, table := x.table.Load(), newTable(n)
	for i := range old.slots {
		if slot := old.slots[i].Load(); slot != 0 {
			table.insert(uint32(slot>>32), uint32(slot))
		}
	}
	x.table.Store(table)
}

// copy returns an index that has the records of x that had not ended at sure, and
// room for n in all. It follows live.
func (x *index) copy(n int, sure time.Time) *index {
	out := newIndex(x.seed, n)
	for _, r := range x.held(sure) {
		shape, issuer, rest := r.header()
		c := appendHeader(nil, r.hash(), out.shapeID(x.shape(shape).names), out.issuerID(x.issuer(issuer)))
		c = withSize(append(c, rest[:len(rest)-(len(r)-r.size())]...))
		place := out.write(c)
		out.addRow(place)
		out.table.Load().insert(r.hash(), place)
	}
	out.ends, out.looked = x.ends, x.looked // live has just set them
	return out
}
