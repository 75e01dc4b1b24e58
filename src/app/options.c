/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The command line. Everything about how the server behaves is in the configuration; here
 * is only what one wants once. */
#include <palabre/app.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char default_file[] = "/etc/palabre/palabre.conf";

static void usage(FILE *to)
{
	fputs("palabred - video conferences that work on thin links\n"
	      "\n"
	      "  palabred                      run with the embedded defaults, and print "
	      "a link\n"
	      "  palabred -c FILE              run with a configuration file\n"
	      "      (without -c, /etc/palabre/palabre.conf is read if it is there)\n"
	      "  --set SECTION.NAME=VALUE      override one option (may be repeated)\n"
	      "  --room NAME                   room of the links printed at start "
	      "(default: palabre)\n"
	      "  --check                       check the configuration, say what is "
	      "wrong, and leave\n"
	      "  --sample                      print a configuration with every option "
	      "and its meaning\n"
	      "  --get SECTION.NAME            print the value of one option and leave\n"
	      "  --print-link ROLE:ROOM        print a link (roles: host moderator "
	      "speaker interpreter\n"
	      "                                captioner listener) and leave\n"
	      "  --version, --help\n",
	      to);
}

enum {
	OPT_SET = 256,
	OPT_CHECK,
	OPT_SAMPLE,
	OPT_GET,
	OPT_LINK,
	OPT_ROOM,
	OPT_VERSION,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "set", required_argument, NULL, OPT_SET },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "sample", no_argument, NULL, OPT_SAMPLE },
	{ "get", required_argument, NULL, OPT_GET },
	{ "print-link", required_argument, NULL, OPT_LINK },
	{ "room", required_argument, NULL, OPT_ROOM },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 }
};

static int take_room(struct app_options *o, const char *room)
{
	if (room_name_check(room)) {
		fprintf(stderr,
			"palabred: '%s' is not a room's name; use a-z, 0-9 and -, at "
			"most %d characters\n",
			room, ROOM_NAME_MAX);
		return -EINVAL;
	}
	snprintf(o->link_room, sizeof o->link_room, "%s", room);
	return 0;
}

static int take_link(struct app_options *o, const char *text)
{
	char role[32] = "";
	const char *colon = strchr(text, ':');
	int r;

	if (colon && (size_t)(colon - text) < sizeof role)
		memcpy(role, text, (size_t)(colon - text));
	r = role_parse(role);
	if (r < 0) {
		fprintf(stderr, "palabred: --print-link wants ROLE:ROOM, for instance "
				"speaker:palabre\n");
		return -EINVAL;
	}
	o->print_link = true;
	o->link_role = (enum role)r;
	return take_room(o, colon + 1);
}

static int set_one(struct conf *c, const char *text)
{
	char name[CONF_TEXT_MAX], why[512];
	const char *eq = strchr(text, '=');

	if (!eq || (size_t)(eq - text) >= sizeof name) {
		fprintf(stderr, "palabred: --set wants SECTION.NAME=VALUE, for instance "
				"server.port=8443\n");
		return -EINVAL;
	}
	memcpy(name, text, (size_t)(eq - text));
	name[eq - text] = 0;
	if (!conf_set(c, name, eq + 1, why, sizeof why))
		return 0;
	fprintf(stderr, "palabred: %s\n", why);
	return -EINVAL;
}

static void print_line(const char *line, void *arg)
{
	(void)arg;
	fputs(line, stdout);
	if (!strchr(line, '\n'))
		putchar('\n');
}

int app_options_again(const struct app_options *o, struct conf *out)
{
	char why[4096];

	conf_defaults(out);
	if (o->file[0] && conf_read(out, o->file, why, sizeof why)) {
		fprintf(stderr, "%s\n", why);
		return -EINVAL;
	}
	for (unsigned i = 0; i < o->set_count; i++)
		if (set_one(out, o->sets[i]))
			return -EINVAL;
	if (conf_check(out, o->file[0] ? o->file : "command line", why, sizeof why)) {
		fprintf(stderr, "%s\n", why);
		return -EINVAL;
	}
	return 0;
}

/* For scripts: 1 when it is printed. */
static int get_one(const struct conf *c, const char *name)
{
	char value[CONF_TEXT_MAX];

	if (conf_get(c, name, value)) {
		fprintf(stderr, "palabred: there is no option %s\n", name);
		return -EINVAL;
	}
	puts(value);
	return 1;
}

static int finish(struct app_options *o)
{
	if (!o->file[0] && !access(default_file, R_OK))
		memcpy(o->file, default_file, sizeof default_file);
	if (app_options_again(o, &o->conf))
		return -EINVAL;
	if (o->get)
		return get_one(&o->conf, o->get);
	if (o->check)
		printf("%s: good\n", o->file[0] ? o->file : "embedded defaults");
	return o->check ? 1 : 0;
}

int app_options_read(struct app_options *o, int argc, char **argv)
{
	int c, err = 0;

	memset(o, 0, sizeof *o);
	memcpy(o->link_room, "palabre", sizeof "palabre");
	while (!err && (c = getopt_long(argc, argv, "c:", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			snprintf(o->file, sizeof o->file, "%s", optarg);
			break;
		case OPT_SET:
			if (o->set_count < APP_SETS_MAX)
				o->sets[o->set_count++] = optarg;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_SAMPLE:
			conf_print_sample(print_line, NULL);
			return 1;
		case OPT_GET:
			o->get = optarg;
			break;
		case OPT_LINK:
			err = take_link(o, optarg);
			break;
		case OPT_ROOM:
			err = take_room(o, optarg);
			break;
		case OPT_VERSION:
			puts("palabred " PALABRE_VERSION);
			return 1;
		case OPT_HELP:
			usage(stdout);
			return 1;
		default:
			usage(stderr);
			return -EINVAL;
		}
	}
	if (!err && optind < argc) {
		fprintf(stderr, "palabred: '%s' is not understood; see --help\n",
			argv[optind]);
		err = -EINVAL;
	}
	return err ? err : finish(o);
}
