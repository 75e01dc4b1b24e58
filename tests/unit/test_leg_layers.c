/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A camera in three sizes, from SSRC to slot: who is who, what is sent again, what is asked for. */
#include "unit/leg_rig.h"

#include <errno.h>

enum {
	LAYERS = 3,
	SSRC_BASE = 7000,
	RTX_BASE = 8000,
	RTX_PT = 97,
	MID_ID = 1,
	RID_ID = 2,
	RRID_ID = 3
};
static const char *const rids[LAYERS] = { "q", "h", "f" };

struct size {
	uint16_t seq, rtx_seq;
	unsigned count;
};
static struct size sizes[LAYERS];

static void simulcast_leg(struct scene *s)
{
	struct nego_plan *plan = calloc(1, sizeof *plan);
	struct nego_source *cam;

	leg_close(s->from, now_us(s));
	strcpy(plan->local_ufrag, "from3");
	strcpy(plan->local_pwd, "passwordpasswordpassword");
	strcpy(plan->remote_ufrag, "peer");
	strcpy(plan->remote_pwd, "passwordpasswordpassword");
	plan->source_count = 1;
	cam = &plan->sources[0];
	*cam = (struct nego_source) { .sec = section("1", false),
				      .kind = STREAM_CAMERA,
				      .rid_count = LAYERS };
	cam->sec.codecs[0].rtx_pt = RTX_PT;
	cam->sec.exts.of_id[MID_ID] = EXT_MID;
	cam->sec.exts.of_id[RID_ID] = EXT_RID;
	cam->sec.exts.of_id[RRID_ID] = EXT_RRID;
	for (unsigned i = 0; i < LAYERS; i++)
		strcpy(cam->rids[i], rids[i]);
	assert_int_equal(leg_create(&s->from, s->legs, s->room, 3, plan, NULL, now_us(s)),
			 0);
	free(plan);
	s->from->link = LEG_UP;
	relay_port_suspend(s->from->port, false, now_us(s));
	leg_media(s->from, STREAM_CAMERA, true, now_us(s));
	memset(sizes, 0, sizeof sizes);
}

/* named: with MID and, of RTX, the repaired RID, else RID. osn: it is RTX of that number. */
static void send(struct scene *s, unsigned layer, bool named, bool key, int osn)
{
	const char *rid = rids[layer];
	uint8_t payload[2 + 11] = { 0 };
	struct rtp_header h = { .marker = true,
				.pt = osn < 0 ? VP8_PT : RTX_PT,
				.seq = osn < 0 ? sizes[layer].seq++
					       : sizes[layer].rtx_seq++,
				.ts = video_ts(s->ms) + layer * 1000000,
				.ssrc = (osn < 0 ? SSRC_BASE : RTX_BASE) + layer };
	size_t n = 0;

	if (named) {
		h.ext_count = 2;
		h.ext[0].id = MID_ID;
		h.ext[0].len = 1;
		h.ext[0].data = (const uint8_t *)"1";
		h.ext[1].id = osn < 0 ? RID_ID : RRID_ID;
		h.ext[1].len = (uint8_t)strlen(rid);
		h.ext[1].data = (const uint8_t *)rid;
	}
	if (osn >= 0) {
		put_be16(payload, (uint16_t)osn);
		n = 2;
	}
	payload[n++] = 0x10;
	payload[n++] = key ? 0 : 1;
	n += 2;
	if (key) {
		static const uint8_t code[] = { 0x9d, 0x01, 0x2a };

		memcpy(payload + n, code, 3);
		payload[n + 3] = (uint8_t)(160u << layer);
		payload[n + 4] = (uint8_t)((160u << layer) >> 8);
		payload[n + 5] = (uint8_t)(90u << layer);
		payload[n + 6] = (uint8_t)((90u << layer) >> 8);
		n += 7;
	}
	deliver(s, &h, payload, n);
}

static void pass(struct scene *s, unsigned ms)
{
	for (; ms; ms--, s->ms++) {
		wheel_run(s->wheel, now_us(s));
		if (s->ms % 100 == 0)
			relay_tick(s->relay, now_us(s));
	}
}

static void frame(struct scene *s, unsigned layers, bool key)
{
	for (unsigned i = 0; i < LAYERS; i++)
		if (layers >> i & 1)
			send(s, i, sizes[i].count++ < 3, key, -1);
	pass(s, VIDEO_MS);
}

static void look(struct scene *s, uint16_t width, uint16_t height)
{
	struct relay_view v = { leg_stream_id(3, STREAM_CAMERA), width, height };

	leg_view(s->to, false, &v, 1, now_us(s));
}

static const struct rtp_slot *slot_of(const struct scene *s)
{
	return &s->to->slots[VIDEO].rtp;
}

static int layer_of(const struct scene *s)
{
	return relay_port_sid(s->to->port, VIDEO);
}

static void test_told_apart(void **state)
{
	struct scene *s = *state;
	uint64_t sent;

	simulcast_leg(s);
	look(s, 320, 180);
	/* without a name it is nobody's */
	send(s, 1, false, true, -1);
	assert_int_equal(STAT(ssrc_unknown), 1);
	frame(s, 7, true);
	assert_int_equal(layer_of(s), 1);
	for (unsigned i = 0; i < 20; i++) /* the names end */
		frame(s, 7, false);
	assert_int_equal(STAT(ssrc_unknown), 1);
	assert_int_equal(layer_of(s), 1);
	sent = slot_of(s)->packets;
	frame(s, 5, false);
	assert_int_equal(slot_of(s)->packets, sent);
	frame(s, 2, false);
	assert_int_equal(slot_of(s)->packets, sent + 1);
	/* RTX names what it repairs, and is then known, too */
	for (unsigned i = 0; i < 2; i++) {
		sizes[1].seq++;
		frame(s, 2, false);
		sent = slot_of(s)->packets;
		send(s, 1, i == 0, false, (uint16_t)(sizes[1].seq - 2));
		assert_int_equal(slot_of(s)->packets, sent + 1);
	}
	assert_int_equal(STAT(rtx_rx), 2);
	/* one that was never agreed on */
	struct rtp_header h = { .pt = VP8_PT, .ssrc = 9999, .ext_count = 2 };
	const uint8_t vp8[] = { 0x10, 0, 2, 3 };

	h.ext[0].id = MID_ID;
	h.ext[0].len = 1;
	h.ext[0].data = (const uint8_t *)"1";
	h.ext[1].id = RID_ID;
	h.ext[1].len = 1;
	h.ext[1].data = (const uint8_t *)"x";
	deliver(s, &h, vp8, sizeof vp8);
	assert_int_equal(STAT(ssrc_unknown), 2);
}

/* A number leads to the store of the size that was sent then. */
static void test_sent_again(void **state)
{
	struct scene *s = *state;
	uint16_t before;

	simulcast_leg(s);
	look(s, 160, 90);
	frame(s, 7, true);
	for (unsigned i = 0; i < 5; i++)
		frame(s, 7, false);
	before = (uint16_t)slot_of(s)->highest;
	look(s, 640, 360);
	frame(s, 7, false);
	frame(s, 7, true);
	assert_int_equal(layer_of(s), 2);
	for (unsigned i = 0; i < 5; i++)
		frame(s, 7, false);
	/* none is missing between the two */
	assert_int_equal((uint16_t)slot_of(s)->highest, (uint16_t)(before + 8));
	for (uint16_t seq = (uint16_t)(before - 3);
	     seq != (uint16_t)(slot_of(s)->highest + 1); seq++) {
		const struct rtp_segment *seg;
		uint64_t in;

		assert_int_equal(rtp_slot_find(&s->to->slots[VIDEO].rtp, seq, now_us(s),
					       &seg, &in),
				 0);
		assert_int_equal(seg->layer, (int16_t)(seq - before) > 2 ? 2 : 0);
		assert_non_null(rtp_store_get(
			&s->from->sources[0]->layers[seg->layer]->store, in));
	}
	assert_int_equal(STAT(nack_miss), 0);
}

/* One line of time, whatever each size's timestamps are: 40 ms between frames, but where it changes. */
static void test_one_line_of_time(void **state)
{
	struct scene *s = *state;
	uint64_t ts;

	simulcast_leg(s);
	look(s, 160, 90);
	frame(s, 7, true);
	for (unsigned i = 0; i < 100; i++)
		frame(s, 7, false);
	for (unsigned i = 0; i < 12; i++) {
		look(s, i % 2 ? 160 : 640, i % 2 ? 90 : 360);
		frame(s, 7, false);
		ts = slot_of(s)->ts64;
		frame(s, 7, true);
		/* The old size's has gone out already: the new one's is 1 ms behind it at least. */
		assert_in_range(slot_of(s)->ts64 - ts, 3500, 3800);
		for (unsigned k = 0; k < 10; k++)
			frame(s, 7, false);
		assert_int_equal(layer_of(s), i % 2 ? 0 : 2);
	}
}

/* An encoder answers with all sizes: what is asked of one counts for each; who shows something waits a second. */
static void test_key_frames_are_rare(void **state)
{
	struct scene *s = *state;
	uint64_t asked;

	simulcast_leg(s);
	look(s, 160, 90);
	frame(s, 7, false);
	for (unsigned i = 0; i < 100; i++)
		frame(s, 7, i == 0);
	assert_int_equal(layer_of(s), 0);
	asked = STAT(pli_tx);
	for (unsigned i = 0; i < 100; i++) { /* 4 s, and another size each 40 ms */
		look(s, i % 2 ? 320 : 640, i % 2 ? 180 : 360);
		frame(s, 7, false);
	}
	assert_in_range(STAT(pli_tx) - asked, 3, 5);
	asked = STAT(pli_tx);
	frame(s, 7, true);
	/* a lost decoder at 1 kHz */
	for (unsigned i = 0; i < 2000; i++) {
		relay_port_key_request(s->to->port, VIDEO, now_us(s));
		pass(s, 1);
	}
	assert_in_range(STAT(pli_tx) - asked, 4, 9);
	/* one that has stopped coming is not asked */
	frame(s, 7, true);
	frame(s, 3, false);
	pass(s, 1500);
	asked = STAT(pli_tx);
	keyreq_want(&s->from->sources[0]->layers[2]->key);
	leg_feedback_at(s->from, now_us(s));
	pass(s, 3000);
	assert_int_equal(STAT(pli_tx), asked);
}

static void test_what_is_wanted(void **state)
{
	struct scene *s = *state;

	simulcast_leg(s);
	assert_int_equal(leg_layers_get(s->from, STREAM_CAMERA), 0);
	assert_int_equal(leg_layers_get(s->from, STREAM_SCREEN), 0);
	look(s, 160, 90);
	frame(s, 1, true);
	for (unsigned i = 0; i < 150; i++)
		frame(s, 1, false);
	assert_int_equal(leg_layers_get(s->from, STREAM_CAMERA), 1);
	look(s, 640, 360);
	assert_int_equal(leg_layers_get(s->from, STREAM_CAMERA), 3);
	frame(s, 7, true);
	assert_int_equal(layer_of(s), 2);
	/* and of what came, to where it may go: the rig's VP8 has no layers in time */
	relay_port_layer(s->to->port, VIDEO, 2, 0, now_us(s));
	frame(s, 7, false);
	assert_int_equal(slot_of(s)->thin.want_tid, 0);
	leg_media(s->from, STREAM_CAMERA, false, now_us(s));
	pass(s, 3000);
	assert_int_equal(leg_layers_get(s->from, STREAM_CAMERA), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_told_apart),	     TEST(test_sent_again),
		TEST(test_one_line_of_time), TEST(test_key_frames_are_rare),
		TEST(test_what_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
