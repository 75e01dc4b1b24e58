/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any line to palabrectl's socket: understood, or refused in words; what is understood is within its
 * limits, and changes a room only where it says so. */
#include "admin_in.h"
#include "fuzz.h"

#include <string.h>

static void check_room(const struct request *rq)
{
	struct store_room before = { .name = "before", .title = "T", .pin = "1" },
			  after = before;

	request_apply(rq, &after);
	check(!strcmp(after.name, "before") && !strcmp(after.pin, "1"));
	check(strlen(after.title) <= STORE_TITLE_MAX);
	check(strlen(after.description) <= STORE_DESCRIPTION_MAX);
	check(strlen(after.zone) <= STORE_ZONE_MAX);
	check(strlen(after.languages) <= STORE_LANGUAGES_MAX);
	check(has(rq, FIELD_TITLE) || !strcmp(after.title, "T"));
	check(has(rq, FIELD_LOCK) || !after.lock);
	check(after.retention_days <= STORE_RETENTION_DAYS_MAX);
	check(!strpbrk(after.title, "\n\r\t\033"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[REQUEST_WHY_MAX] = "";
	struct request rq;

	if (request_read(&rq, (const char *)data, size, why)) {
		check(why[0]);
		return 0;
	}
	check(rq.verb < VERBS && verb_name(rq.verb));
	check(!has(&rq, FIELD_ROOM) || !room_name_check(rq.room.name));
	check(rq.role < ROLE_COUNT);
	check(rq.level <= LOG_ERROR);
	check(!has(&rq, FIELD_LINK) || rq.link);
	check(strlen(rq.person) <= PERSON_ID_BYTES);
	check(strlen(rq.challenge) <= CHALLENGE_MAX);
	check_room(&rq);
	return 0;
}
