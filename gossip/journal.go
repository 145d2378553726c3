package gossip

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// journal passes on what memberlist logs: levelled, and not twice within a
// while. memberlist cries at each probe that fails; here that is routine, and
// what follows from it is logged by ourselves.
type journal struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]time.Time
}

const (
	quiet     = 10 * time.Second // between two lines that say the same
	mostLines = 64               // remembered as said
)

// routine is what memberlist warns of after each restart, see name.go.
var routine = []string{"ignoring alive message", "Got ping for unexpected node"}

// Write takes one line, as log.Logger writes them.
func (j *journal) Write(line []byte) (int, error) {
	level, text := levelOf(string(line))
	if j.log.Enabled(context.Background(), level) && j.news(text) {
		j.log.Log(context.Background(), level, "gossip: memberlist: "+text)
	}
	return len(line), nil
}

func levelOf(line string) (slog.Level, string) {
	line = strings.TrimSpace(line)
	level := slog.LevelDebug
	for prefix, l := range map[string]slog.Level{"[ERR] ": slog.LevelInfo, "[WARN] ": slog.LevelInfo, "[INFO] ": slog.LevelDebug, "[DEBUG] ": slog.LevelDebug} {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			line, level = rest, l
		}
	}
	line = strings.TrimPrefix(line, "memberlist: ")
	for _, prefix := range routine {
		if strings.HasPrefix(line, prefix) {
			level = slog.LevelDebug
		}
	}
	return level, line
}

// news says whether a line was not said lately, by whomever it was caused.
func (j *journal) news(text string) bool {
	same, _, _ := strings.Cut(text, " from=")
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if last, ok := j.said[same]; ok && now.Sub(last) < quiet {
		return false
	}
	if j.said == nil || len(j.said) >= mostLines {
		j.said = map[string]time.Time{}
	}
	j.said[same] = now
	return true
}
