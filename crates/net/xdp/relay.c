// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The fast path of TURN relays (RFC 8656 §12) in the kernel: ChannelData of a UDP client goes to the peer as a datagram,
// and the peer's datagram comes back as ChannelData. User space says which ways there are (maps `ways4`, `ways6`) and until when
// (map `meters`); every packet that is not exactly of such a way goes on to user space untouched (XDP_PASS): what is
// fragmented, has options, tags, padding or a doubtful checksum, has no route through the same interface or no
// neighbour that is known, is too long for it, or comes too late.
//
// What becomes of the header fields (RFC 8656 §14, §15, the preferred behaviour): one hop less; DSCP, ECN, DF and the
// identification are kept; the flow label is 0.

#include <linux/bpf.h>

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NET16(x) __builtin_bswap16(x)
#define FIRST_OCTET(x) (x)
#else
#define NET16(x) (x)
#define FIRST_OCTET(x) ((x) << 8)
#endif

#define MEMBER_INT(name, value) int(*name)[value]
#define MEMBER_TYPE(name, type) type *name

// Of the kernel's helpers only these: their numbers are part of its interface.
static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*const clock)(void) = (void *)BPF_FUNC_ktime_get_coarse_ns;
static long (*const move_head)(struct xdp_md *context, int delta) = (void *)BPF_FUNC_xdp_adjust_head;
static __u64 (*const whole_length)(struct xdp_md *context) = (void *)BPF_FUNC_xdp_get_buff_len;
static long (*const find_route)(void *context, struct bpf_fib_lookup *route, int size, __u32 flags) =
    (void *)BPF_FUNC_fib_lookup;

struct ethernet {
    __u16 to[3];
    __u16 from[3];
    __u16 protocol;
};

struct ipv4 {
    __u8 version_and_length;
    __u8 tos;
    __u16 length;
    __u16 id;
    __u16 fragment;
    __u8 ttl;
    __u8 protocol;
    __u16 check;
    __u32 from;
    __u32 to;
};

struct ipv6 {
    __u32 version_class_flow;
    __u16 length;
    __u8 next;
    __u8 hops;
    __u32 from[4];
    __u32 to[4];
};

struct udp {
    __u16 from;
    __u16 to;
    __u16 length;
    __u16 check;
};

struct channel {
    __u16 number;
    __u16 length;
};

#define ETHERTYPE_V4 NET16(0x0800)
#define ETHERTYPE_V6 NET16(0x86DD)
#define PROTOCOL_UDP 17
#define DONT_FRAGMENT NET16(0x4000)
#define AF_V4 2
#define AF_V6 10
// The loopback interface has this index in every network namespace.
#define LOOPBACK 1

// The two ends of a packet as it arrives, or as it is to leave. Numbers in network order; an IPv4 address is the first
// word. `channel` is 0 where there is no ChannelData header. User space writes the same layout.
struct ends {
    __u32 from[4];
    __u32 to[4];
    __u16 from_port;
    __u16 to_port;
    __u16 channel;
    __u8 v6;
    __u8 unused;
};

// The same of IPv4, as a key: hashing takes time by its length.
struct ends4 {
    __u32 from;
    __u32 to;
    __u16 from_port;
    __u16 to_port;
    __u16 channel;
    __u16 unused;
};

struct way {
    struct ends ends;
    __u32 meter;
};

// One for each way, on a cache line of its own. `until` is written by user space, 0 once the way is closed; `refreshed`
// by both. The rest is counted here and read there.
struct meter {
    __u64 until;
    __u64 refreshed;
    __u64 packets;
    __u64 octets;
    __u64 passed;
    __u64 unused[3];
};

struct {
    MEMBER_INT(type, BPF_MAP_TYPE_HASH);
    MEMBER_INT(map_flags, BPF_F_NO_PREALLOC);
    MEMBER_INT(max_entries, 1024);
    MEMBER_TYPE(key, struct ends4);
    MEMBER_TYPE(value, struct way);
} ways4 SECTION(".maps");

struct {
    MEMBER_INT(type, BPF_MAP_TYPE_HASH);
    MEMBER_INT(map_flags, BPF_F_NO_PREALLOC);
    MEMBER_INT(max_entries, 1024);
    MEMBER_TYPE(key, struct ends);
    MEMBER_TYPE(value, struct way);
} ways6 SECTION(".maps");

struct {
    MEMBER_INT(type, BPF_MAP_TYPE_ARRAY);
    MEMBER_INT(map_flags, BPF_F_MMAPABLE);
    MEMBER_INT(max_entries, 1024);
    MEMBER_TYPE(key, __u32);
    MEMBER_TYPE(value, struct meter);
} meters SECTION(".maps");

// The longest payload that is forwarded: more than a frame takes that a driver shows to XDP in one piece.
#define LONGEST 4096

// After so long one packet of a way goes through user space and the whole stack: only that has the kernel verify
// again that a neighbour is still there.
#define REFRESH 60000000000ULL

// What is worth keeping of a packet's headers.
struct packet {
    struct ends ends;
    __u32 header; // octets in front of the payload, without the link's
    __u16 payload; // octets of payload
    __u16 length;  // of UDP, as it says itself
    __u16 check;   // of UDP
    __u16 id;
    __u16 fragment;
    __u8 tos;
    __u8 hops;
};

INLINE __u64 fold(__u64 sum)
{
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (sum & 0xFFFF) + (sum >> 16);
}

INLINE __u64 sum_address(const __u32 *address)
{
    return (__u64)address[0] + address[1] + address[2] + address[3];
}

// The pseudo header of UDP (RFC 768, RFC 8200 §8.1). The unused words of an IPv4 address are 0.
INLINE __u64 sum_pseudo(const struct ends *ends, __u16 length)
{
    return sum_address(ends->from) + sum_address(ends->to) + NET16(PROTOCOL_UDP) + NET16(length);
}

// What is in front of the payload: UDP's header, and that of the channel.
INLINE __u64 sum_header(const struct ends *ends, __u16 length, __u16 payload)
{
    __u64 sum = (__u64)ends->from_port + ends->to_port + NET16(length);
    return ends->channel ? sum + ends->channel + NET16(payload) : sum;
}

// Moves a pointer. Only by a number in the instruction itself: adding a register to a pointer into a packet is for
// processes that also have CAP_PERFMON, and the compiler makes it so where two branches move by different numbers.
#define ADVANCE(at, octets) __asm__ volatile("%0 += %1" : "+r"(at) : "i"(octets))

// Whether these octets are there, a constant number. The compiler may not turn the comparison round: the verifier knows it only like this.
INLINE int there(const __u8 *at, __u32 octets, const __u8 *end)
{
    const __u8 *behind = at + octets;
    __asm__ volatile("" : "+r"(behind));
    return behind <= end;
}

// Adds up `left` octets from `at` on; -1 where they are not all there, or too many. Without a loop: for a process
// without CAP_PERFMON the verifier follows every branch both ways, and would never see the end of one.
INLINE __s64 sum_octets(const __u8 *at, const __u8 *end, __u32 left)
{
    __u64 sum = 0;
#pragma unroll
    for (int i = 0; i < LONGEST / 64; i++) {
        const __u32 *word = (const __u32 *)at;
        if (left < 64)
            break;
        if (!there(at, 64, end))
            return -1;
        sum += (__u64)word[0] + word[1] + word[2] + word[3];
        sum += (__u64)word[4] + word[5] + word[6] + word[7];
        sum += (__u64)word[8] + word[9] + word[10] + word[11];
        sum += (__u64)word[12] + word[13] + word[14] + word[15];
        ADVANCE(at, 64);
        left -= 64;
    }
    if (left >= 64)
        return -1;
    if (left & 32) {
        const __u32 *word = (const __u32 *)at;
        if (!there(at, 32, end))
            return -1;
        sum += (__u64)word[0] + word[1] + word[2] + word[3];
        sum += (__u64)word[4] + word[5] + word[6] + word[7];
        ADVANCE(at, 32);
    }
    if (left & 16) {
        const __u32 *word = (const __u32 *)at;
        if (!there(at, 16, end))
            return -1;
        sum += (__u64)word[0] + word[1] + word[2] + word[3];
        ADVANCE(at, 16);
    }
    if (left & 8) {
        const __u32 *word = (const __u32 *)at;
        if (!there(at, 8, end))
            return -1;
        sum += (__u64)word[0] + word[1];
        ADVANCE(at, 8);
    }
    if (left & 4) {
        if (!there(at, 4, end))
            return -1;
        sum += *(const __u32 *)at;
        ADVANCE(at, 4);
    }
    if (left & 2) {
        if (!there(at, 2, end))
            return -1;
        sum += *(const __u16 *)at;
        ADVANCE(at, 2);
    }
    if (left & 1) {
        if (!there(at, 1, end))
            return -1;
        sum += FIRST_OCTET(*at);
    }
    return sum;
}

INLINE int read_v4(struct packet *packet, const __u8 *at, const __u8 *end)
{
    const struct ipv4 *ip = (const struct ipv4 *)at;
    const __u32 *word = (const __u32 *)at;
    if (at + sizeof *ip > end || ip->version_and_length != 0x45 || ip->protocol != PROTOCOL_UDP)
        return -1;
    if (ip->fragment & ~DONT_FRAGMENT)
        return -1;
    if (fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]) != 0xFFFF)
        return -1;
    packet->ends.from[0] = ip->from;
    packet->ends.to[0] = ip->to;
    packet->id = ip->id;
    packet->fragment = ip->fragment;
    packet->tos = ip->tos;
    packet->hops = ip->ttl;
    packet->header = sizeof *ip + sizeof(struct udp);
    packet->length = NET16(ip->length) - sizeof *ip;
    return 0;
}

INLINE int read_v6(struct packet *packet, const __u8 *at, const __u8 *end)
{
    const struct ipv6 *ip = (const struct ipv6 *)at;
    if (at + sizeof *ip > end || at[0] >> 4 != 6 || ip->next != PROTOCOL_UDP)
        return -1;
    __builtin_memcpy(packet->ends.from, ip->from, 16);
    __builtin_memcpy(packet->ends.to, ip->to, 16);
    packet->ends.v6 = 1;
    packet->fragment = DONT_FRAGMENT;
    packet->tos = at[0] << 4 | at[1] >> 4;
    packet->hops = ip->hops;
    packet->header = sizeof *ip + sizeof(struct udp);
    packet->length = NET16(ip->length);
    return 0;
}

// Reads UDP's header, whose length has to be what IP says.
INLINE int read_udp(struct packet *packet, const __u8 *at, const __u8 *end)
{
    const struct udp *udp = (const struct udp *)at;
    if (at + sizeof *udp > end || NET16(udp->length) != packet->length || packet->length < sizeof *udp)
        return -1;
    if (packet->ends.v6 && udp->check == 0)
        return -1;
    packet->ends.from_port = udp->from;
    packet->ends.to_port = udp->to;
    packet->check = udp->check;
    packet->payload = packet->length - sizeof *udp;
    return 0;
}

INLINE struct way *look_up(const struct ends *ends)
{
    if (ends->v6)
        return map_lookup(&ways6, ends);
    struct ends4 key = {
        .from = ends->from[0],
        .to = ends->to[0],
        .from_port = ends->from_port,
        .to_port = ends->to_port,
        .channel = ends->channel,
    };
    return map_lookup(&ways4, &key);
}

// The way of a packet: one of a channel where it looks like ChannelData, else one of a relay.
INLINE struct way *find(struct packet *packet, const __u8 *at, const __u8 *end)
{
    const struct channel *channel = (const struct channel *)at;
    if (at + sizeof *channel <= end && packet->payload >= sizeof *channel && at[0] >> 6 == 1) {
        packet->ends.channel = channel->number;
        struct way *way = look_up(&packet->ends);
        if (way) {
            packet->header += sizeof *channel;
            packet->payload -= sizeof *channel;
            return NET16(channel->length) == packet->payload ? way : 0;
        }
        packet->ends.channel = 0;
    }
    return look_up(&packet->ends);
}

// Whether a way is open, and needs no look at its neighbour by the stack.
INLINE int is_open(struct meter *meter)
{
    __u64 now = clock();
    if (now >= *(volatile __u64 *)&meter->until)
        return 0;
    if (now < *(volatile __u64 *)&meter->refreshed + REFRESH)
        return 1;
    meter->refreshed = now;
    return 0;
}

// The sum of the payload. From the checksum that came along where that is whole, so that an error on the way here stays
// one; else, where the sender left it out or left it to hardware that this packet never met, by adding up.
INLINE __s64 sum_payload(const struct packet *packet, const __u8 *at, const __u8 *end)
{
    __u64 pseudo = sum_pseudo(&packet->ends, packet->length);
    if (packet->check == 0 || packet->check == (__u16)fold(pseudo))
        return sum_octets(at, end, packet->payload);
    __u64 header = sum_header(&packet->ends, packet->length, packet->payload);
    return (__u16)~packet->check + (__u64)(__u16)~fold(pseudo + header);
}

// Asks for the way to the next hop, as for a packet of this host's own: "from" the loopback interface.
INLINE int route(struct xdp_md *context, const struct ends *ends, __u16 length, struct bpf_fib_lookup *route)
{
    route->family = ends->v6 ? AF_V6 : AF_V4;
    route->l4_protocol = PROTOCOL_UDP;
    route->sport = ends->from_port;
    route->dport = ends->to_port;
    route->tot_len = length;
    route->ifindex = LOOPBACK;
    if (ends->v6) {
        __builtin_memcpy(route->ipv6_src, ends->from, 16);
        __builtin_memcpy(route->ipv6_dst, ends->to, 16);
    } else {
        route->ipv4_src = ends->from[0];
        route->ipv4_dst = ends->to[0];
    }
    if (find_route(context, route, sizeof *route, 0) != BPF_FIB_LKUP_RET_SUCCESS)
        return -1;
    return route->ifindex == context->ingress_ifindex ? 0 : -1;
}

INLINE void write_v4(struct ipv4 *ip, const struct packet *packet, const struct ends *ends, __u16 length)
{
    const __u32 *word = (const __u32 *)ip;
    ip->version_and_length = 0x45;
    ip->tos = packet->tos;
    ip->length = NET16((__u16)(length + sizeof *ip));
    ip->id = packet->id;
    ip->fragment = packet->fragment;
    ip->ttl = packet->hops - 1;
    ip->protocol = PROTOCOL_UDP;
    ip->check = 0;
    ip->from = ends->from[0];
    ip->to = ends->to[0];
    ip->check = ~fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
}

INLINE void write_v6(struct ipv6 *ip, const struct packet *packet, const struct ends *ends, __u16 length)
{
    __u8 *octet = (__u8 *)ip;
    ip->version_class_flow = 0;
    octet[0] = 0x60 | packet->tos >> 4;
    octet[1] = packet->tos << 4;
    ip->length = NET16(length);
    ip->next = PROTOCOL_UDP;
    ip->hops = packet->hops - 1;
    __builtin_memcpy(ip->from, ends->from, 16);
    __builtin_memcpy(ip->to, ends->to, 16);
}

INLINE void write_link(struct ethernet *link, const struct bpf_fib_lookup *hop, __u16 protocol)
{
    __builtin_memcpy(link->to, __builtin_assume_aligned(hop->dmac, 2), 6);
    __builtin_memcpy(link->from, __builtin_assume_aligned(hop->smac, 2), 6);
    link->protocol = protocol;
}

// Rewrites the packet and sends it back out of the interface that it came by.
INLINE int forward(struct xdp_md *context, const struct packet *packet, const struct way *way, __u64 payload_sum)
{
    const struct ends *ends = &way->ends;
    __u32 upper = sizeof(struct udp) + (ends->channel ? sizeof(struct channel) : 0);
    __u32 header = upper + (ends->v6 ? sizeof(struct ipv6) : sizeof(struct ipv4));
    __u16 length = packet->payload + upper;
    __u64 sum = sum_pseudo(ends, length) + sum_header(ends, length, packet->payload) + payload_sum;
    __u16 check = ~fold(sum);
    struct bpf_fib_lookup hop = {};
    if (route(context, ends, packet->payload + header, &hop))
        return XDP_PASS;
    if (move_head(context, (int)packet->header - (int)header))
        return XDP_PASS;

    // From here on the packet is ours: the headers have room, which only the verifier doubts.
    __u8 *at = (__u8 *)(long)context->data;
    const __u8 *end = (const __u8 *)(long)context->data_end;
    struct ethernet *link = (struct ethernet *)at;
    at += sizeof *link;
    if (ends->v6) {
        if (!there(at, sizeof(struct ipv6), end))
            return XDP_DROP;
        write_link(link, &hop, ETHERTYPE_V6);
        write_v6((struct ipv6 *)at, packet, ends, length);
        ADVANCE(at, 40);
    } else {
        if (!there(at, sizeof(struct ipv4), end))
            return XDP_DROP;
        write_link(link, &hop, ETHERTYPE_V4);
        write_v4((struct ipv4 *)at, packet, ends, length);
        ADVANCE(at, 20);
    }
    struct udp *udp = (struct udp *)at;
    if (!there(at, sizeof *udp, end))
        return XDP_DROP;
    udp->from = ends->from_port;
    udp->to = ends->to_port;
    udp->length = NET16(length);
    udp->check = check ? check : 0xFFFF;
    at += sizeof *udp;
    if (ends->channel) {
        struct channel *channel = (struct channel *)at;
        if (!there(at, sizeof *channel, end))
            return XDP_DROP;
        channel->number = ends->channel;
        channel->length = NET16(packet->payload);
    }
    return XDP_TX;
}

SECTION("xdp")
int relay(struct xdp_md *context)
{
    const __u8 *at = (const __u8 *)(long)context->data;
    const __u8 *end = (const __u8 *)(long)context->data_end;
    const struct ethernet *link = (const struct ethernet *)at;
    struct packet packet = {};
    if (at + sizeof *link > end)
        return XDP_PASS;
    at += sizeof *link;
    if (link->protocol == ETHERTYPE_V4) {
        if (read_v4(&packet, at, end))
            return XDP_PASS;
        ADVANCE(at, 20);
    } else if (link->protocol == ETHERTYPE_V6) {
        if (read_v6(&packet, at, end))
            return XDP_PASS;
        ADVANCE(at, 40);
    } else {
        return XDP_PASS;
    }
    if (read_udp(&packet, at, end))
        return XDP_PASS;
    at += sizeof(struct udp);
    struct way *way = find(&packet, at, end);
    if (!way)
        return XDP_PASS;
    struct meter *meter = map_lookup(&meters, &way->meter);
    if (!meter)
        return XDP_PASS;
    if (packet.ends.channel)
        ADVANCE(at, 4);
    // Asked here, as a checksum that came along need not be added up.
    if (packet.payload > LONGEST || sizeof *link + packet.header + packet.payload > whole_length(context))
        return XDP_PASS;
    int verdict = XDP_PASS;
    if (packet.hops > 1 && is_open(meter)) {
        __s64 sum = sum_payload(&packet, at, end);
        if (sum >= 0)
            verdict = forward(context, &packet, way, sum);
    }
    if (verdict == XDP_TX) {
        __sync_fetch_and_add(&meter->packets, 1);
        __sync_fetch_and_add(&meter->octets, packet.payload);
    } else {
        __sync_fetch_and_add(&meter->passed, 1);
    }
    return verdict;
}

// `bpf_fib_lookup` is for programs whose licence the kernel knows as compatible with its own.
char licence[] SECTION("license") = "Dual MIT/GPL";
