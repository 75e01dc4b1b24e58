/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * JSON for control code, on jansson.
 *
 * Invariant: jansson sees only text within JSON_BYTES_MAX whose brackets nest no deeper
 * than JSON_DEPTH_MAX. Its own limit (2048) is fixed when it is built, and it recurses.
 */
#include <palabre/wire.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Deepest nesting of brackets outside strings. Whether they match is jansson's business.
 */
static unsigned json_depth(const char *text, size_t len)
{
	unsigned depth = 0, deepest = 0;
	bool in_string = false;
	size_t i;

	for (i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > deepest)
				deepest = depth;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return deepest;
}

struct json_t *json_read(const char *text, size_t len, char *err)
{
	json_error_t e;
	json_t *j;

	if (len > JSON_BYTES_MAX) {
		snprintf(err, SDP_TEXT_MAX, "longer than %d bytes", JSON_BYTES_MAX);
		return NULL;
	}
	if (len && memchr(text, 0, len)) {
		snprintf(err, SDP_TEXT_MAX, "holds a NUL byte");
		return NULL;
	}
	if (json_depth(text, len) > JSON_DEPTH_MAX) {
		snprintf(err, SDP_TEXT_MAX, "nested deeper than %d", JSON_DEPTH_MAX);
		return NULL;
	}
	j = json_loadb(len ? text : "", len, JSON_REJECT_DUPLICATES, &e);
	if (!j) {
		snprintf(err, SDP_TEXT_MAX, "line %d: %.200s", e.line, e.text);
		return NULL;
	}
	if (!json_is_object(j)) {
		snprintf(err, SDP_TEXT_MAX, "not an object");
		json_decref(j);
		return NULL;
	}
	return j;
}

char *json_write(const struct json_t *j)
{
	return json_dumps(j, JSON_COMPACT);
}

const char *json_get_text(const struct json_t *obj, const char *key, size_t max)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_string(v) || json_string_length(v) > max)
		return NULL;
	return json_string_value(v);
}

int64_t json_get_int(const struct json_t *obj, const char *key, int64_t min, int64_t max,
		     int64_t fallback)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v) || json_integer_value(v) < min ||
	    json_integer_value(v) > max)
		return fallback;
	return json_integer_value(v);
}

bool json_get_bool(const struct json_t *obj, const char *key, bool fallback)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_boolean(v) ? json_is_true(v) : fallback;
}
