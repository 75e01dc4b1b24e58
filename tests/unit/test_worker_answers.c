/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the watchdog asks: a worker that hangs does not answer, and does again afterwards. */
#include "worker_rig.h"

static _Atomic bool hang, hangs;

/* Linked in the place of the one that the pipeline calls (--wrap). */
unsigned __real_udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool,
			       struct pkt **out, unsigned max, uint64_t now_us,
			       int64_t wall_offset_us);
unsigned __wrap_udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool,
			       struct pkt **out, unsigned max, uint64_t now_us,
			       int64_t wall_offset_us);
unsigned __wrap_udp_recv_batch(struct udp_sock *s, struct pkt_pool *pool,
			       struct pkt **out, unsigned max, uint64_t now_us,
			       int64_t wall_offset_us)
{
	while (hang) {
		hangs = true;
		usleep(1000);
	}
	return __real_udp_recv_batch(s, pool, out, max, now_us, wall_offset_us);
}

/* Has it come round since this was asked last? Asks anew. */
static bool answers(struct worker *w)
{
	bool answered = worker_answered(w);

	worker_ping(w);
	return answered;
}

static bool answers_soon(struct worker *w)
{
	for (unsigned i = 0; i < 2000; i++) {
		if (answers(w))
			return true;
		usleep(1000);
	}
	return false;
}

static void test_answers(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct scene s;

	(void)state;
	scene_open(&s, 0);
	assert_true(answers(s.worker)); /* nothing has been asked yet */
	assert_true(answers_soon(s.worker));
	usleep(100000); /* what was asked is answered */

	hang = true;
	to.sin_port = htons(s.port);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
	for (unsigned i = 0; i < 2000 && !hangs; i++)
		usleep(1000);
	assert_true(hangs);
	assert_true(answers(s.worker)); /* before it hung; asks anew */
	for (unsigned i = 0; i < 20; i++) {
		usleep(10000);
		assert_false(answers(s.worker));
	}
	hang = false;
	assert_true(answers_soon(s.worker));
	close(fd);
	scene_close(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_answers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
