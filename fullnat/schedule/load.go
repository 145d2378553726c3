package schedule

import (
	"sync"
	"sync/atomic"
)

// A Load is how many sessions one server has, over all workers and, as far as is
// known, over all directors of a fleet. Only [NewLoads] makes a useful one.
//
// Each worker stores its own counts in a cell that nobody else writes, without
// a locked instruction's wait for another core; whoever asks sums the cells. A
// worker's cells for loads made together lie side by side, in lines that hold
// no other worker's: stores never contend, and a scheduler that looks at a
// hundred servers reads thirteen lines a worker, not a hundred.
type Load struct {
	block *block
	at    int
}

// A block holds the cells of loads made together: one column per worker, and in
// each one cell per load.
type block struct {
	columns atomic.Pointer[[][]Cell] // by worker; a nil column has stored nothing yet
	notes   []note                   // one per load
	grow    sync.Mutex
}

// A note is what is known of a load beside the cells. It is rarely written.
type note struct {
	elsewhere atomic.Pointer[elsewhere]
	full      atomic.Bool
}

// A Cell is one worker's share of a load: active sessions in the upper half,
// inactive in the lower, so that both are stored and read at once. The sum of
// cells is the cell of the sums.
type Cell struct{ counts atomic.Uint64 }

// Set stores how many sessions of the server the worker has. IPVS counts as
// active a TCP session that is being opened or established and every UDP one;
// closing ones are inactive.
func (c *Cell) Set(active, inactive uint32) {
	c.counts.Store(uint64(active)<<32 | uint64(inactive))
}

// NewLoads returns n loads for servers whose loads are compared with each
// other. They share memory, which lives as long as any of them.
func NewLoads(n int) []*Load {
	b := &block{notes: make([]note, n)}
	b.columns.Store(new([][]Cell))
	loads := make([]*Load, n)
	for i := range loads {
		loads[i] = &Load{b, i}
	}
	return loads
}

// Cell returns the worker's own cell. Workers are numbered from 0. The first
// call of each takes a lock and allocates, no other does.
func (l *Load) Cell(worker int) *Cell {
	columns := *l.block.columns.Load()
	if worker >= len(columns) || columns[worker] == nil {
		columns = l.block.widen(worker)
	}
	return &columns[worker][l.at]
}

// Active returns how many sessions are being opened or established here.
func (l *Load) Active() int { return int(l.sum() >> 32) }

// Inactive returns how many sessions are closing here.
func (l *Load) Inactive() int { return int(uint32(l.sum())) }

// sum adds the cells up; workers go on storing meanwhile.
func (l *Load) sum() (counts uint64) {
	for _, column := range *l.block.columns.Load() {
		if l.at < len(column) {
			counts += column[l.at].counts.Load()
		}
	}
	return counts
}

// widen adds a column for the worker. A cache line is left free on each side of
// it, whatever the allocator puts there.
func (b *block) widen(worker int) [][]Cell {
	const line = 8 // cells
	b.grow.Lock()
	defer b.grow.Unlock()
	old := *b.columns.Load()
	columns := make([][]Cell, max(len(old), worker+1))
	copy(columns, old)
	if columns[worker] == nil {
		columns[worker] = make([]Cell, line+len(b.notes)+line)[line : line+len(b.notes)]
	}
	b.columns.Store(&columns)
	return columns
}
