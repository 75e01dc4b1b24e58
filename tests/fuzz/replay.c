/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Runs a fuzz target without libFuzzer: over every file of the directories (or files)
 * given, then over MADE_RUNS inputs that are the same in every run: random bytes, and
 * mutations of the kept files. Each input lies in its own allocation of exactly its size,
 * so that the address sanitizer sees a read past the end. With -v each input is named
 * before it runs; the last one named is the one that crashed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MADE_RUNS = 2000, MADE_BYTES_MAX = 2048, FILE_BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	uint8_t *data;
	size_t size;
};

static struct input *corpus;
static size_t corpus_count;
static bool verbose;
static uint64_t state = 0x9e3779b97f4a7c15; /* any but 0; fixed: same run every time */

static uint32_t next_random(void)
{
	state ^= state << 13; /* xorshift64* (Vigna 2016) */
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

static size_t below(size_t n)
{
	return n ? next_random() % n : 0;
}

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "replay: out of memory\n");
		exit(2);
	}
	return p;
}

static void run(const char *what, size_t number, const uint8_t *data, size_t size)
{
	uint8_t *copy = must(malloc(size ? size : 1));

	if (verbose) {
		printf("%s %zu (%zu bytes)\n", what, number, size);
		fflush(stdout);
	}
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void add_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct input in;

	if (!f) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	in.data = must(malloc(FILE_BYTES_MAX));
	in.size = fread(in.data, 1, FILE_BYTES_MAX, f);
	fclose(f);
	in.data = must(realloc(in.data, in.size ? in.size : 1));
	corpus = must(realloc(corpus, (corpus_count + 1) * sizeof *corpus));
	corpus[corpus_count++] = in;
	run(path, corpus_count, in.data, in.size);
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void add_path(const char *path)
{
	struct dirent **list;
	char name[4096];
	struct stat st;
	int i, n;

	if (stat(path, &st)) /* a target may have no corpus yet */
		return;
	if (S_ISREG(st.st_mode)) {
		add_file(path);
		return;
	}
	n = scandir(path, &list, not_hidden, alphasort);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
		if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
			add_file(name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static size_t make_random(uint8_t *out)
{
	size_t i, size = below(next_random() % 4 ? 64 : MADE_BYTES_MAX);

	for (i = 0; i < size; i++)
		out[i] = (uint8_t)next_random();
	return size;
}

/* A few changes in a row, of the kinds that find bugs in length and bounds checks. */
static size_t mutate(uint8_t *out, const struct input *in)
{
	static const uint8_t edge[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	size_t size = in->size < MADE_BYTES_MAX ? in->size : MADE_BYTES_MAX;
	size_t times = 1 + below(4), at, n;

	memcpy(out, in->data, size);
	while (times--) {
		at = below(size);
		switch (next_random() % 6) {
		case 0: /* flip a bit */
			if (size)
				out[at] ^= (uint8_t)(1u << next_random() % 8);
			break;
		case 1:
			if (size)
				out[at] = (uint8_t)next_random();
			break;
		case 2:
			if (size)
				out[at] = edge[below(sizeof edge)];
			break;
		case 3: /* truncate */
			size = at;
			break;
		case 4: /* cut out */
			n = below(size - at + 1);
			memmove(out + at, out + at + n, size - at - n);
			size -= n;
			break;
		default: /* repeat a stretch */
			n = below(size - at + 1);
			if (n > MADE_BYTES_MAX - size)
				n = MADE_BYTES_MAX - size;
			memmove(out + at + n, out + at, size - at);
			size += n;
			break;
		}
	}
	return size;
}

int main(int argc, char **argv)
{
	uint8_t *made = must(malloc(MADE_BYTES_MAX));
	size_t i, size;
	int a;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (a = 1; a < argc; a++) {
		if (strcmp(argv[a], "-v") == 0)
			verbose = true;
		else
			add_path(argv[a]);
	}
	run("empty", 0, made, 0);
	for (i = 0; i < MADE_RUNS; i++) {
		if (corpus_count &&
		    i % 4) /* three of four start from something that parses */
			size = mutate(made, &corpus[below(corpus_count)]);
		else
			size = make_random(made);
		run("made", i, made, size);
	}
	printf("replay: %zu files, %d made inputs\n", corpus_count, MADE_RUNS);
	for (i = 0; i < corpus_count; i++)
		free(corpus[i].data);
	free(corpus);
	free(made);
	return 0;
}
