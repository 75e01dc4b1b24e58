/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The log's lines, read back from a file that stands in for stderr. */
#include <palabre/base.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[1 << 20];
static int saved_stderr = -1, file = -1;

static void capture_start(void)
{
	file = memfd_create("log", MFD_CLOEXEC);
	/* A memfd has no lock on its position, as a pipe, a socket and a file on disk
	 * have. */
	fcntl(file, F_SETFL, O_APPEND);
	saved_stderr = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
}

static void capture_stop(void)
{
	ssize_t n;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	n = pread(file, text, sizeof text - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	close(file);
}

static void test_line(void **state)
{
	unsigned year;
	int end = 0;

	(void)state;
	capture_start();
	log_info("room.join", "room=%s person=%u", "r1", 7u);
	capture_stop();
	assert_int_equal(
		sscanf(text, "%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%*3uZ %n", &year, &end), 1);
	assert_true(year >= 2024);
	assert_int_equal(end, strlen("2026-01-01T00:00:00.000Z "));
	assert_string_equal(text + end, "INFO room.join room=r1 person=7\n");
}

static int evaluated;

static int evaluate(void)
{
	return ++evaluated;
}

static void test_level(void **state)
{
	(void)state;
	capture_start();
	assert_false(log_enabled(LOG_DEBUG));
	log_debug("a.b", "n=%d", evaluate());
	log_set_level(LOG_ERROR);
	log_warn("a.b", "n=%d", 1);
	log_set_level(LOG_DEBUG);
	log_debug("c.d", "n=%d", evaluate());
	log_set_level(LOG_INFO);
	capture_stop();
	assert_int_equal(evaluated,
			 1); /* arguments of a silent debug line cost nothing */
	assert_null(strstr(text, "a.b"));
	assert_non_null(strstr(text, "DEBUG c.d n=1\n"));
}

static void test_hostile_value(void **state)
{
	char *line;

	(void)state;
	capture_start();
	log_warn("x.y", "v=%s", "a\nERROR forged\t\x7f\x1b[31m\xc3\xa9");
	capture_stop();
	line = strstr(text, "WARN x.y");
	assert_non_null(line);
	assert_string_equal(line, "WARN x.y v=a?ERROR forged???[31m\xc3\xa9\n");
}

static void test_long_value(void **state)
{
	static char value[5000];

	(void)state;
	memset(value, 'v', sizeof value - 1);
	capture_start();
	errno = ERANGE;
	log_error("x.y", "v=%s", value);
	assert_int_equal(errno, ERANGE);
	capture_stop();
	assert_int_equal(strlen(text), 1024);
	assert_string_equal(text + 1024 - 7, "vvv...\n");
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *arg)
{
	int i;

	for (i = 0; i < LINES; i++)
		log_info("t.line", "thread=%s number=%04d end", (const char *)arg, i);
	return NULL;
}

static void test_threads(void **state)
{
	static const char *const name[THREADS] = { "a", "b", "c", "d" };
	pthread_t thread[THREADS];
	unsigned i, lines = 0;
	char *line, *save = NULL, *at;

	(void)state;
	capture_start();
	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, write_lines, (void *)(uintptr_t)name[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	capture_stop();
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		at = strstr(line, "INFO t.line thread=");
		assert_non_null(at);
		assert_int_equal(strlen(at),
				 strlen("INFO t.line thread=a number=0000 end"));
		assert_string_equal(at + strlen(at) - 4, " end");
		lines++;
	}
	assert_int_equal(lines, THREADS * LINES);
}

/* The rest runs in a new process, because whether stderr is journald's is found once. */
static int child_main(const char *mode)
{
	char stream[64];
	struct stat st;

	capture_start();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + (strcmp(mode, "inherited") == 0));
	setenv("JOURNAL_STREAM", stream, 1);
	log_error("a.b", "c=%d", 1);
	log_info("a.b", "c=%d", 2);
	capture_stop();
	if (strcmp(mode, "inherited") == 0)
		return text[0] == '<';
	return strcmp(text, "<3>ERROR a.b c=1\n<6>INFO a.b c=2\n") != 0;
}

static int run_child(const char *mode)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "test_base_log", mode, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_journal(void **state)
{
	(void)state;
	assert_int_equal(run_child("journal"), 0);
	assert_int_equal(run_child("inherited"), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),	      cmocka_unit_test(test_level),
		cmocka_unit_test(test_hostile_value), cmocka_unit_test(test_long_value),
		cmocka_unit_test(test_threads),	      cmocka_unit_test(test_journal),
	};

	if (argc > 1)
		return child_main(argv[1]);
	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
