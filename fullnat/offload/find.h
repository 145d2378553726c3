// Where the face of a packet is.

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
