/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See server.h. */
#include "server.h"

#include <palabre/base.h>

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PORT_FIRST = 20000, PORT_COUNT = 10000, PORT_TRIES = 50 };

static bool port_free(int type, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_ANY) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	bool is_free = fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof a);

	if (fd >= 0)
		close(fd);
	return is_free;
}

/* Below the ports that the kernel gives to clients. */
uint16_t server_free_port(void)
{
	for (unsigned i = 0; i < PORT_TRIES; i++) {
		uint16_t port = (uint16_t)(PORT_FIRST + random_u32() % PORT_COUNT);

		if (port_free(SOCK_STREAM, port) && port_free(SOCK_DGRAM, port))
			return port;
	}
	return 0;
}

static _Noreturn void run(const struct server *s, const char *const *sets, int out,
			  int log, const char *link)
{
	char port_set[64], dir_set[128], runtime_set[128];
	const char *argv[2 * SERVER_SETS_MAX + 16];
	unsigned n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	snprintf(port_set, sizeof port_set, "server.port=%u", s->port);
	snprintf(dir_set, sizeof dir_set, "server.state_dir=%s", s->dir);
	snprintf(runtime_set, sizeof runtime_set, "server.runtime_dir=%s", s->dir);
	argv[n++] = s->program;
	argv[n++] = "--set";
	argv[n++] = port_set;
	argv[n++] = "--set";
	argv[n++] = dir_set;
	argv[n++] = "--set";
	argv[n++] = runtime_set;
	argv[n++] = "--set";
	argv[n++] = "server.listen=127.0.0.1";
	argv[n++] = "--set";
	argv[n++] = "server.workers=1";
	for (unsigned i = 0; sets && sets[i] && i < SERVER_SETS_MAX; i++) {
		argv[n++] = "--set";
		argv[n++] = sets[i];
	}
	if (link) {
		argv[n++] = "--print-link";
		argv[n++] = link;
	}
	argv[n] = NULL;
	execv(s->program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* The first link in what the program prints after `label`. */
static int read_link(int from, const char *label, struct signal_link *out)
{
	FILE *in = fdopen(from, "r");
	char line[1024];
	int err = -1;

	while (err && in && fgets(line, sizeof line, in)) {
		const char *url = strstr(line, "http://");

		if (url && !strncmp(line, label, strlen(label)))
			err = signal_link_parse(out, url);
	}
	if (in)
		fclose(in);
	return err;
}

int server_start(struct server *s, const char *program, uint16_t port,
		 const char *const *sets, int log)
{
	int fds[2];

	memset(s, 0, sizeof *s);
	s->program = program;
	s->port = port;
	snprintf(s->dir, sizeof s->dir, "/tmp/palabre-test-XXXXXX");
	if (!mkdtemp(s->dir) || pipe2(fds, O_CLOEXEC))
		return -1;
	s->pid = fork();
	if (s->pid == 0)
		run(s, sets, fds[1], log, NULL);
	close(fds[1]);
	if (!read_link(fds[0], "Guest", &s->link))
		return 0;
	fprintf(stderr, "%s printed no guest link\n", program);
	server_stop(s);
	return -1;
}

bool server_alive(const struct server *s)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       !info.si_pid;
}

int server_link(const struct server *s, const char *role, const char *room,
		struct signal_link *out)
{
	char what[128];
	int fds[2], err;
	pid_t pid;

	snprintf(what, sizeof what, "%s:%s", role, room);
	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0)
		run(s, NULL, fds[1], STDERR_FILENO, what);
	close(fds[1]);
	err = read_link(fds[0], "", out);
	waitpid(pid, NULL, 0);
	if (err)
		fprintf(stderr, "%s printed no link for %s\n", s->program, what);
	return err;
}

int server_stop(struct server *s)
{
	static const char *const files[] = { "secret", "rooms.db", "rooms.db-wal" };
	char path[96];
	int status = -1;

	if (s->pid > 0) {
		if (getenv("BENCH_COUNTERS")) { /* the server's counters on stderr */
			kill(s->pid, SIGUSR1);
			usleep(200000);
		}
		kill(s->pid, SIGTERM);
		waitpid(s->pid, &status, 0);
		s->pid = 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", s->dir, files[i]);
		unlink(path);
	}
	rmdir(s->dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

uint64_t server_cpu_ns(const struct server *s)
{
	char path[288];
	uint64_t sum = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", (int)s->pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		unsigned long long ns = 0;
		FILE *f;

		snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)s->pid,
			 e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

long server_rss_kib(const struct server *s)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* What `log` holds from `from` on, terminated; free() it. */
static char *read_from(int log, off_t from)
{
	off_t end = lseek(log, 0, SEEK_CUR); /* shared with the server, which appends */
	size_t len = end > from ? (size_t)(end - from) : 0;
	char *text = malloc(len + 1);
	ssize_t n = text ? pread(log, text, len, from) : -1;

	if (text)
		text[n > 0 ? n : 0] = 0;
	return text;
}

int64_t server_counter(const struct server *s, int log, const char *name)
{
	off_t from = lseek(log, 0, SEEK_CUR);
	int64_t value = -1;
	char key[64];

	snprintf(key, sizeof key, " %s=", name);
	kill(s->pid, SIGUSR1);
	for (unsigned i = 0; i < 2000 && value < 0; i++) {
		char *text = read_from(log, from), *at;

		if (text && strstr(text, "app.counters")) {
			at = strstr(text, key);
			value = at ? strtoll(at + strlen(key), NULL, 10) : 0;
		}
		free(text);
		if (value < 0)
			usleep(1000);
	}
	return value;
}

int server_fds(const struct server *s)
{
	char path[64];
	int count = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)s->pid);
	d = opendir(path);
	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	closedir(d);
	return count;
}
