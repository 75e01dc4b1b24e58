/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See server.h. */
#include "server.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(const char *program, uint16_t port, const char *dir, int out)
{
	char port_set[64], dir_set[128];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	snprintf(port_set, sizeof port_set, "server.port=%u", port);
	snprintf(dir_set, sizeof dir_set, "server.state_dir=%s", dir);
	execl(program, program, "--set", port_set, "--set", dir_set, "--set",
	      "server.listen=127.0.0.1", "--set", "server.workers=1", "--set",
	      "server.log_level=info", "--set", "room.people_max=5000", "--set",
	      "room.joins_per_minute_per_address_max=100000", "--set",
	      "http.connections_max=20000", "--set",
	      "http.connections_per_address_max=20000", (char *)NULL);
	_exit(127);
}

int server_start(struct server *s, const char *program, uint16_t port)
{
	int fds[2];
	char line[1024];
	FILE *in;

	memset(s, 0, sizeof *s);
	snprintf(s->dir, sizeof s->dir, "/tmp/palabre-bench-XXXXXX");
	if (!mkdtemp(s->dir) || pipe(fds))
		return -1;
	s->pid = fork();
	if (s->pid == 0)
		run(program, port, s->dir, fds[1]);
	close(fds[1]);
	in = fdopen(fds[0], "r");
	while (fgets(line, sizeof line, in)) {
		const char *url = strstr(line, "http://");

		if (!strncmp(line, "Guest", 5) && url &&
		    !signal_link_parse(&s->link, url)) {
			fclose(in);
			return 0;
		}
	}
	fprintf(stderr, "%s printed no guest link\n", program);
	fclose(in);
	server_stop(s);
	return -1;
}

void server_stop(struct server *s)
{
	char path[96];

	if (s->pid > 0) {
		if (getenv("BENCH_COUNTERS")) { /* the server's counters on stderr */
			kill(s->pid, SIGUSR1);
			usleep(200000);
		}
		kill(s->pid, SIGTERM);
		waitpid(s->pid, NULL, 0);
	}
	snprintf(path, sizeof path, "%s/secret", s->dir);
	unlink(path);
	rmdir(s->dir);
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
