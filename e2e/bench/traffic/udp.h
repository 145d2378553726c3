// Round trips: a datagram goes to the server and comes back as it was.

// A stamp is what a datagram carries. All that follows it is zero.
#define STAMP 0x42544c46
#define NO_SLOT 0xffffffff
struct stamp {
	__u32 magic;
	__u32 slot; // or NO_SLOT
	__u32 turn; // the slot's; without one, the number of the session
	__u64 sent;
} __attribute__((packed));

static __always_inline __u64 stamp_sum(const struct stamp *s)
{
	const __u32 *w = (const void *)s;
	return (__u64)w[0] + w[1] + w[2] + w[3] + w[4];
}

static __always_inline __u64 udp_sum(const struct ipv4 *ip, const struct udp *u, __u32 len)
{
	const __u32 *w = (const void *)u;
	return pseudo(ip, len) + w[0] + w[1] + stamp_sum((const void *)(u + 1));
}

// request makes the frame the next request of a slot, or one of none.
static __always_inline int request(struct xdp_md *ctx, struct control *c, struct slot *s, __u32 n)
{
	__u32 size = c->size;
	if (resize(ctx, size))
		return XDP_ABORTED;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	struct ipv4 *ip = data + ETH_HLEN;
	struct udp *u = (void *)(ip + 1);
	struct stamp *stamp = (void *)(u + 1);
	if ((void *)(stamp + 1) > end)
		return XDP_ABORTED;
	__u32 i = choose(c);
	stamp->magic = STAMP;
	stamp->sent = 0;
	if (s) {
		s->what = i;
		stamp->turn = ++s->turn;
		stamp->slot = n;
	} else {
		stamp->slot = NO_SLOT;
		stamp->turn = i;
		stamp->sent = bpf_ktime_get_ns();
	}
	struct endpoint from = endpoint(i);
	__u32 len = size - ETH_HLEN - sizeof(*ip);
	address(e);
	write_ip(ip, UDP, len, from.address, target);
	u->src = from.port;
	u->dst = target_port;
	u->length = bpf_htons(len);
	u->checksum = 0;
	__u16 sum = ~fold(udp_sum(ip, u, len));
	u->checksum = sum ? sum : 0xffff;
	return XDP_TX;
}

// bucket is the place of a duration among times: sixteen to an octave.
static __always_inline __u32 bucket(__u64 ns)
{
	__u32 octave = 0;
	ns |= 16;
#pragma unroll
	for (int i = 32; i; i /= 2)
		if (ns >> (octave + i))
			octave += i;
	__u32 b = (octave - 4) * 16 + (ns >> (octave - 4) & 15);
	return b < 1024 ? b : 1023;
}

// answer looks at what came back: it must be what that client waits for.
static __always_inline int answer(struct xdp_md *ctx, struct control *c, struct tally *t)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv4 *ip = data + ETH_HLEN;
	struct udp *u = (void *)(ip + 1);
	struct stamp *stamp = (void *)(u + 1);
	struct slot *s = 0;
	if ((void *)(stamp + 1) > end || stamp->magic != STAMP)
		goto wrong;
	__u32 i = stamp->turn;
	__u32 n = stamp->slot;
	if (n != NO_SLOT) {
		s = bpf_map_lookup_elem(&slots, &n);
		if (!s)
			goto wrong;
		if (s->turn != i || c->mode == CONNECT || c->mode == ONCE) {
			t->late++;
			return XDP_DROP;
		}
		i = s->what;
	}
	struct endpoint to = endpoint(i);
	__u32 len = bpf_ntohs(u->length);
	if (ip->dst != to.address || u->dst != to.port || u->src != target_port ||
	    ip->length != bpf_htons(sizeof(*ip) + len) || data + ETH_HLEN + sizeof(*ip) + len != end ||
	    fold(udp_sum(ip, u, len)) != 0xffff)
		goto wrong;
	t->answered++;
	switch (c->mode) {
	case EACH: {
		__u64 *n = bpf_map_lookup_elem(&answers, &i);
		if (n)
			++*n;
		break;
	}
	case ANY:
		break;
	case ONCE: {
		__u32 b = bucket(bpf_ktime_get_ns() - stamp->sent);
		__u64 *n = bpf_map_lookup_elem(&times, &b);
		if (n)
			++*n;
		return XDP_DROP;
	}
	default:
		if (s)
			s->turn++; // nothing is on its way
		return XDP_DROP;
	}
	if (!s)
		return XDP_DROP;
	int v = request(ctx, c, s, n);
	if (v != XDP_TX)
		t->refused++;
	return v;
wrong:
	t->wrong++;
	return XDP_DROP;
}

// reflect sends a datagram back. Its sums are not made anew, so what is wrong
// with them is still wrong when the client gets it.
static __always_inline int reflect(struct xdp_md *ctx, struct tally *t)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	struct ipv4 *ip = data + ETH_HLEN;
	struct udp *u = (void *)(ip + 1);
	struct stamp *stamp = (void *)(u + 1);
	if ((void *)(stamp + 1) > end || stamp->magic != STAMP)
		return XDP_PASS;
	__u8 mac[6];
	__builtin_memcpy(mac, e->dst, 6);
	__builtin_memcpy(e->dst, e->src, 6);
	__builtin_memcpy(e->src, mac, 6);
	__be32 a = ip->src;
	ip->src = ip->dst;
	ip->dst = a;
	__be16 p = u->src;
	u->src = u->dst;
	u->dst = p;
	// RFC 1624, equation 3; the hop count is the low byte of a word as it is in memory.
	ip->checksum = ~fold((__u16)~ip->checksum + (0xffff - ip->ttl) + TTL);
	ip->ttl = TTL;
	t->answered++;
	return XDP_TX;
}
