/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Signed tokens: vectors made with Python's hmac, and everything that must be refused. */
#include <palabre/crypto.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

static struct secret secret; /* 00 01 … 1f */

static int setup(void **state)
{
	uint8_t i;

	(void)state;
	for (i = 0; i < SECRET_BYTES; i++)
		secret.key[i] = i;
	return 0;
}

static int verify(enum token_type type, uint64_t now_s, const char *text)
{
	uint8_t body[TOKEN_BODY_MAX];
	size_t len;

	return token_verify(&secret, type, now_s, text, strlen(text), body, &len);
}

static void test_vectors(void **state)
{
	char text[TOKEN_TEXT_MAX];
	uint8_t full[TOKEN_BODY_MAX];
	size_t i;

	(void)state;
	assert_int_equal(token_sign(&secret, TOKEN_LINK, 0, NULL, 0, text), 0);
	assert_string_equal(text, "AQAAAAAALvdxsVzuaaGvsLHQvM98SA");
	assert_int_equal(token_sign(&secret, TOKEN_TICKET, 1700000000,
				    "room=abc;role=host", 18, text),
			 0);
	assert_string_equal(text,
			    "AgBlU_EAcm9vbT1hYmM7cm9sZT1ob3N0hYdxUpwb19CGOS5I7vCvZw");
	for (i = 0; i < sizeof full; i++)
		full[i] = (uint8_t)i;
	assert_int_equal(token_sign(&secret, TOKEN_LINK, (UINT64_C(1) << 40) - 1, full,
				    sizeof full, text),
			 0);
	assert_int_equal(strlen(text), 286);
	assert_string_equal(text + 286 - 24, "6_-rZcPCbqw-1ekzwRfigXag");
}

static void test_round_trip(void **state)
{
	uint8_t body[TOKEN_BODY_MAX], back[TOKEN_BODY_MAX];
	char text[TOKEN_TEXT_MAX];
	size_t len, back_len;

	(void)state;
	random_bytes(body, sizeof body);
	for (len = 0; len <= TOKEN_BODY_MAX; len++) {
		assert_int_equal(token_sign(&secret, TOKEN_LINK, 1000, body, len, text),
				 0);
		assert_int_equal(token_verify(&secret, TOKEN_LINK, 999, text,
					      strlen(text), back, &back_len),
				 0);
		assert_int_equal(back_len, len);
		assert_memory_equal(back, body, len);
	}
}

static void test_sign_refuses(void **state)
{
	uint8_t body[TOKEN_BODY_MAX + 1] = { 0 };
	char text[TOKEN_TEXT_MAX] = "before";

	(void)state;
	assert_int_equal(token_sign(&secret, TOKEN_LINK, 0, body, sizeof body, text),
			 -EINVAL);
	assert_int_equal(
		token_sign(&secret, TOKEN_LINK, UINT64_C(1) << 40, body, 1, text),
		-EINVAL);
	assert_string_equal(text, "before");
}

static void test_expiry_and_type(void **state)
{
	struct secret other = secret;
	char text[TOKEN_TEXT_MAX];
	uint8_t body[TOKEN_BODY_MAX];
	size_t len = 77;

	(void)state;
	assert_int_equal(token_sign(&secret, TOKEN_LINK, 0x123456789a, "b", 1, text), 0);
	assert_int_equal(verify(TOKEN_LINK, 0, text), 0);
	assert_int_equal(verify(TOKEN_LINK, 0x1234567899, text), 0);
	assert_int_equal(verify(TOKEN_LINK, 0x123456789a, text), -ETIME);
	assert_int_equal(verify(TOKEN_TICKET, 0, text), -EACCES);
	assert_int_equal(verify(TOKEN_TICKET, UINT64_MAX, text), -EACCES);
	other.key[31] ^= 1;
	assert_int_equal(
		token_verify(&other, TOKEN_LINK, 0, text, strlen(text), body, &len),
		-EACCES);
	assert_int_equal(len, 77);
	assert_int_equal(token_sign(&secret, TOKEN_LINK, 0, "b", 1, text), 0);
	assert_int_equal(verify(TOKEN_LINK, UINT64_MAX, text), 0); /* 0 = never */
}

/* Every change of any one character is refused: there is one text for a token. */
static void test_forgeries(void **state)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char text[TOKEN_TEXT_MAX], forged[TOKEN_TEXT_MAX];
	size_t len, body_len, i, c;
	int err;

	(void)state;
	for (body_len = 0; body_len < 3; body_len++) { /* each remainder of base64 */
		assert_int_equal(
			token_sign(&secret, TOKEN_LINK, 0, "bod", body_len, text), 0);
		len = strlen(text);
		for (i = 0; i < len; i++) {
			for (c = 0; c < 64; c++) {
				memcpy(forged, text, len + 1);
				if (forged[i] == chars[c])
					continue;
				forged[i] = chars[c];
				err = verify(TOKEN_LINK, 0, forged);
				assert_true(err == -EACCES || err == -EBADMSG);
			}
			memcpy(forged, text, i);
			forged[i] = 0;
			err = verify(TOKEN_LINK, 0, forged);
			assert_true(err == -EACCES || err == -EBADMSG);
		}
		forged[0] = 'A';
		memcpy(forged + 1, text, len + 1);
		err = verify(TOKEN_LINK, 0, forged);
		assert_true(err == -EACCES || err == -EBADMSG);
	}
}

static void test_not_tokens(void **state)
{
	char text[TOKEN_TEXT_MAX], longer[TOKEN_TEXT_MAX + 8], huge[5000];
	uint8_t body[TOKEN_BODY_MAX];
	size_t i, len = 77;

	(void)state;
	assert_int_equal(verify(TOKEN_LINK, 0, ""), -EBADMSG);
	assert_int_equal(verify(TOKEN_LINK, 0, "AQ"), -EBADMSG);
	assert_int_equal(token_sign(&secret, TOKEN_LINK, 0, "b", 1, text), 0);
	for (i = 0; i < 9; i++) {
		memcpy(longer, text, strlen(text) + 1);
		longer[strlen(text)] = "= \n.+/\x80~A"[i];
		longer[strlen(text) + 1] = 0;
		assert_int_not_equal(verify(TOKEN_LINK, 0, longer), 0);
		if (i < 8)
			assert_int_equal(verify(TOKEN_LINK, 0, longer), -EBADMSG);
	}
	/* The terminating zero counted in, and a zero inside. */
	assert_int_equal(
		token_verify(&secret, TOKEN_LINK, 0, text, strlen(text) + 1, body, &len),
		-EBADMSG);
	memset(huge, 'A', sizeof huge);
	assert_int_equal(
		token_verify(&secret, TOKEN_LINK, 0, huge, sizeof huge, body, &len),
		-EBADMSG);
	/* 214 bytes are the most; 215 are too many, whatever they are. */
	assert_int_equal(token_verify(&secret, TOKEN_LINK, 0, huge, 286, body, &len),
			 -EACCES);
	assert_int_equal(token_verify(&secret, TOKEN_LINK, 0, huge, 287, body, &len),
			 -EBADMSG);
	assert_int_equal(len, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_sign_refuses),
		cmocka_unit_test(test_expiry_and_type),
		cmocka_unit_test(test_forgeries),
		cmocka_unit_test(test_not_tokens),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
