/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * stall PID: stops every thread of that process but its first, as if each were stuck, says "stalled",
 * and lets them go on when its input ends. Needs the right to trace it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

static int hold(pid_t tid)
{
	int status;

	return ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0) ||
	       waitpid(tid, &status, __WALL) != tid;
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0, held[THREADS_MAX];
	unsigned count = 0;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	d = pid > 0 ? opendir(path) : NULL;
	while (d && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid <= 0 || tid == pid || count == THREADS_MAX)
			continue;
		if (hold(tid)) {
			perror("stall");
			return 1;
		}
		held[count++] = tid;
	}
	if (d)
		closedir(d);
	if (!count)
		return 1;
	puts("stalled");
	fflush(stdout);
	while (getchar() != EOF)
		;
	while (count)
		ptrace(PTRACE_DETACH, held[--count], 0, 0);
	return 0;
}
