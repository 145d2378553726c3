// Connections, from SYN to the last ACK, six segments:
//
//	client            server
//	SYN        →
//	           ←      SYN ACK
//	ACK, request →
//	           ←      ACK, the same as response, FIN
//	ACK, FIN   →
//	           ←      ACK
//
// Either end also talks to a kernel, which may say the same in more segments.

// A request is the number of the connection, and zeros. It is so short because a
// frame that veth copied has room for 64 bytes, and each segment becomes the next.
#define REQUEST 8
#define WINDOW bpf_htons(65535)

enum { SYN_SENT = 1, ESTABLISHED = 2, CLOSING = 3 };

// A maximum segment size of 1460 bytes, the only option that we send.
#define MSS bpf_htonl(0x020405b4)

static __always_inline __u32 initial(__u32 connection) { return connection * 2654435761u; }

// segment makes the frame a segment of a client's connection.
static __always_inline int segment(struct xdp_md *ctx, __u32 connection, __u32 seq, __u32 ack, const __u8 flags)
{
	const __u32 options = flags & SYN ? 4 : 0, payload = flags & PSH ? REQUEST : 0;
	const __u32 len = sizeof(struct tcp) + options + payload;
	if (resize(ctx, ETH_HLEN + sizeof(struct ipv4) + len))
		return XDP_ABORTED;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	struct ipv4 *ip = data + ETH_HLEN;
	struct tcp *tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) + options + payload > end)
		return XDP_ABORTED;
	struct endpoint from = endpoint(connection);
	address(e);
	write_ip(ip, TCP, len, from.address, target);
	tcp->src = from.port;
	tcp->dst = target_port;
	tcp->seq = bpf_htonl(seq);
	tcp->ack = bpf_htonl(ack);
	tcp->offset = (sizeof(*tcp) + options) / 4 << 4;
	tcp->flags = flags;
	tcp->window = WINDOW;
	tcp->checksum = 0;
	tcp->urgent = 0;
	const __u32 *w = (void *)tcp;
	__u64 s = pseudo(ip, len) + w[0] + w[1] + w[2] + w[3] + w[4];
	__u32 *more = (void *)(tcp + 1);
	if (options)
		s += *more = MSS;
	if (payload) {
		__builtin_memset(more, 0, REQUEST);
		s += *more = connection;
	}
	tcp->checksum = ~fold(s);
	return XDP_TX;
}

// connect makes the frame the first of a slot's next connection.
static __always_inline int connect(struct xdp_md *ctx, struct slot *s, __u32 n)
{
	__u32 connection = s->what + SLOTS;
	connection = connection - connection % SLOTS + n % SLOTS;
	s->what = connection;
	s->state = SYN_SENT;
	s->turn++;
	return segment(ctx, connection, initial(connection), 0, SYN);
}

// sound is whether the sum of a segment is right, or owed by a host that would
// have its network card complete it: then only the pseudo-header's is there.
static __always_inline int sound(struct xdp_md *ctx, const struct ipv4 *ip, __u16 check, __u32 len)
{
	long whole = sum(ctx, ETH_HLEN + sizeof(*ip), len);
	__u64 p = pseudo(ip, len);
	return whole >= 0 && (fold(whole + p) == 0xffff || check == fold(p));
}

// advance takes a connection one step further: the answer is the client's next segment.
static __always_inline int advance(struct xdp_md *ctx, struct control *c, struct tally *t, __u32 len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv4 *ip = data + ETH_HLEN;
	struct tcp *tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end)
		goto wrong;
	__u32 offset = tcp->offset >> 4 << 2;
	if (offset < sizeof(*tcp) || offset > len || tcp->src != target_port || !sound(ctx, ip, tcp->checksum, len))
		goto wrong;
	__u32 payload = len - offset, n = (bpf_ntohl(ip->dst) - clients) % SLOTS;
	struct slot *s = bpf_map_lookup_elem(&slots, &n);
	if (!s)
		goto wrong;
	__u32 connection = s->what;
	struct endpoint to = endpoint(connection);
	if (ip->dst != to.address || tcp->dst != to.port || c->mode != CONNECT) {
		t->late++;
		return XDP_DROP;
	}
	if (tcp->flags & RST) {
		t->resets++;
		return XDP_DROP;
	}
	__u32 first = initial(connection), seq = bpf_ntohl(tcp->seq), ack = bpf_ntohl(tcp->ack);
	if (!(tcp->flags & ACK))
		goto wrong;
	int v = XDP_DROP;
	switch (s->state) {
	case SYN_SENT:
		if (!(tcp->flags & SYN) || ack != first + 1)
			goto late;
		s->state = ESTABLISHED;
		s->seq = seq + 1;
		s->turn++;
		v = segment(ctx, connection, first + 1, seq + 1, ACK | PSH);
		break;
	case ESTABLISHED:
		if (tcp->flags & SYN || seq != s->seq)
			goto late;
		if (payload) {
			__u32 *echo = (void *)tcp + (offset & 63);
			if (payload != REQUEST || ack != first + 1 + REQUEST || (void *)(echo + 1) > end || *echo != connection)
				goto wrong;
		}
		s->seq = seq + payload;
		if (!(tcp->flags & FIN))
			return XDP_DROP; // acknowledged with the FIN, which is near
		if (ack != first + 1 + REQUEST)
			goto wrong;
		s->state = CLOSING;
		s->turn++;
		s->seq++;
		v = segment(ctx, connection, first + 1 + REQUEST, s->seq, ACK | FIN);
		break;
	case CLOSING:
		if (seq != s->seq || ack != first + 1 + REQUEST + 1)
			goto late;
		s->state = 0;
		t->answered++;
		v = connect(ctx, s, n);
		break;
	default:
		goto late;
	}
	if (v != XDP_TX)
		t->refused++;
	return v;
late:
	t->late++;
	return XDP_DROP;
wrong:
	t->wrong++;
	return XDP_DROP;
}

// accept is the server's part. It remembers nothing: a client's segment says all
// there is to know, and a repeated one gets the same answer.
static __always_inline int accept(struct xdp_md *ctx, struct tally *t)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv4 *ip = data + ETH_HLEN;
	struct tcp *tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end)
		goto wrong;
	__u32 size = bpf_ntohs(ip->length), len = size - sizeof(*ip), offset = tcp->offset >> 4 << 2;
	if (size < sizeof(*ip) + sizeof(*tcp) || data + ETH_HLEN + size > end || offset < sizeof(*tcp) || offset > len ||
	    !sound(ctx, ip, tcp->checksum, len))
		goto wrong;
	__u32 payload = len - offset, seq = bpf_ntohl(tcp->seq);
	__u8 flags = tcp->flags & (FIN | SYN | RST | ACK), reply = ACK;
	__be32 from = tcp->ack;
	if (flags == SYN) {
		reply = SYN | ACK;
		from = bpf_htonl(seq ^ 0x5bd1e995);
		seq++;
		len = sizeof(*tcp) + 4;
	} else if (!(flags & ACK) || flags & (SYN | RST)) {
		return XDP_DROP;
	} else if (payload) {
		reply = ACK | PSH | FIN;
		seq += payload + !!(flags & FIN);
	} else if (flags & FIN) {
		seq++;
		len = sizeof(*tcp);
	} else {
		return XDP_DROP; // acknowledges, no more
	}
	if (payload && offset != sizeof(*tcp))
		goto wrong; // we agreed to no options

	if (resize(ctx, ETH_HLEN + sizeof(*ip) + len))
		goto wrong;
	data = (void *)(long)ctx->data, end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	ip = data + ETH_HLEN;
	tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end)
		goto wrong;
	__u8 mac[6];
	__builtin_memcpy(mac, e->dst, 6);
	__builtin_memcpy(e->dst, e->src, 6);
	__builtin_memcpy(e->src, mac, 6);
	write_ip(ip, TCP, len, ip->dst, ip->src);
	__be16 p = tcp->src;
	tcp->src = tcp->dst;
	tcp->dst = p;
	tcp->seq = from;
	tcp->ack = bpf_htonl(seq);
	tcp->flags = reply;
	tcp->window = WINDOW;
	tcp->urgent = 0;
	if (reply & SYN) {
		__u32 *mss = (void *)(tcp + 1);
		if ((void *)(mss + 1) > end)
			goto wrong;
		*mss = MSS;
		tcp->offset = (sizeof(*tcp) + 4) / 4 << 4;
	} else if (!(reply & PSH)) {
		tcp->offset = sizeof(*tcp) / 4 << 4;
	}
	tcp->checksum = 0;
	long whole = sum(ctx, ETH_HLEN + sizeof(*ip), len);
	if (whole < 0)
		goto wrong;
	data = (void *)(long)ctx->data, end = (void *)(long)ctx->data_end;
	ip = data + ETH_HLEN;
	tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end)
		goto wrong;
	tcp->checksum = ~fold(whole + pseudo(ip, len));
	t->answered += !!(reply & SYN);
	return XDP_TX;
wrong:
	t->wrong++;
	return XDP_DROP;
}
