/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The key that signs links and tickets: a file of SECRET_BYTES random bytes. It appears
 * under its name only when it is whole and on the disk; a file that is there is never
 * replaced, since every link that was handed out depends on it.
 */
#include <palabre/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(char *why, size_t why_len, const char *path, const char *what,
		    int err)
{
	snprintf(why, why_len, "%s: %s", path, what);
	return err;
}

static int complain_errno(char *why, size_t why_len, const char *path, const char *doing,
			  int no)
{
	char text[128];
	const char *mend =
		no == ENOENT ? "; make the directory first"
		: no == EACCES || no == EPERM || no == EROFS
			? "; the directory and the file must belong to the user "
			  "that the server runs as"
			: "";

	snprintf(why, why_len, "%s: %s: %s%s", path, doing,
		 strerror_r(no, text, sizeof text), mend);
	return -no;
}

/* Reads up to len bytes; less only at the end of the file. */
static ssize_t read_whole(int fd, uint8_t *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int write_whole(int fd, const uint8_t *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_file(const struct stat *st, const char *path, char *why, size_t why_len)
{
	if (!S_ISREG(st->st_mode))
		return complain(
			why, why_len, path,
			"is not a file; give the path of a file, or remove it and a new "
			"secret is made",
			-EINVAL);
	if (st->st_mode & 077) {
		snprintf(why, why_len,
			 "%s: others may read or write this secret (mode %04o); if "
			 "nobody has: "
			 "chmod 600 %s; if in doubt remove it: a new one is made, and "
			 "links given "
			 "out until now stop working",
			 path, (unsigned)(st->st_mode & 07777), path);
		return -EACCES;
	}
	if (st->st_size != SECRET_BYTES) {
		snprintf(why, why_len,
			 "%s: has %lld bytes instead of %d; put back a copy, or remove "
			 "it: a new "
			 "one is made, and links given out until now stop working",
			 path, (long long)st->st_size, SECRET_BYTES);
		return -EINVAL;
	}
	return 0;
}

/* -ENOENT without *why: there is none yet. */
static int secret_read(struct secret *s, const char *path, char *why, size_t why_len)
{
	/* Not blocking: the path may name a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
	uint8_t key[SECRET_BYTES];
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return complain_errno(why, why_len, path, "can't open it", errno);
	err = fstat(fd, &st)
		      ? complain_errno(why, why_len, path, "can't look at it", errno)
		      : check_file(&st, path, why, why_len);
	if (err)
		goto out;
	n = read_whole(fd, key, sizeof key);
	if (n == (ssize_t)sizeof key)
		memcpy(s->key, key, sizeof key);
	else
		err = complain_errno(why, why_len, path, "can't read it",
				     n < 0 ? (int)-n : EIO);
	OPENSSL_cleanse(key, sizeof key);
out:
	close(fd);
	return err;
}

static void sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof copy, "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd); /* some file systems can't; the name then follows a little later */
	close(fd);
}

/* Gives `temp` its name, unless the name exists. */
static int publish(const char *temp, const char *path)
{
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that can't do that; a hard link doesn't replace either. */
	if (link(temp, path))
		return -errno;
	unlink(temp);
	return 0;
}

/* -EEXIST without *why: somebody was quicker. */
static int secret_make(const char *path, char *why, size_t why_len)
{
	uint8_t key[SECRET_BYTES];
	char temp[PATH_MAX];
	int fd, err;

	if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
		return complain_errno(why, why_len, path, "can't make it", ENAMETOOLONG);
	fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return complain_errno(why, why_len, path, "can't make it", errno);
	random_bytes(key, sizeof key);
	err = write_whole(fd, key, sizeof key);
	OPENSSL_cleanse(key, sizeof key);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err)
		err = publish(temp, path);
	if (err) {
		unlink(temp);
		return err == -EEXIST ? err
				      : complain_errno(why, why_len, path,
						       "can't write it", -err);
	}
	sync_directory(path);
	return 0;
}

int secret_load(struct secret *s, const char *path, char *why, size_t why_len)
{
	int err = secret_read(s, path, why, why_len);

	if (err != -ENOENT)
		return err;
	err = secret_make(path, why, why_len);
	if (err && err != -EEXIST)
		return err;
	err = secret_read(s, path, why, why_len);
	if (err == -ENOENT) /* a dangling symbolic link, or somebody is removing it */
		return complain(why, why_len, path,
				"can't be made here; is it a symbolic link to nowhere?",
				err);
	return err;
}

/* Of a MAC, which nothing else makes; not of the key itself. */
int secret_text(const struct secret *s, char out[SECRET_PRINT_MAX])
{
	static const char label[] = "palabre fingerprint";
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), s->key, SECRET_BYTES, (const uint8_t *)label,
		  sizeof label - 1, mac, &len) ||
	    len < 8)
		return -ENOMEM;
	for (unsigned i = 0; i < 8; i++)
		snprintf(out + 3 * i, 4, "%02X%s", mac[i], i < 7 ? ":" : "");
	return 0;
}
