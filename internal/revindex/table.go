package revindex

import (
	"iter"
	"math/bits"
	"sync/atomic"
)

// table is a hash table with open addressing. A slot is 0, or its upper half is a
// hash and its lower half the position of a record with that hash.
type table struct {
	slots []atomic.Uint64
	shift uint // from a hash to its slot
}

// newTable returns a table with room for n records, at 5/8 of its slots.
func newTable(n int) *table {
	log := min(max(bits.Len(uint(n+n/2+n/8)), 4), 32) // a hash has 32 bits
	return &table{slots: make([]atomic.Uint64, 1<<log), shift: uint(32 - log)}
}

func (t *table) room() int { return len(t.slots) / 8 * 5 }

func (t *table) home(hash uint32) int { return int(hash >> t.shift) }

func (t *table) next(i int) int { return (i + 1) & (len(t.slots) - 1) }

func (t *table) insert(hash, pos uint32) {
	i := t.home(hash)
	for t.slots[i].Load() != 0 {
		i = t.next(i)
	}
	t.slots[i].Store(newSlot(hash, pos))
}

// slotsWith yields the slots that have hash, and the positions that they hold.
func (t *table) slotsWith(hash uint32) iter.Seq2[int, uint32] {
	return func(yield func(int, uint32) bool) {
		for i := t.home(hash); ; i = t.next(i) {
			slot := t.slots[i].Load()
			if slot == 0 || uint32(slot>>32) == hash && !yield(i, uint32(slot)) {
				return
			}
		}
	}
}

// contains reports whether a slot holds pos, the position of a record with that hash.
func (t *table) contains(hash, pos uint32) bool {
	for _, p := range t.slotsWith(hash) {
		if p == pos {
			return true
		}
	}
	return false
}

func newSlot(hash, pos uint32) uint64 { return uint64(hash)<<32 | uint64(pos) }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9E3779B97F4A7C15, b^0xD1B54A32D192ED03)
	return hi ^ lo
}
