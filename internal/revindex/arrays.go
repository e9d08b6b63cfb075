package revindex

import (
	"hash/maphash"
	"time"
)

// A claim that is an array matches by each of its elements, and a shape of two
// such claims by each pair of elements. There may be far more pairs than elements,
// and the client may have chosen the elements. So beside the hash table, a shape of
// several names has rows, and a look-up goes through the rows where that is quicker
// than to look up each pair.

func (x *Index) shapeRevokes(id int, s *shape, issuer uint64, t *Token, now func() time.Time) bool {
	values, lists, ok := s.values(t, nil)
	if !ok {
		return false
	}
	k := recordKey{id, t.Issuer, values}
	if lists == nil {
		return x.find(x.hash(s, issuer, values), &k, t, now)
	}
	choices := make([][]choice, len(lists))
	for i, more := range lists {
		choices[i] = append(make([]choice, 0, 1+len(more)), x.choice(values[i]))
		for _, v := range more {
			choices[i] = append(choices[i], x.choice(v))
		}
	}
	if s.scanIsQuicker(choices) {
		return x.scan(s, choices, t, now)
	}
	return x.findCombination(mix(s.hash, issuer), &k, choices, 0, t, now)
}

// find reports whether a record with the key k revokes t.
func (x *Index) find(hash uint32, k *recordKey, t *Token, now func() time.Time) bool {
	for _, pos := range x.table.Load().slotsWith(hash) {
		if rest, ok := x.matches(x.record(pos), k); ok {
			if term, _ := readTerm(rest); term.revokes(t, now(), x.leeway) {
				return true
			}
		}
	}
	return false
}

// choice is a value of a claim with its hash, which is computed once for all
// combinations.
type choice struct {
	Value
	hash uint64
}

func (x *Index) choice(v Value) choice { return choice{v, maphash.String(x.seed, v.text)} }

// findCombination looks up every combination of the values from the i-th on. hash is
// the hash of the values before them.
func (x *Index) findCombination(hash uint64, k *recordKey, choices [][]choice, i int, t *Token, now func() time.Time) bool {
	for j := range choices[i] {
		c := &choices[i][j]
		k.values[i] = c.Value
		h := mix(hash+uint64(c.kind), c.hash)
		if i+1 < len(choices) {
			if x.findCombination(h, k, choices, i+1, t, now) {
				return true
			}
		} else if x.find(uint32(h>>32), k, t, now) {
			return true
		}
	}
	return false
}

// addRow adds the row of the record at pos to its shape, if that has rows. A row is
// the position and, for each value, the upper half of its hash.
func (x *Index) addRow(pos uint32) {
	id, _, rest := x.record(pos).header()
	s := x.shape(id)
	if len(s.names) < 2 {
		return
	}
	rows := append(*s.rows.Load(), pos)
	for range s.names {
		var text []byte
		text, rest = readText(rest[1:])
		rows = append(rows, upperHalf(maphash.Bytes(x.seed, text)))
	}
	s.rows.Store(&rows)
}

func upperHalf(hash uint64) uint32 { return uint32(hash >> 32) }

// rowsPerFind is how many rows scan reads in the time of one call of find: rows lie
// side by side, slots anywhere in memory.
const rowsPerFind = 32

// scanIsQuicker reports whether scan is quicker than findCombination.
func (s *shape) scanIsQuicker(choices [][]choice) bool {
	if len(s.names) < 2 {
		return false
	}
	finds := len(*s.rows.Load()) / (1 + len(s.names)) / rowsPerFind
	for _, list := range choices {
		if finds /= len(list); finds == 0 {
			return true
		}
	}
	return false
}

// hashSet is a set of the upper halves of hashes. It has false positives.
type hashSet [1 << 16 / 64]uint64

func (f *hashSet) add(half uint32) { f[half>>22] |= 1 << (half >> 16 & 63) }

func (f *hashSet) has(half uint32) bool { return f[half>>22]&(1<<(half>>16&63)) != 0 }

// scan goes through the rows of s. The sets of hashes exclude most rows that do not
// match; the sets of values decide about the others.
func (x *Index) scan(s *shape, choices [][]choice, t *Token, now func() time.Time) bool {
	hashes, values := make([]hashSet, len(choices)), make([]map[Value]bool, len(choices))
	for i, list := range choices {
		values[i] = make(map[Value]bool, len(list))
		for j := range list {
			hashes[i].add(upperHalf(list[j].hash))
			values[i][list[j].Value] = true
		}
	}
	for rows, width := *s.rows.Load(), 1+len(choices); len(rows) > 0; rows = rows[width:] {
		candidate := true
		for i, half := range rows[1:width] {
			if !hashes[i].has(half) {
				candidate = false
				break
			}
		}
		if candidate && x.recordRevokes(x.record(rows[0]), values, t, now) {
			return true
		}
	}
	return false
}

// recordRevokes reports whether r revokes t, and each of its values is in the set of
// its claim.
func (x *Index) recordRevokes(r record, values []map[Value]bool, t *Token, now func() time.Time) bool {
	_, issuer, rest := r.header()
	if x.issuer(issuer) != t.Issuer {
		return false
	}
	for _, set := range values {
		text, next := readText(rest[1:])
		if !set[Value{rest[0], string(text)}] {
			return false
		}
		rest = next
	}
	term, _ := readTerm(rest)
	return term.revokes(t, now(), x.leeway)
}
