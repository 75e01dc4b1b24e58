/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Calls from end to end: handshake, media, and what is refused. */
#include "transport_rig.h"

/* ---- calls ------------------------------------------------------------------------- */

static void one_call(struct options o, enum srtp_profile profile)
{
	struct rig r;
	uint64_t rx, tx;

	open_up(&r, o);
	assert_int_equal(r.states[CONN_CHECKED], 1);
	assert_int_equal(r.states[CONN_UP], 1);
	assert_int_equal(r.conn->seal.profile, profile);
	assert_int_equal(conn_is_tcp(r.conn), o.tcp);
	media_both_ways(&r);
	assert_int_equal(client_counts(r.client)->server_checks, 1);
	assert_int_equal(client_counts(r.client)->server_checks_bad, 0);
	assert_true(conn_rtt_us(r.conn) > 0 && conn_rtt_us(r.conn) < 50 * MS);
	conn_bytes(r.conn, &rx, &tx);
	assert_true(rx > 20 * (80 + 28 + 10) && tx > 20 * (80 + 28 + 10));
	/* The peer is told that it is over, as long as the DTLS object lives. */
	conn_close(r.conn, r.now);
	tx_flush(r.tx);
	step(&r, STEP_US);
	assert_true(client_closed(r.client));
	rig_close(&r);
}

static void test_calls(void **state)
{
	(void)state;
	one_call((struct options) { 0 }, PROFILE_GCM);
	one_call((struct options) { .prefer_sha1 = true }, PROFILE_CM_SHA1_80);
	one_call((struct options) { .sha1_only = true }, PROFILE_CM_SHA1_80);
	one_call((struct options) { .big_hello = true }, PROFILE_GCM);
	one_call((struct options) { .server_connects = true }, PROFILE_GCM);
	one_call((struct options) { .server_connects = true, .prefer_sha1 = true },
		 PROFILE_CM_SHA1_80);
	one_call((struct options) { .tcp = true }, PROFILE_GCM);
}

static void test_mapped_address(void **state)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr own;
	struct rig r;

	(void)state;
	open_up(&r, (struct options) { 0 });
	assert_int_equal(getsockname(client_fd(r.client), (struct sockaddr *)&ss, &len),
			 0);
	addr_from_sockaddr(&own, (struct sockaddr *)&ss);
	assert_memory_equal(client_mapped(r.client), &own, sizeof own);
	assert_memory_equal(&conn_flow(r.conn)->peer, &own, sizeof own);
	rig_close(&r);
}

static void test_sdp(void **state)
{
	static char offer[8192], answer[2048];
	struct rig r;
	int n;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	n = client_offer(r.client, offer, sizeof offer);
	assert_true(n > 500);
	assert_int_equal(client_offer(r.client, offer, 100), -ENOBUFS);
	assert_int_equal(client_answer(r.client, "v=0\r\n", r.now), -EBADMSG);
	snprintf(answer, sizeof answer,
		 "v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF "
		 "111\r\na=ice-ufrag:%s\r\n"
		 "a=ice-pwd:%s\r\na=fingerprint:sha-256 %s\r\na=setup:passive\r\n"
		 "a=candidate:1 1 tcp 5 127.0.0.1 9 typ host\r\n"
		 "a=candidate:1 1 udp 5 127.0.0.1 %u typ host\r\n"
		 "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ssrc:777 cname:x\r\n",
		 r.ufrag, r.pwd, server_cert->fingerprint, udp_local(r.sock)->port);
	assert_int_equal(client_answer(r.client, answer, r.now), 0);
	assert_int_equal(client_slot_ssrc(r.client, 0), 0);
	assert_int_equal(client_slot_ssrc(r.client, 1), 777);
	assert_true(until(&r, both_up, 2 * S));
	rig_close(&r);
}

static void test_wrong_password(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { .wrong_pwd = true });
	run(&r, 1 * S);
	assert_int_equal(conn_get_state(r.conn), CONN_NEW);
	assert_int_equal(client_counts(r.client)->datagrams, 0);
	assert_true(STAT(stun_auth) >= 5);
	run(&r, 30 * S);
	assert_int_equal(conn_get_state(r.conn), CONN_FAILED);
	assert_int_equal(r.states[CONN_FAILED], 1);
	rig_close(&r);
}

static void test_wrong_fingerprint(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { .wrong_print = true });
	assert_true(until(&r, failed, 2 * S));
	assert_int_equal(STAT(dtls_fail), 1);
	assert_int_equal(r.states[CONN_UP], 0);
	assert_false(r.conn->keyed);
	run(&r, 100 * MS);
	rig_close(&r);

	rig_open(&r, (struct options) { .wrong_print = true, .server_connects = true });
	assert_true(until(&r, failed, 2 * S));
	rig_close(&r);
}

static void test_closed_in_callback(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	r.close_in_callback = true; /* at CHECKED, from the middle of a check */
	run(&r, 100 * MS);
	assert_null(r.conn);
	assert_int_equal(r.states[CONN_CHECKED], 1);
	rig_close(&r);

	rig_open(&r, (struct options) { .wrong_print = true });
	while (conn_get_state(r.conn) == CONN_NEW)
		step(&r, STEP_US);
	r.close_in_callback = true; /* at FAILED, from the middle of a handshake */
	run(&r, 500 * MS);
	assert_null(r.conn);
	assert_int_equal(r.states[CONN_FAILED], 1);
	rig_close(&r);

	rig_open(&r, (struct options) { .wrong_pwd = true });
	r.close_in_callback = true; /* at FAILED, from the timer */
	r.now += 31 * S;
	step(&r, STEP_US);
	assert_null(r.conn);
	rig_close(&r);
}

/* ---- STUN -------------------------------------------------------------------------- */

static void check_with(struct rig *r, unsigned flags)
{
	uint8_t buf[600];
	size_t n = client_write_check(r->client, flags, buf, sizeof buf);

	r->client->check_sent_us = r->now;
	client_send_raw(r->client, buf, n);
	step(r, STEP_US);
}

static void test_checks(void **state)
{
	const struct client_counts *n;
	uint8_t junk[64] = { 0 };
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	n = client_counts(r.client);
	client_manners(r.client)->send_checks = false;
	client_manners(r.client)->start_dtls = false;
	check_with(&r, CHECK_BAD_INTEGRITY);
	assert_int_equal(STAT(stun_auth), 1);
	check_with(&r, CHECK_BAD_FINGERPRINT);
	check_with(&r, CHECK_NO_INTEGRITY);
	check_with(&r, CHECK_SHORT_INTEGRITY);
	check_with(&r, CHECK_SHORT_INTEGRITY | CHECK_NO_FINGERPRINT);
	assert_int_equal(STAT(stun_bad), 4);
	assert_int_equal(n->datagrams, 0);
	assert_int_equal(conn_get_state(r.conn), CONN_NEW);

	check_with(&r, CHECK_UNKNOWN_ATTRIBUTE);
	assert_int_equal(n->errors, 1);
	assert_int_equal(n->last_error, 420);
	check_with(&r, CHECK_CONTROLLED);
	assert_int_equal(n->errors, 2);
	assert_int_equal(n->last_error, 487);
	assert_int_equal(conn_get_state(r.conn), CONN_NEW);
	assert_int_equal(n->checks_answered, 0);

	check_with(&r, CHECK_NO_FINGERPRINT);
	assert_int_equal(n->checks_answered, 1);
	assert_int_equal(conn_get_state(r.conn), CONN_CHECKED);
	check_with(&r, CHECK_NOMINATE);
	assert_int_equal(n->checks_answered, 2);

	client_send_raw(r.client, junk, sizeof junk);
	step(&r, STEP_US);
	assert_int_equal(n->checks_answered, 2);
	/* Somebody else's name. */
	r.client->remote_ufrag[0] ^= 1;
	check_with(&r, 0);
	assert_int_equal(STAT(stun_unknown_user), 1);
	r.client->remote_ufrag[0] ^= 1;
	/* Ours, but the second half is wrong. */
	r.client->ufrag[0] ^= 1;
	check_with(&r, 0);
	assert_int_equal(STAT(stun_auth), 2);
	assert_int_equal(n->checks_answered, 2);
	rig_close(&r);
}

/* Until the handshake is over: at most three times what came. */
static void test_amplification(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) {
			     .tcp = true }); /* every byte passes through the rig */
	client_manners(r.client)->start_dtls = false;
	step(&r, STEP_US);
	client_manners(r.client)->send_checks = false;
	client_manners(r.client)->start_dtls = true;
	/* The ClientHello and then nothing more; all that comes back is lost. */
	r.drop_to_client = UINT32_MAX;
	client_poll(r.client, r.now);
	client_manners(r.client)->silent = true;
	for (i = 0; i < 8; i++) { /* OpenSSL looks at the real clock */
		usleep(150000);
		step(&r, 150 * MS);
	}
	assert_true(STAT(amplify_limit) > 0);
	assert_true(r.to_client_bytes > 500);
	/* IP and UDP headers are counted on both sides. */
	assert_true(r.to_client_bytes <= AMPLIFY_MAX * (r.from_client_bytes + 2 * 42));
	rig_close(&r);
}

/* The server's first flight is lost: it comes again after 250 ms, not after a second. */
static void test_lost_flight(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { .tcp = true });
	step(&r, STEP_US);
	r.drop_to_client = 1;
	step(&r, STEP_US);
	for (i = 0; i < 10 && !both_up(&r); i++) {
		usleep(50000);
		step(&r, 50 * MS);
	}
	assert_true(both_up(&r));
	rig_close(&r);
}

static void test_lost_finished(void **state)
{
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { .tcp = true });
	r.drop_last_flight = true;
	assert_true(until(&r, server_up, 1 * S));
	assert_false(client_up(r.client));
	for (i = 0; i < 30 && !client_up(r.client); i++) {
		r.drop_last_flight = false;
		usleep(50000);
		step(&r, 50 * MS);
	}
	assert_true(client_up(r.client));
	rig_close(&r);
}

static void test_dtls_queue(void **state)
{
	struct pkt *p;
	struct rig r;
	int i;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	client_manners(r.client)->start_dtls = false;
	run(&r, 100 * MS);
	for (i = 0; i < 20; i++) {
		p = pkt_take(r.pool);
		memset(p->data, 22, 100);
		p->len = 100;
		p->flow = *conn_flow(r.conn);
		transport_on_dtls(r.t, p, r.now);
	}
	assert_int_equal(r.conn->dtls_queued, DTLS_QUEUE_CONN_MAX);
	assert_int_equal(STAT(dtls_queue_full), 20 - DTLS_QUEUE_CONN_MAX);
	/* A flow nobody knows. */
	p = pkt_take(r.pool);
	memset(p->data, 22, 100);
	p->len = 100;
	tcp_flow(&p->flow);
	transport_on_dtls(r.t, p, r.now);
	assert_int_equal(STAT(dtls_bad), 1);
	/* Junk disturbs no handshake. */
	step(&r, STEP_US);
	assert_int_equal(r.conn->dtls_queued, 0);
	client_manners(r.client)->start_dtls = true;
	assert_true(until(&r, both_up, 2 * S));
	rig_close(&r);
}

/* ---- SRTP -------------------------------------------------------------------------- */

static void test_forged_srtp(void **state)
{
	uint8_t buf[256], copy[256];
	struct rig r;
	size_t n;
	unsigned i;

	(void)state;
	open_up(&r, (struct options) { 0 });
	n = client_sealed(&r, buf, 5);
	memcpy(copy, buf, n);
	copy[20] ^= 1;
	client_send_raw(r.client, copy, n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 0);
	assert_int_equal(STAT(srtp_auth), 1);
	client_send_raw(r.client, buf, n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 1);
	client_send_raw(r.client, buf, n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 1);
	assert_int_equal(STAT(srtp_replay), 1);
	/* Lengths that lie. */
	for (i = 12; i < 30; i++) {
		rtp_plain(copy, 1111, 6);
		copy[0] = 0x9f;
		client_send_raw(r.client, copy, i);
	}
	step(&r, STEP_US);
	assert_int_equal(r.rtp, 1);
	assert_int_equal(STAT(srtp_bad), 18);
	/* Before there are keys. */
	rig_close(&r);
	rig_open(&r, (struct options) { 0 });
	client_send_raw(r.client, buf, n);
	step(&r, STEP_US);
	assert_int_equal(STAT(srtp_no_key), 1);
	rig_close(&r);
}

static void test_ssrc_limit(void **state)
{
	uint8_t buf[256];
	struct rig r;
	unsigned i;
	int n;

	(void)state;
	open_up(&r, (struct options) { 0 });
	/* Forged ones don't count. */
	for (i = 0; i < 50; i++) {
		rtp_plain(buf, 90000 + i, 1);
		client_send_raw(r.client, buf, 110);
	}
	step(&r, STEP_US);
	assert_int_equal(STAT(srtp_auth), 50);
	for (i = 0; i < SSRCS_MAX; i++)
		client_says(&r, 100 + i, 1);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, SSRCS_MAX);
	client_says(&r, 100 + SSRCS_MAX, 1);
	n = client_seal(r.client, buf, rtcp_plain(buf, 5), true);
	client_send_raw(r.client, buf, (size_t)n);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, SSRCS_MAX);
	assert_int_equal(r.rtcp, 0);
	assert_int_equal(STAT(ssrc_limit), 2);
	client_says(&r, 100, 2);
	step(&r, STEP_US);
	assert_int_equal(r.rtp, SSRCS_MAX + 1);
	rig_close(&r);
}

static void test_sending_refused(void **state)
{
	struct seal_stream s;
	struct rig r;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	seal_stream_init(&s, 7);
	assert_int_equal(server_says(&r, &s, 1), -EPROTO);
	assert_int_equal(conn_send_rtcp(r.conn, tx_reserve(r.tx), 8), -EPROTO);
	assert_true(until(&r, both_up, 2 * S));
	assert_int_equal(server_says(&r, &s, 1), 0);
	assert_int_equal(server_says(&r, &s, 1), -EEXIST);
	assert_int_equal(STAT(seal_reuse), 1);
	run(&r, 10 * MS);
	assert_int_equal(r.client_rtp, 1);
	conn_close(r.conn, r.now);
	assert_int_equal(server_says(&r, &s, 2), -EPROTO);
	rig_close(&r);
}
static void test_out_of_memory(void **state)
{
	struct conn_params p = { .local_ufrag = "abcdefgh",
				 .local_pwd = "abcdefghabcdefghabcdefgh",
				 .remote_ufrag = "r",
				 .remote_pwd = "abcdefghabcdefghabcdefgh" };
	struct conn *c;
	struct rig r;
	unsigned i;

	(void)state;
	rig_open(&r, (struct options) { 0 });
	for (i = 1; i <= 2; i++) {
		mem_fail_after(i);
		assert_null(conn_create(r.t, &p, r.now));
		mem_fail_after(0);
	}
	p.local_pwd = "short";
	assert_null(conn_create(r.t, &p, r.now));
	p.local_pwd = p.remote_pwd;
	c = conn_create(r.t, &p, r.now);
	assert_non_null(c);
	mem_fail_after(1);
	conn_restart(c, "other000", p.local_pwd, "r", p.remote_pwd, r.now);
	mem_fail_after(0);
	assert_non_null(cred_find(r.t, "abcdefgh", 8));
	assert_null(cred_find(r.t, "other000", 8));
	assert_null(mem_unref(c)); /* without conn_close */
	rig_close(&r);
}

/* A hundred over a shared socket, each with its own source address. */
static void test_hub(void **state)
{
	enum { MANY = 40 };
	struct client_hub *hub = client_hub_create(3);
	struct client_params cp = { .cert = client_cert, .hub = hub };
	struct conn_params p = { 0 };
	struct client *clients[MANY];
	struct conn *conns[MANY];
	uint8_t print[FINGERPRINT_BYTES];
	char ufrags[MANY][9], pwds[MANY][25];
	unsigned i, up = 0, k;
	struct rig r;

	(void)state;
	assert_non_null(hub);
	rig_open(&r, (struct options) { 0 });
	client_manners(r.client)->silent = true;
	assert_int_equal(cert_digest(client_cert->x509, p.remote_fingerprint), 0);
	assert_int_equal(cert_digest(server_cert->x509, print), 0);
	for (i = 0; i < MANY; i++) {
		clients[i] = client_create(&cp, r.now);
		random_text(ufrags[i], 8);
		random_text(pwds[i], 24);
		p.local_ufrag = ufrags[i];
		p.local_pwd = pwds[i];
		p.remote_ufrag = client_ufrag(clients[i]);
		p.remote_pwd = client_pwd(clients[i]);
		conns[i] = conn_create(r.t, &p, r.now);
		client_set_remote(clients[i], ufrags[i], pwds[i], print,
				  udp_local(r.sock), r.now);
	}
	for (k = 0; k < 3000 && up < MANY; k++) {
		if (k > 500)
			usleep(1000); /* a busy machine: DTLS repeats by the real clock */
		step(&r, STEP_US);
		client_hub_poll(hub, 1000, r.now);
		for (i = 0, up = 0; i < MANY; i++) {
			client_poll(clients[i], r.now);
			up += client_up(clients[i]) &&
			      conn_get_state(conns[i]) == CONN_UP;
		}
	}
	assert_int_equal(up, MANY);
	for (i = 1; i < MANY; i++)
		assert_memory_not_equal(&conn_flow(conns[i])->peer,
					&conn_flow(conns[0])->peer, sizeof(struct addr));
	for (i = 0; i < MANY; i++) {
		client_destroy(clients[i]);
		conn_close(conns[i], r.now);
		mem_unref(conns[i]);
	}
	client_hub_destroy(hub);
	rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_mapped_address),
		cmocka_unit_test(test_sdp),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_wrong_fingerprint),
		cmocka_unit_test(test_closed_in_callback),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_amplification),
		cmocka_unit_test(test_lost_flight),
		cmocka_unit_test(test_lost_finished),
		cmocka_unit_test(test_dtls_queue),
		cmocka_unit_test(test_forged_srtp),
		cmocka_unit_test(test_ssrc_limit),
		cmocka_unit_test(test_sending_refused),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_hub),
	};

	return rig_main(tests, ARRAY_LEN(tests));
}
