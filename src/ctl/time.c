/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Times in a zone. The C library knows zones by the process' TZ alone, so this is for a program of one
 * thread. */
#include <palabre/ctl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char zones[] = "/usr/share/zoneinfo";

bool ctl_zone_known(const char *zone)
{
	char path[256];

	if (!zone[0] || zone[0] == '/' || strstr(zone, ".."))
		return false;
	if (access(zones, R_OK)) /* a small machine without them: nothing to compare */
		return true;
	snprintf(path, sizeof path, "%s/%s", zones, zone);
	return !access(path, R_OK);
}

static void zone_use(const char *zone)
{
	if (zone[0])
		setenv("TZ", zone, 1);
	else
		unsetenv("TZ");
	tzset();
}

int ctl_time_parse(const char *text, const char *zone, uint64_t *out)
{
	struct tm tm = { .tm_isdst = -1 }, back;
	char blank, end;
	time_t at;

	if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &blank, &tm.tm_hour, &tm.tm_min, &end) != 6 ||
	    (blank != ' ' && blank != 'T'))
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	zone_use(zone);
	at = mktime(&back);
	/* What was changed does not exist: 31 February, or an hour that is skipped in spring. */
	if (at <= 0 || back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon ||
	    back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min)
		return -EINVAL;
	*out = (uint64_t)at;
	return 0;
}

void ctl_time_text(uint64_t at_s, const char *zone, char out[CTL_TIME_MAX])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	zone_use(zone);
	out[0] = 0;
	if (localtime_r(&at, &tm))
		strftime(out, CTL_TIME_MAX, "%Y-%m-%d %H:%M", &tm);
}

int64_t ctl_span_parse(const char *text)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 6 || !text[digits] || text[digits + 1])
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (text[digits] == units[i].unit)
			return strtoll(text, NULL, 10) * units[i].s;
	return -EINVAL;
}
