/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Signed tokens. A token has exactly one text: the decoder refuses padding, other
 * alphabets and stray last bits, so a token can be banned or counted by its text. Nothing
 * of a token is looked at before its signature is good.
 */
#include <palabre/crypto.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum {
	HEAD_BYTES = 1 + 5,
	MAC_BYTES = 16,
	PAYLOAD_MAX = HEAD_BYTES + TOKEN_BODY_MAX,
	RAW_MAX = PAYLOAD_MAX + MAC_BYTES,
};
_Static_assert((RAW_MAX * 4 + 2) / 3 < TOKEN_TEXT_MAX, "the longest token fits");

static const char label[16] = { 'p', 'a', 'l', 'a', 'b', 'r', 'e', ' ',
				't', 'o', 'k', 'e', 'n', ' ', 'v', '1' };
static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 §5 without padding; terminates. */
static void base64url_print(const uint8_t *in, size_t len, char *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		have += 8;
		for (; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = 0;
}

static int base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static int base64url_parse(const char *text, size_t text_len, uint8_t *out, size_t max,
			   size_t *len)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t i, n = 0;
	int v;

	for (i = 0; i < text_len; i++) {
		v = base64url_value(text[i]);
		if (v < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		if (n == max)
			return -EBADMSG;
		have -= 8;
		out[n++] = (uint8_t)(bits >> have);
	}
	/* Six left over is a character too many; else the rest must be zero. */
	if (have == 6 || (bits & ((1u << have) - 1)))
		return -EBADMSG;
	*len = n;
	return 0;
}

static int make_mac(const struct secret *s, const uint8_t *payload, size_t len,
		    uint8_t mac[MAC_BYTES])
{
	uint8_t message[sizeof label + PAYLOAD_MAX], full[EVP_MAX_MD_SIZE];
	unsigned full_len = 0;

	memcpy(message, label, sizeof label);
	memcpy(message + sizeof label, payload, len);
	if (!HMAC(EVP_sha256(), s->key, SECRET_BYTES, message, sizeof label + len, full,
		  &full_len) ||
	    full_len < MAC_BYTES)
		return -ENOMEM;
	memcpy(mac, full, MAC_BYTES);
	return 0;
}

int token_sign(const struct secret *s, enum token_type type, uint64_t expiry_s,
	       const void *body, size_t len, char out[TOKEN_TEXT_MAX])
{
	uint8_t raw[RAW_MAX];
	int err;

	if (len > TOKEN_BODY_MAX || expiry_s >> 40 || (unsigned)type > UINT8_MAX)
		return -EINVAL;
	raw[0] = (uint8_t)type;
	raw[1] = (uint8_t)(expiry_s >> 32);
	put_be32(raw + 2, (uint32_t)expiry_s);
	if (len)
		memcpy(raw + HEAD_BYTES, body, len);
	err = make_mac(s, raw, HEAD_BYTES + len, raw + HEAD_BYTES + len);
	if (err)
		return err;
	base64url_print(raw, HEAD_BYTES + len + MAC_BYTES, out);
	return 0;
}

int token_verify(const struct secret *s, enum token_type type, uint64_t now_s,
		 const char *text, size_t text_len, uint8_t body[TOKEN_BODY_MAX],
		 size_t *len)
{
	uint8_t raw[RAW_MAX], mac[MAC_BYTES];
	size_t raw_len, payload_len;
	uint64_t expiry_s;
	int err;

	if (base64url_parse(text, text_len, raw, sizeof raw, &raw_len) ||
	    raw_len < HEAD_BYTES + MAC_BYTES)
		return -EBADMSG;
	payload_len = raw_len - MAC_BYTES;
	err = make_mac(s, raw, payload_len, mac);
	if (err)
		return err;
	if (!equal_constant_time(mac, raw + payload_len, MAC_BYTES) ||
	    raw[0] != (unsigned)type)
		return -EACCES;
	expiry_s = (uint64_t)raw[1] << 32 | get_be32(raw + 2);
	if (expiry_s && now_s >= expiry_s)
		return -ETIME;
	*len = payload_len - HEAD_BYTES;
	memcpy(body, raw + HEAD_BYTES, *len);
	return 0;
}
