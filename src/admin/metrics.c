/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What Prometheus reads (text format 0.0.4). Sums only: no room, no person, no address is told from
 * another. Every counter of base.h is here, under a name that does not change: what was dropped and
 * which limit was met as labels of one family each, the others as a family of their own.
 */
#include "admin_in.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum counter_class { COUNT, DROP, LIMIT };

/* A counter that has no line here does not compile. */
#define SAY(name, class, help) \
	static const struct counter_help help_##name = { class, help };
struct counter_help {
	enum counter_class class;
	const char *help;
};
/* clang-format off */
SAY(rx_pkts, COUNT, "Packets received by UDP.")
SAY(rx_bytes, COUNT, "Bytes received by UDP.")
SAY(tx_pkts, COUNT, "Packets sent by UDP.")
SAY(tx_bytes, COUNT, "Bytes sent by UDP.")
SAY(tx_fail, DROP, "could not be sent to one destination")
SAY(tx_drop, DROP, "the socket took no more")
SAY(rx_trunc, DROP, "datagram too long")
SAY(rx_pool_empty, DROP, "no packet free in the pool (media.pool_pkts)")
SAY(rx_unknown, DROP, "neither STUN, DTLS, RTP nor RTCP")
SAY(rx_runt, DROP, "datagram too short")
SAY(stun_bad, DROP, "malformed STUN")
SAY(stun_auth, DROP, "STUN with a wrong signature")
SAY(stun_unknown_user, DROP, "STUN of no leg here")
SAY(stun_reply, COUNT, "STUN checks answered.")
SAY(stun_check_sent, COUNT, "STUN checks of our own, by which an address is proven.")
SAY(stun_check_answered, COUNT, "Our STUN checks that were answered.")
SAY(path_limit, LIMIT, "addresses of one leg that wait for proof")
SAY(path_moved, COUNT, "Legs that went over to another address.")
SAY(dtls_rx, COUNT, "DTLS datagrams received.")
SAY(dtls_bad, DROP, "DTLS that is not understood")
SAY(dtls_queue_full, LIMIT, "DTLS datagrams that wait for their turn")
SAY(dtls_done, COUNT, "DTLS handshakes completed.")
SAY(dtls_fail, COUNT, "DTLS handshakes that failed.")
SAY(amplify_limit, LIMIT, "bytes sent to an address that is not proven")
SAY(srtp_no_key, DROP, "SRTP before the handshake")
SAY(srtp_auth, DROP, "SRTP with a wrong signature")
SAY(srtp_replay, DROP, "SRTP that came before")
SAY(srtp_bad, DROP, "malformed SRTP")
SAY(ssrc_limit, LIMIT, "sources of one leg")
SAY(ssrc_unknown, DROP, "RTP of a source that was not offered")
SAY(seal_reuse, DROP, "a packet number that was used already")
SAY(seal_fail, DROP, "could not be encrypted")
SAY(rtp_rx, COUNT, "RTP packets received.")
SAY(rtp_bad, DROP, "malformed RTP")
SAY(rtp_dup, DROP, "RTP that came twice")
SAY(rtp_old, DROP, "RTP that came too late")
SAY(rtp_fwd, COUNT, "RTP packets forwarded, once for each receiver.")
SAY(rtp_muted, DROP, "RTP of a stream that is switched off")
SAY(rtx_rx, COUNT, "Repeated packets received.")
SAY(rtx_tx, COUNT, "Packets sent again.")
SAY(red_rx, COUNT, "Packets received with redundancy (RED).")
SAY(rtp_csrc, COUNT, "RTP packets that came with CSRCs.")
SAY(ts_stray, COUNT, "Timestamps that were not believed.")
SAY(ts_jump, COUNT, "Timestamps that jumped and were believed.")
SAY(voice_bad, DROP, "sound whose lengths lie")
SAY(voice_drop, DROP, "sound beyond what a microphone may send")
SAY(fec_used, COUNT, "Lost packets that the next one brought again.")
SAY(rtcp_rx, COUNT, "RTCP packets received.")
SAY(rtcp_bad, DROP, "malformed RTCP")
SAY(nack_rx, COUNT, "Packets that receivers asked for again.")
SAY(nack_tx, COUNT, "Packets that we asked senders for again.")
SAY(nack_miss, COUNT, "Packets asked for again that are not kept any more.")
SAY(nack_limit, LIMIT, "packets that a receiver may ask for again")
SAY(nack_crossed, COUNT, "Packets asked for again before what was sent can have come.")
SAY(twcc_tx, COUNT, "Reports of what came of a sender's pictures (transport-cc).")
SAY(twcc_stray, COUNT, "Transport-wide numbers that leapt, came twice, or too late.")
SAY(layer_cut, COUNT, "Pictures' packets left out for a receiver who takes a lower frame rate.")
SAY(copy_tx, COUNT, "Copies sent before anybody asked.")
SAY(copy_miss, COUNT, "Copies of packets that are not kept any more.")
SAY(dlrr_tx, COUNT, "Answers by which a sender measures the way (RTCP XR).")
SAY(pli_rx, COUNT, "Key frames that receivers asked for.")
SAY(pli_tx, COUNT, "Key frames that we asked senders for.")
SAY(pli_throttled, COUNT, "Key frames that were asked for too soon after another.")
SAY(slot_switch, COUNT, "Slots that went over to another stream.")
SAY(speaker_change, COUNT, "Changes of who speaks.")
SAY(mix_drop, DROP, "sound that the mixer could not take")
SAY(mix_fail, COUNT, "Mixes that could not be begun or encoded.")
SAY(mix_encode, COUNT, "Packets encoded by mixers.")
SAY(store_scarce, COUNT, "Kept packets let go of early, since the pool was nearly empty.")
SAY(mix_late, COUNT, "Ticks of 20 ms that mixers were late for.")
SAY(mix_less_s, COUNT, "Seconds in which encoders took less care, since their thread was busy.")
SAY(mix_join, COUNT, "Packets joined from shorter ones.")
SAY(video_off, COUNT, "Times that pictures were too much for a link beside the voices.")
SAY(txq_full, LIMIT, "packets queued for receivers")
SAY(tcp_rx_bad, DROP, "malformed frame on TCP")
SAY(tcp_tx_drop, DROP, "TCP could not carry it in time")
SAY(tcp_limit, LIMIT, "media connections by TCP")
SAY(tcp_unwanted, COUNT, "Media connections by TCP that belonged to nobody.")
SAY(http_limited, LIMIT, "HTTP requests (answers 413, 414, 429, 431, 503)")
SAY(http_failed, COUNT, "HTTP requests that failed (500).")
SAY(http_refused, COUNT, "HTTP requests refused for any other reason.")
SAY(ws_limited, LIMIT, "what a WebSocket may send, or leave unread")
SAY(cmd_full, LIMIT, "commands that wait for a worker")
SAY(event_full, LIMIT, "events that wait for the control thread")
SAY(act_refused, COUNT, "Wishes that a room refused.")
SAY(lobby_full, LIMIT, "people in one lobby")
SAY(ban_limit, LIMIT, "people banned from one room")
SAY(board_full, LIMIT, "hands and questions on one board")
SAY(chat_limit, LIMIT, "messages and polls")
SAY(store_full, LIMIT, "rooms and links kept, or changes that wait for the disk")
/* clang-format on */
#undef SAY

static const struct counter_row {
	const char *name;
	const struct counter_help *help;
} rows[] = {
#define X(n) { #n, &help_##n },
	STATS_LIST(X)
#undef X
};

/* ---- people and legs ---------------------------------------------------------------- */

/* Of 256, as leg_voice_state has it. The last bound is everything. */
static const struct {
	uint8_t q8;
	const char *label;
} losses[] = { { 2, "1" },   { 5, "2" },   { 13, "5" },
	       { 26, "10" }, { 51, "20" }, { 255, "+Inf" } };

static void take_voice(struct tally *t, const struct leg_voice_state *v)
{
	unsigned rung =
		v->rung >= 0 && v->rung < VOICE_RUNGS ? (unsigned)v->rung : VOICE_RUNGS;

	t->rungs[rung]++;
	t->pictureless += v->no_pictures;
	for (unsigned i = 0; i < ARRAY_LEN(losses); i++)
		t->lossy[i] += v->loss_q8 <= losses[i].q8;
}

static void take_person(struct tally *t, const struct person *p)
{
	static const struct leg_voice_state unknown = { .rung = LEG_LANES };
	const struct seat *s = p->user;

	t->people++;
	t->away += p->away;
	for (unsigned k = 0; k < STREAM_KINDS; k++)
		t->sending[k] += p->media[k];
	if (!s || !s->leg)
		return;
	t->links[s->link]++;
	take_voice(t, s->voice_known ? &s->voice : &unknown);
}

static void take_call(void *arg, struct call *c)
{
	struct tally *t = arg;
	const struct room *r = call_room(c);

	t->calls++;
	t->waiting += room_waiting_count(r);
	for (const struct person *p = room_first(r); p; p = p->next)
		take_person(t, p);
}

void tally_take(const struct calls *calls, struct tally *out)
{
	_Static_assert(ARRAY_LEN(losses) == ARRAY_LEN(out->lossy), "a count for each");
	*out = (struct tally) { 0 };
	calls_each(calls, take_call, out);
}

/* ---- the text ----------------------------------------------------------------------- */

static void family(struct text *t, const char *name, const char *type, const char *help)
{
	text_add(t, "# HELP palabre_%s %s\n# TYPE palabre_%s %s\n", name, help, name,
		 type);
}

static void gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
	family(t, name, "gauge", help);
	text_add(t, "palabre_%s %llu\n", name, (unsigned long long)value);
}

static void write_people(struct text *t, const struct tally *y)
{
	static const char *const links[] = { [LEG_CONNECTING] = "connecting",
					     [LEG_UP] = "up",
					     [LEG_SUSPENDED] = "suspended",
					     [LEG_GONE] = "gone" };

	gauge(t, "calls", "Rooms with people in them.", y->calls);
	gauge(t, "people", "People in rooms, those who are away included.", y->people);
	gauge(t, "people_away", "People without a media connection, whose place is kept.",
	      y->away);
	gauge(t, "people_waiting", "People in lobbies.", y->waiting);
	family(t, "people_sending", "gauge", "People who have it switched on.");
	for (unsigned k = 0; k < STREAM_KINDS; k++)
		text_add(t, "palabre_people_sending{kind=\"%s\"} %u\n",
			 stream_kind_names[k], y->sending[k]);
	family(t, "legs", "gauge", "Media connections.");
	for (unsigned i = 0; i < ARRAY_LEN(links); i++)
		if (i != LEG_GONE)
			text_add(t, "palabre_legs{state=\"%s\"} %u\n", links[i],
				 y->links[i]);
}

static void write_links(struct text *t, const struct tally *y)
{
	family(t, "legs_voice", "gauge",
	       "Media connections by how the voices come: a step of the ladder (0 is the "
	       "poorest), or all as they are sent.");
	for (unsigned i = 0; i < VOICE_RUNGS; i++)
		text_add(t, "palabre_legs_voice{step=\"%u\"} %u\n", i, y->rungs[i]);
	text_add(t, "palabre_legs_voice{step=\"all\"} %u\n", y->rungs[VOICE_RUNGS]);
	gauge(t, "legs_without_pictures",
	      "Media connections that pictures are too much for.", y->pictureless);
	family(t, "legs_loss", "gauge",
	       "Media connections whose receiver loses at most so many per cent.");
	for (unsigned i = 0; i < ARRAY_LEN(losses); i++)
		text_add(t, "palabre_legs_loss{percent=\"%s\"} %u\n", losses[i].label,
			 y->lossy[i]);
}

static void write_workers(struct text *t, const struct calls *calls)
{
	family(t, "worker_legs", "gauge", "Media connections of each worker.");
	for (unsigned i = 0; i < calls_workers(calls); i++)
		text_add(t, "palabre_worker_legs{worker=\"%u\"} %u\n", i,
			 calls_worker_legs(calls, i));
}

/* Resident memory; 0 unknown. */
static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long long size = 0, pages = 0;

	if (f && fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void write_server(struct text *t, const struct admin *a)
{
	family(t, "build_info", "gauge", "The version; the value is always 1.");
	text_add(t, "palabre_build_info{version=\"%s\"} 1\n", PALABRE_VERSION);
	gauge(t, "start_time_seconds", "When the server was started, since 1970.",
	      a->started_s);
	gauge(t, "resident_memory_bytes", "Resident memory.", resident_bytes());
	gauge(t, "rooms_kept", "Rooms in the store.", store_rooms(a->p.store));
	gauge(t, "store_refused", "Changes that the disk refused since the start.",
	      store_refused(a->p.store));
	gauge(t, "draining", "1 while nobody new comes in.", api_is_draining(a->p.api));
}

struct writing {
	struct text *text;
	enum counter_class class;
	const char *family, *label;
	unsigned i;
};

static void write_counter(const char *name, uint64_t value, void *arg)
{
	struct writing *w = arg;
	const struct counter_help *help = rows[w->i++].help;
	char one[64];
	size_t len;
	bool in_s;

	if (help->class != w->class)
		return;
	if (w->class != COUNT) {
		text_add(w->text, "palabre_%s{%s=\"%s\"} %llu\n", w->family, w->label,
			 name, (unsigned long long)value);
		return;
	}
	/* Prometheus spells units out. */
	len = strlen(name);
	in_s = len > 2 && !strcmp(name + len - 2, "_s");
	snprintf(one, sizeof one, "%.*s%s_total", (int)(in_s ? len - 2 : len), name,
		 in_s ? "_seconds" : "");
	family(w->text, one, "counter", help->help);
	text_add(w->text, "palabre_%s %llu\n", one, (unsigned long long)value);
}

/* What each value of the label means. */
static void explain(struct text *t, const char *name, const char *what,
		    enum counter_class class)
{
	const char *before = "";

	text_add(t, "# HELP palabre_%s %s ", name, what);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].help->class != class)
			continue;
		text_add(t, "%s%s: %s", before, rows[i].name, rows[i].help->help);
		before = "; ";
	}
	text_add(t, ".\n# TYPE palabre_%s counter\n", name);
}

static void write_counters(struct text *t, struct stats *sum)
{
	struct writing drops = { t, DROP, "drops_total", "reason", 0 },
		       limits = { t, LIMIT, "limit_hits_total", "limit", 0 },
		       others = { t, COUNT, "", "", 0 };

	explain(t, "drops_total", "Packets that went no further, by reason.", DROP);
	stats_each(sum, write_counter, &drops);
	explain(t, "limit_hits_total", "How often a limit was met: it has to do with",
		LIMIT);
	stats_each(sum, write_counter, &limits);
	stats_each(sum, write_counter, &others);
}

void metrics_write(struct admin *a, struct text *out)
{
	struct stats sum = { 0 };
	struct tally y;

	tally_take(a->p.calls, &y);
	write_server(out, a);
	write_people(out, &y);
	write_links(out, &y);
	write_workers(out, a->p.calls);
	calls_stats(a->p.calls, &sum);
	stats_add(&sum, stats_here);
	write_counters(out, &sum);
}
