/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * base: what every other module stands on. Level 0, any thread unless said otherwise.
 *
 * Three kinds of memory, never mixed: *boot* memory lives for ever; *control* memory is
 * reference-counted with a destructor (mem_*) and belongs to one thread; *packet* memory
 * comes from a worker's fixed pool (pkt_*). The hot path only touches the third.
 */
#ifndef PALABRE_BASE_H
#define PALABRE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a)	  (sizeof(a) / sizeof((a)[0]))

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}
static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void put_be24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)v;
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* ---- clock (clock.c is the only file that reads a clock) --------------------------- */

/* Monotonic time in microseconds. Never 0. */
uint64_t clock_now_us(void);
/* Wall-clock time in microseconds since 1970. */
uint64_t clock_wall_us(void);
/* What this thread has spent computing, in microseconds. */
uint64_t clock_thread_us(void);
/* The wall clock minus the monotonic clock, in microseconds, measured now. */
int64_t clock_wall_offset_us(void);
/* Wall-clock microseconds as a 64-bit NTP timestamp (RFC 5905 §6) and back. */
uint64_t ntp_from_wall_us(uint64_t wall_us);
uint64_t ntp_to_wall_us(uint64_t ntp);

/* ---- log: one line an event, "event key=value …", to stderr (journald adds the rest) - */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* `event` is "module.what"; `fmt` gives key=value pairs. Never secrets, names or texts;
 * addresses only at debug. Not callable on the hot path. */
void log_write(enum log_level level, const char *event, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
#define log_debug(ev, ...) \
	do { \
		if (log_enabled(LOG_DEBUG)) \
			log_write(LOG_DEBUG, ev, __VA_ARGS__); \
	} while (0)
#define log_info(ev, ...)  log_write(LOG_INFO, ev, __VA_ARGS__)
#define log_warn(ev, ...)  log_write(LOG_WARN, ev, __VA_ARGS__)
#define log_error(ev, ...) log_write(LOG_ERROR, ev, __VA_ARGS__)

/* ---- control memory ---------------------------------------------------------------- */

typedef void (*mem_destroy_fn)(void *obj);
/* Zeroed object with one reference; NULL when out of memory. `destroy` may be NULL. */
void *mem_create(size_t size, mem_destroy_fn destroy) MUST_CHECK;
void *mem_ref(void *obj);
/* Drops one reference, destroys at zero. Always returns NULL: `p = mem_unref(p)`. */
void *mem_unref(void *obj);
/* Makes the n-th next mem_create of this thread fail (0: never). Tests only. */
void mem_fail_after(unsigned n);

/* ---- random and comparison --------------------------------------------------------- */

/* Fills from getrandom(2); aborts if the kernel can't (start-up only, never seen later). */
void random_bytes(void *buf, size_t len);
uint32_t random_u32(void);
/* `len` characters of the ice-char alphabet (RFC 8839 §5.4) and a terminating 0. */
void random_text(char *out, size_t len);
bool equal_constant_time(const void *a, const void *b, size_t len);
/* Fast keyed hash for tables that a peer can fill (SipHash-1-3 with a key made at start). */
uint64_t hash_bytes(const void *data, size_t len);

/* ---- addresses --------------------------------------------------------------------- */

/* An IP address and port in a form that memcmp() can compare. IPv4 is in ip[0..3], the rest
 * zero. family: 4, 6, or 0 = none. An IPv4-mapped IPv6 address is stored as IPv4. */
struct addr {
	uint8_t ip[16];
	uint16_t port; /* host order */
	uint8_t family;
	uint8_t zero;
};
struct sockaddr;
struct sockaddr_storage;
void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa);
/* Returns the length for sendto(). */
unsigned addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
/* "192.0.2.1:5000" or "[2001:db8::1]:5000"; buf of ADDR_TEXT_MAX. Returns buf. */
#define ADDR_TEXT_MAX 64
const char *addr_text(const struct addr *a, char *buf);
/* IP only, no port, no brackets. */
const char *addr_ip_text(const struct addr *a, char *buf);
/* "1.2.3.4", "1.2.3.4:5", "::1", "[::1]:5". 0 or -EINVAL. No name lookup. */
int addr_parse(struct addr *out, const char *text) MUST_CHECK;

/* A network: the first `bits` of `addr`. */
struct addr_net {
	struct addr addr;
	uint8_t bits;
};
/* "192.0.2.0/24", "2001:db8::/32"; an address without bits is a network of one. 0 or -EINVAL
 * (malformed, a port). */
int addr_net_parse(struct addr_net *out, const char *text) MUST_CHECK;
bool addr_net_has(const struct addr_net *n, const struct addr *a);

/* Where a packet came from and so where an answer goes: the peer, our own address it was
 * sent to (IP_PKTINFO; port = our port), and the TCP connection's id (0: UDP). */
struct flow {
	struct addr peer;
	struct addr local;
	uint32_t tcp;
};
static inline bool flow_equal(const struct flow *a, const struct flow *b)
{
	return __builtin_memcmp(a, b, sizeof *a) == 0;
}

/* ---- packets ----------------------------------------------------------------------- */

enum { PKT_BUF_BYTES = 1728, PKT_HEADROOM_BYTES = 32 };

enum codec_id {
	CODEC_NONE,
	CODEC_OPUS,
	CODEC_PCMU,
	CODEC_PCMA,
	CODEC_RED, /* RFC 2198, of Opus */
	CODEC_VP8,
	CODEC_VP9,
	CODEC_AV1,
	CODEC_H264,
	CODEC_COUNT
};

/* Header extensions the server understands (a=extmap). Values index struct rtp_view.ext. */
enum ext_id {
	EXT_NONE,
	EXT_AUDIO_LEVEL, /* RFC 6464 */
	EXT_MID,	 /* RFC 8843 */
	EXT_RID,	 /* RFC 8852 */
	EXT_RRID,	 /* RFC 8852, repaired */
	EXT_DD,		 /* AV1 RTP specification, dependency descriptor */
	EXT_TWCC,	 /* transport-wide sequence number, draft-holmer-rmcat-…-01 */
	EXT_COUNT
};

/* What one packet says of its frame, found once per packet by wire's codec parsers so
 * that rewriting for a receiver is a few stores at known offsets. Offsets count from the
 * start of the RTP payload, 0xffff = not there. */
struct frame_view {
	bool start;  /* first packet of a frame (lowest layer of a picture) */
	bool end;    /* last packet of a frame */
	bool key;    /* belongs to a frame from which decoding can begin */
	uint8_t sid; /* spatial layer */
	uint8_t tid; /* temporal layer */
	/* Switching-up point: from here on layers up to this one can be decoded, too, by who has had those
	 * up to `tid`, or below it where both are the same. 0: it is none. */
	uint8_t up_tid;
	uint8_t pid_bits; /* 0, 7 or 15 */
	uint16_t pid;	  /* picture id */
	uint16_t pid_off;
	uint8_t tl0; /* TL0PICIDX */
	uint16_t tl0_off;
	bool has_dd;
	bool dd_structure;   /* the dependency descriptor carries a template structure */
	uint8_t dd_template; /* frame_dependency_template_id, 6 bits */
	uint16_t dd_frame;   /* frame_number */
	uint16_t width,
		height; /* where the first packet of a key frame says it (VP8), else 0 */
	uint16_t samples; /* audio: how long it is, in its RTP clock's ticks; 0 unknown */
};

enum { TALKERS_MAX = 3, TALK_NOBODY = 0 };
/* One RTP packet's parsed view. Offsets count from pkt->data. */
struct rtp_view {
	uint8_t pt;
	bool marker;
	uint8_t csrc_count; /* they are read by nobody and go no further */
	uint16_t seq;
	uint32_t ts;
	uint32_t ssrc;
	uint16_t payload_off;
	uint16_t payload_len; /* without padding */
	uint8_t padding_len;
	uint8_t codec;	   /* enum codec_id, set by the leg that received it */
	uint8_t layer;	   /* of simulcast, likewise: 0 the smallest picture */
	int8_t level_dbov; /* RFC 6464: 0 (loud) … 127 (silent), -1 = not sent */
	bool voice;	   /* RFC 6464 V bit */
	/* Sound: the streams of those who talk in it, TALK_NOBODY if none does; by the relay or
	 * a mixer. talk_news: that has just changed. */
	bool talk_news;
	uint8_t talker_count; /* 0: it is not known */
	uint32_t talkers[TALKERS_MAX];
	struct {
		uint16_t off; /* of the element's data, 0 = absent */
		uint8_t len;
	} ext[EXT_COUNT];
	uint64_t seq64; /* extended by rtp_recv; starts at 2^16 + first seq, never 0 */
	uint64_t ts64;	/* extended likewise */
	int64_t transit; /* pictures: arrival less timestamp of the source's earliest, ticks, by rtp_recv */
	struct frame_view frame;
};

struct pkt_pool;
/* A datagram (or one RFC 4571 frame). Owned by the pool of one worker, reference-counted,
 * touched by that worker's thread only. */
struct pkt {
	struct pkt *next; /* free list; free for the holder of the only reference */
	struct pkt_pool *pool;
	uint32_t refs;
	uint16_t len;
	uint8_t *data; /* into buf, PKT_HEADROOM_BYTES after its start when fresh */
	uint64_t arrival_us;
	struct flow flow;
	struct rtp_view rtp;
	uint8_t buf[PKT_BUF_BYTES];
};
/* `count` packets in one mapping, touched only when used. NULL when out of memory. */
struct pkt_pool *pkt_pool_create(unsigned count) MUST_CHECK;
void pkt_pool_destroy(struct pkt_pool *pool);
unsigned pkt_pool_free_count(const struct pkt_pool *pool);
unsigned pkt_pool_size(const struct pkt_pool *pool);
/* Fewer than an eighth are free. Hot. */
bool pkt_pool_scarce(const struct pkt_pool *pool);
/* A packet with one reference, len 0; NULL when the pool is empty (caller counts it). */
struct pkt *pkt_take(struct pkt_pool *pool);
static inline struct pkt *pkt_ref(struct pkt *p)
{
	p->refs++;
	return p;
}
void pkt_put(struct pkt *p); /* back to the pool; use pkt_unref */
static inline void pkt_unref(struct pkt *p)
{
	if (p && --p->refs == 0)
		pkt_put(p);
}
static inline size_t pkt_room(const struct pkt *p)
{
	return (size_t)(p->buf + PKT_BUF_BYTES - p->data);
}

/* ---- ring between two threads: one producer, one consumer, bounded, lock-free ------ */

struct ring;
/* `slots` is rounded up to a power of two; each holds `item_bytes`. The eventfd becomes
 * readable when the ring goes from empty to non-empty. */
struct ring *ring_create(unsigned slots, size_t item_bytes) MUST_CHECK;
void ring_destroy(struct ring *r);
int ring_fd(const struct ring *r);
/* Copies an item in. 0 or -ENOBUFS. Producer's thread. */
int ring_push(struct ring *r, const void *item) MUST_CHECK;
/* Copies an item out. true if there was one. Consumer's thread. */
bool ring_pop(struct ring *r, void *item);
/* Consumer: clears the eventfd; call before popping until empty. A consumer that stops
 * earlier must come back by itself: no new signal tells of what it left. */
void ring_clear(struct ring *r);

/* ---- hash table with caller's nodes (control and worker state; no allocation after create
 *      but for growth in hash_insert) ------------------------------------------------------ */

struct hash;
struct hash_node {
	struct hash_node *next;
	uint64_t hash;
};
struct hash *hash_create(unsigned buckets_hint) MUST_CHECK;
void hash_destroy(struct hash *h);
unsigned hash_count(const struct hash *h);
/* Adds; keys may repeat, the caller keeps them unique if it wants. Grows by doubling; if that
 * fails it goes on with longer chains. */
void hash_insert(struct hash *h, struct hash_node *n, uint64_t hash);
void hash_remove(struct hash *h, struct hash_node *n);
/* First node with this hash value; go on with hash_next. The caller compares keys. */
struct hash_node *hash_find(const struct hash *h, uint64_t hash);
struct hash_node *hash_next(const struct hash_node *n);
/* Visits all; `fn` may remove the node it is given. */
void hash_each(struct hash *h, void (*fn)(struct hash_node *n, void *arg), void *arg);
#define CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* ---- timer wheel: hashed, 4 ms slots, no allocation, caller's nodes ---------------- */

struct wheel;
struct timer {
	struct timer *next, *prev;
	uint64_t due_us; /* 0 = not armed */
	void (*fn)(struct timer *t, uint64_t now_us);
};
struct wheel *wheel_create(uint64_t now_us) MUST_CHECK;
void wheel_destroy(struct wheel *w);
/* (Re)arms: fires once at or after due_us. Past times fire at the next wheel_run. */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_us);
void wheel_disarm(struct wheel *w, struct timer *t);
/* Fires everything due at now_us. Handlers may arm and disarm anything (what they arm for
 * now or the past fires at the next run), and free their own timer; not run the wheel. */
void wheel_run(struct wheel *w, uint64_t now_us);
/* When the next timer is due (a lower bound, at most 1 s away), UINT64_MAX if none is armed. */
uint64_t wheel_next_us(const struct wheel *w, uint64_t now_us);
/* For what may come late: the end of the 131 ms that due_us lies in, so that the timers of
 * many wake the thread once. */
static inline uint64_t wheel_coarse_us(uint64_t due_us)
{
	return (due_us | 0x1ffff) + 1;
}
/* Timers armed now. */
unsigned wheel_count(const struct wheel *w);

/* ---- extension of wrapping counters (RFC 3711 §3.3.1's idea) ----------------------- */

/* The 64-bit value nearest to `last` whose low 16 (32) bits are `v`. With last == 0 (nothing
 * seen) returns 2^16 + v (2^32 + v), so that earlier packets still get positive numbers. */
uint64_t seq_extend16(uint64_t last, uint16_t v);
uint64_t seq_extend32(uint64_t last, uint32_t v);

/* ---- counters: plain integers, listed once; what they mean for people: admin/metrics.c  */

/* http_limited: answers that one of our limits was met (413 414 429 431 503); http_failed: 500;
 * http_refused: every other error. ws_limited: WebSockets closed for sending too much, or too large
 * messages, or for reading too slowly. voice_bad: sound whose lengths lie; voice_drop: sound beyond what
 * a microphone may send; ts_stray, ts_jump: timestamps not believed, and believed; rtp_csrc: packets that
 * came with CSRCs; fec_used: packets that the next one brought again; nack_crossed: asked for
 * again before what was sent can have come; twcc_stray: transport-wide numbers that leapt,
 * came twice, or too late; act_refused: what somebody wanted of a
 * room and might not; lobby_full, ban_limit, board_full, chat_limit (chat, polls): limits
 * of the room; store_full: of the store. */
/* clang-format off */
#define STATS_LIST(X) \
	X(rx_pkts) X(rx_bytes) X(tx_pkts) X(tx_bytes) X(tx_fail) X(tx_drop) \
	X(rx_trunc) X(rx_pool_empty) X(rx_unknown) X(rx_runt) \
	X(stun_bad) X(stun_auth) X(stun_unknown_user) X(stun_reply) X(stun_check_sent) \
	X(stun_check_answered) X(path_limit) X(path_moved) \
	X(dtls_rx) X(dtls_bad) X(dtls_queue_full) X(dtls_done) X(dtls_fail) X(amplify_limit) \
	X(srtp_no_key) X(srtp_auth) X(srtp_replay) X(srtp_bad) X(ssrc_limit) X(ssrc_unknown) \
	X(seal_reuse) X(seal_fail) \
	X(rtp_rx) X(rtp_bad) X(rtp_dup) X(rtp_old) X(rtp_fwd) X(rtp_muted) X(rtx_rx) X(rtx_tx) X(red_rx) \
	X(rtp_csrc) X(ts_stray) X(ts_jump) X(voice_bad) X(voice_drop) X(fec_used) \
	X(rtcp_rx) X(rtcp_bad) X(nack_rx) X(nack_tx) X(nack_miss) X(nack_limit) X(nack_crossed) X(copy_tx) X(copy_miss) X(dlrr_tx) X(twcc_tx) X(twcc_stray) X(pli_rx) X(pli_tx) X(pli_throttled) \
	X(slot_switch) X(layer_cut) X(speaker_change) X(mix_drop) X(mix_fail) X(mix_encode) X(store_scarce) X(mix_late) X(mix_less_s) X(mix_join) X(video_off) X(txq_full) X(tcp_rx_bad) X(tcp_tx_drop) X(tcp_limit) X(tcp_unwanted) \
	X(http_limited) X(http_failed) X(http_refused) X(ws_limited) \
	X(cmd_full) X(event_full) \
	X(act_refused) X(lobby_full) X(ban_limit) X(board_full) X(chat_limit) X(store_full)
/* clang-format on */

/* Worker's own; another thread reads it racily for display only, hence relaxed atomics. */
struct stats {
#define X(n) _Atomic uint64_t n;
	STATS_LIST(X)
#undef X
};
extern _Thread_local struct stats *stats_here;
/* Adds to a counter of the running thread's table; before stats_here is set, to a dummy. */
#define STAT_ADD(n, v) \
	atomic_store_explicit( \
		&stats_here->n, \
		atomic_load_explicit(&stats_here->n, memory_order_relaxed) + \
			(uint64_t)(v), \
		memory_order_relaxed)
#define STAT_INC(n) STAT_ADD(n, 1)
/* Adds another thread's table to one of the caller's own. */
void stats_add(struct stats *to, struct stats *from);
/* Calls fn for every counter, in list order. */
void stats_each(struct stats *s, void (*fn)(const char *name, uint64_t value, void *arg),
		void *arg);

#endif
