package session

import "testing"

func TestPaths(t *testing.T) {
	table := newTestTable(10)
	a, b := pathTo(addr("10.0.0.11")), pathTo(addr("10.0.0.12"))

	id := table.Bind(a)
	if id == 0 {
		t.Fatal("a path has the number that stands for none")
	}
	if table.Bind(a) != id || table.Bind(b) == id {
		t.Error("paths are not told apart by their keys")
	}
	p := table.Path(id)
	p.Live = true
	table.Sweep()
	if table.Path(id) != p || table.Path(table.Bind(b)) == p {
		t.Error("a live path was swept")
	}

	s, _ := table.Open(addr("198.51.100.7"), 4711, id, 0)
	p.Traffic = Traffic{1, 2, 3, 400, 500}
	p.Live = false // a snapshot without it
	table.Sweep()
	if table.Path(id) != p || table.Bind(a) != id {
		t.Error("a path with a session was swept")
	}
	table.Close(s)
	if table.Path(id) != nil {
		t.Error("a path that is not live outlives its last session")
	}
	if got, want := table.Retired(), (Traffic{1, 2, 3, 400, 500}); got != want {
		t.Errorf("what went along a path that is gone: %+v, want %+v", got, want)
	}
	if got := table.Bind(pathTo(addr("10.0.0.13"))); got != id {
		t.Errorf("number %d is not used again", id)
	}

	n := 0
	for id, p := range table.Paths() {
		if table.Path(id) != p {
			t.Errorf("path %d is not itself", id)
		}
		n++
	}
	if n != len(table.pathIDs) {
		t.Errorf("went through %d paths of %d", n, len(table.pathIDs))
	}
}

// Paths are few, but snapshots are many.
func TestPathsDoNotPileUp(t *testing.T) {
	table := newTestTable(10)
	for i := range 1000 {
		for _, p := range table.Paths() {
			p.Live = false
		}
		k := pathTo(addr("10.0.0.11"))
		k.ServerPort = uint16(i)
		table.Path(table.Bind(k)).Live = true
		table.Sweep()
	}
	if len(table.paths) > 4 || len(table.ports.endpoints) != 1 {
		t.Errorf("%d paths, %d endpoints after a thousand snapshots of one", len(table.paths), len(table.ports.endpoints))
	}
}
