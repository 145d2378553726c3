// The tables are memory that the director writes and reads as its own, see
// table.go: no system call lifts a session or counts its packets.

struct address {
	__u64 hi, lo; // bytes 0–7 and 8–15 of the 16, as they are in memory; IPv4 as ::ffff:a.b.c.d
};

// What becomes of a packet beside the hop that it takes: it gets new ends; or
// none, but then must not go back to the station that it comes from (DR); or none
// and an outer header (TUN).
enum { REWRITE = 0, DIRECT = 1, TUNNEL = 2 };

// A face is one direction of a session: all that most packets need, in a cache
// line that no packet of the other direction touches. Of an IPv6 address it has
// the last four bytes. Sums are one's complement, of words as they are in memory.
struct face {
	__u32 src, dst;
	__u32 ports; // source and destination, as on the wire
	__u8 protocol, family;
	__u16 gain; // what TCP's or UDP's sum gains
	__u32 new_src, new_dst, new_ports;
	__u32 hop;  // its index, and in the low byte its version
	__u32 used; // the tick of the last packet
	__u32 next, ack; // TCP: the number after the last segment, and what it acknowledged
	__u16 header;	 // what the IPv4 header's sum gains
	__u8 kind, zero;
	__u32 packets;
	__u32 answer; // the bucket in which the other face is sought first
	__u64 bytes;
};

// ends are a flow's addresses whole: the client, the VIP, the local address, the
// server. Face 0 goes from 0 to 1 and becomes 2 to 3, face 1 from 3 to 2 and
// becomes 1 to 0. Packets of IPv4 can do without.
struct ends {
	struct address of[4];
};

// The second face of a flow that is not rewritten is what else there is to know of
// the server: the outer header of a tunnel to it, as it is in front of a packet
// without DSCP and ECN, and, for the next director, which one it is.
#define OUTER_MAX 40
struct outer {
	__u8 bytes[OUTER_MAX];
	__u8 len; // of the header
	__u8 zero[5];
	__u16 port;
	struct address server;
};

// A slot holds the number of a face, twice its flow's, plus one for the second,
// and in the bits above a tag. Zero is empty.
#define SLOTS 16
struct bucket {
	__u64 slots[SLOTS / 2];
};

// A hop is written and read in two whole words.
struct hop {
	__u8 dst[6];
	__u16 mtu; // 0: none at present
	__u8 src[6];
	__u8 port, version;
};

struct control {
	__u64 until; // nothing is carried after this moment of CLOCK_MONOTONIC_COARSE
	__u32 tick;
	__u32 zero;
	__u8 usable[256]; // by port: frames can be sent there
};

#define TABLE(name, value_type)                      \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);    \
		__uint(map_flags, BPF_F_MMAPABLE);   \
		__uint(max_entries, 1);              \
		__type(key, __u32);                  \
		__type(value, value_type);           \
	} name SEC(".maps")

TABLE(buckets, struct bucket);
TABLE(faces, struct face);
TABLE(ends_of, struct ends);
TABLE(hops, struct hop);
TABLE(control, struct control);

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

// What is known when a program is loaded: it belongs to one interface.
volatile const __u64 seed = 0;
volatile const __u32 room = 0;	    // how many buckets there are, an even number
volatile const __u32 number_mask = 0; // of a slot, where the number is
volatile const __u32 own_port = 0;  // the interface's number
volatile const __u32 turns = 1;	    // whether XDP_TX reaches the other end
volatile const __u32 own_mac_hi = 0; // bytes 0–3 and 4–5 of its address
volatile const __u32 own_mac_lo = 0;

// Whether the frames here may bring a checksum that is still owed: only the sum
// of the pseudo-header stands in it. Nothing else in the frame tells.
enum { NEVER = 0, LEAVE = 1, FINISH = 2 };
volatile const __u32 owed = NEVER;
