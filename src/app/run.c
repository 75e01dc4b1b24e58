/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Wiring: configuration → secret, certificate, workers, doors, api; then the loop until a
 * signal says stop. Only here may an error end the program.
 */
#include <palabre/admin.h>
#include <palabre/api.h>
#include <palabre/app.h>

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "contact.h"
#include "service.h"

enum { HTTP_IDLE_MS = 60000, FIRST_BYTES_MS = 10000, CLOSE_MS = 400 };

struct app {
	const struct app_options *o;
	struct event_base *base;
	struct secret secret;
	struct cert *cert;
	struct ssl_ctx_st *tls;
	struct proxies proxies;
	struct http_server *http, *plain; /* the latter sends people to https */
	struct challenges *challenges;
	struct api *api;
	struct calls *calls;
	struct store *store;
	struct admin *admin;
	char state_dir[CONF_TEXT_MAX];
	bool keeps; /* rooms, there */
	unsigned door_count;
	struct door *doors[2 * WORKERS_MAX], *plain_doors[2];
	char origin[CONF_TEXT_MAX];
	struct event *signals[4], *stop_timer;
	struct service *service;
	struct stats stats;
};

static int fail(const char *what)
{
	fprintf(stderr, "palabred: %s\n", what);
	return -EINVAL;
}

/* ---- where the secret lives -------------------------------------------------------- */

static const char service_dir[] = "/var/lib/palabre";

static bool usable_dir(const char *path)
{
	return !mkdir(path, 0700) || !access(path, W_OK | X_OK);
}

static int make_parents(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return usable_dir(path) ? 0 : -errno;
}

/* server.state_dir, else what systemd gives, else the place of an installed service, else
 * the user's own. There rooms are not kept: it serves to try things, several at once. */
static int state_dir(const struct conf *c, char out[CONF_TEXT_MAX], bool *keeps)
{
	const char *given =
		c->server.state_dir[0] ? c->server.state_dir : getenv("STATE_DIRECTORY");
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	*keeps = true;
	if (given)
		snprintf(out, CONF_TEXT_MAX, "%s", given);
	else if (!access(service_dir, W_OK | X_OK))
		snprintf(out, CONF_TEXT_MAX, "%s", service_dir);
	else
		*keeps = false;
	if (!*keeps && xdg && xdg[0] == '/')
		snprintf(out, CONF_TEXT_MAX, "%.200s/palabre", xdg);
	else if (!*keeps)
		snprintf(out, CONF_TEXT_MAX, "%.200s/.local/state/palabre",
			 home && home[0] == '/' ? home : "/tmp");
	return make_parents(out);
}

/* A link that is asked for where there is a service is meant for that one; of another secret it
 * would open nothing. */
static bool is_shut_out(const struct app_options *o)
{
	return o->print_link && !o->conf.server.state_dir[0] &&
	       !getenv("STATE_DIRECTORY") && !access(service_dir, F_OK) &&
	       access(service_dir, W_OK | X_OK);
}

static int secret_get(struct app *a)
{
	char *dir = a->state_dir, path[CONF_TEXT_MAX + 16], why[512];

	if (is_shut_out(a->o))
		return fail("links are signed with the service's secret, which others "
			    "may not "
			    "read; make them as root");
	if (state_dir(&a->o->conf, dir, &a->keeps)) {
		snprintf(why, sizeof why,
			 "the directory %s cannot be used: %s; set server.state_dir to "
			 "one that can",
			 dir, strerror(errno));
		return fail(why);
	}
	snprintf(path, sizeof path, "%s/secret", dir);
	return secret_load(&a->secret, path, why, sizeof why) ? fail(why) : 0;
}

static int store_get(struct app *a)
{
	char path[CONF_TEXT_MAX + 16], why[512], words[640];
	int err;

	snprintf(path, sizeof path, "%s/rooms.db", a->state_dir);
	err = store_open(&a->store, a->keeps ? path : NULL, why, sizeof why);
	if (err != -EIO && err != -EBADMSG)
		return err ? fail(why) : 0;
	snprintf(words, sizeof words,
		 "%s. It holds the rooms and their links: put a copy of it back, or move "
		 "it away to begin without",
		 why);
	return fail(words);
}

/* ---- links ------------------------------------------------------------------------- */

static void origin(const struct conf *c, char *out, size_t len)
{
	if (c->server.url[0]) {
		snprintf(out, len, "%s", c->server.url);
		for (size_t n = strlen(out); n && out[n - 1] == '/'; n--)
			out[n - 1] = 0;
	} else {
		snprintf(out, len, "%s://localhost:%lld",
			 c->tls.certificate_file[0] ? "https" : "http",
			 (long long)c->server.port);
	}
}

static int print_link(const struct app *a, const char *label, enum role role)
{
	char base[CONF_TEXT_MAX], link[API_LINK_MAX];

	if (!a->o->conf.room.by_link)
		return fail("room.by_link is no, so links are made with palabrectl only: "
			    "palabrectl link add ROOM ROLE");
	origin(&a->o->conf, base, sizeof base);
	if (api_link(&a->secret, a->o->link_room, role, 0, 0, link))
		return fail("the link cannot be made");
	printf("%s%s%s\n", label, base, link);
	fflush(stdout);
	return 0;
}

/* Not into a journal, where they would stay for others to read. */
static void print_links(const struct app *a)
{
	if (service_managed())
		return;
	if (a->o->conf.room.by_link) {
		(void)print_link(a, "Host link (keep it):   ", ROLE_HOST);
		(void)print_link(a, "Guest link (share it): ", ROLE_SPEAKER);
	} else {
		puts("Rooms and their links are made with palabrectl: palabrectl room "
		     "add "
		     "NAME");
		fflush(stdout);
	}
}

/* ---- listening --------------------------------------------------------------------- */

static unsigned bind_list(const struct conf *c, struct addr out[2])
{
	char text[CONF_TEXT_MAX], *save = NULL;
	unsigned count = 0;

	if (!strcmp(c->server.listen, "*")) {
		memset(out, 0, 2 * sizeof *out);
		out[0].family = 4;
		out[1].family = 6;
		return access("/proc/self/net/if_inet6", F_OK) ? 1 : 2;
	}
	memcpy(text, c->server.listen, sizeof text);
	for (char *w = strtok_r(text, ", ", &save); w && count < 2;
	     w = strtok_r(NULL, ", ", &save))
		if (!addr_parse(&out[count], w))
			count++;
	return count;
}

static void on_framed(void *arg, int fd, const struct addr *peer,
		      const struct addr *local, const uint8_t *early, size_t len,
		      const char *ufrag, size_t ufrag_len)
{
	struct app *a = arg;

	calls_tcp(a->calls, fd, peer, local, early, len, ufrag, ufrag_len);
}

static const struct door_ops door_ops = { .on_framed = on_framed };

/* `port` names the option that says it. */
static int door_open(struct app *a, struct door **out, struct http_server *http,
		     const struct door_ops *ops, struct addr bind, const char *port)
{
	const struct conf *c = &a->o->conf;
	struct door_limits limits = {
		.connections_max = (unsigned)c->http.connections_max,
		.connections_per_address_max =
			(unsigned)c->http.connections_per_address_max,
		.first_bytes_ms = FIRST_BYTES_MS,
		.proxies = a->proxies,
	};
	char why[256], text[ADDR_TEXT_MAX];
	int err = door_create(out, a->base, &bind, http == a->http ? a->tls : NULL, http,
			      &limits, ops, a);

	if (!err)
		return 0;
	snprintf(why, sizeof why,
		 "TCP %s cannot be opened: %s; choose another %s, or stop what holds it",
		 addr_text(&bind, text), strerror(-err), port);
	return fail(why);
}

/* The page's port, and each worker's number in TCP as well as UDP. */
static int doors_open(struct app *a, const struct addr *bind, unsigned count)
{
	unsigned workers = calls_workers(a->calls);

	for (unsigned w = 0; w < (a->o->conf.media.tcp ? workers : 1); w++) {
		for (unsigned i = 0; i < count; i++) {
			struct addr at = bind[i];

			at.port = (uint16_t)(a->o->conf.server.port + w);
			if (door_open(a, &a->doors[a->door_count], a->http, &door_ops, at,
				      "server.port"))
				return -EINVAL;
			a->door_count++;
		}
	}
	return 0;
}

/* Plain http at a port of its own: the way to https, and what an ACME authority asks for. */
static int plain_open(struct app *a, const struct addr *bind, unsigned count)
{
	static const struct door_ops no_media = { 0 };
	const struct conf *c = &a->o->conf;

	if (!c->tls.redirect_port)
		return 0;
	a->plain = http_server_create(a->base, (unsigned)c->http.request_timeout_s * 1000,
				      HTTP_IDLE_MS);
	if (!a->plain)
		return fail("not enough memory");
	challenges_route(a->challenges, a->plain);
	redirect_route(a->plain, a->origin);
	for (unsigned i = 0; i < count; i++) {
		struct addr at = bind[i];

		at.port = (uint16_t)c->tls.redirect_port;
		if (door_open(a, &a->plain_doors[i], a->plain, &no_media, at,
			      "tls.redirect_port"))
			return -EINVAL;
	}
	return 0;
}

/* ---- life -------------------------------------------------------------------------- */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

/* Clients are told, and come back by themselves when the server is there again. */
static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct app *a = arg;
	struct timeval soon = { 0, CLOSE_MS * 1000 };

	(void)what;
	log_info("app.stop", "signal=%d", (int)signal_number);
	service_stopping();
	api_close(a->api);
	event_add(a->stop_timer, &soon);
}

static void log_counter(const char *name, uint64_t value, void *arg)
{
	(void)arg;
	if (value)
		log_info("app.counter", "%s=%llu", name, (unsigned long long)value);
}

/* SIGUSR1: every counter that is not zero, into the log; a last line says that it was
 * all. */
static void on_usr1(evutil_socket_t signal_number, short what, void *arg)
{
	struct app *a = arg;
	struct stats sum = { 0 };

	(void)signal_number;
	(void)what;
	calls_stats(a->calls, &sum);
	stats_add(&sum, &a->stats);
	stats_each(&sum, log_counter, NULL);
	log_info("app.counters", "calls=%u", calls_count(a->calls));
}

static void log_level_set(const char *name)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			log_set_level((enum log_level)i);
}

static bool alive(void *arg)
{
	struct app *a = arg;
	bool all = calls_silent(a->calls) < 0;

	calls_ping(a->calls);
	return all;
}

static void log_restart(const char *section, const char *name, void *arg)
{
	(void)arg;
	if ((strcmp(section, "tls") || !strcmp(name, "redirect_port")) &&
	    strcmp(name, "log_level"))
		log_warn("app.reload", "option=%s.%s waits_for=restart", section, name);
}

/* The certificate, for connections from now on, and the level of the log. All or nothing. */
static int reload(struct app *a, char *why, size_t why_len)
{
	static struct conf fresh;
	struct ssl_ctx_st *tls = NULL;

	if (app_options_again(a->o, &fresh)) {
		snprintf(why, why_len, "the configuration has mistakes, see above");
		return -EINVAL;
	}
	if (certificate_load(&tls, &fresh, a->state_dir, why, why_len))
		return -EINVAL;
	for (unsigned i = 0; i < a->door_count; i++)
		door_set_tls(a->doors[i], tls);
	tls_destroy(a->tls);
	a->tls = tls;
	log_level_set(fresh.server.log_level);
	conf_compare(&a->o->conf, &fresh, log_restart, a);
	return 0;
}

/* What is wrong changes nothing: people are in calls. */
static void on_hup(evutil_socket_t signal_number, short what, void *arg)
{
	struct app *a = arg;
	char why[512];
	int err;

	(void)signal_number;
	(void)what;
	service_reloading();
	err = reload(a, why, sizeof why);
	if (err)
		log_error("app.reload", "failed why=\"%s\"", why);
	else
		log_info("app.reload", "done tls=%s", a->tls ? "yes" : "no");
	service_reloaded(err ? why : NULL);
}

static int signals_catch(struct app *a)
{
	static const struct {
		int number;
		event_callback_fn fn;
	} caught[] = { { SIGTERM, on_signal },
		       { SIGINT, on_signal },
		       { SIGUSR1, on_usr1 },
		       { SIGHUP, on_hup } };

	/* A terminal that is closed ends us. */
	size_t count = ARRAY_LEN(caught) - (isatty(STDIN_FILENO) ? 1 : 0);

	signal(SIGPIPE, SIG_IGN);
	a->stop_timer = event_new(a->base, -1, 0, on_stop, a->base);
	for (size_t i = 0; i < count; i++) {
		a->signals[i] = evsignal_new(a->base, caught[i].number, caught[i].fn, a);
		if (!a->signals[i] || event_add(a->signals[i], NULL))
			return -ENOMEM;
	}
	return a->stop_timer ? 0 : -ENOMEM;
}

/* A connection costs a descriptor; the usual soft limit of 1024 is too low for a large
 * room. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Where nothing is said of its place, the server does without a socket if it must. */
static int admin_start(struct app *a)
{
	char why[512];
	const struct admin_parts parts = { .base = a->base,
					   .conf = &a->o->conf,
					   .url = a->origin,
					   .secret = &a->secret,
					   .cert = a->cert,
					   .tls = &a->tls,
					   .store = a->store,
					   .calls = a->calls,
					   .api = a->api,
					   .challenges = a->challenges,
					   .http = a->http };

	a->admin = admin_create(&parts);
	if (!a->admin)
		return fail("not enough memory");
	if (!admin_listen(a->admin, why, sizeof why))
		return 0;
	if (a->o->conf.server.runtime_dir[0] || getenv("RUNTIME_DIRECTORY"))
		return fail(why);
	log_warn("app.admin", "palabrectl=none why=\"%s\"", why);
	return 0;
}

/* What an authority has given must not keep the server from the start: it is what can mend it. */
static int certificate_get(struct app *a)
{
	const struct conf *c = &a->o->conf;
	char why[512];
	int err = certificate_load(&a->tls, c, a->state_dir, why, sizeof why);

	if (err && !c->tls.acme[0])
		return fail(why);
	if (c->tls.acme[0] && !a->tls)
		log_warn("app.certificate", "https=no why=\"%s\"",
			 err ? why : "palabre-certificate has not gotten one yet");
	return 0;
}

static int start(struct app *a)
{
	const struct conf *c = &a->o->conf;
	struct addr bind[2];
	unsigned count = bind_list(c, bind);
	char why[512] = "not enough memory";

	a->base = event_base_new();
	a->cert = cert_create();
	if (!a->base || !a->cert || signals_catch(a))
		return fail(why);
	if (certificate_get(a))
		return -EINVAL;
	origin(c, a->origin, sizeof a->origin);
	a->challenges = challenges_create();
	a->http = http_server_create(a->base, (unsigned)c->http.request_timeout_s * 1000,
				     HTTP_IDLE_MS);
	if (!a->http || !a->challenges)
		return fail(why);
	if (proxies_parse(&a->proxies, c->http.trust_proxy))
		return fail("http.trust_proxy is not a list of addresses");
	http_trust(a->http, &a->proxies);
	contact_route(a->http, c);
	challenges_route(a->challenges, a->http);
	a->api = api_create(a->base, c, &a->secret, a->http);
	a->calls =
		a->api ? calls_create(a->base, c, a->cert, &api_call_ops, a->api) : NULL;
	if (!a->calls)
		return fail(why);
	api_set_calls(a->api, a->calls);
	api_set_store(a->api, a->store);
	calls_set_store(a->calls, a->store);
	if (calls_start(a->calls, bind, count, why, sizeof why))
		return fail(why);
	if (doors_open(a, bind, count) || plain_open(a, bind, count))
		return -EINVAL;
	return admin_start(a);
}

static void stop(struct app *a)
{
	if (a->admin)
		admin_destroy(a->admin);
	service_destroy(a->service);
	for (unsigned i = 0; i < a->door_count; i++)
		door_destroy(a->doors[i]);
	for (size_t i = 0; i < ARRAY_LEN(a->plain_doors); i++)
		door_destroy(a->plain_doors[i]);
	if (a->http)
		http_server_destroy(a->http);
	if (a->plain)
		http_server_destroy(a->plain);
	challenges_destroy(a->challenges);
	if (a->calls)
		calls_destroy(a->calls);
	if (a->api)
		api_destroy(a->api);
	if (a->store)
		store_close(a->store);
	if (a->tls)
		tls_destroy(a->tls);
	for (size_t i = 0; i < ARRAY_LEN(a->signals); i++)
		if (a->signals[i])
			event_free(a->signals[i]);
	if (a->stop_timer)
		event_free(a->stop_timer);
	mem_unref(a->cert);
	if (a->base)
		event_base_free(a->base);
	OPENSSL_cleanse(&a->secret, sizeof a->secret);
}

/* A handshake holds three buffers of 16 kB for some seconds. From the heap they leave holes
 * that the connection's lasting pieces keep from being given back (102 against 72 KiB a
 * person, tests/bench/run forward); as mappings of their own they go when they go. */
static void memory_tune(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 16 * 1024);
}

int app_run(const struct app_options *o)
{
	static struct app app;
	struct app *a = &app;
	int err;

	a->o = o;
	stats_here = &a->stats;
	log_level_set(o->conf.server.log_level);
	if (secret_get(a))
		return EXIT_FAILURE;
	if (o->print_link)
		return print_link(a, "", o->link_role) ? EXIT_FAILURE : EXIT_SUCCESS;
	descriptors_raise();
	memory_tune();
	err = store_get(a);
	if (!err)
		err = start(a);
	if (!err) {
		a->service = service_start(a->base, alive, a);
		if (!a->service)
			err = fail("not enough memory");
	}
	if (!err) {
		print_links(a);
		log_info("app.start", "version=%s port=%lld workers=%u", PALABRE_VERSION,
			 (long long)o->conf.server.port, calls_workers(a->calls));
		event_base_dispatch(a->base);
	}
	stop(a);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
