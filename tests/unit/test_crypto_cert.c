/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The DTLS certificate and fingerprints. */
#include <palabre/crypto.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

static void test_cert(void **state)
{
	struct cert *c = cert_create(), *other = cert_create();
	int days, seconds;
	time_t now = time(NULL), day_ago = now - 24 * 3600;
	char group[32] = "";

	(void)state;
	assert_non_null(c);
	assert_non_null(other);
	assert_int_equal(X509_get_version(c->x509), X509_VERSION_3);
	assert_int_equal(X509_check_private_key(c->x509, c->key), 1);
	assert_int_equal(X509_verify(c->x509, c->key), 1);
	assert_int_equal(X509_verify(c->x509, other->key), 0);
	assert_int_equal(X509_NAME_cmp(X509_get_subject_name(c->x509),
				       X509_get_issuer_name(c->x509)),
			 0);
	assert_int_equal(X509_NAME_get_index_by_NID(X509_get_subject_name(c->x509),
						    NID_commonName, -1),
			 -1);
	assert_int_equal(EVP_PKEY_get_group_name(c->key, group, sizeof group, NULL), 1);
	assert_string_equal(group, "prime256v1");
	assert_true(X509_cmp_time(X509_get0_notBefore(c->x509), &now) < 0);
	assert_int_equal(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(c->x509),
					X509_get0_notAfter(c->x509)),
			 1);
	assert_int_equal(days, 365);
	day_ago += 60;
	assert_true(X509_cmp_time(X509_get0_notBefore(c->x509), &day_ago) < 0);
	day_ago -= 120;
	assert_true(X509_cmp_time(X509_get0_notBefore(c->x509), &day_ago) > 0);
	/* Two starts can't be told to be of one server. */
	assert_true(X509_NAME_cmp(X509_get_subject_name(c->x509),
				  X509_get_subject_name(other->x509)) != 0);
	assert_string_not_equal(c->fingerprint, other->fingerprint);
	mem_unref(c);
	mem_unref(other);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	mem_fail_after(1);
	assert_null(cert_create());
}

static void test_fingerprint(void **state)
{
	struct cert *c = cert_create();
	uint8_t a[FINGERPRINT_BYTES], b[FINGERPRINT_BYTES];
	char text[FINGERPRINT_TEXT_MAX];
	size_t i;

	(void)state;
	assert_int_equal(strlen(c->fingerprint), 95);
	assert_int_equal(cert_digest(c->x509, a), 0);
	assert_int_equal(fingerprint_parse(c->fingerprint, b), 0);
	assert_memory_equal(a, b, sizeof a);
	for (i = 0; i <= 95; i++)
		text[i] = (char)tolower(c->fingerprint[i]);
	memset(b, 0, sizeof b);
	assert_int_equal(fingerprint_parse(text, b), 0);
	assert_memory_equal(a, b, sizeof a);
	assert_int_equal(cert_digest(NULL, a), -EINVAL);
	/* Each character wrong in turn, and each truncation. */
	memset(b, 0x55, sizeof b);
	memset(a, 0x55, sizeof a);
	for (i = 0; i < 95; i++) {
		char keep = text[i];

		text[i] = 'g';
		assert_int_equal(fingerprint_parse(text, b), -EINVAL);
		text[i] = 0;
		assert_int_equal(fingerprint_parse(text, b), -EINVAL);
		text[i] = keep;
	}
	text[95] = ':';
	assert_int_equal(fingerprint_parse(text, b), -EINVAL);
	assert_memory_equal(a, b, sizeof a);
	mem_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cert),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
