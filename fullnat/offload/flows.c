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

#include "tables.h"
#include "find.h"
#include "packet.h"
#include "wrap.h"

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
