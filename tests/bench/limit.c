/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See limit.h. Three threads: generator, the loop under measurement, drain of the
 * receivers' sockets. */
#include "limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 128, BUF = 1500, RECV = 64, TAG = 16 };

struct limit {
	unsigned receivers, publishers;
	int in, *out;
	struct sockaddr_in in_addr, *out_addr;
	atomic_bool stop;
	uint64_t sent, cpu_ns;
};

static int udp_any(struct sockaddr_in *bound)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    size = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) ||
	    getsockname(fd, (struct sockaddr *)bound, &len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void *generate(void *arg)
{
	struct limit *l = arg;
	struct sockaddr_in me;
	int fd = udp_any(&me);
	char buf[BUF] = { 0 };
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned tick = 0; !atomic_load(&l->stop); tick++) {
		for (unsigned p = 0; p < l->publishers; p++) {
			unsigned video = tick % 2 ? MIX_VIDEO_PKTS : 0;

			sendto(fd, buf, MIX_AUDIO_BYTES, 0,
			       (struct sockaddr *)&l->in_addr, sizeof l->in_addr);
			for (unsigned v = 0; v < video; v++)
				sendto(fd, buf, MIX_VIDEO_BYTES, 0,
				       (struct sockaddr *)&l->in_addr, sizeof l->in_addr);
		}
		next.tv_nsec += MIX_TICK_US * 1000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	close(fd);
	return NULL;
}

static void *drain(void *arg)
{
	struct limit *l = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev[64];
	char buf[BUF];

	for (unsigned i = 0; i < l->receivers; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = l->out[i] };

		epoll_ctl(ep, EPOLL_CTL_ADD, l->out[i], &e);
	}
	while (!atomic_load(&l->stop)) {
		int n = epoll_wait(ep, ev, 64, 50);

		for (int i = 0; i < n; i++)
			while (recv(ev[i].data.fd, buf, sizeof buf, 0) > 0)
				;
	}
	close(ep);
	return NULL;
}

static void seal(EVP_CIPHER_CTX *ctx, const uint8_t *in, size_t len, uint8_t *out,
		 uint64_t n)
{
	uint8_t iv[12] = { 0 };
	int got;

	memcpy(iv, &n, sizeof n);
	memcpy(out, in, 12);
	EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv);
	EVP_EncryptUpdate(ctx, NULL, &got, out, 12);
	EVP_EncryptUpdate(ctx, out + 12, &got, in + 12, (int)len - 12);
	EVP_EncryptFinal_ex(ctx, out + len, &got);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + len);
}

struct loop {
	struct mmsghdr in[RECV], out[BATCH];
	struct iovec in_iov[RECV], out_iov[BATCH];
	uint8_t in_buf[RECV][BUF], out_buf[BATCH][BUF];
	unsigned out_count;
};

static void flush(struct limit *l, struct loop *p)
{
	for (unsigned done = 0; done < p->out_count;) {
		int n = sendmmsg(l->in, p->out + done, p->out_count - done, 0);

		if (n <= 0)
			break;
		done += (unsigned)n;
		l->sent += (unsigned)n;
	}
	p->out_count = 0;
}

static void fan_out(struct limit *l, struct loop *p, EVP_CIPHER_CTX **ctx,
		    const uint8_t *data, size_t len)
{
	static uint64_t counter;

	for (unsigned i = 0; i < l->receivers; i++) {
		if (p->out_count == BATCH)
			flush(l, p);
		seal(ctx[i], data, len, p->out_buf[p->out_count], ++counter);
		p->out_iov[p->out_count].iov_len = len + TAG;
		p->out[p->out_count].msg_hdr.msg_name = &l->out_addr[i];
		p->out_count++;
	}
}

static void *bare_loop(void *arg)
{
	struct limit *l = arg;
	struct loop *p = calloc(1, sizeof *p);
	EVP_CIPHER_CTX **ctx = calloc(l->receivers, sizeof *ctx);
	uint8_t key[16] = { 7 };
	struct timespec t;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };

	for (unsigned i = 0; i < l->receivers; i++) {
		ctx[i] = EVP_CIPHER_CTX_new();
		key[1] = (uint8_t)i;
		EVP_EncryptInit_ex(ctx[i], EVP_aes_128_gcm(), NULL, key, NULL);
	}
	for (unsigned i = 0; i < RECV; i++) {
		p->in_iov[i] = (struct iovec) { p->in_buf[i], BUF };
		p->in[i].msg_hdr.msg_iov = &p->in_iov[i];
		p->in[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned i = 0; i < BATCH; i++) {
		p->out_iov[i] = (struct iovec) { p->out_buf[i], 0 };
		p->out[i].msg_hdr.msg_iov = &p->out_iov[i];
		p->out[i].msg_hdr.msg_iovlen = 1;
		p->out[i].msg_hdr.msg_namelen = sizeof *l->out_addr;
	}
	epoll_ctl(ep, EPOLL_CTL_ADD, l->in, &ev);
	while (!atomic_load(&l->stop)) {
		int n;

		if (epoll_wait(ep, &ev, 1, 50) <= 0)
			continue;
		n = recvmmsg(l->in, p->in, RECV, 0, NULL);
		for (int i = 0; i < n; i++)
			fan_out(l, p, ctx, p->in_buf[i], p->in[i].msg_len);
		flush(l, p);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	l->cpu_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	for (unsigned i = 0; i < l->receivers; i++)
		EVP_CIPHER_CTX_free(ctx[i]);
	free(ctx);
	free(p);
	close(ep);
	return NULL;
}

double limit_us_per_packet(unsigned receivers, unsigned publishers, unsigned seconds)
{
	struct limit l = { .receivers = receivers, .publishers = publishers };
	struct timespec run = { (time_t)seconds, 0 };
	pthread_t threads[3];

	l.in = udp_any(&l.in_addr);
	l.out = calloc(receivers, sizeof *l.out);
	l.out_addr = calloc(receivers, sizeof *l.out_addr);
	for (unsigned i = 0; i < receivers; i++)
		l.out[i] = udp_any(&l.out_addr[i]);
	pthread_create(&threads[0], NULL, drain, &l);
	pthread_create(&threads[1], NULL, bare_loop, &l);
	pthread_create(&threads[2], NULL, generate, &l);
	nanosleep(&run, NULL);
	atomic_store(&l.stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < receivers; i++)
		close(l.out[i]);
	close(l.in);
	free(l.out);
	free(l.out_addr);
	return l.sent ? (double)l.cpu_ns / 1000.0 / (double)l.sent : -1;
}
