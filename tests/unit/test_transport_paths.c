/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Addresses that change, are forged or fall silent; consent; ICE restart. */
#include "transport_rig.h"

/* A guest whose checks carry a victim's address: three small checks, no media, then
 * silence. */
static void test_spoofed_check(void **state)
{
	struct seal_stream s;
	struct stranger v;
	uint64_t index = 1;
	struct rig r;
	unsigned replies, i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	stranger_open(&v);
	for (i = 0; i < 200; i++) { /* 20 s */
		stranger_check(&v, &r, CHECK_NOMINATE);
		assert_int_equal(server_says(&r, &s, index++), 0);
		run(&r, 100 * MS);
		stranger_read(&v, &r);
	}
	assert_int_equal(v.checks, CHECK_TRIES);
	assert_int_equal(v.media, 0);
	assert_int_equal(v.other, 0);
	replies = v.replies;
	assert_true(replies > 0 && replies < 40); /* deaf since 2.7 s */
	assert_int_equal(r.client_rtp, 200);
	assert_int_equal(r.moves, 0);
	/* After 30 s it may try again, no more. */
	for (i = 0; i < 200; i++) {
		stranger_check(&v, &r, CHECK_NOMINATE);
		run(&r, 100 * MS);
	}
	stranger_read(&v, &r);
	assert_int_equal(v.checks, 2 * CHECK_TRIES);
	assert_int_equal(v.media, 0);
	assert_int_equal(r.moves, 0);
	close(v.fd);
	rig_close(&r);
}

/* A guest who restarts ICE every second buys the victim nothing more. */
static void test_spoofed_restarts(void **state)
{
	uint8_t print[FINGERPRINT_BYTES];
	const struct addr same = { 0 };
	char ufrag[9], pwd[25];
	struct seal_stream s;
	uint64_t index = 1;
	struct stranger v;
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	assert_int_equal(cert_digest(server_cert->x509, print), 0);
	seal_stream_init(&s, 7);
	stranger_open(&v);
	for (i = 0; i < 250; i++) { /* 25 s: one round of tries and its deafness */
		if (i % 10 == 5) {
			random_text(ufrag, 8);
			random_text(pwd, 24);
			client_restart(r.client);
			conn_restart(r.conn, ufrag, pwd, client_ufrag(r.client),
				     client_pwd(r.client), r.now);
			client_set_remote(r.client, ufrag, pwd, print, &same, r.now);
		}
		stranger_check(&v, &r, CHECK_NOMINATE);
		assert_int_equal(server_says(&r, &s, index++), 0);
		run(&r, 100 * MS);
		stranger_read(&v, &r);
	}
	assert_int_equal(v.checks, CHECK_TRIES);
	assert_int_equal(v.media + v.other, 0);
	assert_int_equal(r.client_rtp, 250);
	assert_int_equal(r.moves, 0);
	close(v.fd);
	rig_close(&r);
}

/* Answers to checks on the path in use go three times where much is lost, those to elsewhere do not. */
static void test_lossy(void **state)
{
	const struct client_counts *n;
	uint64_t asked, answered;
	struct stranger v;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	n = client_counts(r.client);
	run(&r, 20 * S);
	assert_int_equal(STAT(stun_reply), n->checks_sent);
	conn_lossy(r.conn, true);
	asked = n->checks_sent;
	answered = STAT(stun_reply);
	run(&r, 20 * S);
	assert_true(n->checks_sent > asked + 3);
	assert_int_equal(STAT(stun_reply) - answered,
			 (1 + ANSWER_AGAIN) * (n->checks_sent - asked));
	assert_int_equal(n->errors, 0);
	stranger_open(&v);
	stranger_check(&v, &r, 0);
	run(&r, 150 * MS);
	stranger_read(&v, &r);
	assert_int_equal(v.replies, 1);
	conn_lossy(r.conn, false);
	run(&r, 150 * MS);
	asked = n->checks_sent;
	answered = STAT(stun_reply);
	run(&r, 20 * S);
	assert_int_equal(STAT(stun_reply) - answered, n->checks_sent - asked);
	close(v.fd);
	rig_close(&r);
}

/* The same with authentic SRTP behind the check, and nothing from the old address: that
 * would be a wish to move there, but for the proof. */
static void test_spoofed_srtp(void **state)
{
	uint16_t seq = 1;
	struct seal_stream s;
	struct stranger v;
	uint8_t buf[256];
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	stranger_enter(&v, &r, 0);
	client_manners(r.client)->silent = true;
	for (i = 0; i < 200; i++) { /* 20 s */
		stranger_send(&v, &r, buf, client_sealed(&r, buf, seq++));
		/* To the old one until its consent ends, then to nobody. */
		assert_int_equal(server_says(&r, &s, i + 1), suspended(&r) ? -EPROTO : 0);
		run(&r, 100 * MS);
		stranger_read(&v, &r);
	}
	assert_int_equal(r.rtp, 200); /* authentic they were */
	assert_true(suspended(&r));
	assert_true(r.client_rtp >= 60);
	assert_int_equal(v.checks, CHECK_TRIES);
	assert_int_equal(v.media + v.other, 0);
	assert_int_equal(r.moves, 0);
	close(v.fd);
	rig_close(&r);
}

/* A packet that somebody has caught and sends again is no wish at all. */
static void test_replayed_srtp(void **state)
{
	struct seal_stream s;
	struct stranger v;
	uint8_t buf[256];
	struct rig r;
	unsigned i;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	stranger_enter(&v, &r, 0);
	n = client_sealed(&r, buf, 1);
	client_send_raw(r.client, buf, n);
	run(&r, 20 * MS);
	for (i = 0; i < 100; i++) {
		stranger_send(&v, &r, buf, n);
		assert_int_equal(server_says(&r, &s, i + 1), 0);
		run(&r, 50 * MS);
		stranger_read(&v, &r);
	}
	assert_int_equal(r.rtp, 1);
	assert_int_equal(STAT(srtp_replay), 100);
	assert_int_equal(v.replies, 1);
	assert_int_equal(v.checks + v.media + v.other, 0);
	assert_int_equal(r.client_rtp, 100);
	assert_int_equal(r.moves, 0);
	close(v.fd);
	rig_close(&r);
}

/* An answer counts only from the address asked, signed, and to that question. */
static void test_false_proof(void **state)
{
	struct stranger v, other;
	uint8_t buf[600];
	struct rig r;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_enter(&v, &r, CHECK_NOMINATE);
	stranger_open(&other);
	stranger_read(&v, &r);
	assert_int_equal(v.checks, 1);
	n = client_write_answer(r.client, v.last, v.last_len, &r.client->server, buf,
				sizeof buf);
	assert_true(n > 20);
	stranger_send(&other, &r, buf, n); /* from elsewhere */
	client_send_raw(r.client, buf, n); /* from the path in use */
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 0);
	buf[n - 20] ^= 1; /* within MESSAGE-INTEGRITY */
	stranger_send(&v, &r, buf, n);
	buf[n - 20] ^= 1;
	buf[12] ^= 1; /* another question */
	stranger_send(&v, &r, buf, n);
	buf[12] ^= 1;
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 0);
	stranger_send(&v, &r, buf, n); /* and the right one */
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 1);
	assert_memory_equal(&conn_flow(r.conn)->peer, &v.self, sizeof v.self);
	close(v.fd);
	close(other.fd);
	rig_close(&r);
}

static void test_path_limit(void **state)
{
	struct stranger v[PATHS_MAX + 3];
	unsigned i, checks = 0, replies = 0;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_open(&v[i]);
		stranger_check(&v[i], &r, 0); /* a single check pays for two of ours */
		stranger_check(&v[i], &r, CHECK_NOMINATE);
		run(&r, 10 * MS);
	}
	run(&r, 5 * S);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_check(&v[i], &r, CHECK_NOMINATE);
		step(&r, STEP_US);
		stranger_read(&v[i], &r);
		checks += v[i].checks;
		replies += v[i].replies;
	}
	assert_int_equal(checks, CHECK_TRIES * (PATHS_MAX - 1));
	assert_int_equal(replies, 2 * (PATHS_MAX - 1)); /* deaf by now */
	assert_int_equal(STAT(path_limit), 3 * (ARRAY_LEN(v) - (PATHS_MAX - 1)));
	media_both_ways(&r);
	/* 30 s later there is room for a new network. */
	run(&r, 31 * S);
	assert_int_equal(client_move(r.client, r.now), 0);
	assert_true(until(&r, moved, 2 * S));
	for (i = 0; i < ARRAY_LEN(v); i++)
		close(v[i].fd);
	rig_close(&r);
}

/* Plain checks, as browsers send on every pair, move nothing and cost no table space for
 * long. */
static void test_plain_checks(void **state)
{
	struct stranger v[PATHS_MAX + 3];
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_open(&v[i]);
		stranger_check(&v[i], &r, 0);
		run(&r, 10 * MS);
		stranger_read(&v[i], &r);
		assert_int_equal(v[i].replies, 1);
	}
	run(&r, 5 * S);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		stranger_read(&v[i], &r);
		assert_int_equal(v[i].checks, 0);
		close(v[i].fd);
	}
	assert_int_equal(r.moves, 0);
	assert_int_equal(STAT(path_limit), 0);
	rig_close(&r);
}

static void test_move(void **state)
{
	struct seal_stream s;
	struct addr before;
	uint64_t index = 1;
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	for (i = 1; i <= 3; i++) {
		before = conn_flow(r.conn)->peer;
		run(&r, 3 * S);
		assert_int_equal(client_move(r.client, r.now), 0);
		run(&r, 300 * MS);
		assert_int_equal(r.moves, i);
		assert_memory_not_equal(&conn_flow(r.conn)->peer, &before, sizeof before);
		assert_int_equal(server_says(&r, &s, index++), 0);
		run(&r, 10 * MS);
		assert_int_equal(r.client_rtp, i);
		assert_int_equal(r.states[CONN_SUSPENDED], 0);
	}
	media_both_ways(&r);
	rig_close(&r);
}

/* SRTP from a checked address, without nomination: media follows when the old path is
 * silent. */
static void test_move_by_srtp(void **state)
{
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	run(&r, 3 * S);
	client_manners(r.client)->nominate = false;
	assert_int_equal(client_move(r.client, r.now), 0);
	for (i = 0; i < 60 && !r.moves; i++) {
		client_says(&r, 2222, (uint16_t)(i + 1));
		run(&r, 20 * MS);
	}
	assert_int_equal(r.moves, 1);
	assert_true(i * 20 <= 1100);
	assert_true(r.rtp + 2 >= i); /* and it was heard all the time */
	media_both_ways(&r);
	rig_close(&r);
}

static void answer_as(struct stranger *v, struct rig *r)
{
	uint8_t buf[600];
	unsigned before = v->checks;
	size_t n;

	stranger_read(v, r);
	if (v->checks == before)
		return;
	n = client_write_answer(r->client, v->last, v->last_len, &r->client->server, buf,
				sizeof buf);
	stranger_send(v, r, buf, n);
}

/* The last packets from the path just left don't win it back when the new one is quiet.
 */
static void test_late_srtp(void **state)
{
	struct stranger v;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	client_manners(r.client)->send_checks = false;
	stranger_enter(&v, &r, CHECK_NOMINATE);
	answer_as(&v, &r);
	run(&r, 20 * MS);
	assert_int_equal(r.moves, 1);
	client_says(&r, 1111, 1); /* from the old one */
	run(&r, 100 * MS);
	assert_int_equal(r.rtp, 1);
	stranger_check(&v, &r, CHECK_NOMINATE);
	run(&r, 2 * S);
	conn_wake(r.conn, r.now); /* whatever for */
	run(&r, 100 * MS);
	assert_int_equal(r.moves, 1);
	assert_memory_equal(&conn_flow(r.conn)->peer, &v.self, sizeof v.self);
	/* Newer ones do. */
	client_says(&r, 1111, 2);
	run(&r, 100 * MS);
	assert_int_equal(r.moves, 2);
	close(v.fd);
	rig_close(&r);
}

/* SRTP from an address that no check has passed belongs to nobody. */
static void test_srtp_from_nowhere(void **state)
{
	struct stranger v;
	uint8_t buf[256];
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_open(&v);
	stranger_send(&v, &r, buf, client_sealed(&r, buf, 5));
	run(&r, 3 * S);
	stranger_read(&v, &r);
	assert_int_equal(v.checks + v.media + v.replies + v.other, 0);
	assert_int_equal(r.rtp, 0);
	assert_int_equal(STAT(srtp_no_key), 1);
	close(v.fd);
	rig_close(&r);
}

/* Both pairs nominated at every check: one move, not one per check. */
static void test_aggressive_nomination(void **state)
{
	struct stranger v;
	struct rig r;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	stranger_open(&v);
	r.client->p.check_us = 400 * MS;
	for (i = 0; i < 40; i++) {
		stranger_check(&v, &r, CHECK_NOMINATE);
		run(&r, 200 * MS);
		answer_as(&v, &r);
		run(&r, 200 * MS);
		answer_as(&v, &r);
	}
	assert_int_equal(r.moves, 1);
	assert_memory_equal(&conn_flow(r.conn)->peer, &v.self, sizeof v.self);
	/* The newer one falls silent: back. */
	run(&r, 3 * S);
	assert_int_equal(r.moves, 2);
	close(v.fd);
	rig_close(&r);
}

/* Another person's check with this one's address takes nothing away. */
static void test_flow_not_stolen(void **state)
{
	static const struct conn_ops none = { 0 };
	struct conn_params p = { .local_ufrag = "evilevil",
				 .local_pwd = "evilevilevilevilevilevil",
				 .remote_ufrag = "evilpeer",
				 .remote_pwd = "peerpeerpeerpeerpeerpeer",
				 .ops = &none };
	static const uint8_t material[EXPORT_MAX];
	char ufrag[TEXT_MAX], pwd[TEXT_MAX], own[16];
	struct client *c;
	struct conn *evil;
	uint8_t buf[600];
	struct rig r;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	evil = conn_create(r.t, &p, r.now);
	assert_non_null(evil);
	c = r.client;
	strcpy(ufrag, c->remote_ufrag);
	strcpy(pwd, c->remote_pwd);
	strcpy(own, c->ufrag);
	strcpy(c->remote_ufrag, p.local_ufrag);
	strcpy(c->remote_pwd, p.local_pwd);
	strcpy(c->ufrag, p.remote_ufrag);
	n = client_write_check(c, CHECK_NOMINATE, buf, sizeof buf);
	strcpy(c->remote_ufrag, ufrag);
	strcpy(c->remote_pwd, pwd);
	strcpy(c->ufrag, own);
	client_send_raw(c, buf, n);
	step(&r, STEP_US);
	assert_int_equal(conn_get_state(evil), CONN_CHECKED);
	/* Even if it is up elsewhere. */
	assert_int_equal(srtp_keys(evil, PROFILE_GCM, material), 0);
	assert_true(flow_equal(conn_flow(evil), conn_flow(r.conn)));
	media_both_ways(&r);
	assert_int_equal(STAT(srtp_auth) + STAT(srtp_no_key), 0);
	conn_close(evil, r.now);
	mem_unref(evil);
	media_both_ways(&r);
	rig_close(&r);
}

/* ---- consent ----------------------------------------------------------------------- */

static void test_consent(void **state)
{
	struct seal_stream s;
	uint64_t since;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	run(&r, 60 * S);
	assert_int_equal(r.states[CONN_SUSPENDED], 0);
	/* One own check in ten seconds, each answered. */
	assert_in_range(client_counts(r.client)->server_checks, 5, 8);
	assert_int_equal(STAT(stun_check_sent), STAT(stun_check_answered));

	client_manners(r.client)->silent = true;
	since = r.now;
	assert_true(until(&r, suspended, 10 * S));
	assert_in_range(r.now - since, 5 * S, 9 * S);
	assert_int_equal(server_says(&r, &s, 1), -EPROTO);
	run(&r, 5 * S);
	client_manners(r.client)->silent = false;
	assert_true(until(&r, server_up, 5 * S));
	media_both_ways(&r);

	client_manners(r.client)->silent = true;
	since = r.now;
	assert_true(until(&r, failed, 60 * S));
	assert_in_range(r.now - since, 35 * S, 39 * S);
	assert_int_equal(r.states[CONN_FAILED], 1);
	/* Nothing brings it back. */
	client_manners(r.client)->silent = false;
	run(&r, 5 * S);
	assert_int_equal(conn_get_state(r.conn), CONN_FAILED);
	rig_close(&r);
}

/* Suspended, and the peer turns up at a new address. */
static void test_resume_elsewhere(void **state)
{
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	client_manners(r.client)->silent = true;
	assert_true(until(&r, suspended, 10 * S));
	client_manners(r.client)->silent = false;
	assert_int_equal(client_move(r.client, r.now), 0);
	assert_true(until(&r, server_up, 1 * S));
	assert_int_equal(r.moves, 1);
	media_both_ways(&r);
	rig_close(&r);
}

static void test_unanswered_checks(void **state)
{
	uint64_t since;
	struct rig r;

	(void)state;
	/* A browser that never answers a lite agent's checks. */
	rig_open(&r, (struct options) { 0 });
	client_manners(r.client)->answer_checks = false;
	assert_true(until(&r, both_up, 2 * S));
	run(&r, 100 * S);
	assert_int_equal(r.states[CONN_SUSPENDED], 0);
	client_manners(r.client)->silent = true;
	assert_true(until(&r, suspended, 10 * S));
	client_manners(r.client)->silent = false;
	assert_true(until(&r, server_up, 3 * S));
	/* Once it has answered, it must go on. */
	client_manners(r.client)->answer_checks = true;
	run(&r, 20 * S);
	client_manners(r.client)->answer_checks = false;
	since = r.now;
	assert_true(until(&r, suspended, 35 * S));
	assert_in_range(r.now - since, 15 * S, 31 * S);
	/* Its own checks and media are no proof. */
	run(&r, 5 * S);
	assert_true(suspended(&r));
	client_says(&r, 1111, 1);
	run(&r, 100 * MS);
	assert_int_equal(r.rtp, 1);
	assert_true(suspended(&r));
	client_manners(r.client)->answer_checks = true;
	assert_true(until(&r, server_up, 5 * S));
	rig_close(&r);
}

static void test_restart(void **state)
{
	uint8_t print[FINGERPRINT_BYTES], old_check[600];
	char ufrag[9], pwd[25];
	const struct addr same = { 0 };
	uint64_t answered;
	struct rig r;
	size_t n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	n = client_write_check(r.client, 0, old_check, sizeof old_check);
	random_text(ufrag, 8);
	random_text(pwd, 24);
	client_restart(r.client);
	conn_restart(r.conn, ufrag, pwd, client_ufrag(r.client), client_pwd(r.client),
		     r.now);
	assert_int_equal(hash_count(r.t->ufrags), 2);
	/* The old ones are good until the new ones come. */
	answered = STAT(stun_reply);
	client_send_raw(r.client, old_check, n);
	step(&r, STEP_US);
	assert_int_equal(STAT(stun_reply), answered + 1);
	/* Bad new ones change nothing. */
	conn_restart(r.conn, ufrag, pwd, "x", "y", r.now);
	assert_int_equal(hash_count(r.t->ufrags), 2);
	assert_int_equal(cert_digest(server_cert->x509, print), 0);
	client_set_remote(r.client, ufrag, pwd, print, &same, r.now);
	assert_int_equal(client_move(r.client, r.now), 0);
	assert_true(until(&r, moved, 1 * S));
	assert_int_equal(hash_count(r.t->ufrags), 1);
	assert_int_equal(r.states[CONN_UP], 1); /* it never went down */
	media_both_ways(&r);
	client_send_raw(r.client, old_check, n);
	step(&r, STEP_US);
	assert_int_equal(STAT(stun_unknown_user), 1);
	/* Twice in a row, the one between never used. */
	conn_restart(r.conn, "second00", pwd, "abcdefgh", "abcdefghabcdefghabcdefgh",
		     r.now);
	conn_restart(r.conn, "third000", pwd, "abcdefgi", "abcdefghabcdefghabcdefgh",
		     r.now);
	assert_int_equal(hash_count(r.t->ufrags), 2);
	assert_null(cred_find(r.t, "second00", 8));
	assert_non_null(cred_find(r.t, ufrag, 8));
	rig_close(&r);
}

static void test_tcp_closed(void **state)
{
	struct seal_stream s;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { .tcp = true });
	media_both_ways(&r);
	seal_stream_init(&s, 7);
	transport_tcp_closed(r.t, TCP_ID + 1, r.now);
	assert_int_equal(server_says(&r, &s, 1), 0);
	transport_tcp_closed(r.t, TCP_ID, r.now);
	assert_int_equal(server_says(&r, &s, 2), -EPROTO);
	assert_int_equal(conn_flow(r.conn)->peer.family, 0);
	client_manners(r.client)->silent = true;
	run(&r, 10 * MS);
	assert_int_equal(conn_get_state(r.conn), CONN_SUSPENDED);
	/* It connects again (here: with the same id). */
	client_manners(r.client)->silent = false;
	assert_true(until(&r, server_up, 5 * S));
	assert_true(conn_is_tcp(r.conn));
	assert_int_equal(r.moves, 1);
	media_both_ways(&r);
	rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spoofed_check),
		cmocka_unit_test(test_spoofed_restarts),
		cmocka_unit_test(test_lossy),
		cmocka_unit_test(test_spoofed_srtp),
		cmocka_unit_test(test_replayed_srtp),
		cmocka_unit_test(test_false_proof),
		cmocka_unit_test(test_path_limit),
		cmocka_unit_test(test_plain_checks),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_by_srtp),
		cmocka_unit_test(test_late_srtp),
		cmocka_unit_test(test_srtp_from_nowhere),
		cmocka_unit_test(test_aggressive_nomination),
		cmocka_unit_test(test_flow_not_stolen),
		cmocka_unit_test(test_consent),
		cmocka_unit_test(test_resume_elsewhere),
		cmocka_unit_test(test_unanswered_checks),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_tcp_closed),
	};

	return rig_main(tests, ARRAY_LEN(tests));
}
