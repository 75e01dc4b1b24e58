/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where the socket is. Server and palabrectl look in the same places in the same order. */
#include <palabre/ctl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_socket(const char *dir)
{
	char path[CTL_PATH_MAX + sizeof CTL_SOCKET + 1];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir, CTL_SOCKET);
	return !stat(path, &st) && S_ISSOCK(st.st_mode);
}

static int use(const char *dir, bool make)
{
	if (strlen(dir) + sizeof CTL_SOCKET + 1 > CTL_PATH_MAX)
		return -ENAMETOOLONG;
	if (!make)
		return has_socket(dir) ? 0 : -ENOENT;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	return access(dir, W_OK | X_OK) ? -errno : 0;
}

/* The k-th place to look; false if it isn't there on this machine. */
static bool place(unsigned k, char out[CTL_PATH_MAX])
{
	const char *systemd = getenv("RUNTIME_DIRECTORY"),
		   *own = getenv("XDG_RUNTIME_DIR");

	out[0] = 0;
	if (k == 0 && systemd) /* may be several, with colons */
		snprintf(out, CTL_PATH_MAX, "%.*s", (int)strcspn(systemd, ":"), systemd);
	else if (k == 1)
		snprintf(out, CTL_PATH_MAX, "/run/palabre");
	else if (k == 2 && own && own[0] == '/')
		snprintf(out, CTL_PATH_MAX, "%.80s/palabre", own);
	return out[0];
}

int ctl_dir(const char *given, bool make, char out[CTL_PATH_MAX])
{
	char dir[CTL_PATH_MAX];
	int err = -ENOENT;

	if (given[0]) {
		err = use(given, make);
		if (!err)
			snprintf(out, CTL_PATH_MAX, "%s", given);
		return err;
	}
	for (unsigned k = 0; k < 3 && err; k++)
		if (place(k, dir))
			err = use(dir, make);
	if (err)
		return -ENOENT;
	memcpy(out, dir, sizeof dir);
	return 0;
}
