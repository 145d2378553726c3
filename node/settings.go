package node

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"fleetlb/node/config"
)

// Settings are what the director was told to do. They are replaced as a whole
// and never changed, so a copy can be read anywhere.
type settings struct {
	config  *config.Config // as the file had it
	loaded  time.Time
	read    string         // digest of config
	changes changes        // made by command, here or for the fleet
	clock   uint64         // version of the last change
	running *config.Config // config with the changes
	digest  string         // of running
}

func settingsOf(c *config.Config) settings {
	sum := digest(c)
	return settings{config: c, loaded: time.Now(), read: sum, running: c, digest: sum}
}

// digest tells configurations apart, wherever they were written.
func digest(c *config.Config) string {
	bare := *c
	bare.Files = nil
	sum := sha256.Sum256(config.Marshal(&bare))
	return hex.EncodeToString(sum[:6])
}

// with is a configuration with other services.
func with(c *config.Config, services []config.Service) *config.Config {
	changed := *c
	changed.Services = services
	return &changed
}
