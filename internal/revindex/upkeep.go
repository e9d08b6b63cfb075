package revindex

import (
	"hash/maphash"
	"slices"
	"time"
)

// maxLimited is how many entries of one key may have an IssuedUntil. Each look-up
// and each addition reads all entries of a key. So without a limit, a client that
// revokes again and again would cost every instance the square of their number.
const maxLimited = 64

// Add adds e, unless another entry covers it. There must be room for it: see
// [Index.WithRoom]. settled is a time that has certainly passed.
func (x *Index) Add(e Entry, settled time.Time) {
	if e.expired(settled, x.leeway) {
		return
	}
	id, issuer := x.shapeID(e.Names), x.issuerID(e.Issuer)
	hash := x.hash(x.shape(id), maphash.String(x.seed, e.Issuer), e.Values)
	same := x.entries(hash, &recordKey{id, e.Issuer, e.Values}, settled)
	if slices.ContainsFunc(same, func(s slotEntry) bool { return s.term.covers(&e.Term) }) {
		return
	}
	e.Term = e.combineWith(same)
	pos := x.write(newRecord(hash, id, issuer, &e))
	x.addRow(pos)
	table, stored := x.table.Load(), false
	for _, s := range same {
		if s.reusable || e.covers(&s.term) {
			table.slots[s.slot].Store(newSlot(hash, pos))
			stored = true
			if !s.duplicate { // a user who logs out every day leaves one entry, not one a day
				x.replaced++
			}
		}
	}
	if stored {
		x.used--
	} else {
		table.insert(hash, pos)
	}
	x.nextExpiry = earliest(x.nextExpiry, e.expiry(x.leeway))
}

// slotEntry is a slot that holds the position of a record.
type slotEntry struct {
	slot      int
	pos       uint32
	term      Term
	duplicate bool // a later slot holds the position too
	reusable  bool // the slot can be given to another record of the key
}

// entries returns the slots of a key, in the order in which a reader reads them. The
// next call overwrites them.
//
// A reader continues while slots change. So a slot is reused only if the reader
// loses nothing: if its record has expired, or a slot that is read later holds the
// same position.
func (x *Index) entries(hash uint32, k *recordKey, settled time.Time) []slotEntry {
	same := x.entriesBuffer[:0]
	for i, pos := range x.table.Load().slotsWith(hash) {
		rest, ok := x.matches(x.record(pos), k)
		if !ok {
			continue
		}
		for j := range same {
			if same[j].pos == pos {
				same[j].duplicate, same[j].reusable = true, true
			}
		}
		t, _ := readTerm(rest)
		same = append(same, slotEntry{slot: i, pos: pos, term: t, reusable: t.expired(settled, x.leeway)})
	}
	x.entriesBuffer = same
	return same
}

// combineWith returns t if the key, of which same are the slots, has fewer than
// maxLimited entries with an IssuedUntil. Otherwise it returns a term that covers
// both t and the entry whose IssuedUntil is the closest (of two, the earlier).
func (t Term) combineWith(same []slotEntry) Term {
	if t.IssuedUntil.IsZero() {
		return t
	}
	limited, closest := 0, &Term{}
	for i := range same {
		other := &same[i].term
		if same[i].reusable || other.IssuedUntil.IsZero() || t.covers(other) {
			continue
		}
		if limited == 0 || t.isCloserTo(other, closest) {
			closest = other
		}
		limited++
	}
	if limited < maxLimited {
		return t
	}
	t.IssuedUntil = latest(t.IssuedUntil, closest.IssuedUntil)
	t.Expires = latest(t.Expires, closest.Expires)
	t.combined = true
	return t
}

func (t *Term) isCloserTo(a, b *Term) bool {
	toA, toB := t.IssuedUntil.Sub(a.IssuedUntil).Abs(), t.IssuedUntil.Sub(b.IssuedUntil).Abs()
	return toA < toB || toA == toB && a.IssuedUntil.Before(b.IssuedUntil)
}

// write copies a record behind the last one. A record never extends over two chunks.
func (x *Index) write(r record) (pos uint32) {
	at := int(x.end.Load()) * unitBytes
	chunks := *x.chunks.Load()
	if free := len(chunks)*chunkBytes - at; free < len(r) {
		at = max(at, len(chunks)*chunkBytes)
		chunks = append(chunks, make([]byte, chunkBytes))
		x.chunks.Store(&chunks)
	}
	copy(chunks[at/chunkBytes][at%chunkBytes:], r)
	pos = uint32(at / unitBytes)
	x.end.Store(pos + r.units())
	x.used++
	return pos
}

// WithRoom returns x with room for n more entries, whose [Entry.Size] is size
// together. If x has many expired and replaced records, WithRoom returns a copy of x
// without them, which takes the place of x. If the Index cannot hold n more,
// WithRoom returns nil. settled is a time that has certainly passed.
func (x *Index) WithRoom(n int, size int64, settled time.Time) *Index {
	const few = 1024 // replaced records that are always tolerated
	due := !x.nextExpiry.IsZero() && !settled.Before(x.nextExpiry) && time.Since(x.counted) >= time.Minute
	full := x.used+n > x.table.Load().room()
	if !due && !full && x.replaced <= max(x.used, few) && x.fits(size) {
		return x
	}
	live := x.countLive(settled)
	if live <= x.used/4*3 || x.replaced > max(live, few) {
		x = x.copy(live+n, settled)
	} else if full {
		x.grow(2*x.used + n)
	}
	if !x.fits(size) {
		return nil
	}
	return x
}

// fits reports whether 32 bits can address records of so many bytes more. A chunk
// may be left half empty.
func (x *Index) fits(size int64) bool {
	return int64(len(*x.chunks.Load()))*chunkBytes+2*size+chunkBytes <= maxBytes
}

// countLive counts the records that had not expired at settled, and updates
// nextExpiry.
func (x *Index) countLive(settled time.Time) int {
	live := 0
	x.nextExpiry, x.counted = time.Time{}, time.Now()
	for r := range x.live(settled) {
		live++
		t := x.term(r)
		x.nextExpiry = earliest(x.nextExpiry, t.expiry(x.leeway))
	}
	return live
}

// grow gives x a table for n records. A reader of the old table still finds all
// entries that existed when it began.
func (x *Index) grow(n int) {
	old, table := x.table.Load(), newTable(n)
	for i := range old.slots {
		if slot := old.slots[i].Load(); slot != 0 {
			table.insert(uint32(slot>>32), uint32(slot))
		}
	}
	x.table.Store(table)
}

// copy returns an Index that has the records of x that had not expired at settled,
// and room for n in all. It must be called after countLive.
func (x *Index) copy(n int, settled time.Time) *Index {
	out := newIndex(x.leeway, x.seed, n)
	for r := range x.live(settled) {
		shape, issuer, rest := r.header()
		c := appendHeader(nil, r.hash(), out.shapeID(x.shape(shape).names), out.issuerID(x.issuer(issuer)))
		c = withSize(append(c, rest[:len(rest)-(len(r)-r.size())]...))
		pos := out.write(c)
		out.addRow(pos)
		out.table.Load().insert(r.hash(), pos)
	}
	out.nextExpiry, out.counted = x.nextExpiry, x.counted // countLive has just set them
	return out
}
