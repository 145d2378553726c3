package foreign

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// timing is when a check is made and how often it may fail.
type timing struct {
	interval, timeout, retry string
}

// checkDefaults are what a check has that does not say otherwise.
var checkDefaults = map[string]string{
	"interval": "2s", "timeout": "1s", "fall": "3", "rise": "2", "port": "0", "method": "GET", "path": "/", "host": "",
	"status": "200-299", "expect": "", "payload_hex": "", "expect_hex": "", "dns_type": "A", "tls_verify": "true", "tls_server_name": "",
}

// take reads a line that any level may have. Retries come at the interval here, so
// the delay before one has no place; neither has a random first delay need of one.
func (t *timing) take(s *statement) bool {
	switch s.name() {
	case "delay_loop":
		t.interval = s.arg()
	case "connect_timeout", "misc_timeout":
		t.timeout = s.arg()
	case "retry", "nb_get_retry", "nb_sock_retry":
		t.retry = s.arg()
	case "delay_before_retry", "warmup":
	default:
		return false
	}
	return true
}

// into writes it into a check. A server is up again with the first good result,
// and down when it has failed once and then as often as it may be tried again.
func (t *timing) into(check map[string]string) {
	check["rise"] = "1"
	if word := seconds(t.interval, ""); word != "" && word != "0s" {
		check["interval"] = word
	}
	if word := seconds(t.timeout, ""); word != "" && word != "0s" {
		check["timeout"] = word
	}
	if n, err := strconv.ParseUint(t.retry, 10, 8); err == nil && n < 100 {
		check["fall"] = strconv.FormatUint(n+1, 10)
	}
}

// check is one checker of a server; nil when nothing here does as it does.
func (k *keepalived) check(s *statement, t timing, host string) map[string]string {
	types := map[string]string{
		"TCP_CHECK": "tcp", "HTTP_GET": "http", "SSL_GET": "https", "MISC_CHECK": "exec",
		"DNS_CHECK": "dns", "UDP_CHECK": "udp", "PING_CHECK": "ping", "SMTP_CHECK": "tcp",
	}
	typ := types[s.name()]
	if typ == "" {
		k.note(s.line, "%s: not carried over", s.name())
		return nil
	}
	if s.name() == "SMTP_CHECK" {
		k.note(s.line, "SMTP_CHECK: a greeting of SMTP is waited for, and nothing said")
	}
	c := &checker{keepalived: k, of: s.name(), set: map[string]string{"type": typ}, timing: t}
	if host != "" && (typ == "http" || typ == "https") {
		c.set["host"] = host
	}
	switch s.name() {
	case "SSL_GET":
		c.set["tls_verify"] = "false" // as keepalived
	case "SMTP_CHECK":
		c.set["expect"] = "220"
	}
	for i := range s.block {
		c.key(&s.block[i])
	}
	c.timing.into(c.set)
	switch {
	case typ == "exec" && c.set["command"] == "":
		k.note(s.line, "MISC_CHECK: no misc_path")
		return nil
	case typ == "dns" && c.set["dns_name"] == "":
		k.note(s.line, "DNS_CHECK: no name; asking for example.com")
		c.set["dns_name"] = "example.com"
	}
	return c.set
}

// A checker is one being read.
type checker struct {
	*keepalived
	of     string
	set    map[string]string
	timing timing
	urls   int
}

func (c *checker) key(s *statement) {
	if c.timing.take(s) {
		return
	}
	web := c.set["type"] == "http" || c.set["type"] == "https"
	switch name := s.name(); {
	case name == "connect_port" && c.set["type"] != "ping":
		c.set["port"] = s.arg()
	case name == "url" && web:
		c.url(s)
	case name == "virtualhost" && web:
		c.set["host"] = s.arg()
	case name == "enable_sni":
	case name == "misc_path" && c.set["type"] == "exec":
		words := strings.Fields(strings.Join(s.rest(), " "))
		c.set["command"] = quotedList(words)
		if len(words) > 0 && !strings.HasPrefix(words[0], "/") {
			c.note(s.line, "misc_path %s: here a program is called by its absolute path", words[0])
		}
	case name == "name" && c.set["type"] == "dns":
		c.set["dns_name"] = s.arg()
	case name == "type" && c.set["type"] == "dns":
		c.set["dns_type"] = strings.ToUpper(s.arg())
	case name == "payload" && c.set["type"] == "udp":
		c.bytes(s, "payload_hex")
	case name == "require_reply" && c.set["type"] == "udp":
		c.bytes(s, "expect_hex")
	case name == "helo_name" && c.of == "SMTP_CHECK":
	default:
		c.note(s.line, "%s: %s: not carried over", c.of, strings.Join(s.words, " "))
	}
}

// bytes reads "DE AD be ef".
func (c *checker) bytes(s *statement, key string) {
	text := strings.ToLower(strings.Join(s.rest(), ""))
	switch _, err := hex.DecodeString(text); {
	case text == "":
	case err != nil:
		c.note(s.line, "%s: %s: not hexadecimal", c.of, strings.Join(s.words, " "))
	default:
		c.set[key] = text
	}
}

// url reads the first of a check's pages.
func (c *checker) url(s *statement) {
	if c.urls++; c.urls > 1 {
		c.note(s.line, "%s: a check asks for one page here: the first", c.of)
		return
	}
	for i := range s.block {
		inner := &s.block[i]
		switch inner.name() {
		case "path":
			c.set["path"] = inner.arg()
		case "status_code":
			c.set["status"] = strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(inner.rest(), " "), ",", " ")), ",")
		case "virtualhost":
			c.set["host"] = inner.arg()
		case "digest":
			c.note(inner.line, "%s: digest: not carried over: a page is not compared by its digest; expect = \"some text of it\" looks for text", c.of)
		default:
			c.note(inner.line, "%s: url: %s: not carried over", c.of, strings.Join(inner.words, " "))
		}
	}
}
