/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The secret's file: made whole with mode 0600, read back, refused with the mend. */
#include <palabre/crypto.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[128], why[512];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/palabre-secret-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/secret", dir);
	strcpy(why, "untouched");
	return 0;
}

static unsigned files(bool remove_them)
{
	char name[512];
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		snprintf(name, sizeof name, "%s/%s", dir, e->d_name);
		if (remove_them)
			remove(name);
	}
	if (d)
		closedir(d);
	return n;
}

static int teardown(void **state)
{
	(void)state;
	files(true);
	return rmdir(dir);
}

static void write_file(const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_made_and_read(void **state)
{
	struct secret a = { 0 }, b = { 0 }, zero = { 0 };
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	assert_int_equal(secret_load(&a, path, why, sizeof why), 0);
	umask(mask);
	assert_string_equal(why, "untouched");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SECRET_BYTES);
	assert_int_equal(files(false), 1); /* nothing temporary is left */
	assert_memory_not_equal(&a, &zero, sizeof a);
	assert_int_equal(secret_load(&b, path, why, sizeof why), 0);
	assert_memory_equal(&a, &b, sizeof a);
}

static void test_read_only_is_enough(void **state)
{
	uint8_t data[SECRET_BYTES] = { 1, 2, 3 };
	struct secret s;

	(void)state;
	write_file(data, sizeof data, 0400);
	assert_int_equal(secret_load(&s, path, why, sizeof why), 0);
	assert_memory_equal(s.key, data, sizeof data);
}

static void test_wrong_size(void **state)
{
	static const size_t sizes[] = { 0, SECRET_BYTES - 1, SECRET_BYTES + 1 };
	uint8_t data[SECRET_BYTES + 1] = { 0 };
	struct secret s, before;
	size_t i;

	(void)state;
	memset(&before, 0xaa, sizeof before);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		s = before;
		write_file(data, sizes[i], 0600);
		assert_int_equal(secret_load(&s, path, why, sizeof why), -EINVAL);
		assert_non_null(strstr(why, path));
		assert_non_null(
			strstr(why, "instead of 32; put back a copy, or remove it"));
		assert_memory_equal(&s, &before, sizeof s);
	}
}

static void test_readable_by_others(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0644, 0610 };
	uint8_t data[SECRET_BYTES] = { 0 };
	struct secret s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(modes); i++) {
		write_file(data, sizeof data, modes[i]);
		assert_int_equal(secret_load(&s, path, why, sizeof why), -EACCES);
		assert_non_null(strstr(why, "chmod 600 "));
	}
}

static void test_not_a_file(void **state)
{
	char link_to[256];
	struct secret s;

	(void)state;
	assert_int_equal(secret_load(&s, dir, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "is not a file"));
	assert_int_equal(mkfifo(path, 0600), 0); /* doesn't wait for a writer */
	assert_int_equal(secret_load(&s, path, why, sizeof why), -EINVAL);
	unlink(path);
	snprintf(link_to, sizeof link_to, "%s/nowhere", dir);
	assert_int_equal(symlink(link_to, path), 0);
	assert_int_equal(secret_load(&s, path, why, sizeof why), -ENOENT);
	assert_non_null(strstr(why, "symbolic link"));
	assert_int_equal(files(false), 1);
}

static void test_no_directory(void **state)
{
	char deep[256], small[8];
	struct secret s;

	(void)state;
	snprintf(deep, sizeof deep, "%s/not/there", dir);
	assert_int_equal(secret_load(&s, deep, why, sizeof why), -ENOENT);
	assert_non_null(strstr(why, "make the directory first"));
	assert_int_equal(secret_load(&s, deep, small, sizeof small), -ENOENT);
	assert_int_equal(strlen(small), sizeof small - 1);
}

/* Several starting at once agree on one secret. */
static void test_race(void **state)
{
	struct secret s[8];
	int i, fds[2], status;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	for (i = 0; i < 8; i++) {
		if (fork() == 0) {
			if (secret_load(&s[0], path, why, sizeof why))
				_exit(1);
			_exit(write(fds[1], &s[0], sizeof s[0]) != (ssize_t)sizeof s[0]);
		}
	}
	for (i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < 8; i++) {
		assert_int_equal(read(fds[0], &s[i], sizeof s[i]), sizeof s[i]);
		assert_memory_equal(&s[i], &s[0], sizeof s[i]);
	}
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(files(false), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_made_and_read), T(test_read_only_is_enough),
		T(test_wrong_size),    T(test_readable_by_others),
		T(test_not_a_file),    T(test_no_directory),
		T(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
