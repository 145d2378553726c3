package offload

import (
	"testing"
	"unsafe"
	"os"
)

func TestLayout(t *testing.T) {
	if s := unsafe.Sizeof(flow{}); s != 192 { t.Fatal(s) }
	if s := unsafe.Sizeof(control{}); s != 272 { t.Fatal(s) }
	if os.Geteuid()!=0 { t.Skip() }
	tb, err := NewTable(Capacity{Flows: 1000, Hops: 100})
	if err != nil { t.Fatal(err) }
	defer tb.Close()
	for _, o := range []owed{never, leave, finish} {
		p, err := tb.load(0, [6]byte{2,0,0,0,0,1}, o)
		if err != nil { t.Fatalf("%+v", err) }
		i, _ := p.program.Info()
		n, _ := i.Instructions()
		st, _ := i.VerifiedInstructions()
		js, _ := i.JitedSize()
		t.Log(len(n), st, js)
		p.Close()
	}
}
