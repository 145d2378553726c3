package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(path, []byte("Name:\tfleetlbd\nVmRSS:\t  2048 kB\nmemlock:\t4096\nThreads:\nSlab: many kB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"VmRSS:": 2048 << 10, "memlock:": 4096} {
		if got, err := field(path, name); got != want || err != nil {
			t.Errorf("%s %d, want %d: %v", name, got, want, err)
		}
	}
	for _, name := range []string{"RSS:", "Threads:", "Slab:"} {
		if got, err := field(path, name); err == nil {
			t.Errorf("%s %d, and there is none", name, got)
		}
	}
}
