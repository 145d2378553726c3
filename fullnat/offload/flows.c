//go:build ignore

// The journey of a lifted session's packet, in the driver: find the session,
// rewrite, send on. Whatever is not a plain packet of one goes up to the
// worker, untouched. Beside each check stands where the worker does the same.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

enum { TCP = 6, UDP = 17 };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

#define UP XDP_PASS // to the worker

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
volatile const __u32 own_mac_hi = 0; // bytes 0–3 and 4–5 of its address
volatile const __u32 own_mac_lo = 0;

// Whether the frames here may bring a checksum that is still owed: only the sum
// of the pseudo-header stands in it. Nothing else in the frame tells.
enum { NEVER = 0, LEAVE = 1, FINISH = 2 };
volatile const __u32 owed = NEVER;

#define PRIME1 0x9E3779B185EBCA87ull
#define PRIME2 0xC2B2AE3D27D4EB4Full
#define PRIME3 0x165667B19E3779F9ull
#define PRIME4 0x85EBCA77C2B2AE63ull

struct key {
	struct address src, dst;
	__u32 ports;
	__u8 protocol;
};

// hash is the one in hash.go.
static __always_inline __u64 hash(const struct key *k, int v6)
{
	__u64 h = (seed ^ k->ports ^ (__u64)k->protocol << 32) * PRIME1;
	h = (h ^ h >> 32 ^ k->src.lo) * PRIME2;
	h = (h ^ h >> 29 ^ k->dst.lo) * PRIME3;
	if (v6) {
		h = (h ^ h >> 32 ^ k->src.hi) * PRIME4;
		h = (h ^ h >> 29 ^ k->dst.hi) * PRIME1;
	}
	return h ^ h >> 32;
}

// among returns the slots that have a tag, as a set of bits: at 31-i and 63-i are
// those of word i.
static __always_inline __u64 among(const struct bucket *b, __u64 tag)
{
	const __u64 tags = tag | tag << 32, tag_mask = ~(number_mask | (__u64)number_mask << 32), ones = 0x0000000100000001;
	__u64 found = 0;
#pragma unroll
	for (int i = 0; i < SLOTS / 2; i++) {
		__u64 x = (b->slots[i] ^ tags) & tag_mask;
		found |= ((x - ones) & ~x & ones << 31) >> i;
	}
	return found;
}

// where tells at which place of a word is its only bit, by a de Bruijn sequence.
static __always_inline __u32 where(__u64 bit)
{
	static const __u8 places[64] = {
		0, 1, 2, 53, 3, 7, 54, 27, 4, 38, 41, 8, 34, 55, 48, 28, 62, 5, 39, 46, 44, 42,
		22, 9, 24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6, 26, 37, 40, 33, 47, 61, 45,
		43, 21, 23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
	};
	return places[bit * 0x022FDD63CC95386Dull >> 58];
}

// find returns the face of a packet, and its number. Faces that happen to have
// the same tag are told apart by what they are.
#define CANDIDATES 4
static __always_inline struct face *find(const struct key *k, int v6, __u32 *number, struct ends **ends)
{
	__u64 h = hash(k, v6);
	__u32 bucket = (h & 0xffffffff) * room >> 32, tag = h >> 32 & ~number_mask;
	if (!tag)
		tag = ~number_mask; // an empty slot has none
	for (int side = 0; side < 2; side++, bucket ^= 1) {
		struct bucket *b = bpf_map_lookup_elem(&buckets, &bucket);
		if (!b)
			return 0;
		__u64 left = among(b, tag);
		for (int i = 0; i < CANDIDATES && left; i++, left &= left - 1) {
			__u32 at = where(left & -left);
			__u32 n = ((__u32 *)b)[(~at << 1 | at >> 5) & (SLOTS - 1)] & number_mask;
			struct face *f = bpf_map_lookup_elem(&faces, &n);
			if (!f)
				return 0;
			if (f->src != (__u32)(k->src.lo >> 32) || f->dst != (__u32)(k->dst.lo >> 32) ||
			    f->ports != k->ports || f->protocol != k->protocol || f->family != (v6 ? 6 : 4))
				continue;
			*number = n;
			if (!v6)
				return f;
			__u32 d = n & 1, of = n >> 1;
			struct ends *e = bpf_map_lookup_elem(&ends_of, &of);
			if (!e)
				return 0;
			const struct address *src = &e->of[d ? 3 : 0], *dst = &e->of[d ? 2 : 1];
			if (src->lo != k->src.lo || dst->lo != k->dst.lo || src->hi != k->src.hi || dst->hi != k->dst.hi)
				continue;
			*ends = e;
			return f;
		}
	}
	return 0;
}

static __always_inline __u16 fold(__u64 s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return s;
}

// update is packet.update: RFC 1624, equation 3.
static __always_inline __u16 update(__u16 checksum, __u64 gain)
{
	return ~fold((__u16)~checksum + gain);
}

// pseudo is the sum of the pseudo-header.
static __always_inline __u16 pseudo(const struct key *k, int v6, int protocol, __u32 len)
{
	__u64 s = (k->src.lo >> 32) + (k->dst.lo >> 32) + bpf_htons(protocol) + bpf_htons(len);
	if (v6)
		s += (k->src.lo & 0xffffffff) + (k->dst.lo & 0xffffffff) + (k->src.hi & 0xffffffff) + (k->dst.hi & 0xffffffff) +
		     (k->src.hi >> 32) + (k->dst.hi >> 32);
	return fold(s);
}

// sum adds up len bytes of the frame; -1 if it ends before. Not static, so that
// it is verified once and not with each caller.
__attribute__((noinline)) long sum(struct xdp_md *ctx, __u32 from, __u32 len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (from > 128 || len >= 9 * 512)
		return -1;
	void *p = data + from;
	__u32 s = 0;
	for (int i = 0; i < 8 && len >= 512; i++) {
		if (p + 512 > end)
			return -1;
		s = bpf_csum_diff(0, 0, p, 512, s);
		p += 512;
		len -= 512;
	}
	if (len >= 512)
		return -1;
#define PART(n)                                   \
	if (len & n) {                            \
		if (p + n > end)                  \
			return -1;                \
		s = bpf_csum_diff(0, 0, p, n, s); \
		p += n;                           \
	}
	PART(256)
	PART(128)
	PART(64)
	PART(32)
	PART(16)
	PART(8)
	PART(4)
	long rest = s;
	if (len & 2) {
		if (p + 2 > end)
			return -1;
		rest += *(__u16 *)p;
		p += 2;
	}
	if (len & 1) {
		if (p + 1 > end)
			return -1;
		rest += *(__u8 *)p; // the low byte of a word as it is in memory
	}
	return rest;
}

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
};

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__u32 src, dst;
};

struct ipv6 {
	__u8 version, flow[3];
	__be16 length;
	__u8 next, hops;
	__u64 src[2], dst[2]; // halves of addresses, 2-byte aligned: read by word
};

struct tcp {
	__be16 src, dst;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct udp {
	__be16 src, dst;
	__be16 length;
	__u16 checksum;
};

// What a packet is, for wrap.
struct inner {
	__u32 size;
	__u16 check, offset; // the L4 checksum that it is to have, and where in the IP packet
	__u16 id;	     // of the outer packet, where that may be cut
	__u8 v6;
};

// send lets go of a frame whose packet is so long.
static __always_inline int send(struct xdp_md *ctx, long len, __u8 port)
{
	// What stands behind the packet goes no further (Worker.parse).
	long excess = (long)ctx->data_end - (long)ctx->data - ETH_HLEN - len;
	if (excess && bpf_xdp_adjust_tail(ctx, -excess))
		return XDP_ABORTED;
	if (port == own_port)
		return XDP_TX;
	return bpf_redirect_map(&ports, port, 0);
}

// wrap sends a packet inside another (Tunnel.Put).
static __attribute__((noinline)) int wrap(struct xdp_md *ctx, __u32 number, const struct hop *hop, const struct inner *in)
{
	__u32 second = number | 1;
	struct outer *outer = bpf_map_lookup_elem(&faces, &second);
	if (!outer)
		return UP;
	__u32 len = outer->len;
	if (in->size + len > hop->mtu || bpf_xdp_adjust_head(ctx, -(int)len))
		return UP;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *ip;
	switch (len) {
#define PUT(n)                                                  \
	case n:                                                 \
		ip = data + ETH_HLEN + n;                       \
		if (ip + sizeof(struct ipv4) > end)             \
			return XDP_ABORTED;                     \
		__builtin_memcpy(data + ETH_HLEN, outer->bytes, n); \
		break;
		PUT(20)
		PUT(28)
		PUT(32)
		PUT(40)
	default:
		return XDP_ABORTED;
	}
	__u64 offset = in->offset;
	if (offset > 128)
		return XDP_ABORTED;
	__u16 *check = ip + offset;
	if ((void *)(check + 1) > end)
		return XDP_ABORTED;
	*check = in->check;

	struct ethernet *e = data;
	__u8 tos;
	int cut = 0; // routers may cut the packet, and so the outer one
	if (in->v6) {
		struct ipv6 *h = ip;
		tos = h->version << 4 | h->flow[0] >> 4;
		cut = in->size <= 1280;
		h->hops--;
	} else {
		struct ipv4 *h = ip;
		tos = h->tos;
		cut = !(h->fragment & bpf_htons(0x4000));
		h->ttl--;
		h->checksum = update(h->checksum, 0xfffe);
	}
	if (len == sizeof(struct ipv6)) {
		struct ipv6 *o = data + ETH_HLEN;
		e->type = bpf_htons(ETH_P_IPV6);
		o->version = 0x60 | tos >> 4;
		o->flow[0] = tos << 4;
		o->length = bpf_htons(in->size);
	} else {
		struct ipv4 *o = data + ETH_HLEN;
		e->type = bpf_htons(ETH_P_IP);
		o->tos = tos;
		o->length = bpf_htons(in->size + len);
		o->fragment = cut ? 0 : bpf_htons(0x4000);
		o->id = cut ? bpf_htons(in->id) : 0;
		o->checksum = 0;
		const __u32 *w = (void *)o;
		o->checksum = ~fold((__u64)w[0] + w[1] + w[2] + w[3] + w[4]);
		if (len > sizeof(*o)) {
			struct udp *u = (void *)(o + 1);
			u->length = bpf_htons(in->size + len - sizeof(*o));
		}
	}
	__builtin_memcpy(e->dst, hop->dst, 6);
	__builtin_memcpy(e->src, hop->src, 6);
	return send(ctx, in->size + len, hop->port);
}

// near reads what the answer to a packet will want, once in a tick: while it comes
// from memory, the processor goes on with this packet and the next.
static __always_inline void near(__u32 number, __u32 bucket)
{
	struct face *f = bpf_map_lookup_elem(&faces, &number);
	struct bucket *b = bpf_map_lookup_elem(&buckets, &bucket);
	if (f && b) {
		*(volatile __u32 *)&f->used;
		*(volatile __u64 *)&b->slots[0];
	}
}

// count notes a packet of a face.
static __always_inline void count(struct face *face, __u32 size, __u32 tick, int protocol, __u32 next, __u32 ack)
{
	face->packets++;
	face->bytes += size;
	face->used = tick;
	if (protocol == TCP) {
		face->next = next;
		face->ack = ack;
	}
}

// carry sends a packet on whose IP header has been read: k its addresses, size
// what its IP header says is its length. Everything that can refuse it comes
// before the first change to it.
static __always_inline int carry(struct xdp_md *ctx, struct key *k, const int v6, const int protocol, __u32 size)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const int headers = ETH_HLEN + (v6 ? sizeof(struct ipv6) : sizeof(struct ipv4));
	void *l4 = data + headers;
	struct tcp *tcp = l4;
	struct udp *udp = l4;
	__u32 len = size - (headers - ETH_HLEN);
	__u32 next = 0, ack = 0;
	__u16 *check;

	if (protocol == TCP) {
		if ((void *)(tcp + 1) > end)
			return UP;
		__u32 offset = tcp->offset >> 4 << 2;
		if ((tcp->flags & (FIN | SYN | RST | ACK)) != ACK || offset < sizeof(*tcp) || offset > len)
			return UP;
		next = bpf_ntohl(tcp->seq) + len - offset;
		ack = bpf_ntohl(tcp->ack);
		check = &tcp->checksum;
	} else {
		if ((void *)(udp + 1) > end)
			return UP;
		__u32 n = bpf_ntohs(udp->length);
		if (n < sizeof(*udp) || n > len)
			return UP;
		check = &udp->checksum;
	}
	k->ports = *(__u32 *)l4;
	k->protocol = protocol;

	__u32 number;
	struct ends *ends = 0;
	struct face *face = find(k, v6, &number, &ends);
	if (!face)
		return UP;

	__u32 zero = 0, index = face->hop >> 8;
	struct control *now = bpf_map_lookup_elem(&control, &zero);
	struct hop *h = bpf_map_lookup_elem(&hops, &index);
	if (!now || !h || bpf_ktime_get_coarse_ns() > now->until)
		return UP;
	if (face->used != now->tick)
		near(number ^ 1, face->answer);
	struct hop hop = *h;
	if (size > hop.mtu || hop.version != (__u8)face->hop || !now->usable[hop.port])
		return UP;
	struct ethernet *e = data;
	if (face->kind == DIRECT && *(__u32 *)e->src == *(__u32 *)hop.dst && *(__u16 *)(e->src + 4) == *(__u16 *)(hop.dst + 4))
		return UP;

	__u16 c = *check;
	if (protocol == UDP && !c) {
		// none stays none (packet.updateUDP)
	} else {
		if (owed != NEVER && c == pseudo(k, v6, protocol, len)) {
			if (owed == LEAVE)
				return UP;
			long whole = sum(ctx, headers, len);
			if (whole < 0)
				return UP;
			c = ~fold(whole);
		}
		c = update(c, face->gain);
		if (protocol == UDP && !c)
			c = 0xffff;
	}

	if (face->kind == TUNNEL) {
		struct inner in = { .size = size, .check = c, .offset = (void *)check - data - ETH_HLEN,
				    .id = face->packets, .v6 = v6 };
		int v = wrap(ctx, number, &hop, &in);
		if (v != UP)
			count(face, size, now->tick, protocol, next, ack);
		return v;
	}

	// From here on nothing goes up.
	*check = c;
	*(__u32 *)l4 = face->new_ports;
	if (v6) {
		if (!ends)
			return XDP_ABORTED;
		__u32 d = number & 1;
		const struct address *src = &ends->of[d ? 1 : 2], *dst = &ends->of[d ? 0 : 3];
		struct ipv6 *ip = data + ETH_HLEN;
		ip->src[0] = src->hi;
		ip->src[1] = src->lo;
		ip->dst[0] = dst->hi;
		ip->dst[1] = dst->lo;
		ip->hops--;
	} else {
		struct ipv4 *ip = data + ETH_HLEN;
		ip->src = face->new_src;
		ip->dst = face->new_dst;
		ip->ttl--;
		ip->checksum = update(ip->checksum, (__u64)face->header + 0xfffe);
	}
	__builtin_memcpy(e->dst, hop.dst, 6);
	__builtin_memcpy(e->src, hop.src, 6);

	count(face, size, now->tick, protocol, next, ack);
	return send(ctx, size, hop.port);
}

static __always_inline struct address mapped(__u32 v4)
{
	return (struct address){ .lo = 0xffff0000ull | (__u64)v4 << 32 };
}

static __always_inline int carry4(struct xdp_md *ctx, void *data, void *end)
{
	struct ipv4 *ip = data + ETH_HLEN;
	if ((void *)(ip + 1) > end)
		return UP;
	__u32 size = bpf_ntohs(ip->length);
	if (ip->version_ihl != 0x45 || ip->fragment & bpf_htons(0x3fff) || ip->ttl <= 1 ||
	    size < sizeof(*ip) || data + ETH_HLEN + size > end)
		return UP;
	const __u32 *w = (void *)ip;
	if (fold((__u64)w[0] + w[1] + w[2] + w[3] + w[4]) != 0xffff)
		return UP;
	struct key k = { .src = mapped(ip->src), .dst = mapped(ip->dst) };
	switch (ip->protocol) {
	case TCP:
		return carry(ctx, &k, 0, TCP, size);
	case UDP:
		return carry(ctx, &k, 0, UDP, size);
	}
	return UP;
}

static __always_inline int carry6(struct xdp_md *ctx, void *data, void *end)
{
	struct ipv6 *ip = data + ETH_HLEN;
	if ((void *)(ip + 1) > end)
		return UP;
	__u32 size = sizeof(*ip) + bpf_ntohs(ip->length);
	if (ip->version >> 4 != 6 || ip->hops <= 1 || data + ETH_HLEN + size > end)
		return UP;
	struct key k = { .src = { ip->src[0], ip->src[1] }, .dst = { ip->dst[0], ip->dst[1] } };
	switch (ip->next) {
	case TCP:
		return carry(ctx, &k, 1, TCP, size);
	case UDP:
		return carry(ctx, &k, 1, UDP, size);
	}
	return UP;
}

// Those to another station than ours, as a switch floods them, are not for us.
static __always_inline int frame(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	if ((void *)(e + 1) > end)
		return UP;
	if (*(__u32 *)e->dst != own_mac_hi || *(__u16 *)(e->dst + 4) != own_mac_lo)
		return UP;
	if (e->type == bpf_htons(ETH_P_IP))
		return carry4(ctx, data, end);
	if (e->type == bpf_htons(ETH_P_IPV6))
		return carry6(ctx, data, end);
	return UP;
}

// What looks at a frame that goes up, before the kernel does; empty: nothing. It
// belongs to the program, and is empty again when the director that loaded it ends.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} upward SEC(".maps");

// All of an interface's frames come by here first.
SEC("xdp.frags")
int forward(struct xdp_md *ctx)
{
	int v = frame(ctx);
	if (v == UP)
		bpf_tail_call(ctx, &upward, 0);
	return v;
}

char LICENSE[] SEC("license") = "Apache-2.0";
