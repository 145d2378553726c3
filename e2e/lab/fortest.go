package lab

import (
	"errors"
	"strings"
)

// TB is the part of testing.TB that a lab needs.
type TB interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Fatal(args ...any)
	Log(args ...any)
	Skip(args ...any)
}

// ForTest opens a lab that closes with the test and shows what its programs
// wrote if the test fails. Without root it skips the test.
func ForTest(t TB, layout Layout) *Lab {
	t.Helper()
	l, err := Open(layout)
	if err != nil {
		refuse(t, err)
	}
	closeWith(t, l)
	return l
}

func refuse(t TB, err error) {
	t.Helper()
	if errors.Is(err, ErrPrivilege) {
		t.Skip("network namespaces need root: run `sudo make test`")
	}
	t.Fatal(err)
}

func closeWith(t TB, l *Lab) {
	t.Cleanup(func() {
		if t.Failed() {
			var report strings.Builder
			l.Report(&report)
			t.Log(report.String())
		}
		l.Close()
	})
}
