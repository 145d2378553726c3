// Which addresses are ours, as both steer.c and express.c look them up.

#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_IPV6 0x86dd

enum { HOPOPTS = 0, ICMP = 1, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT = 44, ICMPV6 = 58, DSTOPTS = 60 };
enum { SOLICITATION = 135, ADVERTISEMENT = 136 };

// What an address is to us.
enum { VIP = 1, LOCAL = 2 };

// What a server is to us, if more than the far end of sessions: one whose
// answers to clients are ours, or one that gets its packets through a tunnel.
enum { GATED = 1, TUNNELLED = 2 };

struct address {
	__u64 hi, lo; // bytes 0–7 and 8–15 of the 16, as they are in memory; IPv4 as ::ffff:a.b.c.d
};

struct prefix {
	__u32 bits;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} ours SEC(".maps");

// An endpoint is one of a server's: one port, or with port 0 any, or with neither
// port nor protocol the server itself.
struct endpoint {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 zero[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct endpoint);
	__type(value, __u32);
} servers SEC(".maps");

// The host's own addresses.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, __u32);
} hosts SEC(".maps");

static __always_inline int class_of(const struct address *a)
{
	struct prefix key = { .bits = 128 };
	__builtin_memcpy(key.address, a, sizeof(key.address));
	__u32 *class = bpf_map_lookup_elem(&ours, &key);
	return class ? *class : 0;
}

static __always_inline int server_class(const struct address *a, __be16 port, __u8 protocol)
{
	struct endpoint key = { .address = *a, .port = port, .protocol = protocol };
	__u32 *class = bpf_map_lookup_elem(&servers, &key);
	return class ? *class : 0;
}

static __always_inline struct address mapped(__u32 v4)
{
	return (struct address){ .lo = 0xffff0000ull | (__u64)v4 << 32 };
}

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__be32 src, dst;
};

struct ipv6 {
	__be32 flow;
	__be16 length;
	__u8 next, hops;
	struct address src, dst;
};
