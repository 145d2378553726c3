package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetlb/node/config"
)

// What the README shows of routers is what the stories run.
func TestReadmeQuotesTheRouters(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"routers/bird.conf", "routers/frr.conf"} {
		quoted, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), strings.TrimSpace(string(quoted))) {
			t.Errorf("README.md does not quote %s as it is", name)
		}
	}
}

// The configuration that the README shows is one that loads.
func TestReadmeConfigurationLoads(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```toml\n")
	toml, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("README.md shows no configuration")
	}
	file := filepath.Join(t.TempDir(), "lb1.toml")
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file, config.Host{}); err != nil {
		t.Errorf("README.md shows a configuration that does not load:\n%v", err)
	}
}
