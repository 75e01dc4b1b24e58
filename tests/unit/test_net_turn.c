/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* TURN from a client's side: who is let in, whom it may send to, how long; what is malformed or too much. */
#include "unit/net_rig.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "turn.h"

static const struct secret secret = { "0123456789abcdef0123456789abcde" };
static const struct addr client_at = { .family = 4,
				       .ip = { 192, 0, 2, 7 },
				       .port = 5001 };
static const struct addr ours_at = { .family = 4, .ip = { 203, 0, 113, 1 }, .port = 443 };
static const struct addr other_at = { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 22 };
static const uint8_t id[TURN_ID_BYTES] = "transaction!";
enum { NOW_S = 1000, WALL_S = 5000 };

static struct turn turn;
static uint8_t said[TURN_UNIT_MAX], sent[TURN_UNIT_MAX];
static size_t said_len, sent_len;
static unsigned says, packets, sent_to;
static char name[TURN_NAME_MAX], password[TOKEN_TEXT_MAX];

static int on_password(void *arg, const char *who, size_t len, char out[TOKEN_TEXT_MAX])
{
	(void)arg;
	return turn_password(&secret, WALL_S, who, len, out);
}

static bool on_ours(void *arg, const struct addr *peer)
{
	struct addr a = ours_at;

	(void)arg;
	a.port = peer->port ? a.port : 0;
	return !memcmp(&a, peer, sizeof a);
}

static void on_say(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	says++;
	said_len = len;
	memcpy(said, data, len);
}

static void on_packet(void *arg, unsigned i, const uint8_t *data, size_t len)
{
	(void)arg;
	packets++;
	sent_to = i;
	sent_len = len;
	memcpy(sent, data, len);
}

static const struct turn_calls calls = { on_password, on_ours, on_say, on_packet };

/* ---- a client ------------------------------------------------------------------------ */

static struct wr w;
static uint8_t buf[TURN_UNIT_MAX];

static void begin(uint16_t method)
{
	wr_init(&w, buf, sizeof buf);
	turn_begin(&w, method, TURN_REQUEST, id);
}

static void put_u32(uint16_t attr, uint32_t v)
{
	uint8_t value[4];

	put_be32(value, v);
	turn_put(&w, attr, value, 4);
}

/* As whom, with which password; the realm and nonce are what we were told. */
static void sign_as(const char *who, const char *pass)
{
	uint8_t key[EVP_MAX_MD_SIZE], mac[EVP_MAX_MD_SIZE];
	unsigned size;
	char text[600];

	turn_put(&w, TURN_ATTR_USERNAME, who, strlen(who));
	turn_put(&w, TURN_ATTR_REALM, "palabre", 7);
	turn_put(&w, TURN_ATTR_NONCE, turn.nonce, strlen(turn.nonce));
	snprintf(text, sizeof text, "%s:palabre:%s", who, pass);
	EVP_Digest(text, strlen(text), key, &size, EVP_md5(), NULL);
	put_be16(buf + 2, (uint16_t)(wr_len(&w) - TURN_HEADER_BYTES + 24));
	HMAC(EVP_sha1(), key, 16, buf, wr_len(&w), mac, &size);
	turn_put(&w, TURN_ATTR_INTEGRITY, mac, 20);
}

static int go_at(uint64_t now_s)
{
	turn_end(&w);
	assert_false(w.bad);
	assert_int_equal(turn_unit(buf, wr_len(&w)), wr_len(&w));
	said_len = 0;
	return turn_on_unit(&turn, buf, wr_len(&w), now_s, &calls, NULL);
}

static int go(void)
{
	return go_at(NOW_S);
}

/* 0: success; else the error's code. */
static unsigned answer(struct turn_msg *m)
{
	const uint8_t *p;

	assert_true(said_len > 0);
	assert_int_equal(turn_read(said, said_len, m), 0);
	assert_memory_equal(m->id, id, sizeof id);
	if (m->class == TURN_SUCCESS)
		return 0;
	assert_int_equal(m->class, TURN_ERROR);
	p = said + TURN_HEADER_BYTES;
	assert_int_equal(get_be16(p), TURN_ATTR_ERROR);
	return p[6] * 100u + p[7];
}

static unsigned code(void)
{
	struct turn_msg m;

	return answer(&m);
}

static void put_allocate(void)
{
	begin(TURN_ALLOCATE);
	put_u32(TURN_ATTR_TRANSPORT, 17u << 24);
}

static void allocate(void)
{
	put_allocate();
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 0);
}

static unsigned bind_channel(uint16_t channel, const struct addr *peer)
{
	begin(TURN_CHANNEL_BIND);
	put_u32(TURN_ATTR_CHANNEL, (uint32_t)channel << 16);
	turn_put_addr(&w, TURN_ATTR_PEER, peer);
	sign_as(name, password);
	assert_int_equal(go(), 0);
	return code();
}

static void send_to(const struct addr *peer, const char *text)
{
	wr_init(&w, buf, sizeof buf);
	turn_begin(&w, TURN_SEND, TURN_INDICATION, id);
	turn_put_addr(&w, TURN_ATTR_PEER, peer);
	turn_put(&w, TURN_ATTR_DATA, text, strlen(text));
	assert_int_equal(go(), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&rig_stats, 0, sizeof rig_stats);
	stats_here = &rig_stats;
	says = packets = 0;
	turn_init(&turn, &client_at);
	return turn_credential(&secret, WALL_S + 10, "Asya", name, password);
}

/* ---- who is let in ------------------------------------------------------------------- */

static void test_let_in(void **state)
{
	struct turn_msg m;

	(void)state;
	put_allocate();
	assert_int_equal(go(), 0);
	assert_int_equal(answer(&m), 401);
	assert_int_equal(m.realm.len, 7);
	assert_memory_equal(m.nonce.s, turn.nonce, m.nonce.len);
	put_allocate();
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(answer(&m), 0);
	assert_true(m.integrity_at > 0);
	assert_int_equal(m.lifetime_s, 600);
	/* What media answers to a check names the same address. */
	assert_non_null(memmem(said, said_len, "\x00\x16\x00\x08\x00\x01", 6));
	assert_int_equal(atomic_load(&rig_stats.turn_allocated), 1);
	put_allocate();
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 437);
}

static void test_wrong_credentials(void **state)
{
	char bad[TURN_NAME_MAX], other[TOKEN_TEXT_MAX];
	static const char *const names[] = {
		"", "x", "9:", ":x", "99999999999999:x", "5009", "4999:Asya"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		put_allocate();
		sign_as(names[i], password);
		assert_int_equal(go(), 0);
		assert_int_equal(code(), 401);
	}
	snprintf(bad, sizeof bad, "%d:Asya",
		 WALL_S + 11); /* a longer stay than was given */
	put_allocate();
	sign_as(bad, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 401);
	assert_int_equal(turn_credential(&secret, WALL_S, "Asya", bad, other), 0);
	put_allocate(); /* over */
	sign_as(bad, other);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 401);
	put_allocate();
	sign_as(name, password);
	buf[25] ^= 1; /* not what was signed */
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 401);
	assert_false(turn.allocated);
	turn.nonce[0] ^= 1;
	put_allocate();
	sign_as(name, password);
	turn.nonce[0] ^= 1;
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 438);
	assert_false(turn.allocated);
}

static void test_a_flood_is_ended(void **state)
{
	int err = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 100 && !err; i++) {
		put_allocate();
		err = go();
	}
	assert_int_equal(err, -EACCES);
	assert_int_equal(i, TURN_REFUSALS_MAX + 1);
	assert_int_equal(atomic_load(&rig_stats.turn_refused), i);
	turn_init(&turn, &client_at);
	for (i = 0, err = 0; i < 100 && !err; i++) {
		begin(TURN_BINDING);
		err = go();
	}
	assert_int_equal(err, -EACCES);
}

static void test_what_is_not_offered(void **state)
{
	struct turn_msg m;

	(void)state;
	begin(TURN_ALLOCATE);
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 400);
	begin(TURN_ALLOCATE);
	put_u32(TURN_ATTR_TRANSPORT, 6u << 24); /* RFC 6062 */
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 442);
	put_allocate();
	put_u32(TURN_ATTR_FAMILY, 2u << 24);
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 440);
	put_allocate();
	put_u32(0x0018, 0); /* EVEN-PORT */
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(answer(&m), 420);
	assert_false(turn.allocated);
	begin(TURN_REFRESH);
	sign_as(name, password);
	assert_int_equal(go(), 0);
	assert_int_equal(code(), 437);
}

/* ---- whom it may send to ------------------------------------------------------------- */

static unsigned permit(const struct addr *peer)
{
	begin(TURN_CREATE_PERMISSION);
	turn_put_addr(&w, TURN_ATTR_PEER, peer);
	sign_as(name, password);
	assert_int_equal(go(), 0);
	return code();
}

static void test_only_our_own_media(void **state)
{
	struct addr port = ours_at, six = { .family = 6, .ip = { 0x20, 1 }, .port = 443 };

	(void)state;
	port.port = 22;
	send_to(&ours_at, "too early");
	assert_int_equal(packets, 0);
	allocate();
	assert_int_equal(permit(&ours_at), 0);
	assert_int_equal(permit(&other_at), 403);
	assert_int_equal(permit(&six), 403);
	assert_int_equal(bind_channel(0x4000, &other_at), 403);
	assert_int_equal(bind_channel(0x4000, &port), 403);
	send_to(&other_at, "elsewhere");
	send_to(&port, "another service");
	assert_int_equal(packets, 0);
	assert_int_equal(atomic_load(&rig_stats.turn_bad), 3);
	send_to(&ours_at, "to us");
	assert_int_equal(packets, 1);
	assert_int_equal(sent_len, 5);
	assert_memory_equal(sent, "to us", 5);
}

static void test_channels(void **state)
{
	static const uint8_t data[] = "\x40\x01\x00\x03"
				      "abc\xff";
	uint8_t out[TURN_UNIT_MAX];
	const uint8_t *payload;
	size_t n, len;
	struct turn_msg m;

	(void)state;
	allocate();
	send_to(&ours_at, "x");
	n = turn_wrap(&turn, sent_to, (const uint8_t *)"hello", 5, out);
	assert_int_equal(turn_read(out, n, &m), 0);
	assert_int_equal(m.method, TURN_DATA);
	assert_memory_equal(&m.peers[0], &ours_at, sizeof ours_at);
	assert_int_equal(m.data_len, 5);
	assert_int_equal(turn_on_unit(&turn, data, 8, NOW_S, &calls, NULL), 0);
	assert_int_equal(packets, 1); /* not bound yet */
	assert_int_equal(bind_channel(0x3fff, &ours_at), 400);
	assert_int_equal(bind_channel(0x5000, &ours_at), 400);
	assert_int_equal(bind_channel(0x4001, &ours_at), 0);
	assert_int_equal(bind_channel(0x4001, &ours_at), 0); /* again */
	assert_int_equal(bind_channel(0x4002, &ours_at), 400);
	assert_int_equal(turn_on_unit(&turn, data, 8, NOW_S, &calls, NULL), 0);
	assert_int_equal(packets, 2);
	assert_memory_equal(sent, "abc", 3);
	assert_int_equal(sent_len, 3);
	n = turn_wrap(&turn, sent_to, (const uint8_t *)"hello", 5, out);
	assert_int_equal(n, 12);
	assert_int_equal(turn_unit(out, n), 12);
	assert_int_equal(turn_read_channel(out, n, &payload, &len), 0x4001);
	assert_int_equal(len, 5);
}

/* ---- how long ------------------------------------------------------------------------ */

static int refresh(uint32_t lifetime_s, const char *who, uint64_t now_s)
{
	begin(TURN_REFRESH);
	put_u32(TURN_ATTR_LIFETIME, lifetime_s);
	sign_as(who, password);
	return go_at(now_s);
}

static void test_as_long_as_it_is_refreshed(void **state)
{
	struct turn_msg m;

	(void)state;
	allocate();
	assert_int_equal(refresh(99999, name, NOW_S + 599), 0);
	assert_int_equal(answer(&m), 0);
	assert_int_equal(m.lifetime_s, TURN_LIFETIME_MAX_S);
	assert_int_equal(turn.until_s, NOW_S + 599 + TURN_LIFETIME_MAX_S);
	assert_int_equal(refresh(600, "5010:Bo", NOW_S + 600), 0);
	assert_int_equal(code(), 441);
	assert_int_equal(refresh(0, name, NOW_S + 600), -ECANCELED);
	assert_int_equal(code(), 0);
	turn_init(&turn, &client_at);
	allocate();
	assert_int_equal(refresh(600, name, NOW_S + 600), -ECANCELED);
	assert_int_equal(said_len, 0);
}

/* ---- the stream ---------------------------------------------------------------------- */

static void test_units(void **state)
{
	static const uint8_t stun[] = "\x00\x03\x00\x08", odd[] = "\x00\x03\x00\x07",
			     channel[] = "\x40\x00\x00\x05", letter[] = "GET ",
			     gap[] = "\x05\x00\x00\x00", high[] = "\x50\x00\x00\x00",
			     big[] = "\x40\x00\x08\x00";

	(void)state;
	assert_int_equal(turn_unit(stun, 4), 0);
	assert_int_equal(turn_unit(stun, 0), 0);
	assert_int_equal(turn_unit(odd, 4), -EBADMSG);
	assert_int_equal(turn_unit(channel, 4), 0);
	assert_int_equal(turn_unit(letter, 1), 0); /* 'G' may begin ChannelData */
	assert_int_equal(turn_unit(gap, 1), -EBADMSG);
	assert_int_equal(turn_unit(high, 1), -EBADMSG);
	assert_int_equal(turn_unit(big, 4), -EBADMSG);
	put_allocate();
	turn_end(&w);
	buf[4] ^= 1; /* the cookie */
	assert_int_equal(turn_on_unit(&turn, buf, wr_len(&w), NOW_S, &calls, NULL),
			 -EBADMSG);
	put_allocate();
	turn_end(&w);
	buf[23] = 9; /* an attribute longer than the message */
	assert_int_equal(turn_on_unit(&turn, buf, wr_len(&w), NOW_S, &calls, NULL),
			 -EBADMSG);
	assert_int_equal(says, 0);
}

/* RFC 5769 §2.4: with long-term credentials. */
static void test_vector(void **state)
{
	static const uint8_t request[] =
		"\x00\x01\x00\x60\x21\x12\xa4\x42\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda"
		"\x41\x2e\x00\x06\x00\x12\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83"
		"\xe3\x82\xaf\xe3\x82\xb9\x00\x00\x00\x15\x00\x1c\x66\x2f\x2f\x34\x39\x39"
		"\x6b\x39\x35\x34\x64\x36\x4f\x4c\x33\x34\x6f\x4c\x39\x46\x53\x54\x76\x79"
		"\x36\x34\x73\x41\x00\x14\x00\x0b\x65\x78\x61\x6d\x70\x6c\x65\x2e\x6f\x72"
		"\x67\x00\x00\x08\x00\x14\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71"
		"\x2e\x85\xc9\xa2\x8c\xa8\x96\x66";
	struct turn_msg m;

	(void)state;
	assert_int_equal(turn_read(request, sizeof request - 1, &m), 0);
	assert_int_equal(m.method, TURN_BINDING);
	assert_int_equal(m.class, TURN_REQUEST);
	assert_int_equal(m.username.len, 18);
	assert_int_equal(m.realm.len, 11);
	assert_memory_equal(m.realm.s, "example.org", 11);
	assert_int_equal(m.nonce.len, 28);
	assert_int_equal(m.integrity_at, sizeof request - 1 - 24);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = { T(test_let_in),
					    T(test_wrong_credentials),
					    T(test_a_flood_is_ended),
					    T(test_what_is_not_offered),
					    T(test_only_our_own_media),
					    T(test_channels),
					    T(test_as_long_as_it_is_refreshed),
					    T(test_units),
					    T(test_vector) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
