package version

import (
	"runtime/debug"
	"testing"
)

func TestOf(t *testing.T) {
	revision := func(r string) *debug.BuildInfo {
		return &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: r}}}
	}
	for _, tt := range []struct {
		stamp string
		info  *debug.BuildInfo
		want  string
	}{
		{"v1.2.3", revision("0123456789abcdef"), "v1.2.3"},
		{"", revision("0123456789abcdef"), "devel-0123456789ab"},
		{"", revision("0123"), "devel"},
		{"", &debug.BuildInfo{}, "devel"},
		{"", nil, "devel"}, // not built by the go command
	} {
		if got := of(tt.stamp, tt.info); got != tt.want {
			t.Errorf("%q, %+v: got %q, want %q", tt.stamp, tt.info, got, tt.want)
		}
	}
}
