/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The certificate that DTLS shows. Nobody checks its chain or names: peers compare its
 * fingerprint with the one in the SDP (RFC 8122 §5). So it carries nothing about the
 * server, and a new one is made at every start.
 */
#include <palabre/crypto.h>

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

enum { DAY_S = 24 * 3600, VALID_DAYS = 365 };

static void on_cert_destroy(void *obj)
{
	struct cert *c = obj;

	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

/* X.509 wants a non-empty issuer (RFC 5280 §4.1.2.4); a random serialNumber attribute
 * says nothing, and a common name would only invite somebody to read meaning into it. */
static int set_subject(X509 *x)
{
	X509_NAME *name = X509_get_subject_name(x);
	unsigned char text[17];

	snprintf((char *)text, sizeof text, "%08x%08x", random_u32(), random_u32());
	return X509_NAME_add_entry_by_NID(name, NID_serialNumber, MBSTRING_ASC, text, -1,
					  -1, 0) &&
	       X509_set_issuer_name(x, name);
}

static int set_serial(X509 *x)
{
	/* Positive and not 0 (RFC 5280 §4.1.2.2). */
	uint64_t serial = (uint64_t)random_u32() << 31 | random_u32() | 1;

	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial);
}

static X509 *make_x509(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (!x)
		return NULL;
	/* From a day ago: the other side's clock may be behind. */
	if (X509_set_version(x, X509_VERSION_3) && set_serial(x) && set_subject(x) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -DAY_S) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), (long)(VALID_DAYS - 1) * DAY_S) &&
	    X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static void fingerprint_print(const uint8_t digest[FINGERPRINT_BYTES],
			      char out[FINGERPRINT_TEXT_MAX])
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < FINGERPRINT_BYTES; i++) {
		out[3 * i] = hex[digest[i] >> 4];
		out[3 * i + 1] = hex[digest[i] & 15];
		out[3 * i + 2] = ':';
	}
	out[3 * FINGERPRINT_BYTES - 1] = 0;
}

struct cert *cert_create(void)
{
	struct cert *c = mem_create(sizeof *c, on_cert_destroy);
	uint8_t digest[FINGERPRINT_BYTES];

	if (!c)
		return NULL;
	c->key = EVP_EC_gen("P-256");
	if (c->key)
		c->x509 = make_x509(c->key);
	if (!c->x509 || cert_digest(c->x509, digest))
		return mem_unref(c);
	fingerprint_print(digest, c->fingerprint);
	return c;
}

int cert_digest(X509 *x509, uint8_t out[FINGERPRINT_BYTES])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!x509 || !X509_digest(x509, EVP_sha256(), digest, &len) ||
	    len != FINGERPRINT_BYTES)
		return -EINVAL;
	memcpy(out, digest, FINGERPRINT_BYTES);
	return 0;
}

int cert_text(X509 *x509, char out[FINGERPRINT_TEXT_MAX])
{
	uint8_t digest[FINGERPRINT_BYTES];
	int err = cert_digest(x509, digest);

	if (!err)
		fingerprint_print(digest, out);
	return err;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int fingerprint_parse(const char *text, uint8_t out[FINGERPRINT_BYTES])
{
	uint8_t digest[FINGERPRINT_BYTES];
	int high, low;
	size_t i;

	for (i = 0; i < FINGERPRINT_BYTES; i++, text += 3) {
		high = hex_value(text[0]);
		low = high < 0 ? -1 : hex_value(text[1]);
		if (low < 0 || text[2] != (i == FINGERPRINT_BYTES - 1 ? 0 : ':'))
			return -EINVAL;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(out, digest, sizeof digest);
	return 0;
}
