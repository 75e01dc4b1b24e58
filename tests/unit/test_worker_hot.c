/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Forwarding a million packets on real sockets: between a receive batch and its send
 * batch our code allocates nothing, takes no lock and asks no clock. The functions are
 * replaced for the whole program, libraries included; a call counts while the worker's
 * thread is inside that window, as "own" if it comes from our code and as "library" if
 * not (libsrtp2's NSS does allocate for each packet it *opens*; that is printed, per
 * packet received).
 */
#include "worker_rig.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

enum {
	RECEIVERS = 100,
	FORWARDED = 1000000,
	BURST = 64, /* one of them sound: a microphone may send 200 a second */
	SSRC = 4242,
	VIDEO_SSRC = 4243,
	TWCC_ID = 3 /* as the client offers it */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static _Thread_local bool in_window;
static atomic_ulong own_alloc, own_lock, own_clock, own_log, lib_alloc, lib_lock,
	lib_clock, windows, received;

#if !SANITIZED
extern char __executable_start, etext;

static bool ours(const void *caller)
{
	return (const char *)caller >= &__executable_start &&
	       (const char *)caller < &etext;
}

#define COUNT(what) \
	do { \
		if (in_window) \
			atomic_fetch_add(ours(__builtin_return_address(0)) \
						 ? &own_##what \
						 : &lib_##what, \
					 1); \
	} while (0)

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t m);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	COUNT(alloc);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
	COUNT(alloc);
	return __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
	COUNT(alloc);
	return __libc_realloc(p, n);
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	static int (*next)(pthread_mutex_t *);

	COUNT(lock);
	if (!next)
		next = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
	return next(m);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*next)(clockid_t, struct timespec *);

	COUNT(clock);
	if (!next)
		next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
								    "clock_gettime");
	return next(id, t);
}
#endif

/* -Wl,--wrap: the window opens when a batch has come and closes when its answers leave.
 */
unsigned __real_udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool,
			       struct pkt **out, unsigned max, uint64_t now_us,
			       int64_t offset_us);
unsigned __wrap_udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool,
			       struct pkt **out, unsigned max, uint64_t now_us,
			       int64_t offset_us)
{
	unsigned n = __real_udp_recv_batch(s, pool, out, max, now_us, offset_us);

	if (n) {
		atomic_fetch_add(&windows, 1);
		atomic_fetch_add(&received, n);
		in_window = true;
	}
	return n;
}

void __real_tx_flush(struct tx *tx);
void __wrap_tx_flush(struct tx *tx)
{
	__real_tx_flush(tx);
	in_window = false;
}

void __real_log_write(enum log_level level, const char *event, const char *fmt, ...);
void __wrap_log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	(void)level;
	(void)event;
	(void)fmt;
	if (in_window)
		atomic_fetch_add(&own_log, 1);
}

static void send_one(struct scene *s, bool video, uint16_t seq)
{
	uint8_t buf[160] = { 0x80, video ? 0x80 | 96 : 111 };

	put_be16(buf + 2, seq);
	put_be32(buf + 4, (uint32_t)seq * 960);
	put_be32(buf + 8, video ? VIDEO_SSRC : SSRC);
	buf[12] = 0x78; /* Opus, 20 ms */
	if (video) {
		/* With a transport-wide number; VP8, each packet a key frame. */
		buf[0] = 0x90;
		put_be32(buf + 12, 0xbede0001);
		buf[16] = TWCC_ID << 4 | 1;
		put_be16(buf + 17, seq);
		buf[20] = 0x10;
	}
	assert_int_equal(client_send_rtp(s->people[0], buf, 92), 0);
}

static void send_burst(struct scene *s, uint16_t *seq)
{
	static uint16_t sound_seq;

	send_one(s, false, sound_seq++);
	for (unsigned i = 1; i < BURST; i++)
		send_one(s, true, (*seq)++);
}

static unsigned long forwarded(struct scene *s)
{
	return (unsigned long)atomic_load_explicit(&worker_stats(s->worker)->rtp_fwd,
						   memory_order_relaxed);
}

static void a_million_packets(void **state)
{
	static const struct client_section sections[] = {
		{ .send = true, .ssrc = SSRC },
		{ .video = true, .send = true, .ssrc = VIDEO_SSRC },
		{ 0 },
		{ 0 },
		{ 0 },
		{ .video = true }
	};
	struct scene s;
	unsigned long before, want = SANITIZED ? 20000 : FORWARDED, rx;
	uint64_t end_us;
	uint16_t seq = 1;

	(void)state;
	scene_open(&s, 2);
	scene_join(&s, sections, 6, NULL);
	for (unsigned i = 0; i < RECEIVERS; i++)
		scene_join(&s, sections + 2, 4, NULL);
	scene_connect(&s);
	/* The first packets make the streams known; then count. */
	send_burst(&s, &seq);
	poll(NULL, 0, 300);
	before = forwarded(&s);
	assert_true(before > 0);
	own_alloc = own_lock = own_clock = own_log = lib_alloc = lib_lock = lib_clock =
		windows = received = 0;
	end_us = clock_now_us() + 60000000;
	for (unsigned i = 0; forwarded(&s) - before < want && clock_now_us() < end_us;
	     i++) {
		send_burst(&s, &seq);
		poll(NULL, 0, 1);
		if (i % 64 == 0)
			scene_poll(&s);
	}
	rx = received;
	print_message("forwarded %lu, received %lu in %lu batches; own: alloc %lu lock "
		      "%lu clock %lu log %lu; "
		      "libraries, per packet received: alloc %.2f lock %.2f clock %.2f\n",
		      forwarded(&s) - before, rx, (unsigned long)windows,
		      (unsigned long)own_alloc, (unsigned long)own_lock,
		      (unsigned long)own_clock, (unsigned long)own_log,
		      (double)lib_alloc / (double)rx, (double)lib_lock / (double)rx,
		      (double)lib_clock / (double)rx);
	assert_true(forwarded(&s) - before >= want);
	assert_int_equal(own_alloc, 0);
	assert_int_equal(own_lock, 0);
	assert_int_equal(own_clock, 0);
	assert_int_equal(own_log, 0);
	/* The sender was told of all that. */
	assert_true(atomic_load_explicit(&worker_stats(s.worker)->twcc_tx,
					 memory_order_relaxed) > 0);
	/* Where the machine does not keep up, a thousand in a row may be missing; that is one each time. */
	assert_true(atomic_load_explicit(&worker_stats(s.worker)->twcc_stray,
					 memory_order_relaxed) < 1 + rx / 1000);
	/* Whatever libsrtp2 does when it opens a packet, nothing of it is done per packet
	 * forwarded. */
	assert_true(lib_alloc < 40 * rx);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_million_packets) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
