/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * AES and HMAC-SHA1 of OpenSSL for libsrtp2, by its own interface for that. Debian's libsrtp2
 * has them of NSS, which makes a context for each packet and looks the key up among all there
 * are: 2.8 us to open 100 bytes with one connection's keys, 35 us with 3000's (CM; GCM 1.1 and 7).
 * Here 0.4 us, however many there are.
 *
 * libsrtp2 takes a type only if it passes the tests of the one it replaces, and its own.
 */
#include "srtp_cipher.h"

#include <srtp2/auth.h>
#include <srtp2/cipher.h>
#include <stdlib.h>
#include <string.h>

#include "seal.h"

enum {
	ICM_KEY = SRTP_KEY_BYTES + SRTP_SALT_MAX, /* with its salt, as libsrtp2 has it */
	GCM_KEY = SRTP_KEY_BYTES + SRTP_SALT_GCM,
	AES_BLOCK = 16,
	MAC_KEY_MAX = 64
};

/* One block of memory each: libsrtp2's view comes first. */
struct cipher {
	srtp_cipher_t lib;
	EVP_CIPHER_CTX *ctx;
	uint8_t salt[SRTP_SALT_MAX]; /* ICM */
	uint8_t tag_len;	     /* GCM */
	bool opens;
};
struct mac {
	srtp_auth_t lib;
	struct seal_mac keyed;
	SHA_CTX message;
};

static const srtp_cipher_type_t icm_type, gcm_type;
static const srtp_auth_type_t mac_type;

/* ---- ciphers ----------------------------------------------------------------------- */

static srtp_err_status_t cipher_alloc(srtp_cipher_t **out, const srtp_cipher_type_t *type,
				      int key_len, int tag_len)
{
	struct cipher *c = calloc(1, sizeof *c);

	if (!c)
		return srtp_err_status_alloc_fail;
	c->ctx = EVP_CIPHER_CTX_new();
	if (!c->ctx) {
		free(c);
		return srtp_err_status_alloc_fail;
	}
	c->tag_len = (uint8_t)tag_len;
	c->lib = (srtp_cipher_t) { type, c, key_len, (int)type->id };
	*out = &c->lib;
	return srtp_err_status_ok;
}

static srtp_err_status_t cipher_free(srtp_cipher_t *lib)
{
	struct cipher *c = lib->state;

	EVP_CIPHER_CTX_free(c->ctx);
	OPENSSL_cleanse(c, sizeof *c);
	free(c);
	return srtp_err_status_ok;
}

static srtp_err_status_t icm_alloc(srtp_cipher_t **out, int key_len, int tag_len)
{
	(void)tag_len;
	if (key_len != ICM_KEY)
		return srtp_err_status_bad_param;
	return cipher_alloc(out, &icm_type, key_len, 0);
}

static srtp_err_status_t icm_init(void *state, const uint8_t *key)
{
	struct cipher *c = state;

	memcpy(c->salt, key + SRTP_KEY_BYTES, SRTP_SALT_MAX);
	return EVP_EncryptInit_ex(c->ctx, EVP_aes_128_ctr(), NULL, key, NULL) == 1
		       ? srtp_err_status_ok
		       : srtp_err_status_init_fail;
}

/* RFC 3711 §4.1.1: the salt is added to the SSRC and the index, 16 bits count blocks. */
static srtp_err_status_t icm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t way)
{
	struct cipher *c = state;
	uint8_t counter[AES_BLOCK];

	(void)way;
	memcpy(counter, iv, sizeof counter);
	for (unsigned i = 0; i < SRTP_SALT_MAX; i++)
		counter[i] ^= c->salt[i];
	return EVP_EncryptInit_ex(c->ctx, NULL, NULL, NULL, counter) == 1
		       ? srtp_err_status_ok
		       : srtp_err_status_cipher_fail;
}

static srtp_err_status_t icm_crypt(void *state, uint8_t *buf, unsigned *len)
{
	struct cipher *c = state;
	int n;

	if (*len && EVP_EncryptUpdate(c->ctx, buf, &n, buf, (int)*len) != 1)
		return srtp_err_status_cipher_fail;
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_alloc(srtp_cipher_t **out, int key_len, int tag_len)
{
	if (key_len != GCM_KEY ||
	    (tag_len != SEAL_TAG_GCM && tag_len != SEAL_TAG_GCM / 2))
		return srtp_err_status_bad_param;
	return cipher_alloc(out, &gcm_type, key_len, tag_len);
}

static srtp_err_status_t gcm_init(void *state, const uint8_t *key)
{
	struct cipher *c = state;

	return EVP_CipherInit_ex(c->ctx, EVP_aes_128_gcm(), NULL, key, NULL, 0) == 1
		       ? srtp_err_status_ok
		       : srtp_err_status_init_fail;
}

static srtp_err_status_t gcm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t way)
{
	struct cipher *c = state;

	c->opens = way == srtp_direction_decrypt;
	return EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, iv, !c->opens) == 1
		       ? srtp_err_status_ok
		       : srtp_err_status_cipher_fail;
}

static srtp_err_status_t gcm_set_aad(void *state, const uint8_t *aad, uint32_t len)
{
	struct cipher *c = state;
	int n;

	if (len && EVP_CipherUpdate(c->ctx, NULL, &n, aad, (int)len) != 1)
		return srtp_err_status_cipher_fail;
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_encrypt(void *state, uint8_t *buf, unsigned *len)
{
	struct cipher *c = state;
	uint8_t end[AES_BLOCK];
	int n;

	if (c->opens ||
	    (*len && EVP_CipherUpdate(c->ctx, buf, &n, buf, (int)*len) != 1) ||
	    EVP_CipherFinal_ex(c->ctx, end, &n) != 1)
		return srtp_err_status_cipher_fail;
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_get_tag(void *state, uint8_t *tag, uint32_t *len)
{
	struct cipher *c = state;

	if (EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, c->tag_len, tag) != 1)
		return srtp_err_status_cipher_fail;
	*len = c->tag_len;
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_decrypt(void *state, uint8_t *buf, unsigned *len)
{
	struct cipher *c = state;
	uint8_t end[AES_BLOCK];
	unsigned plain;
	int n;

	if (!c->opens || *len < c->tag_len)
		return srtp_err_status_bad_param;
	plain = *len - c->tag_len;
	if (EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, c->tag_len, buf + plain) !=
		    1 ||
	    (plain && EVP_CipherUpdate(c->ctx, buf, &n, buf, (int)plain) != 1))
		return srtp_err_status_cipher_fail;
	if (EVP_CipherFinal_ex(c->ctx, end, &n) != 1)
		return srtp_err_status_auth_fail;
	*len = plain;
	return srtp_err_status_ok;
}

/* ---- HMAC-SHA1 --------------------------------------------------------------------- */

static srtp_err_status_t mac_alloc(srtp_auth_t **out, int key_len, int out_len)
{
	struct mac *m;

	if (key_len < 0 || key_len > MAC_KEY_MAX || out_len < 0 ||
	    out_len > SHA_DIGEST_LENGTH)
		return srtp_err_status_bad_param;
	m = calloc(1, sizeof *m);
	if (!m)
		return srtp_err_status_alloc_fail;
	m->lib = (srtp_auth_t) { &mac_type, m, out_len, key_len, 0 };
	*out = &m->lib;
	return srtp_err_status_ok;
}

static srtp_err_status_t mac_free(srtp_auth_t *lib)
{
	struct mac *m = lib->state;

	OPENSSL_cleanse(m, sizeof *m);
	free(m);
	return srtp_err_status_ok;
}

static srtp_err_status_t mac_start(void *state)
{
	struct mac *m = state;

	m->message = m->keyed.inner;
	return srtp_err_status_ok;
}

static srtp_err_status_t mac_init(void *state, const uint8_t *key, int key_len)
{
	struct mac *m = state;

	seal_mac_init(&m->keyed, key, (size_t)key_len);
	return mac_start(m);
}

static srtp_err_status_t mac_update(void *state, const uint8_t *data, int len)
{
	struct mac *m = state;

	SHA1_Update(&m->message, data, (size_t)len);
	return srtp_err_status_ok;
}

static srtp_err_status_t mac_compute(void *state, const uint8_t *data, int len,
				     int tag_len, uint8_t *tag)
{
	struct mac *m = state;
	uint8_t whole[SHA_DIGEST_LENGTH];

	if (tag_len < 0 || tag_len > SHA_DIGEST_LENGTH)
		return srtp_err_status_bad_param;
	SHA1_Update(&m->message, data, (size_t)len);
	seal_mac_end(&m->keyed, &m->message, whole);
	memcpy(tag, whole, (size_t)tag_len);
	return srtp_err_status_ok;
}

/* ---- types, and their vectors ------------------------------------------------------ */

/* RFC 3711 B.2: the key stream. */
static const uint8_t icm_key[ICM_KEY] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
					  0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c,
					  0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
					  0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd };
static uint8_t icm_iv[AES_BLOCK];
static const uint8_t icm_plain[32];
static const uint8_t icm_sealed[32] = { 0xe0, 0x3e, 0xad, 0x09, 0x35, 0xc9, 0x5e, 0x80,
					0xe1, 0x66, 0xb1, 0x6d, 0xd9, 0x2b, 0x4e, 0xb4,
					0xd2, 0x35, 0x13, 0x16, 0x2b, 0x02, 0xd0, 0xf7,
					0x2a, 0x43, 0xa2, 0xfe, 0x4a, 0x5f, 0x97, 0xab };
static const srtp_cipher_test_case_t icm_test = {
	.key_length_octets = ICM_KEY,
	.key = icm_key,
	.idx = icm_iv,
	.plaintext_length_octets = sizeof icm_plain,
	.plaintext = icm_plain,
	.ciphertext_length_octets = sizeof icm_sealed,
	.ciphertext = icm_sealed,
};

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4. */
static const uint8_t gcm_key[GCM_KEY] = {
	0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
	0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08
};
static uint8_t gcm_iv[] = { 0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
			    0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88 };
static const uint8_t gcm_aad[] = { 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe,
				   0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad,
				   0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2 };
static const uint8_t gcm_plain[60] = {
	0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
	0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
	0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
	0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
	0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39
};
static const uint8_t gcm_sealed[76] = {
	0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77, 0x74, 0x24, 0x4b, 0x72, 0x21, 0xb7, 0x84,
	0xd0, 0xd4, 0x9c, 0xe3, 0xaa, 0x21, 0x2f, 0x2c, 0x02, 0xa4, 0xe0, 0x35, 0xc1,
	0x7e, 0x23, 0x29, 0xac, 0xa1, 0x2e, 0x21, 0xd5, 0x14, 0xb2, 0x54, 0x66, 0x93,
	0x1c, 0x7d, 0x8f, 0x6a, 0x5a, 0xac, 0x84, 0xaa, 0x05, 0x1b, 0xa3, 0x0b, 0x39,
	0x6a, 0x0a, 0xac, 0x97, 0x3d, 0x58, 0xe0, 0x91, 0x5b, 0xc9, 0x4f, 0xbc, 0x32,
	0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47
};
static const srtp_cipher_test_case_t gcm_test = {
	.key_length_octets = GCM_KEY,
	.key = gcm_key,
	.idx = gcm_iv,
	.plaintext_length_octets = sizeof gcm_plain,
	.plaintext = gcm_plain,
	.ciphertext_length_octets = sizeof gcm_sealed,
	.ciphertext = gcm_sealed,
	.aad_length_octets = sizeof gcm_aad,
	.aad = gcm_aad,
	.tag_length_octets = SEAL_TAG_GCM,
};

/* RFC 2202, case 1. */
static const uint8_t mac_key[] = { 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
				   0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
				   0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b };
static const uint8_t mac_data[] = { 'H', 'i', ' ', 'T', 'h', 'e', 'r', 'e' };
static const uint8_t mac_tag[] = { 0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72,
				   0x64, 0xe2, 0x8b, 0xc0, 0xb6, 0xfb, 0x37,
				   0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00 };
static const srtp_auth_test_case_t mac_test = {
	sizeof mac_key, mac_key, sizeof mac_data, mac_data, sizeof mac_tag, mac_tag, NULL,
};

static const srtp_cipher_type_t icm_type = {
	.alloc = icm_alloc,
	.dealloc = cipher_free,
	.init = icm_init,
	.encrypt = icm_crypt,
	.decrypt = icm_crypt,
	.set_iv = icm_set_iv,
	.description = "AES-128 counter mode by OpenSSL",
	.test_data = &icm_test,
	.id = SRTP_AES_ICM_128,
};

static const srtp_cipher_type_t gcm_type = {
	.alloc = gcm_alloc,
	.dealloc = cipher_free,
	.init = gcm_init,
	.set_aad = gcm_set_aad,
	.encrypt = gcm_encrypt,
	.decrypt = gcm_decrypt,
	.set_iv = gcm_set_iv,
	.get_tag = gcm_get_tag,
	.description = "AES-128 GCM by OpenSSL",
	.test_data = &gcm_test,
	.id = SRTP_AES_GCM_128,
};

static const srtp_auth_type_t mac_type = {
	.alloc = mac_alloc,
	.dealloc = mac_free,
	.init = mac_init,
	.compute = mac_compute,
	.update = mac_update,
	.start = mac_start,
	.description = "HMAC-SHA1 by OpenSSL",
	.test_data = &mac_test,
	.id = SRTP_HMAC_SHA1,
};

srtp_err_status_t srtp_ciphers_replace(void)
{
	srtp_err_status_t status = srtp_replace_cipher_type(&icm_type, SRTP_AES_ICM_128);

	if (status == srtp_err_status_ok)
		status = srtp_replace_cipher_type(&gcm_type, SRTP_AES_GCM_128);
	if (status == srtp_err_status_ok)
		status = srtp_replace_auth_type(&mac_type, SRTP_HMAC_SHA1);
	return status;
}
