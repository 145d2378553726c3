package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// decodeTOML also survives a panic in the library: a reload must not end a
// director that carries traffic.
func decodeTOML(text string) (raw map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			raw, err = nil, fmt.Errorf("the TOML reader gave up: %v", r)
		}
	}()
	_, err = toml.Decode(text, &raw)
	return raw, err
}

// syntaxError is the library's complaint in our words. stopped is what the
// locator thought of the same text: it knows better where the library has run on
// into the next line, or to the end of the file.
func syntaxError(name, text string, err error, stopped Error) Error {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return Error{name, max(1, stopped.Line), oneLine(err.Error())}
	}
	line := max(1, pe.Position.Line)
	again := strings.HasSuffix(pe.Message, "has already been defined.") // the locator says where
	if 0 < stopped.Line && (stopped.Line < line || stopped.Line == line && again) {
		return stopped
	}
	lines := strings.SplitN(text, "\n", line+1)
	if complaint := unquoted(lines[min(line, len(lines))-1]); complaint != "" {
		return Error{name, line, complaint}
	}
	message := strings.TrimSuffix(pe.Message, ".")
	if r, n := utf8.DecodeRuneInString(message); n > 0 {
		message = strings.ToLower(string(r)) + message[n:]
	}
	return Error{name, line, oneLine(message)}
}

var (
	bareValue = regexp.MustCompile(`^\s*([\w.-]+)\s*=\s*([^\s"'\[{#,][^"'\[\]{}#,]*?)\s*(#.*)?$`)
	wordy     = regexp.MustCompile(`[A-Za-z/:]|\..*\.`) // no number, then
	colon     = regexp.MustCompile(`^\s*([\w.-]+)\s*:\s+\S`)
)

// unquoted sees through what people write who know other formats: 10s, eth0,
// yes, and a colon for the equals sign.
func unquoted(line string) string {
	if m := bareValue.FindStringSubmatch(line); m != nil {
		if _, err := decodeTOML("x = " + m[2]); err == nil || !wordy.MatchString(m[2]) {
			return ""
		}
		switch strings.ToLower(m[2]) {
		case "true", "yes", "on":
			return fmt.Sprintf("%s %s is not a value; did you mean true?", m[1], m[2])
		case "false", "no", "off":
			return fmt.Sprintf("%s %s is not a value; did you mean false?", m[1], m[2])
		}
		return oneLine(fmt.Sprintf("%s %s is not a value; write it in quotes: %s", m[1], m[2], quote(m[2])))
	}
	if m := colon.FindStringSubmatch(line); m != nil {
		return fmt.Sprintf("a key is followed by =, not by a colon; write %s = …", m[1])
	}
	return ""
}

var breaks = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`)

// oneLine keeps what came from a file from breaking the line of an error.
func oneLine(s string) string {
	const most = 300
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.Map(printable, breaks.Replace(s))
}
