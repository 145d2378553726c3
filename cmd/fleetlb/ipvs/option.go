package ipvs

// An option is one thing that may follow a command, by the name that ipvsadm's
// errors give it.
type option string

const (
	optNumeric        option = "numeric"
	optConnection     option = "connection"
	optService        option = "service-address"
	optScheduler      option = "scheduler"
	optPersistent     option = "persistent"
	optNetmask        option = "netmask"
	optServer         option = "real-server"
	optForward        option = "forwarding-method"
	optWeight         option = "weight"
	optUpper          option = "u-threshold"
	optLower          option = "l-threshold"
	optMcastInterface option = "mcast-interface"
	optTimeout        option = "timeout"
	optDaemon         option = "daemon"
	optStats          option = "stats"
	optRate           option = "rate"
	optThresholds     option = "thresholds"
	optPersistentConn option = "persistent-conn"
	optNoSort         option = "nosort"
	optSyncID         option = "syncid"
	optExact          option = "exact"
	optOnePacket      option = "ops"
	optEngine         option = "pe"
	optFlags          option = "sched-flags"
	optMcastGroup     option = "mcast-group"
	optMcastPort      option = "mcast-port"
	optMcastTTL       option = "mcast-ttl"
	optSyncMaxlen     option = "sync-maxlen"
	optTunInfo        option = "tun-info"
	optTunType        option = "tun-type"
	optTunPort        option = "tun-port"
	optTunNoCsum      option = "tun-nocsum"
	optTunCsum        option = "tun-csum"
	optTunRemCsum     option = "tun-remcsum"

	// Ours.
	optVIP   option = "vip"
	optVIPs  option = "vips"
	optPorts option = "ports"
	optFleet option = "fleet"
)

// order is the one in which ipvsadm looks at options, and so finds fault with
// them.
var order = []option{
	optNumeric, optConnection, optService, optScheduler, optPersistent, optNetmask, optServer, optForward, optWeight,
	optUpper, optLower, optMcastInterface, optTimeout, optDaemon, optStats, optRate, optThresholds, optPersistentConn,
	optNoSort, optSyncID, optExact, optOnePacket, optEngine, optFlags, optMcastGroup, optMcastPort, optMcastTTL,
	optSyncMaxlen, optTunInfo, optTunType, optTunPort, optTunNoCsum, optTunCsum, optTunRemCsum,
	optVIP, optVIPs, optPorts, optFleet,
}

// A command is what is to be done, by the name that ipvsadm's errors give it.
type command string

const (
	add         command = "add-service"
	edit        command = "edit-service"
	remove      command = "delete-service"
	flush       command = "flush"
	list        command = "list"
	addServer   command = "add-server"
	editServer  command = "edit-server"
	dropServer  command = "delete-server"
	setTimeouts command = "set"
	startDaemon command = "start-daemon"
	stopDaemon  command = "stop-daemon"
	restore     command = "restore"
	save        command = "save"
	zero        command = "zero"
	help        command = "help"
	version     command = "version"
)

// A grammar is which options a command takes.
type grammar struct{ need, may, one []option }

var grammars = map[command]grammar{
	add:    {need: []option{optService}, may: serviceOptions},
	edit:   {need: []option{optService}, may: serviceOptions},
	remove: {need: []option{optService}, may: []option{optFleet}},
	flush:  {may: []option{optFleet}},
	list: {
		may: []option{optNumeric, optStats, optRate, optThresholds, optPersistentConn, optNoSort, optSyncID, optExact, optTunInfo},
		one: []option{optConnection, optService, optTimeout, optDaemon},
	},
	addServer:   {need: []option{optService, optServer}, may: serverOptions},
	editServer:  {need: []option{optService, optServer}, may: serverOptions},
	dropServer:  {need: []option{optService, optServer}, may: []option{optFleet}},
	setTimeouts: {may: []option{optFleet}},
	startDaemon: {may: []option{optMcastInterface, optSyncID, optMcastGroup, optMcastPort, optMcastTTL, optSyncMaxlen}},
	stopDaemon:  {may: []option{optSyncID}},
	restore:     {may: []option{optFleet}},
	save:        {may: []option{optNumeric}},
	zero:        {may: []option{optService}},
}

var (
	serviceOptions = []option{optScheduler, optPersistent, optNetmask, optOnePacket, optEngine, optFlags, optVIP, optVIPs, optPorts, optFleet}
	serverOptions  = []option{optForward, optWeight, optUpper, optLower, optTunType, optTunPort, optTunNoCsum, optTunCsum, optTunRemCsum, optFleet}
)

// tunnels is which options a type of tunnel takes.
var tunnels = map[string]grammar{
	"ipip": {},
	"gue":  {need: []option{optTunPort}, one: []option{optTunNoCsum, optTunCsum, optTunRemCsum}},
	"gre":  {one: []option{optTunNoCsum, optTunCsum}},
}

// Whether a word follows.
const (
	none = iota
	needed
	optional
)

// A spelling is one way to say something: what follows is its word. Two options
// share the letter b; the command before it tells which is meant.
type spelling struct {
	long    string
	short   byte
	word    int
	command command
	option  option
	value   string // given to the option where it takes no word
}

var spellings = []spelling{
	{"add-service", 'A', none, add, "", ""},
	{"edit-service", 'E', none, edit, "", ""},
	{"delete-service", 'D', none, remove, "", ""},
	{"clear", 'C', none, flush, "", ""},
	{"list", 'L', none, list, "", ""},
	{"list", 'l', none, list, "", ""},
	{"zero", 'Z', none, zero, "", ""},
	{"add-server", 'a', none, addServer, "", ""},
	{"edit-server", 'e', none, editServer, "", ""},
	{"delete-server", 'd', none, dropServer, "", ""},
	{"set", 0, none, setTimeouts, "", ""},
	{"help", 'h', none, help, "", ""},
	{"version", 'v', none, version, "", ""},
	{"restore", 'R', none, restore, "", ""},
	{"save", 'S', none, save, "", ""},
	{"start-daemon", 0, needed, startDaemon, "", ""},
	{"stop-daemon", 0, needed, stopDaemon, "", ""},

	{"tcp-service", 't', needed, "", optService, "tcp"},
	{"udp-service", 'u', needed, "", optService, "udp"},
	{"sctp-service", 0, needed, "", optService, "sctp"},
	{"fwmark-service", 'f', needed, "", optService, "fwmark"},
	{"scheduler", 's', needed, "", optScheduler, ""},
	{"persistent", 'p', optional, "", optPersistent, ""},
	{"netmask", 'M', needed, "", optNetmask, ""},
	{"real-server", 'r', needed, "", optServer, ""},
	{"masquerading", 'm', none, "", optForward, "nat"},
	{"ipip", 'i', none, "", optForward, "tun"},
	{"gatewaying", 'g', none, "", optForward, "dr"},
	{"fullnat", 'b', none, "", optForward, "fullnat"},
	{"weight", 'w', needed, "", optWeight, ""},
	{"u-threshold", 'x', needed, "", optUpper, ""},
	{"l-threshold", 'y', needed, "", optLower, ""},
	{"numeric", 'n', none, "", optNumeric, ""},
	{"connection", 'c', none, "", optConnection, ""},
	{"mcast-interface", 0, needed, "", optMcastInterface, ""},
	{"mcast-group", 0, needed, "", optMcastGroup, ""},
	{"mcast-port", 0, needed, "", optMcastPort, ""},
	{"mcast-ttl", 0, needed, "", optMcastTTL, ""},
	{"sync-maxlen", 0, needed, "", optSyncMaxlen, ""},
	{"syncid", 0, needed, "", optSyncID, ""},
	{"timeout", 0, none, "", optTimeout, ""},
	{"daemon", 0, none, "", optDaemon, ""},
	{"stats", 0, none, "", optStats, ""},
	{"rate", 0, none, "", optRate, ""},
	{"thresholds", 0, none, "", optThresholds, ""},
	{"persistent-conn", 0, none, "", optPersistentConn, ""},
	{"tun-info", 0, none, "", optTunInfo, ""},
	{"nosort", 0, none, "", optNoSort, ""},
	{"sort", 0, none, "", "", ""},
	{"exact", 'X', none, "", optExact, ""},
	{"ipv6", '6', none, "", "", "6"},
	{"ops", 'o', none, "", optOnePacket, ""},
	{"ops", 'O', none, "", optOnePacket, ""},
	{"pe", 0, needed, "", optEngine, ""},
	{"sched-flags", 'b', needed, "", optFlags, ""},
	{"tun-type", 0, needed, "", optTunType, ""},
	{"tun-port", 0, needed, "", optTunPort, ""},
	{"tun-nocsum", 0, none, "", optTunNoCsum, ""},
	{"tun-csum", 0, none, "", optTunCsum, ""},
	{"tun-remcsum", 0, none, "", optTunRemCsum, ""},

	{"vip", 0, needed, "", optVIP, ""},
	{"vips", 0, needed, "", optVIPs, ""},
	{"ports", 0, needed, "", optPorts, ""},
	{"fleet", 0, none, "", optFleet, ""},
}
