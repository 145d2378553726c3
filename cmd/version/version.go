// Package version says which version of fleetlb a program is.
package version

import "runtime/debug"

// stamp is set by the build: -ldflags "-X fleetlb/cmd/version.stamp=v1.2.3".
var stamp string

// String is the stamp, or what the Go toolchain knows of the source.
func String() string {
	info, _ := debug.ReadBuildInfo()
	return of(stamp, info)
}

func of(stamp string, info *debug.BuildInfo) string {
	if stamp != "" {
		return stamp
	}
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}
