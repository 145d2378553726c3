package admin

import "net/netip"

// ServiceSpec is a service to add at run time. What is left zero gets the
// default of the configuration file, whose rules apply.
type ServiceSpec struct {
	Name        string         `json:"name"`
	VIP         netip.AddrPort `json:"vip"`
	Protocol    string         `json:"protocol,omitempty"`
	Mode        string         `json:"mode,omitempty"`
	Scheduler   string         `json:"scheduler,omitempty"`
	Quorum      int            `json:"quorum,omitempty"`
	SorryServer netip.AddrPort `json:"sorry_server,omitzero"`
	Check       *CheckSpec     `json:"check,omitempty"`
	Servers     []ServerSpec   `json:"servers,omitempty"`
}

// ServerSpec is a server to add at run time.
type ServerSpec struct {
	Address netip.AddrPort `json:"address"`
	Weight  *int           `json:"weight,omitempty"` // nil: the default; 0 is a weight
}

// CheckSpec is a health check, in the words and units of the configuration file.
type CheckSpec struct {
	Type     string   `json:"type"`
	Interval string   `json:"interval,omitempty"` // "2s"
	Timeout  string   `json:"timeout,omitempty"`
	Rise     int      `json:"rise,omitempty"`
	Fall     int      `json:"fall,omitempty"`
	Port     uint16   `json:"port,omitempty"`
	Method   string   `json:"method,omitempty"`
	Path     string   `json:"path,omitempty"`
	Host     string   `json:"host,omitempty"`
	Status   []string `json:"status,omitempty"` // "200", "200-299"
	Expect   string   `json:"expect,omitempty"`
	Query    string   `json:"query,omitempty"`
	Command  []string `json:"command,omitempty"`
}

// weightSpec is the body of a weight change.
type weightSpec struct {
	Weight int `json:"weight"`
}
