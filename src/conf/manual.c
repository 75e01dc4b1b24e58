/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A program of its own, of the build only: writes palabre.conf(5), made from the list of options.
 * It runs where things are built, also when that is for another machine, so it needs nothing but
 * the list.
 */
#include "options.h"

#include <stdio.h>

#define SECTION(s, help)       { #s, NULL, KIND_SECTION, 0, NULL, 0, 0, 0, "", help },
#define TEXT(s, n, k, d, help) { #s, #n, KIND_##k, 0, d, 0, 0, 0, "", help },
#define NUMBER(s, n, d, min, max, unit, help) \
	{ #s, #n, KIND_NUMBER, 0, NULL, d, min, max, unit, help },
#define SWITCH(s, n, d, help) { #s, #n, KIND_SWITCH, 0, NULL, d, 0, 1, "", help },
static const struct option options[] = { CONF_OPTIONS(SECTION, TEXT, NUMBER, SWITCH) };

static const char head[] =
	".SH NAME\n"
	"palabre.conf \\- configuration of palabred\n"
	".SH SYNOPSIS\n"
	".I /etc/palabre/palabre.conf\n"
	".SH DESCRIPTION\n"
	"Lines of the form\n"
	".IP\n"
	"\\fIname\\fR = \\fIvalue\\fR\n"
	".PP\n"
	"under the\n"
	".RI [ section ]\n"
	"that they belong to. A line that begins with # is a comment. A value may stand "
	"in\n"
	"quotes (\"). What is not there has its default, and an option may be set once.\n"
	".PP\n"
	"A file with a mistake is refused as a whole, with the line and what to write "
	"instead;\n"
	".B palabred \\-\\-check\n"
	"says so beforehand, and\n"
	".B palabred \\-\\-sample\n"
	"prints a file that has every option as a comment.\n"
	".PP\n"
	"The names of the files in [tls], what is in them, and log_level are read again "
	"by\n"
	".BR \"systemctl reload palabre\" ;\n"
	"all else waits for a restart.\n";

static const char tail[] = ".SH EXAMPLE\n"
			   "A server with a certificate, at the port of HTTPS:\n"
			   ".IP\n"
			   ".nf\n"
			   "[server]\n"
			   "port = 443\n"
			   "workers = 1\n"
			   "url = https://call.example.org\n"
			   "contact = me@example.org\n"
			   "\n"
			   "[tls]\n"
			   "certificate_file = /etc/palabre/certificate.pem\n"
			   "key_file = /etc/palabre/key.pem\n"
			   ".fi\n"
			   ".SH SEE ALSO\n"
			   ".BR palabred (8)\n";

/* A line of text: roff sees neither commands nor escapes in it. */
static void put_text(const char *text)
{
	bool fresh = true;

	for (; *text; text++) {
		if (fresh && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
		fresh = *text == '\n';
	}
	putchar('\n');
}

static void put_option(const struct option *o)
{
	printf(".TP\n.B %s\n", o->name);
	put_text(o->help);
	if (o->kind == KIND_NUMBER)
		printf("From %lld to %lld%s%s. Default: %lld.\n", (long long)o->min,
		       (long long)o->max, o->unit[0] ? " " : "", o->unit,
		       (long long)o->number_default);
	else if (o->kind == KIND_SWITCH)
		printf("yes or no. Default: %s.\n", o->number_default ? "yes" : "no");
	else if (o->text_default[0])
		printf("Default: %s\n", o->text_default);
}

int main(int argc, char **argv)
{
	if (argc != 2 || !freopen(argv[1], "w", stdout)) {
		fputs("usage: manual FILE\n", stderr);
		return 2;
	}
	printf(".\\\" Made from src/conf/options.h.\n"
	       ".TH PALABRE.CONF 5 \"\" \"palabre %s\" Palabre\n%s",
	       PALABRE_VERSION, head);
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (options[i].kind != KIND_SECTION) {
			put_option(&options[i]);
			continue;
		}
		printf(".SH SECTION [%s]\n", options[i].section);
		put_text(options[i].help);
	}
	fputs(tail, stdout);
	return fflush(stdout) || ferror(stdout);
}
