/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What may be a person's name, and what is left of a text. Anything a person writes in any
 * script, but nothing that deceives others in a list: no control characters, no
 * bidirectional overrides.
 */
#include <palabre/room.h>

#include <errno.h>
#include <string.h>

/* One UTF-8 sequence (RFC 3629): its length, or 0 if malformed. */
static unsigned decode(const unsigned char *s, uint32_t *out)
{
	unsigned len = s[0] < 0x80	 ? 1
		       : s[0] >> 5 == 6	 ? 2
		       : s[0] >> 4 == 14 ? 3
		       : s[0] >> 3 == 30 ? 4
					 : 0;
	uint32_t c;

	if (!len)
		return 0;
	c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
	for (unsigned i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((len == 2 && c < 0x80) || (len == 3 && c < 0x800) ||
	    (len == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*out = c;
	return len;
}

static bool deceives(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029 || c == 0xfeff;
}

int person_name_check(const char *name, char out[PERSON_NAME_MAX + 1])
{
	size_t len, chars = 0;

	name += strspn(name, " ");
	len = strlen(name);
	while (len && name[len - 1] == ' ')
		len--;
	if (!len || len > PERSON_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len;) {
		uint32_t c;
		unsigned n = decode((const unsigned char *)name + i, &c);

		if (!n || i + n > len || deceives(c) || ++chars > PERSON_NAME_CHARS)
			return -EINVAL;
		i += n;
	}
	memcpy(out, name, len);
	out[len] = 0;
	return 0;
}

int room_text_take(const char *text, unsigned max_chars, size_t max_bytes, bool lines,
		   char *out)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = 0;
	unsigned chars = 0, n;
	uint32_t c;

	for (; *s; s += n) {
		n = decode(s, &c);
		if (!n)
			return -EINVAL;
		if (c == '\t' || (c == '\n' && !lines))
			c = ' ';
		else if (c != '\n' && deceives(c))
			continue;
		if ((c == ' ' || c == '\n') && !len)
			continue;
		if (len + n > max_bytes || ++chars > max_chars)
			return -EINVAL;
		if (c == ' ' || c == '\n')
			out[len++] = (char)c;
		else
			memcpy(out + len, s, n);
		len += c == ' ' || c == '\n' ? 0 : n;
	}
	while (len && (out[len - 1] == ' ' || out[len - 1] == '\n'))
		len--;
	out[len] = 0;
	return len ? (int)len : -EINVAL;
}
