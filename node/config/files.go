package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// largest is what a configuration file may hold. Ten thousand services with ten
// servers each are 8 MiB.
const largest = 16 << 20

// A loader carries one Load: what was read, what is wrong with it so far, and
// the Config being filled.
type loader struct {
	host     Host
	files    []string        // as named to the operator, in the order read
	seen     map[string]bool // by resolved path
	open     []string        // resolved paths of the files that include each other just now
	raw      map[string]any  // all files' tables together
	places   *place          // and where they stand
	faults   Errors
	warnings Errors
	cfg      *Config
	broken   bool                  // a file could not be read: what is missing may stand in it
	vips     map[netip.Addr]string // and the service that has each
	short    [2]bool               // the lack of local addresses is said: IPv4, IPv6
	check    *Check                // of the service being decoded, for its servers to begin with
}

// fault notes what is wrong at p and marks it, so that it is said once.
func (l *loader) fault(p *place, format string, args ...any) {
	p.bad = true
	l.faults = append(l.faults, Error{p.file, p.line, fmt.Sprintf(format, args...)})
}

func (l *loader) warn(p *place, format string, args ...any) {
	l.warnings = append(l.warnings, Error{p.file, p.line, fmt.Sprintf(format, args...)})
}

// file reads one file and what it includes. from is the include that named it,
// nil for the first file.
func (l *loader) file(name string, from *place) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		l.unreadable(name, from, err)
		return
	}
	if slices.Contains(l.open, real) {
		l.fault(from, "include %q: %s includes itself", name, l.cycle(real))
		return
	}
	if l.seen[real] {
		return // two patterns may match one file
	}
	l.seen[real] = true

	data, err := readFile(name, largest, from == nil)
	if err != nil {
		l.unreadable(name, from, err)
		return
	}
	l.files = append(l.files, name)
	raw, places, ok := l.parse(name, data)
	if !ok {
		l.broken = true
		return
	}
	l.open = append(l.open, real)
	l.merge(raw, places)
	l.include(raw["include"], places.at("include"))
	l.open = l.open[:len(l.open)-1]
}

func (l *loader) unreadable(name string, from *place, err error) {
	l.broken = true
	if from == nil {
		l.faults = append(l.faults, Error{name, 0, cause(err)})
		return
	}
	l.fault(from, "include %q: %s", name, cause(err))
}

// cycle names the files that lead from real back to itself.
func (l *loader) cycle(real string) string {
	i := slices.Index(l.open, real)
	var names []string
	for _, p := range l.open[i:] {
		names = append(names, filepath.Base(p))
	}
	return strings.Join(append(names, filepath.Base(real)), " → ")
}

// cause leaves out what the sentence already says: the operation and the path.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// readFile reads a file of at most limit bytes. Unless anything is allowed (a
// pipe, for -config <(…)) it must be a regular one: nothing else ends for sure.
func readFile(name string, limit int64, anything bool) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	if !anything && !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("is larger than %s", size(limit))
	}
	return data, nil
}

func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// parse turns one file into values and their places.
func (l *loader) parse(name string, data []byte) (map[string]any, *place, bool) {
	if f := notText(name, data); f.Text != "" {
		l.faults = append(l.faults, f)
		return nil, nil, false
	}
	places, stopped, deep := locate(name, string(data))
	if deep {
		l.faults = append(l.faults, stopped)
		return nil, nil, false
	}
	raw, err := decodeTOML(string(data))
	if err != nil {
		l.faults = append(l.faults, syntaxError(name, string(data), err, stopped))
		return nil, nil, false
	}
	if stopped.Text != "" { // the locator is the stricter one
		l.faults = append(l.faults, stopped)
		return nil, nil, false
	}
	return raw, places, true
}

// notText says why data is no text; the zero Error when it is.
func notText(name string, data []byte) Error {
	if len(data) == 0 {
		return Error{name, 1, "the file is empty; was its writing cut short?"}
	}
	for _, bom := range []struct{ mark, encoding string }{{"\xef\xbb\xbf", "UTF-8"}, {"\xff\xfe", "UTF-16"}, {"\xfe\xff", "UTF-16"}} {
		if strings.HasPrefix(string(data[:min(3, len(data))]), bom.mark) {
			return Error{name, 1, "the file begins with a byte order mark (" + bom.encoding + "); save it as UTF-8 without one"}
		}
	}
	line := 1
	for i := 0; i < len(data); {
		c := data[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '\n':
				line++
			case c == '\r' && i+1 < len(data) && data[i+1] == '\n', c == '\t':
			case c == '\r':
				return Error{name, line, "a carriage return without a line feed; save the file with Unix line ends"}
			case c < ' ' || c == 0x7f:
				return Error{name, line, fmt.Sprintf("control character 0x%02x; is this a text file?", c)}
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return Error{name, line, fmt.Sprintf("invalid UTF-8 byte 0x%02x; is this a text file?", c)}
		}
		i += n
	}
	return Error{}
}

// merge adds a file's tables to those read before. Services add up; anything
// else stands in one file.
func (l *loader) merge(raw map[string]any, places *place) {
	for _, key := range sortedKeys(raw) {
		here, before := places.at(key), l.places.at(key)
		switch {
		case key == "include":
			continue
		case !slices.Contains(keysOf(configType), key):
			l.unknown(scope{}, configType, here, key)
		case before == nil:
			l.raw[key], l.places.keys[key] = raw[key], here
		case key == "service":
			old, ok1 := tables(l.raw[key])
			more, ok2 := tables(raw[key])
			switch {
			case !ok2:
				l.fault(here, "service wants [[service]] tables, not %s", kind(raw[key]))
			case ok1: // else the other file is complained about
				l.raw[key] = append(old, more...)
				before.items = append(before.items, here.items...)
			}
		default:
			l.fault(here, "%q is already set%s", key, before.mention())
		}
	}
}

// tables normalises the two ways to write a list of tables.
func tables(raw any) ([]map[string]any, bool) {
	switch v := raw.(type) {
	case []map[string]any:
		return v, true
	case []any:
		all := make([]map[string]any, 0, len(v))
		for _, item := range v {
			t, ok := item.(map[string]any)
			if !ok {
				return nil, false
			}
			all = append(all, t)
		}
		return all, true
	}
	return nil, false
}

// include reads what the patterns of one file match, in order.
func (l *loader) include(raw any, p *place) {
	if raw == nil {
		return
	}
	patterns, ok := raw.([]any)
	if !ok {
		l.fault(p, `include wants a list such as ["services/*.toml"], not %s`, kind(raw))
		return
	}
	for i, item := range patterns {
		if w, ok := item.(string); ok && len(l.open) == 1 {
			l.cfg.Include = append(l.cfg.Include, w)
		}
		pattern, ok := item.(string)
		if !ok || pattern == "" {
			l.fault(p.item(i), "include wants file names, not %s", kind(item))
			continue
		}
		l.pattern(pattern, p.item(i))
	}
}

func (l *loader) pattern(pattern string, at *place) {
	full := pattern
	if !filepath.IsAbs(full) {
		full = filepath.Join(filepath.Dir(at.file), full)
	}
	if !strings.ContainsAny(pattern, `*?[`) {
		if info, err := os.Stat(full); err == nil && info.IsDir() {
			l.fault(at, "include %q is a directory; write %q", pattern, strings.TrimSuffix(pattern, "/")+"/*.toml")
			return
		}
		l.file(full, at)
		return
	}
	if strings.Contains(pattern, "**") {
		l.fault(at, "include %q: ** is not understood; name each directory", pattern)
		return
	}
	names, err := filepath.Glob(full)
	if err != nil {
		l.fault(at, "include %q: %v", pattern, err)
		return
	}
	read := 0
	for _, name := range names { // sorted
		// An editor's half-written copy (.#web.toml) is no service.
		if hidden(name) && !hidden(pattern) {
			continue
		}
		read++
		l.file(name, at)
	}
	if read == 0 {
		l.warn(at, "include %q matches no file", pattern)
	}
}

func hidden(name string) bool { return strings.HasPrefix(filepath.Base(name), ".") }
