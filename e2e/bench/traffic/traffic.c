//go:build ignore

// A crowd of clients and a server, in the drivers at both ends of a device under
// test. See doc.go for what is measured and why in this way.

#include "frame.h"

#define SLOTS 1024 // a power of two, at most CLIENTS
#define CLIENTS 4096

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

// What the clients do with an answer.
enum {
	STOP = 0,    // nothing
	EACH = 1,    // ask for the sessions in turn, and note who was answered
	ANY = 2,     // ask for one at random
	ONCE = 3,    // nothing: a generator paces the requests, and the time is noted
	CONNECT = 4, // the next step of a connection, and then the next connection
};

// What is shared with the director of all this, by mapped memory.
struct control {
	__u32 mode, sessions, size; // size of a frame with a datagram
	__u32 first, turn;	    // EACH: the session to begin with, and the next one
	__u32 next;		    // of the generator's list
	__u32 random;
	__u32 awake; // see leave
	__u64 due, gap, until; // ONCE: when the next request is, and the last one, in CLOCK_MONOTONIC
	__u64 sent;
};

// A slot holds what is under way: one request, or one connection. turn counts its
// frames, so an answer that is not to the last one is late or double.
struct slot {
	__u32 turn;
	__u32 what; // number of the session, or of the connection
	__u32 state;
	__u32 seq; // the server's next
};

// A tally is written by one end's receiving thread alone.
struct tally {
	__u64 answered;	 // round trips, or connections from SYN to the last ACK
	__u64 late;	 // answers to what had been given up, and doubles
	__u64 wrong;	 // frames that no client should have got, or not like that
	__u64 resets;
	__u64 refused;	 // frames that could not be made or sent
	__u64 rest[3];
};

#define TABLE(name, value_type, n)                   \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);    \
		__uint(map_flags, BPF_F_MMAPABLE);   \
		__uint(max_entries, n);              \
		__type(key, __u32);                  \
		__type(value, value_type);           \
	} name SEC(".maps")

TABLE(controls, struct control, 1);
TABLE(slots, struct slot, SLOTS);
TABLE(list, __u64, SLOTS);     // slots that the generator is to start, if it has a list
TABLE(tallies, struct tally, 2); // the clients', the server's
TABLE(answers, __u64, 1);	// by session, in EACH
TABLE(times, __u64, 1024);	// how many round trips took so long: see bucket

// Known when the programs are loaded. Numbers are in network order but for clients.
volatile const __u32 client_mac_hi = 0, gateway_mac_hi = 0; // bytes 0–3 and 4–5
volatile const __u16 client_mac_lo = 0, gateway_mac_lo = 0;
volatile const __u32 clients = 0; // the first of them
volatile const __u32 target = 0;
volatile const __u16 target_port = 0;
volatile const __u32 server = 0;
volatile const __u32 client_port = 0, server_port = 0; // interfaces

static __always_inline struct control *control(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&controls, &zero);
}

static __always_inline struct tally *tally(__u32 i)
{
	return bpf_map_lookup_elem(&tallies, &i);
}

// leave sends a frame back the way it came. veth wakes a peer for what XDP_TX sends
// only if the peer has an XDP program, which not every device has; else frames leave
// by redirection, which costs more.
static __always_inline int leave(int verdict, __u32 port)
{
	struct control *c = control();
	return verdict == XDP_TX && !(c && c->awake) ? bpf_redirect(port, 0) : verdict;
}

struct endpoint {
	__be32 address;
	__be16 port;
};

// endpoint is who has session or connection number i: a bijection from 27 bits to
// 4096 addresses with 32768 ports each, which no two clients use in the same order.
static __always_inline struct endpoint endpoint(__u32 i)
{
	__u32 a = i % CLIENTS, p = i / CLIENTS;
	return (struct endpoint){
		bpf_htonl(clients + a),
		bpf_htons(0x8000 | ((p * 0x5a35 + a * 0x6c8f) & 0x7fff)),
	};
}

static __always_inline __u32 random(struct control *c)
{
	c->random = c->random * 1664525 + 1013904223;
	return c->random;
}

// choose says whose turn it is.
static __always_inline __u32 choose(struct control *c)
{
	if (c->mode != EACH)
		return (__u64)random(c) * c->sessions >> 32;
	__u32 i = c->turn;
	c->turn = i + 1 < c->sessions ? i + 1 : c->first;
	return i;
}

static __always_inline void address(struct ethernet *e)
{
	*(__u32 *)e->dst = gateway_mac_hi;
	*(__u16 *)(e->dst + 4) = gateway_mac_lo;
	*(__u32 *)e->src = client_mac_hi;
	*(__u16 *)(e->src + 4) = client_mac_lo;
	e->type = bpf_htons(ETH_P_IP);
}

#include "udp.h"
#include "tcp.h"

// What a generator starts are frames of its own making, as many as it is told.
// Their memory was used before, so all of a header is written.
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct control *c = control();
	if (!c)
		return XDP_ABORTED;
	int v;
	if (c->mode == ONCE) {
		__u64 now = bpf_ktime_get_ns();
		if (now < c->due || now >= c->until)
			return XDP_DROP;
		// What was late by more than a millisecond is not made up for.
		c->due = (now - c->due > 1000000 ? now : c->due) + c->gap;
		c->sent++;
		v = request(ctx, c, 0, NO_SLOT);
	} else {
		__u32 i = c->next++;
		__u64 *n = bpf_map_lookup_elem(&list, &i);
		if (!n)
			return XDP_DROP;
		i = *n;
		struct slot *s = bpf_map_lookup_elem(&slots, &i);
		if (!s)
			return XDP_DROP;
		v = c->mode == CONNECT ? connect(ctx, s, i) : request(ctx, c, s, i);
	}
	return v == XDP_TX ? bpf_redirect(client_port, 0) : v;
}

static __always_inline int receive(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	struct ipv4 *ip = data + ETH_HLEN;
	if ((void *)(ip + 1) > end || e->type != bpf_htons(ETH_P_IP) || bpf_ntohl(ip->dst) - clients >= CLIENTS)
		return XDP_PASS;
	struct control *c = control();
	struct tally *t = tally(0);
	if (!c || !t)
		return XDP_ABORTED;
	__u32 size = bpf_ntohs(ip->length);
	if (ip->src != target || ip->version_ihl != 0x45 || size < sizeof(*ip) || data + ETH_HLEN + size > end ||
	    fold(header_sum(ip)) != 0xffff)
		goto wrong;
	if (ip->protocol == UDP)
		return answer(ctx, c, t);
	if (ip->protocol == TCP)
		return advance(ctx, c, t, size - sizeof(*ip));
wrong:
	t->wrong++;
	return XDP_DROP;
}

// What comes back to the clients.
SEC("xdp")
int client(struct xdp_md *ctx)
{
	return leave(receive(ctx), client_port);
}

static __always_inline int respond(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *e = data;
	struct ipv4 *ip = data + ETH_HLEN;
	if ((void *)(ip + 1) > end || e->type != bpf_htons(ETH_P_IP) || ip->dst != server || ip->version_ihl != 0x45)
		return XDP_PASS;
	struct tally *t = tally(1);
	if (!t)
		return XDP_ABORTED;
	if (ip->protocol == UDP)
		return reflect(ctx, t);
	if (ip->protocol == TCP)
		return accept(ctx, t);
	return XDP_PASS;
}

// What comes to the server.
SEC("xdp")
int serve(struct xdp_md *ctx)
{
	return leave(respond(ctx), server_port);
}

char LICENSE[] SEC("license") = "Apache-2.0";
