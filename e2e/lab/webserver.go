package lab

import (
	"bytes"
	"embed"
	"os"
	"strings"
)

//go:embed servers
var serverFiles embed.FS

// Ports of the real servers.
const (
	NginxPort       = 80
	HAProxyPort     = 81
	HAProxyTCPPort  = 82
	nginxAccessLog  = "access.log"
	nginxFiles      = "files"
	nginxTemporary  = "tmp"
	serverConfigDir = "servers/"
)

// Nginx starts nginx on the host. It serves its name at / and what is in the
// host's scratch directory "files" below it.
func (h *Host) Nginx() (*Process, error) {
	for _, dir := range []string{nginxFiles, nginxTemporary} {
		if err := os.MkdirAll(h.File(dir), 0o755); err != nil {
			return nil, err
		}
	}
	config, err := h.serverConfig("nginx.conf")
	if err != nil {
		return nil, err
	}
	p, err := h.Start("nginx", "nginx", "-p", h.dir, "-c", config, "-e", "stderr")
	if err != nil {
		return nil, err
	}
	return p, h.awaitPort(p, NginxPort)
}

// AccessLog returns one line for each request nginx served: the client's
// address and port as nginx saw them, its own address, status and request.
func (h *Host) AccessLog() ([]string, error) {
	b, err := os.ReadFile(h.File(nginxAccessLog))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n"), nil
}

// HAProxy starts HAProxy on the host.
func (h *Host) HAProxy() (*Process, error) {
	config, err := h.serverConfig("haproxy.cfg")
	if err != nil {
		return nil, err
	}
	p, err := h.Start("haproxy", "haproxy", "-db", "-f", config)
	if err != nil {
		return nil, err
	}
	return p, h.awaitPort(p, HAProxyPort)
}

// serverConfig writes one of the embedded files with the host's name in it.
func (h *Host) serverConfig(name string) (path string, err error) {
	b, err := serverFiles.ReadFile(serverConfigDir + name)
	if err != nil {
		return "", err
	}
	return h.WriteFile(name, string(bytes.ReplaceAll(b, []byte("NAME"), []byte(h.Name))))
}
