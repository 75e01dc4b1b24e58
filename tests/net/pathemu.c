/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * pathemu: an emulated network path between two namespaces (the kernels of test machines
 * have no netem): a TUN device in each, and one direction of path.c either way.
 *
 *   pathemu -a NS,IF,ADDR/LEN -b NS,IF,ADDR/LEN [-s SCHEDULE] [-c CONTROL] [-o JSON]
 *           [-S SEED] [KEY=VALUE…]
 *
 * NS "-" is the present namespace. Settings hold for both directions, with the prefix
 * "ab." or "ba." for one: rate (kbit/s, 0 unlimited), queue (ms; 200), delay, jitter
 * (ms), reorder (0/1), loss, dup (%), ge=P,R[,LB[,LG]] (Gilbert-Elliott: good to bad, bad
 * to good, loss in bad, in good, each %), down (0/1). SCHEDULE: lines "SECONDS
 * KEY=VALUE…", or "SECONDS loop"; SIGHUP starts it again. CONTROL: the same settings
 * without a time, read again when its change time changes. Counters are written as JSON
 * to -o (else to standard error) on SIGUSR1 and at the end. Writes "ready" to standard
 * output when the devices are up. One thread.
 */
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 4096, LINE_MAX_BYTES = 300, BATCH_PKTS = 256 };
static const int64_t POLL_NS = 100000000; /* of the control file */

struct step {
	double at_s;
	char line[LINE_MAX_BYTES];
};

struct emu {
	struct path path[2]; /* a to b, b to a */
	int fd[2];
	struct step *steps;
	size_t n_steps, next;
	const char *schedule, *control, *out;
	struct timespec control_time;
	int64_t start_ns, schedule_ns, control_ns;
};

static volatile sig_atomic_t got_hup, got_usr1, got_quit;

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		got_hup = 1;
	else if (sig == SIGUSR1)
		got_usr1 = 1;
	else
		got_quit = 1;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "pathemu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int set_pair(struct emu *e, const char *pair)
{
	char text[LINE_MAX_BYTES], *key = text, *value;
	int which = 3, err = 0;

	snprintf(text, sizeof(text), "%s", pair);
	value = strchr(text, '=');
	if (value)
		*value++ = '\0';
	if (!strncmp(key, "ab.", 3) || !strncmp(key, "ba.", 3)) {
		which = *key == 'a' ? 1 : 2;
		key += 3;
	}
	for (int i = 0; i < 2 && value; i++)
		if (which >> i & 1)
			err |= path_set(&e->path[i], key, value);
	if (!value || err)
		fprintf(stderr, "pathemu: bad setting '%s'\n", pair);
	return value && !err ? 0 : -EINVAL;
}

static void set_line(struct emu *e, const char *line)
{
	char text[LINE_MAX_BYTES], *save = NULL, *word;

	snprintf(text, sizeof(text), "%s", line);
	word = strtok_r(text, " \t\r\n", &save);
	for (; word && *word != '#'; word = strtok_r(NULL, " \t\r\n", &save))
		set_pair(e, word);
}

static void load_schedule(struct emu *e)
{
	char line[LINE_MAX_BYTES];
	FILE *f;

	e->n_steps = e->next = 0;
	if (!e->schedule)
		return;
	f = fopen(e->schedule, "r");
	if (!f)
		die(e->schedule);
	while (fgets(line, sizeof(line), f) && e->n_steps < STEPS_MAX) {
		struct step *step = &e->steps[e->n_steps];
		char *rest;

		step->at_s = strtod(line, &rest);
		if (rest == line)
			continue; /* a comment or an empty line */
		snprintf(step->line, sizeof(step->line), "%s", rest);
		e->n_steps++;
	}
	fclose(f);
}

static void run_schedule(struct emu *e, int64_t now)
{
	while (e->next < e->n_steps) {
		struct step *step = &e->steps[e->next];

		if ((double)(now - e->schedule_ns) / 1e9 < step->at_s)
			return;
		e->next++;
		if (strstr(step->line, "loop")) {
			e->next = 0;
			e->schedule_ns = now;
			return; /* at most one round a turn, or "0 loop" would hang us */
		}
		fprintf(stderr, "[%7.2f]%s", (double)(now - e->start_ns) / 1e9,
			step->line);
		set_line(e, step->line);
	}
}

static void read_control(struct emu *e)
{
	char line[LINE_MAX_BYTES];
	struct stat s;
	FILE *f;

	if (!e->control || stat(e->control, &s))
		return;
	if (s.st_mtim.tv_sec == e->control_time.tv_sec &&
	    s.st_mtim.tv_nsec == e->control_time.tv_nsec)
		return;
	f = fopen(e->control, "r");
	if (!f)
		return;
	e->control_time = s.st_mtim;
	while (fgets(line, sizeof(line), f))
		set_line(e, line);
	fclose(f);
}

static void enter_namespace(const char *name)
{
	char file[256];
	int fd;

	if (!strcmp(name, "-"))
		return;
	snprintf(file, sizeof(file), "/run/netns/%s", name);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(file);
	close(fd);
}

/* "NS,IF,ADDR/LEN" */
static int open_tun(char *spec)
{
	char command[600], *save = NULL;
	const char *ns = strtok_r(spec, ",", &save), *dev = strtok_r(NULL, ",", &save),
		   *addr = strtok_r(NULL, ",", &save);
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;
	struct ifreq req;

	if (!ns || !dev || !addr || home < 0) {
		fprintf(stderr, "pathemu: want NS,IF,ADDR/LEN\n");
		exit(2);
	}
	enter_namespace(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	memset(&req, 0, sizeof(req));
	req.ifr_flags = IFF_TUN | IFF_NO_PI;
	snprintf(req.ifr_name, IFNAMSIZ, "%s", dev);
	if (ioctl(fd, TUNSETIFF, &req))
		die(dev);
	snprintf(command, sizeof(command),
		 "ip addr add %s dev %s && ip link set %s up mtu 1500 txqueuelen 2000 && "
		 "ip link set lo up",
		 addr, dev, dev);
	if (system(command)) {
		fprintf(stderr, "pathemu: failed: %s\n", command);
		exit(1);
	}
	if (setns(home, CLONE_NEWNET))
		die("setns");
	close(home);
	return fd;
}

static void print_counts(struct emu *e)
{
	FILE *f = e->out ? fopen(e->out, "w") : stderr;

	if (!f)
		return;
	fprintf(f, "{\"seconds\":%.2f,\"ab\":", (double)(now_ns() - e->start_ns) / 1e9);
	path_print(&e->path[0], f);
	fprintf(f, ",\"ba\":");
	path_print(&e->path[1], f);
	fprintf(f, "}\n");
	if (f != stderr)
		fclose(f);
}

static void read_packets(struct emu *e, int side, int64_t now)
{
	unsigned char data[PATH_PKT_MAX_BYTES];

	for (int i = 0; i < BATCH_PKTS; i++) {
		ssize_t len = read(e->fd[side], data, sizeof(data));

		if (len <= 0)
			return;
		path_put(&e->path[side], data, (size_t)len, now);
	}
}

static void write_packets(struct emu *e, int side, int64_t now)
{
	unsigned char data[PATH_PKT_MAX_BYTES];
	size_t len;

	while ((len = path_take(&e->path[side], data, now)) > 0)
		if (write(e->fd[!side], data, len) < 0 && errno != EAGAIN && errno != EIO)
			die("write");
}

static void turn(struct emu *e)
{
	struct pollfd polls[2] = { { .fd = e->fd[0], .events = POLLIN },
				   { .fd = e->fd[1], .events = POLLIN } };
	int64_t now = now_ns(), wait_ns = POLL_NS;
	struct timespec wait;

	if (got_hup) {
		got_hup = 0;
		load_schedule(e);
		e->schedule_ns = now;
	}
	if (got_usr1) {
		got_usr1 = 0;
		print_counts(e);
	}
	run_schedule(e, now);
	if (now >= e->control_ns) {
		e->control_ns = now + POLL_NS;
		read_control(e);
	}
	for (int i = 0; i < 2; i++) {
		int64_t next_ns;

		write_packets(e, i, now);
		next_ns = path_next_ns(&e->path[i]);
		if (next_ns - now < wait_ns)
			wait_ns = next_ns > now ? next_ns - now : 0;
	}
	wait.tv_sec = wait_ns / 1000000000;
	wait.tv_nsec = wait_ns % 1000000000;
	if (ppoll(polls, 2, &wait, NULL) <= 0)
		return;
	now = now_ns();
	for (int i = 0; i < 2; i++)
		if (polls[i].revents & POLLIN)
			read_packets(e, i, now);
}

int main(int argc, char **argv)
{
	static struct emu e;
	char *side[2] = { NULL, NULL };
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t seed = 1;
	int opt;

	while ((opt = getopt(argc, argv, "a:b:s:c:o:S:")) != -1) {
		switch (opt) {
		case 'a':
			side[0] = optarg;
			break;
		case 'b':
			side[1] = optarg;
			break;
		case 's':
			e.schedule = optarg;
			break;
		case 'c':
			e.control = optarg;
			break;
		case 'o':
			e.out = optarg;
			break;
		case 'S':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	if (!side[0] || !side[1]) {
		fprintf(stderr, "usage: pathemu -a NS,IF,ADDR/LEN -b NS,IF,ADDR/LEN [-s "
				"SCHEDULE] "
				"[-c CONTROL] [-o JSON] [-S SEED] [KEY=VALUE...]\n");
		return 2;
	}
	for (int i = 0; i < 2; i++)
		path_init(&e.path[i], seed * 2 + (uint64_t)i);
	for (int i = optind; i < argc; i++)
		if (set_pair(&e, argv[i]))
			return 2;
	e.steps = calloc(STEPS_MAX, sizeof(*e.steps));
	if (!e.steps)
		die("calloc");
	load_schedule(&e);
	for (int i = 0; i < 2; i++)
		e.fd[i] = open_tun(side[i]);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	e.start_ns = e.schedule_ns = now_ns();
	printf("ready\n");
	fflush(stdout);
	while (!got_quit)
		turn(&e);
	print_counts(&e);
	for (int i = 0; i < 2; i++)
		path_fini(&e.path[i]);
	free(e.steps);
	return 0;
}
