/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One line an event, in one write(2), so that lines of several threads never mix. A value
 * can't forge a line: control characters are replaced.
 */
#include <palabre/base.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static const struct {
	const char *word;
	int priority; /* syslog's, for journald: sd-daemon(3) */
} levels[] = {
	[LOG_DEBUG] = { "DEBUG", 7 },
	[LOG_INFO] = { "INFO", 6 },
	[LOG_WARN] = { "WARN", 4 },
	[LOG_ERROR] = { "ERROR", 3 },
};

static _Atomic int level_now = LOG_INFO;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool to_journal;

/* JOURNAL_STREAM is "device:inode" of the stream to journald (systemd.exec(5)). Being set
 * is not enough: a shell under a service inherits it while its stderr is a terminal or
 * file. */
static void find_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	to_journal = text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 &&
		     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
		     st.st_ino == ino;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&level_now, memory_order_relaxed);
}

static size_t put_prefix(char *line, enum log_level level, const char *event)
{
	uint64_t wall_us;
	struct tm tm;
	time_t s;
	int n;

	if (to_journal) {
		n = snprintf(line, LINE_MAX_BYTES, "<%d>%s %s", levels[level].priority,
			     levels[level].word, event);
	} else {
		wall_us = clock_wall_us();
		s = (time_t)(wall_us / 1000000);
		gmtime_r(&s, &tm);
		n = snprintf(line, LINE_MAX_BYTES,
			     "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ %s %s",
			     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			     tm.tm_min, tm.tm_sec, (unsigned)(wall_us / 1000 % 1000),
			     levels[level].word, event);
	}
	return n < 0 ? 0 : (size_t)n;
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 1];
	int saved_errno = errno;
	size_t len, i;
	va_list ap;
	int n;

	if (!log_enabled(level))
		return;
	pthread_once(&once, find_journal);
	len = put_prefix(line, level, event);
	if (fmt[0] && len < LINE_MAX_BYTES) {
		line[len++] = ' ';
		va_start(ap, fmt);
		errno = saved_errno; /* for %m */
		n = vsnprintf(line + len, LINE_MAX_BYTES - len, fmt, ap);
		va_end(ap);
		len += n < 0 ? 0 : (size_t)n;
	}
	if (len >= LINE_MAX_BYTES) { /* snprintf kept one byte less than it was given */
		len = LINE_MAX_BYTES - 1;
		line[len - 3] = line[len - 2] = line[len - 1] = '.';
	}
	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}
