/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: ports that are capture files, in virtual time. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/port_pcap.h"

#define SECOND 1000000000ULL
#define MS     1000000ULL

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), name);
	return path;
}

/* A capture whose frames, of 60 bytes and their number, have these times. */
static const char *write_capture(const char *name, const uint64_t *times, unsigned count)
{
	uint8_t header[24] = { 0 }, record[16 + 60];
	FILE *file = fopen(path_of(name), "w");

	put_le32(header, 0xa1b23c4d);
	put_le16(header + 4, 2);
	put_le16(header + 6, 4);
	put_le32(header + 16, 65535);
	put_le32(header + 20, 1);
	fwrite(header, 1, sizeof(header), file);
	for (unsigned i = 0; i < count; i++) {
		memset(record, 0, sizeof(record));
		put_le32(record, (uint32_t)(times[i] / SECOND));
		put_le32(record + 4, (uint32_t)(times[i] % SECOND));
		put_le32(record + 8, 60);
		put_le32(record + 12, 60);
		memset(record + 16, 0xff, 6);
		record[22] = 2;
		record[27] = (uint8_t)(i + 1);
		put_be16(record + 28, 0x88b5);
		fwrite(record, 1, sizeof(record), file);
	}
	fclose(file);
	return path_of(name);
}

/* Plays `path` for `span`, and notes when frames came, at most `most`. Returns how many. */
static unsigned play(const char *path, const struct replay_timing *timing, uint64_t span,
		     uint64_t *when, unsigned most)
{
	uint64_t clock = 5000 * SECOND, begin = clock;
	struct vswitch_options options = { .seed = 1, .clock = test_clock, .clock_arg = &clock };
	struct vswitch_pcap_options pcap = { .replay = path, .timing = *timing };
	struct error error = { 0 };
	struct vswitch *vswitch;
	struct fake_port *a;
	unsigned count = 0;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_pcap(vswitch, "r", &pcap, &error), 0);
	while (clock - begin <= span && count < most) {
		unsigned came;

		vswitch_round(vswitch);
		for (came = 0; came < a->out_count && count < most; came++)
			when[count++] = clock - begin;
		fake_port_clear(a);
		if (!came && vswitch_next_timer(vswitch) == UINT64_MAX)
			break;
		/* The thread sleeps until then, and not too long. */
		clock = MAX(clock, vswitch_next_timer(vswitch));
	}
	vswitch_destroy(vswitch);
	return count;
}

/* A bad link over the port does not let it sleep over what is due. */
static void test_over_a_link(void)
{
	static const uint64_t times[] = { 0, 3 * MS, SECOND };
	uint64_t clock = 5000 * SECOND;
	struct vswitch_options options = { .seed = 1, .clock = test_clock, .clock_arg = &clock };
	struct vswitch_pcap_options pcap = { .replay = write_capture("link.pcap", times, 3),
					     .timing.passes = 1 };
	const struct link_model late = { .delay_ns = 5 * MS };
	struct error error = { 0 };
	struct vswitch *vswitch;
	struct fake_port *a;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_pcap(vswitch, "r", &pcap, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(vswitch, "r", LINK_IN, &late, &error), 0);
	for (unsigned i = 0; i < 20 && clock != UINT64_MAX; i++) {
		vswitch_round(vswitch);
		clock = MAX(clock, vswitch_next_timer(vswitch));
	}
	CU_ASSERT_EQUAL(a->out_count, 3);
	vswitch_destroy(vswitch);
}

static void test_timing(void)
{
	static const uint64_t times[] = { 1700000000 * SECOND, 1700000000 * SECOND + 3 * MS,
					  1700000000 * SECOND + 3 * MS, 1700000001 * SECOND };
	const char *path = write_capture("timing.pcap", times, 4);
	struct replay_timing timing = { .passes = 1 };
	uint64_t when[16];

	CU_ASSERT_EQUAL_FATAL(play(path, &timing, 10 * SECOND, when, 16), 4);
	CU_ASSERT_EQUAL(when[0], 0);
	CU_ASSERT_EQUAL(when[1], 3 * MS);
	CU_ASSERT_EQUAL(when[2], 3 * MS);
	CU_ASSERT_EQUAL(when[3], SECOND);
	timing.speed = 0.5;
	CU_ASSERT_EQUAL_FATAL(play(path, &timing, 10 * SECOND, when, 16), 4);
	CU_ASSERT_EQUAL(when[1], 6 * MS);
	CU_ASSERT_EQUAL(when[3], 2 * SECOND);
	timing = (struct replay_timing){ .has_interval = true, .interval_ns = 7, .passes = 2 };
	CU_ASSERT_EQUAL_FATAL(play(path, &timing, 10 * SECOND, when, 16), 8);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(when[i], 7 * i);
	/* For ever; a pass begins as long after the last one as frames are apart on average. */
	timing = (struct replay_timing){ 0 };
	CU_ASSERT_EQUAL_FATAL(play(path, &timing, 100 * SECOND, when, 9), 9);
	CU_ASSERT_EQUAL(when[4], SECOND + SECOND / 3);
	CU_ASSERT_EQUAL(when[8], 2 * (SECOND + SECOND / 3));
	timing.has_interval = true;
	CU_ASSERT_EQUAL_FATAL(play(path, &timing, SECOND, when, 16), 16);
	CU_ASSERT_EQUAL(when[15], 0);
}

/* Times that go back, and that cannot be. */
static void test_wrong_times(void)
{
	static const uint64_t times[] = { 100 * SECOND, 99 * SECOND, 101 * SECOND, 0,
					  2000000000ULL * SECOND };
	struct replay_timing timing = { .passes = 1 };
	uint64_t when[8];

	CU_ASSERT_EQUAL_FATAL(
		play(write_capture("wrong.pcap", times, 5), &timing, 10 * SECOND, when, 8), 4);
	CU_ASSERT_EQUAL(when[1], 0);
	CU_ASSERT_EQUAL(when[2], SECOND);
	CU_ASSERT_EQUAL(when[3], SECOND);
	/* One frame, looped, is no storm. */
	timing.passes = 0;
	CU_ASSERT_EQUAL(play(write_capture("one.pcap", times, 1), &timing, 10 * SECOND, when, 8),
			8);
	CU_ASSERT_EQUAL(when[7], 7 * SECOND);
	/* The clock does not wrap. */
	timing.speed = REPLAY_SPEED_MIN;
	CU_ASSERT_EQUAL(play(write_capture("late.pcap", times, 5), &timing, 10 * SECOND, when, 8),
			2);
}

/* Each beginning of a file, and each byte of it wrong: some frames or a refusal, and no more. */
static void test_damaged_files(void)
{
	static const uint64_t times[] = { 1, 2, 3 };
	struct replay_timing timing = { .passes = 1 };
	uint8_t bytes[24 + 3 * 76];
	FILE *file = fopen(write_capture("whole.pcap", times, 3), "r");
	struct capture_replay *replay;
	unsigned whole = 0;

	CU_ASSERT_EQUAL_FATAL(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	fclose(file);
	for (size_t i = 0; i < 2 * sizeof(bytes); i++) {
		uint8_t *wrong = &bytes[i % sizeof(bytes)], before = *wrong;
		size_t length = i < sizeof(bytes) ? i : sizeof(bytes);
		struct error error = { 0 };
		int rc;

		if (i >= sizeof(bytes))
			*wrong ^= 0xff;
		file = fopen(path_of("damaged.pcap"), "w");
		fwrite(bytes, 1, length, file);
		fclose(file);
		*wrong = before;
		rc = replay_read(&replay, path_of("damaged.pcap"), &timing, &error);
		CU_ASSERT_TRUE(rc ? error.text[0] && error.code == rc : replay->count > 0);
		if (rc)
			continue;
		CU_ASSERT_TRUE(replay->count <= 3);
		whole += replay->count == 3;
		replay_destroy(replay);
	}
	CU_ASSERT_TRUE(whole > 100); /* bytes of frames may be anything */
}

/* Recorded, with directions; and what is offered to a port that records nothing is counted. */
static void test_record(void)
{
	struct vswitch_pcap_options pcap = { .record = path_of("record.pcapng") };
	struct replay_timing timing = { .passes = 1 };
	struct error error = { 0 };
	struct vswitch *vswitch;
	struct capture_replay *replay;
	struct fake_port *a;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_pcap(vswitch, "p", &pcap, &error), 0);
	pcap = (struct vswitch_pcap_options){ .replay = path_of("whole.pcap"), .timing = timing };
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_pcap(vswitch, "q", &pcap, &error), 0);
	for (unsigned i = 0; i < 100; i++)
		fake_port_put_frame(a, 0xffffffffffff, 0x020000000001, 1514);
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL(vswitch_find_port(vswitch, "q")->counters.drops[PORT_DROP_RX_DISABLED],
			100);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "p", &error), 0);
	vswitch_destroy(vswitch);
	CU_ASSERT_EQUAL_FATAL(replay_read(&replay, path_of("record.pcapng"), &timing, &error), 0);
	CU_ASSERT_EQUAL(replay->count, 103);
	replay_destroy(replay);
}

/* What is played is not recorded over, by whatever name. */
static void test_over_what_is_played(void)
{
	const uint64_t times[] = { SECOND, 2 * SECOND };
	struct vswitch_pcap_options pcap = { .force = true };
	char linked[300];
	struct error error = { 0 };
	struct vswitch *vswitch;
	struct stat before, after;

	write_capture("played.pcap", times, 2);
	snprintf(linked, sizeof(linked), "%s/linked.pcap", unit_directory());
	pcap.replay = path_of("played.pcap");
	CU_ASSERT_EQUAL_FATAL(stat(pcap.replay, &before), 0);
	CU_ASSERT_EQUAL_FATAL(link(pcap.replay, linked), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	pcap.record = pcap.replay;
	CU_ASSERT_EQUAL(vswitch_add_port_pcap(vswitch, "r", &pcap, &error), -EINVAL);
	pcap.record = linked;
	CU_ASSERT_EQUAL(vswitch_add_port_pcap(vswitch, "r", &pcap, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "is the one to record to"));
	CU_ASSERT_EQUAL(stat(pcap.replay, &after), 0);
	CU_ASSERT_EQUAL(after.st_size, before.st_size);
	vswitch_destroy(vswitch);
}

UNIT_MAIN("ports that are capture files", UNIT(test_timing), UNIT(test_over_a_link),
	  UNIT(test_wrong_times), UNIT(test_damaged_files), UNIT(test_record),
	  UNIT(test_over_what_is_played))
