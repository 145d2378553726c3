// How frames leave, and what tunnels put in front.

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
	if (port == own_port && turns)
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
