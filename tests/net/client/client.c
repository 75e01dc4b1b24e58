/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Life of a test client: its network, its timers, its packets. */
#include "client_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RTCP_FIRST = 192, RTCP_LAST = 223, READS_MAX = 256 };

static int open_socket(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a)) {
		close(fd);
		return -1;
	}
	return fd;
}

struct client *client_create(const struct client_params *p, uint64_t now_us)
{
	struct client *c = calloc(1, sizeof *c);

	(void)now_us;
	if (!c)
		return NULL;
	c->p = *p;
	c->fd = -1;
	if (p->section_count > CLIENT_SECTIONS_MAX) {
		free(c);
		return NULL;
	}
	if (p->section_count)
		memcpy(c->sections, p->sections, p->section_count * sizeof *p->sections);
	c->manners = (struct client_manners) { .send_checks = true,
					       .nominate = true,
					       .answer_checks = true,
					       .start_dtls = true };
	c->dtls_due_us = UINT64_MAX;
	random_bytes(&c->tie, sizeof c->tie);
	client_restart(c);
	if (dtls_setup(c) || (p->hub && hub_join(p->hub, c)))
		goto fail;
	if (!p->hub && !p->send) {
		c->fd = open_socket();
		if (c->fd < 0)
			goto fail;
	}
	return c;
fail:
	dtls_teardown(c);
	free(c);
	return NULL;
}

void client_destroy(struct client *c)
{
	if (!c)
		return;
	if (c->p.hub)
		hub_leave(c->p.hub, c);
	if (c->fd >= 0)
		close(c->fd);
	dtls_teardown(c);
	free(c);
}

struct client_manners *client_manners(struct client *c)
{
	return &c->manners;
}

const struct client_counts *client_counts(const struct client *c)
{
	return &c->counts;
}

const char *client_ufrag(const struct client *c)
{
	return c->ufrag;
}

const char *client_pwd(const struct client *c)
{
	return c->pwd;
}

void client_restart(struct client *c)
{
	random_text(c->ufrag, UFRAG_LEN);
	random_text(c->pwd, PWD_LEN);
	/* The server knows nothing of them yet. */
	c->have_remote = false;
}

static void copy_text(char out[TEXT_MAX], const char *text)
{
	size_t n = strnlen(text, TEXT_MAX - 1);

	memcpy(out, text, n);
	out[n] = 0;
}

void client_set_remote(struct client *c, const char *ufrag, const char *pwd,
		       const uint8_t fingerprint[FINGERPRINT_BYTES],
		       const struct addr *server, uint64_t now_us)
{
	copy_text(c->remote_ufrag, ufrag);
	copy_text(c->remote_pwd, pwd);
	memcpy(c->remote_fingerprint, fingerprint, FINGERPRINT_BYTES);
	if (server->family)
		c->server = *server;
	c->have_remote = true;
	c->checked = false;
	c->check_due_us = now_us;
}

void client_send_raw(struct client *c, const uint8_t *data, size_t len)
{
	struct sockaddr_storage to;

	c->counts.tx_datagrams++;
	c->counts.tx_bytes += len;
	if (c->p.send)
		c->p.send(c->p.arg, data, len);
	else if (c->p.hub)
		hub_send(c->p.hub, c, data, len);
	else if (sendto(c->fd, data, len, 0, (struct sockaddr *)&to,
			addr_to_sockaddr(&c->server, &to)) < 0)
		return; /* lost */
}

void client_out(struct client *c, const uint8_t *data, size_t len)
{
	if (!c->manners.silent)
		client_send_raw(c, data, len);
}

int client_seal(struct client *c, uint8_t *buf, size_t len, bool rtcp)
{
	int n = (int)len;
	srtp_err_status_t status;

	if (!c->up)
		return -EPROTO;
	status = rtcp ? srtp_protect_rtcp(c->tx, buf, &n) : srtp_protect(c->tx, buf, &n);
	return status == srtp_err_status_ok ? n : -EINVAL;
}

static int send_media(struct client *c, uint8_t *buf, size_t len, bool rtcp)
{
	int n = client_seal(c, buf, len, rtcp);

	if (n < 0)
		return n;
	client_out(c, buf, (size_t)n);
	return 0;
}

int client_send_rtp(struct client *c, uint8_t *buf, size_t len)
{
	return send_media(c, buf, len, false);
}

int client_send_rtcp(struct client *c, uint8_t *buf, size_t len)
{
	return send_media(c, buf, len, true);
}

static void media_input(struct client *c, uint8_t *data, size_t len, uint64_t now_us)
{
	bool rtcp = data[1] >= RTCP_FIRST && data[1] <= RTCP_LAST;
	int n = (int)len;

	if (c->p.blind) {
		c->counts.rtp += !rtcp;
		c->counts.rtcp += rtcp;
		return;
	}
	if (!c->up || (rtcp ? srtp_unprotect_rtcp(c->rx, data, &n)
			    : srtp_unprotect(c->rx, data, &n)) != srtp_err_status_ok) {
		c->counts.srtp_bad++;
		return;
	}
	if (rtcp) {
		c->counts.rtcp++;
		if (c->p.on_rtcp)
			c->p.on_rtcp(c->p.arg, data, (size_t)n, now_us);
	} else {
		c->counts.rtp++;
		if (c->p.on_rtp)
			c->p.on_rtp(c->p.arg, data, (size_t)n, now_us);
	}
}

void client_input(struct client *c, uint8_t *data, size_t len, uint64_t now_us)
{
	c->counts.datagrams++;
	c->counts.bytes += len;
	if (len < 12) {
		c->counts.other++;
		return;
	}
	if (data[0] <= 3)
		stun_input(c, data, len, now_us);
	else if (data[0] >= 20 && data[0] <= 63)
		dtls_input(c, data, len, now_us);
	else if (data[0] >= 128 && data[0] <= 191)
		media_input(c, data, len, now_us);
	else
		c->counts.other++;
}

void client_poll(struct client *c, uint64_t now_us)
{
	uint8_t buf[CLIENT_BUF];
	ssize_t n;
	int i;

	for (i = 0; c->fd >= 0 && i < READS_MAX; i++) {
		n = recv(c->fd, buf, sizeof buf, 0);
		if (n < 0)
			break;
		client_input(c, buf, (size_t)n, now_us);
	}
	stun_run(c, now_us);
	dtls_timer(c, now_us);
}

uint64_t client_next_us(const struct client *c, uint64_t now_us)
{
	uint64_t next_us = now_us + 1000000;

	if (c->have_remote && c->manners.send_checks && c->check_due_us < next_us)
		next_us = c->check_due_us;
	if (c->dtls_due_us < next_us)
		next_us = c->dtls_due_us;
	return next_us;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

bool client_checked(const struct client *c)
{
	return c->checked;
}

bool client_up(const struct client *c)
{
	return c->up;
}

bool client_failed(const struct client *c)
{
	return c->failed;
}

bool client_closed(const struct client *c)
{
	return c->closed;
}

uint64_t client_rtt_us(const struct client *c)
{
	return c->rtt_us;
}

const struct addr *client_mapped(const struct client *c)
{
	return &c->mapped;
}

int client_move(struct client *c, uint64_t now_us)
{
	int fd;

	if (c->p.hub) {
		hub_leave(c->p.hub, c);
		if (hub_join(c->p.hub, c))
			return -ENOBUFS;
	} else if (c->fd >= 0) {
		fd = open_socket();
		if (fd < 0)
			return -errno;
		close(c->fd);
		c->fd = fd;
	}
	c->checked = false;
	c->check_due_us = now_us;
	return 0;
}
