/* SPDX-License-Identifier: BSD-2-Clause */
/* See replay.h. libpcap alone reads the formats; what it says of a frame is checked here. */
#include "vswitch/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/virtio_net.h"
#include "vswitch/pcap_library.h"

#define AT_MOST_NS    9000000000000000000ULL /* 285 years */
#define SINGLE_GAP_NS 1000000000ULL          /* of a capture of one frame */
#define LEAST_GAP_NS  1000000ULL             /* where all frames are of one moment */

/* ---- Reading ---- */

struct replay_room {
	unsigned frames;
	size_t bytes, used;
};

static bool make_room(struct capture_replay *replay, struct replay_room *room, size_t length)
{
	if (replay->count == room->frames) {
		unsigned frames = room->frames ? 2 * room->frames : 256;
		void *grown = realloc(replay->frames, frames * sizeof(replay->frames[0]));

		if (!grown)
			return false;
		replay->frames = grown;
		room->frames = frames;
	}
	if (room->bytes - room->used < length) {
		size_t bytes = MAX(2 * room->bytes, room->used + length + 65536);
		void *grown = realloc(replay->bytes, bytes);

		if (!grown)
			return false;
		replay->bytes = grown;
		room->bytes = bytes;
	}
	return true;
}

/* Nanoseconds since the first frame; the one before's where the time is none, or goes back. */
static uint64_t time_of(const struct capture_replay *replay, const struct timeval *time,
			uint64_t *first)
{
	uint64_t before = replay->count ? replay->frames[replay->count - 1].at_ns : 0, at;

	/* With nanoseconds, tv_usec is these. */
	if (time->tv_sec < 0 || time->tv_sec > INT64_MAX / 1000000000 - 1 || time->tv_usec < 0 ||
	    time->tv_usec >= 1000000000)
		return before;
	at = (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_usec;
	if (!replay->count)
		*first = at;
	return at < *first ? before : MAX(at - *first, before);
}

static int replay_read_frames(struct capture_replay *replay, const struct pcap_library *library,
			      pcap_t *pcap, const char *path, struct error *error)
{
	struct replay_room room = { 0 };
	struct pcap_pkthdr *header;
	uint64_t first = 0;
	const u_char *data;
	int got;

	while ((got = library->pcap_next_ex(pcap, &header, &data)) == 1) {
		size_t length = header->caplen;

		if (length < VIRTIO_NET_FRAME_MIN || length > VIRTIO_NET_FRAME_MAX ||
		    header->len != header->caplen) {
			replay->left_out++;
			continue;
		}
		if (room.used + length > REPLAY_BYTES_MAX || replay->count == REPLAY_FRAMES_MAX)
			return error_set(error, -EFBIG,
					 "%s: more than %zu MiB of frames, or %u frames: no more "
					 "is held in memory",
					 path, REPLAY_BYTES_MAX >> 20, REPLAY_FRAMES_MAX);
		if (!make_room(replay, &room, length))
			return error_set(error, -ENOMEM, "%s: out of memory", path);
		replay->frames[replay->count] = (struct replay_frame){
			.at_ns = time_of(replay, &header->ts, &first),
			.offset = room.used,
			.length = (uint32_t)length,
		};
		memcpy(replay->bytes + room.used, data, length);
		room.used += length;
		replay->count++;
	}
	if (got != PCAP_ERROR_BREAK)
		snprintf(replay->damage, sizeof(replay->damage), "%s", library->pcap_geterr(pcap));
	if (!replay->count)
		return error_set(error, -EINVAL, "%s: no frame in it that can be sent%s%s", path,
				 replay->damage[0] ? ": " : "", replay->damage);
	return 0;
}

/* As they are to be sent: asked for another speed, or at even distances. */
static void apply_timing(struct capture_replay *replay)
{
	const struct replay_timing *timing = &replay->timing;
	double speed = timing->speed > 0 ? timing->speed : 1;
	uint64_t last;

	for (unsigned i = 0; i < replay->count; i++) {
		uint64_t *at = &replay->frames[i].at_ns;

		if (timing->has_interval)
			*at = i && timing->interval_ns > AT_MOST_NS / i ? AT_MOST_NS
									: i * timing->interval_ns;
		else if (speed != 1)
			*at = (uint64_t)fmin((double)*at / speed, (double)AT_MOST_NS);
	}
	last = replay->frames[replay->count - 1].at_ns;
	if (timing->has_interval)
		replay->gap_ns = timing->interval_ns;
	else if (replay->count == 1)
		replay->gap_ns = SINGLE_GAP_NS;
	else
		replay->gap_ns = MAX(last / (replay->count - 1), LEAST_GAP_NS);
}

/* A file, and nothing that one would wait at. */
static int open_file(const char *path, FILE **out, struct error *error)
{
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0)
		return error_set(error, -errno, "%s: cannot open: %s", path, error_name(errno));
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return error_set(error, -EINVAL, "%s: expected a file", path);
	}
	*out = fdopen(fd, "r");
	if (*out)
		return 0;
	rc = -errno;
	close(fd);
	return error_set(error, rc, "%s: cannot read: %s", path, error_name(rc));
}

int replay_read(struct capture_replay **out, const char *path, const struct replay_timing *timing,
		struct error *error)
{
	CLEANUP(cleanup_replay) struct capture_replay *replay = calloc(1, sizeof(*replay));
	char text[PCAP_ERRBUF_SIZE] = "";
	struct pcap_library library;
	pcap_t *pcap;
	FILE *file;
	int rc;

	if (!replay)
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	replay->timing = *timing;
	rc = pcap_library_load(&library, error);
	if (!rc)
		rc = open_file(path, &file, error);
	if (rc)
		return rc;
	pcap = library.pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO,
								text);
	if (!pcap) {
		fclose(file);
		return error_set(error, -EINVAL, "%s: no pcap or pcapng file: %.200s", path, text);
	}
	if (library.pcap_datalink(pcap) != DLT_EN10MB)
		rc = error_set(error, -EINVAL,
			       "%s: expected frames of Ethernet, found link type %d", path,
			       library.pcap_datalink(pcap));
	else
		rc = replay_read_frames(replay, &library, pcap, path, error);
	library.pcap_close(pcap);
	if (rc)
		return rc;
	apply_timing(replay);
	*out = steal_pointer(&replay);
	return 0;
}

void replay_destroy(struct capture_replay *replay)
{
	if (!replay)
		return;
	free(replay->frames);
	free(replay->bytes);
	free(replay);
}

/* ---- When ---- */

void replay_start(struct capture_replay *replay, uint64_t now)
{
	replay->start_ns = now;
	replay->next = 0;
	replay->passed = 0;
}

uint64_t replay_due(const struct capture_replay *replay)
{
	uint64_t at = replay->frames[replay->next].at_ns;

	if (replay->timing.passes && replay->passed >= replay->timing.passes)
		return UINT64_MAX;
	return at > UINT64_MAX - 1 - replay->start_ns ? UINT64_MAX - 1 : replay->start_ns + at;
}

const struct replay_frame *replay_take(struct capture_replay *replay)
{
	const struct replay_frame *frame = &replay->frames[replay->next];
	uint64_t due = replay_due(replay);

	if (++replay->next < replay->count)
		return frame;
	replay->next = 0;
	replay->passed++;
	replay->start_ns =
		due > UINT64_MAX - 1 - replay->gap_ns ? UINT64_MAX - 1 : due + replay->gap_ns;
	return frame;
}
