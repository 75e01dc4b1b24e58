/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a connection's one timer sees to: OpenSSL's memory, and how seldom it runs. */
#include "transport_rig.h"

/* A timer fires in its slot of 4 ms, and the rig's steps are not finer than 2 ms. */
enum { LATE_US = 4096 + STEP_US };

static bool freed(struct rig *r)
{
	return !r->conn->ssl;
}

/* ---- OpenSSL's memory -------------------------------------------------------------- */

static void test_freed_if_silent(void **state)
{
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	assert_true(until(&r, freed, 60 * S));
	assert_in_range(r.now - r.conn->keyed_us, DTLS_LINGER_SILENT_US,
			DTLS_LINGER_SILENT_US + LATE_US);
	assert_int_equal(r.rtp, 0);
	media_both_ways(&r);
	rig_close(&r);
}

/* First SRTP `after_us` the handshake. */
static void freed_after_srtp(uint64_t after_us)
{
	uint64_t heard_us;
	struct rig r;

	open_up(&r, (struct options) { 0 });
	run(&r, r.conn->keyed_us + after_us - r.now);
	client_says(&r, 1111, 1);
	step(&r, STEP_US);
	heard_us = r.now;
	assert_int_equal(r.rtp, 1);
	assert_true(until(&r, freed, 60 * S));
	assert_in_range(r.now - heard_us, DTLS_LINGER_US, DTLS_LINGER_US + LATE_US);
	media_both_ways(&r);
	/* Late DTLS is ignored. */
	SSL_shutdown(r.client->ssl);
	client_input(r.client, (uint8_t[]) { 22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
		     13, r.now);
	run(&r, 100 * MS);
	assert_int_equal(conn_get_state(r.conn), CONN_UP);
	rig_close(&r);
}

static void test_freed_after_srtp(void **state)
{
	(void)state;
	freed_after_srtp(100 * MS);
	freed_after_srtp(12 * S);
	freed_after_srtp(39 * S); /* later than a silent one's, then */
}

/* What it is kept for: the peer's last flight, repeated, is still answered. */
static void test_late_repeat(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { .tcp = true });
	r.drop_last_flight = true;
	assert_true(until(&r, server_up, 1 * S));
	run(&r, 38 * S);
	assert_false(client_up(r.client));
	r.drop_last_flight = false;
	for (i = 0; i < 30 && !client_up(r.client); i++) { /* the real clock's second */
		usleep(50000);
		step(&r, 50 * MS);
	}
	assert_true(client_up(r.client));
	assert_true(r.now - r.conn->keyed_us < DTLS_LINGER_SILENT_US);
	rig_close(&r);
}

/* ---- conn_calm --------------------------------------------------------------------- */

static unsigned timer_runs;
static void (*timer_fn)(struct timer *timer, uint64_t now_us);

static void on_counted(struct timer *timer, uint64_t now_us)
{
	timer_runs++;
	timer_fn(timer, now_us);
}

/* Between two of our checks, each answered, it runs once: where consent would have ended. */
static void test_calm_runs(void **state)
{
	struct rig r;
	uint64_t checks;

	(void)state;
	open_up(&r, (struct options) { 0 });
	assert_true(until(&r, freed, 60 * S));
	timer_fn = r.conn->timer.fn;
	r.conn->timer.fn = on_counted;
	timer_runs = 0;
	checks = STAT(stun_check_sent);
	run(&r, 300 * S);
	checks = STAT(stun_check_sent) - checks;
	assert_in_range(checks, 25, 35);
	assert_int_equal(STAT(stun_check_sent), STAT(stun_check_answered));
	assert_in_range(timer_runs, 2 * checks - 1, 2 * checks + 1);
	assert_int_equal(r.states[CONN_SUSPENDED], 0);
	rig_close(&r);
}

/* To the earliest of its deadlines, whichever it is. */
static void test_calm_earliest(void **state)
{
	uint64_t consent_us;
	struct conn *c;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	c = r.conn;
	consent_us = wheel_coarse_us(c->cur->heard_us + CONN_CONSENT_US);
	c->cur->check_due_us = r.now + 3 * S;
	conn_wake(c, r.now + 1 * MS);
	conn_calm(c, r.now);
	assert_int_equal(c->timer.due_us, r.now + 3 * S);
	c->cur->check_due_us = r.now + 60 * S;
	conn_calm(c, r.now);
	assert_int_equal(c->timer.due_us, consent_us);
	/* OpenSSL's end, if it comes before consent's. */
	c->cur->check_due_us = r.now + 10 * S;
	run(&r, c->keyed_us + 35 * S - r.now);
	c->cur->check_due_us = r.now + 60 * S;
	conn_wake(c, r.now + 1 * MS);
	conn_calm(c, r.now);
	assert_int_equal(c->timer.due_us, c->keyed_us + DTLS_LINGER_SILENT_US);

	client_manners(r.client)->silent = true;
	assert_true(until(&r, failed, 60 * S));
	conn_calm(c, r.now);
	assert_int_equal(c->timer.due_us, 0);
	rig_close(&r);
}

/* An answer from the path in use comes right behind SRTP from another: what the hot path
 * has noted of that is still looked at in this turn. */
static void test_calm_keeps_notes(void **state)
{
	struct stranger v;
	uint64_t checks;
	uint8_t buf[256];
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_enter(&v, &r, 0);
	stranger_read(&v, &r);
	assert_int_equal(v.replies, 1);
	assert_int_equal(v.checks, 0);
	checks = STAT(stun_check_sent);
	while (STAT(stun_check_sent) == checks) {
		client_poll(r.client, r.now);
		r.now += STEP_US;
		server_turn(&r);
	}
	stranger_send(&v, &r, buf, client_sealed(&r, buf, 1));
	client_poll(r.client, r.now); /* answers */
	checks = STAT(stun_check_answered);
	server_turn(&r);
	assert_int_equal(r.rtp, 1);
	assert_int_equal(STAT(stun_check_answered), checks + 1);
	run(&r, 10 * MS);
	stranger_read(&v, &r);
	assert_int_equal(v.checks, 1); /* is it a move? */
	close(v.fd);
	rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freed_if_silent),
		cmocka_unit_test(test_freed_after_srtp),
		cmocka_unit_test(test_late_repeat),
		cmocka_unit_test(test_calm_runs),
		cmocka_unit_test(test_calm_earliest),
		cmocka_unit_test(test_calm_keeps_notes),
	};

	return rig_main(tests, ARRAY_LEN(tests));
}
