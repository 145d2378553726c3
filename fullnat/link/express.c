//go:build ignore

// The short way up: a frame that is certainly for a worker, and such that its
// bytes are all there is to know of it, goes from the network driver into the
// worker's ring. Everything else goes up through the kernel, where steer.c looks
// at it: ARP, fragments, extension headers, ICMP, what is long, what is the
// host's own.

#include "ours.h"

// A site is an interface as the workers have it.
struct site {
	__u8 mac[6];
	__u16 longest;	  // that a ring takes
	__u32 first_ring; // its place in rings of queue 0
};

#define QUEUES 64

// By index of the interface.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct site);
} sites SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 256 * QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} rings SEC(".maps");

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
};

// certain says whether a TCP or UDP packet is for a worker and not for the host.
static __always_inline int certain(const struct address *src, const struct address *dst, __u8 protocol, __be16 port)
{
	if (bpf_map_lookup_elem(&hosts, dst))
		return 0;
	return class_of(dst) || (server_class(src, port, protocol) | server_class(src, 0, protocol)) & GATED;
}

static __always_inline int express4(void *ip, void *end)
{
	struct ipv4 *h = ip;
	__be16 *port = (void *)(h + 1);
	if ((void *)(port + 2) > end || h->version_ihl != 0x45 || h->fragment & bpf_htons(0x3fff) ||
	    (h->protocol != TCP && h->protocol != UDP))
		return 0;
	struct address src = mapped(h->src), dst = mapped(h->dst);
	return certain(&src, &dst, h->protocol, *port);
}

static __always_inline int express6(void *ip, void *end)
{
	struct ipv6 *h = ip;
	__be16 *port = (void *)(h + 1);
	if ((void *)(port + 2) > end || (h->next != TCP && h->next != UDP))
		return 0;
	struct address src, dst; // copies: in the frame they are not aligned
	__builtin_memcpy(&src, &h->src, sizeof(src));
	__builtin_memcpy(&dst, &h->dst, sizeof(dst));
	return certain(&src, &dst, h->next, *port);
}

SEC("xdp.frags")
int express(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	__u32 index = ctx->ingress_ifindex;
	struct site *s = bpf_map_lookup_elem(&sites, &index);
	if (!s || (void *)(e + 1) > end || bpf_xdp_get_buff_len(ctx) > s->longest || end - data > s->longest ||
	    ctx->rx_queue_index >= QUEUES)
		return XDP_PASS;
	if (*(__u32 *)e->dst != *(__u32 *)s->mac || *(__u16 *)(e->dst + 4) != *(__u16 *)(s->mac + 4))
		return XDP_PASS;
	int ours = 0;
	if (e->type == bpf_htons(ETH_P_IP))
		ours = express4(e + 1, end);
	else if (e->type == bpf_htons(ETH_P_IPV6))
		ours = express6(e + 1, end);
	return ours ? bpf_redirect_map(&rings, s->first_ring + ctx->rx_queue_index, XDP_PASS) : XDP_PASS;
}

char LICENSE[] SEC("license") = "Apache-2.0";
