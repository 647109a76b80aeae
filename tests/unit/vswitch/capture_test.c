/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/capture: what was recorded, as libpcap reads it, while it is being written and after. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/capture.h"

static uint64_t test_clock(void *arg)
{
	(void)arg;
	return 5000000123;
}

/* Reads the next packet with its time in nanoseconds, or fails the test. */
static const uint8_t *next(pcap_t *pcap, uint32_t *length, uint64_t *time_ns)
{
	struct pcap_pkthdr *header;
	const u_char *bytes = NULL;

	CU_ASSERT_EQUAL_FATAL(pcap_next_ex(pcap, &header, &bytes), 1);
	CU_ASSERT_EQUAL(header->caplen, header->len);
	*length = header->caplen;
	*time_ns = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec;
	return bytes;
}

static pcap_t *open_file(const char *path)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(pcap);
	CU_ASSERT_EQUAL(pcap_datalink(pcap), DLT_EN10MB);
	return pcap;
}

/* Records one frame to a switch of two ports and reads it back. `times`: how often it is in the file. */
static void check_format(const char *file, unsigned times)
{
	struct vswitch_options options = { .clock = test_clock, .epoch_ns = 1700000000000000000 };
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .csum_start = htole16(34),
					    .csum_offset = htole16(6) };
	uint8_t frame[61] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45 };
	struct vswitch *vswitch;
	struct fake_port *a, *b;
	struct vswitch_status *status;
	struct pcap_pkthdr *end;
	const u_char *bytes;
	struct vswitch_capture_options capture = { 0 };
	char path[128];
	pcap_t *pcap;

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), file);
	capture.path = path;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", VIRTIO_NET_GUEST_OFFLOADS);
	CU_ASSERT_EQUAL_FATAL(vswitch_start_capture(vswitch, &capture, NULL, NULL), 0);
	b = fake_port_add(vswitch, "port-b", VIRTIO_NET_GUEST_OFFLOADS);
	fake_port_put(a, frame, sizeof(frame), &header);
	vswitch_round(vswitch);
	vswitch_round(vswitch);
	/* Readable while the capture goes on. */
	while (vswitch_status(vswitch, &status) == 0 &&
	       status->captures[0].capture.written < times) {
		vswitch_status_free(status);
		usleep(1000);
	}
	CU_ASSERT_EQUAL(status->captures[0].capture.recorded, times);
	CU_ASSERT_EQUAL(status->captures[0].capture.lost, 0);
	CU_ASSERT_STRING_EQUAL(status->captures[0].capture.state, "recording");
	CU_ASSERT_STRING_EQUAL(status->captures[0].capture.path, path);
	vswitch_status_free(status);
	pcap = open_file(path);
	for (unsigned i = 0; i < times; i++) {
		uint32_t length;
		uint64_t time_ns;
		const uint8_t *seen = next(pcap, &length, &time_ns);

		CU_ASSERT_EQUAL(length, sizeof(frame));
		CU_ASSERT_EQUAL(time_ns, 1700000005000000123);
		CU_ASSERT_EQUAL(memcmp(seen, frame, 40), 0);
		/* The file has the finished checksum, the receiver the request. */
		CU_ASSERT_NOT_EQUAL(get_be16(seen + 40), 0);
		CU_ASSERT_EQUAL(virtio_net_fold(virtio_net_sum(0, seen + 34, length - 34)), 0xffff);
	}
	CU_ASSERT_EQUAL(pcap_next_ex(pcap, &end, &bytes), PCAP_ERROR_BREAK);
	pcap_close(pcap);
	CU_ASSERT_TRUE(b->out[0].offload.needs_checksum);
	CU_ASSERT_EQUAL(vswitch_stop_captures(vswitch, NULL), 0);
	fake_port_put(a, frame, sizeof(frame), &header);
	vswitch_round(vswitch);
	vswitch_destroy(vswitch);
}

static void test_classic(void)
{
	check_format("x.pcap", 1);
}

static void test_pcapng_has_both_directions(void)
{
	check_format("x.pcapng", 2);
}

/* ---- A capture by itself ---- */

/* What the log was told. */
static struct told {
	struct log log;
	pthread_mutex_t lock;
	char text[4096];
} told = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void note(struct log *log, enum log_level level, const char *text)
{
	struct told *to = container_of(log, struct told, log);
	size_t used;

	(void)level;
	pthread_mutex_lock(&to->lock);
	used = strlen(to->text);
	snprintf(to->text + used, sizeof(to->text) - used, "%s\n", text);
	pthread_mutex_unlock(&to->lock);
}

static bool was_told(const char *what)
{
	bool is;

	pthread_mutex_lock(&told.lock);
	is = strstr(told.text, what) != NULL;
	pthread_mutex_unlock(&told.lock);
	return is;
}

static struct capture *begin(const char *path, size_t ring_bytes)
{
	struct capture_options options = { .path = path,
					   .log = &told.log,
					   .ring_bytes = ring_bytes };
	struct capture *capture = NULL;
	struct error error = { 0 };

	told.log = (struct log){ .level = LOG_LEVEL_INFO, .write = note };
	told.text[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, &options, &error), 0);
	return capture;
}

static struct capture_status status_of(const struct capture *capture)
{
	struct capture_status status;

	capture_status(capture, &status);
	return status;
}

/* Waits until `what` of the capture is so, as long as it takes: tests/run ends a test that hangs. */
#define WAIT_UNTIL(what)                                                                           \
	do {                                                                                       \
		while (!(what))                                                                    \
			usleep(1000);                                                              \
	} while (0)

/* Records `count` frames of `length` bytes, numbered from *number on, each as a time of so many ns. */
static void record(struct capture *capture, unsigned count, uint32_t length, uint64_t *number)
{
	static uint8_t bytes[VIRTIO_NET_FRAME_MAX];
	struct iovec piece = { bytes, length };
	struct frame frame = { .pieces = &piece, .count = 1, .length = length };

	for (unsigned i = 0; i < count; i++) {
		struct capture_event event = { .time_ns = (*number)++ };

		capture_frame(capture, &event, &frame);
	}
	capture_flush(capture);
}

/* Reads a whole stream to its end: how many packets are in it. Fails the test if it ends within one, or
 * if the numbers do not go up. */
static unsigned count_packets(FILE *stream, uint64_t *first)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap =
		pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, text);
	struct pcap_pkthdr *header;
	const u_char *bytes;
	uint64_t last = 0;
	unsigned count = 0;
	int rc;

	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pcap);
	while ((rc = pcap_next_ex(pcap, &header, &bytes)) == 1) {
		uint64_t number =
			(uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec;

		if (!count++ && first)
			*first = number;
		else
			CU_ASSERT_TRUE(number > last);
		last = number;
	}
	CU_ASSERT_EQUAL(rc, PCAP_ERROR_BREAK);
	pcap_close(pcap);
	return count;
}

static const char *make_fifo(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", unit_directory(), name);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	return path;
}

/* The parts of pcapng that libpcap does not show: interface names and directions. */
static void test_pcapng_names_and_directions(void)
{
	uint8_t head[64] = { 0 }, file[1024];
	struct iovec piece = { head, sizeof(head) };
	struct frame frame = { .pieces = &piece, .count = 1, .length = 61 };
	const struct capture_event event = { .out = true, .time_ns = 1 };
	struct capture *capture;
	char path[128];
	size_t length;
	FILE *in;

	snprintf(path, sizeof(path), "%s/y.pcapng", unit_directory());
	capture = begin(path, 0);
	capture_add_port(capture, "abcde");
	capture_frame(capture, &event, &frame);
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	in = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	length = fread(file, 1, sizeof(file), in);
	fclose(in);
	/* Section 28; interface 8 + 8 + (4 + 8) + (4 + 4) + 4 + 4; packet 8 + 20 + 64 + 8 + 4 + 4; statistics 8 + 12 + 12 + 12 + 4
	 * + 4. */
	CU_ASSERT_EQUAL_FATAL(length, 28 + 44 + 108 + 52);
	CU_ASSERT_EQUAL(get_le32(file + 28), 1);
	CU_ASSERT_EQUAL(get_le32(file + 32), 44);
	CU_ASSERT_EQUAL(get_le16(file + 44), 2);
	CU_ASSERT_EQUAL(memcmp(file + 48, "abcde\0\0\0", 8), 0);
	CU_ASSERT_EQUAL(get_le16(file + 56), 9);
	CU_ASSERT_EQUAL(file[60], 9);
	CU_ASSERT_EQUAL(get_le32(file + 68), 44);
	CU_ASSERT_EQUAL(get_le32(file + 72), 6);
	CU_ASSERT_EQUAL(get_le32(file + 72 + 8 + 12), 61);
	CU_ASSERT_EQUAL(get_le16(file + 72 + 28 + 64), 2);          /* epb_flags */
	CU_ASSERT_EQUAL(get_le32(file + 72 + 28 + 68), 2 | 1 << 2); /* outbound, unicast */
	CU_ASSERT_EQUAL(get_le32(file + 180), 5);
	CU_ASSERT_EQUAL(get_le32(file + length - 4), 52);
}

/* Counts a drop of the way in while it sends, as the port's own thread may meanwhile. */
static unsigned count_one_in(struct port *port, struct frame *const *frames, unsigned count)
{
	port_drop(port, PORT_DROP_VLAN);
	port_count_tx(port, frames[0]);
	return count;
}

/* The value of an option of each packet of a pcapng file, in order; `verdicts`: how many were dropped. */
static unsigned read_ids(const char *path, uint64_t *ids, unsigned most, unsigned *verdicts)
{
	static uint8_t file[65536];
	FILE *in = fopen(path, "re");
	size_t length, at = 0;
	unsigned count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	length = fread(file, 1, sizeof(file), in);
	fclose(in);
	for (*verdicts = 0; at + 12 <= length; at += get_le32(file + at + 4)) {
		size_t option = at + 28 + round_up((size_t)get_le32(file + at + 20), 4);

		if (get_le32(file + at) != 6)
			continue;
		for (; get_le16(file + option);
		     option += 4 + round_up((size_t)get_le16(file + option + 2), 4)) {
			*verdicts += get_le16(file + option) == 7;
			if (get_le16(file + option) == 5 && count < most)
				ids[count++] = get_le64(file + option + 4);
		}
	}
	return count;
}

/* Of several threads, each numbers its frames, and counts what it drops at its own ports. */
static void test_frames_of_several_threads(void)
{
	struct vswitch_options options = { .clock = test_clock, .threads = 2 };
	struct vswitch_capture_options capture = { .force = true };
	struct port_ops sending;
	struct fake_port *a, *b;
	struct vswitch *vswitch;
	unsigned verdicts;
	char path[128];
	uint64_t ids[8];

	snprintf(path, sizeof(path), "%s/threads.pcapng", unit_directory());
	capture.path = path;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	b = fake_port_add(vswitch, "b", 0);
	sending = *b->port.ops;
	sending.transmit = count_one_in;
	b->port.ops = &sending;
	CU_ASSERT_EQUAL_FATAL(vswitch_start_capture(vswitch, &capture, NULL, NULL), 0);
	fake_port_put_frame(a, 0xffffffffffff, 0x020000000001, 60);
	vswitch_round(vswitch);
	fake_port_put_frame(b, 0xffffffffffff, 0x020000000002, 60);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(vswitch_stop_captures(vswitch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(read_ids(path, ids, 8, &verdicts), 4);
	CU_ASSERT_EQUAL(ids[0], ids[1]);
	CU_ASSERT_EQUAL(ids[2], ids[3]);
	CU_ASSERT_NOT_EQUAL(ids[0], ids[2]);
	CU_ASSERT_EQUAL(verdicts, 0);
	vswitch_destroy(vswitch);
}

static void test_a_place_that_cannot_be_written(void)
{
	struct capture_options options = { .path = NULL };
	struct capture *capture = NULL;
	struct error error = { 0 };
	char path[128];
	FILE *letter;

	snprintf(path, sizeof(path), "%s/none/x.pcap", unit_directory());
	options.path = path;
	CU_ASSERT_EQUAL(capture_open(&capture, &options, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, path));
	/* What is no capture stays as it is, unless told. */
	snprintf(path, sizeof(path), "%s/letter.pcap", unit_directory());
	letter = fopen(path, "we");
	fputs("Dear Sir or Madam", letter);
	fclose(letter);
	CU_ASSERT_EQUAL(capture_open(&capture, &options, &error), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "expected a capture"));
	options.force = true;
	CU_ASSERT_EQUAL(capture_open(&capture, &options, &error), 0);
	CU_ASSERT_EQUAL(capture_close(capture, &error), 0);
	/* And an older capture gives way. */
	options.force = false;
	CU_ASSERT_EQUAL(capture_open(&capture, &options, &error), 0);
	CU_ASSERT_EQUAL(capture_close(capture, &error), 0);
}

static void test_a_full_disk(void)
{
	struct capture_options options = { .path = "/dev/full" };
	struct capture *capture = NULL;
	struct error error = { 0 };

	if (access("/dev/full", W_OK)) {
		unit_skip("no /dev/full");
		return;
	}
	CU_ASSERT_EQUAL(capture_open(&capture, &options, &error), -ENOSPC);
}

/* A disk that fills up later is told of at once, ends the capture at a whole packet, and harms nobody. */
static void test_a_file_that_cannot_grow(void)
{
	static const char *const names[] = { "small.pcap", "small.pcapng" };
	struct rlimit old, small;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 8192, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	for (unsigned i = 0; i < 2; i++) {
		struct error error = { 0 };
		struct capture *capture;
		uint64_t number = 1;
		char path[128];
		unsigned count;

		snprintf(path, sizeof(path), "%s/%s", unit_directory(), names[i]);
		capture = begin(path, 0);
		capture_add_port(capture, "a");
		record(capture, 10000, 99, &number);
		WAIT_UNTIL(was_told("File too large"));
		CU_ASSERT_STRING_EQUAL(status_of(capture).state, "ended: File too large");
		/* What comes later is counted too, and quickly. */
		record(capture, 10, 99, &number);
		count = count_packets(fopen(path, "re"), NULL);
		CU_ASSERT_TRUE(count > 30);
		CU_ASSERT_EQUAL(status_of(capture).written, count);
		CU_ASSERT_EQUAL(status_of(capture).written + status_of(capture).lost, 10010);
		CU_ASSERT_EQUAL(capture_close(capture, &error), -EFBIG);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "not whole"));
	}
	setrlimit(RLIMIT_FSIZE, &old);
}

/* What was in a file before a capture was added to it stays, wherever the capture ends. */
static void test_a_file_that_is_added_to(void)
{
	char before[3000], after[3000], path[128], name[32];
	struct error error = { 0 };
	struct rlimit old, small;
	struct capture *capture;
	uint64_t number = 1;
	FILE *in;
	int fd;

	memset(before, 'b', sizeof(before));
	snprintf(path, sizeof(path), "%s/added.pcap", unit_directory());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(write(fd, before, sizeof(before)), (ssize_t)sizeof(before));
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0); /* as a shell's ">>" begins */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 8192, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	capture = begin(name, 0);
	record(capture, 1000, 99, &number);
	WAIT_UNTIL(was_told("File too large"));
	CU_ASSERT_EQUAL(capture_close(capture, &error), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	close(fd);
	in = fopen(path, "re");
	CU_ASSERT_EQUAL(fread(after, 1, sizeof(after), in), sizeof(after));
	CU_ASSERT_EQUAL(memcmp(before, after, sizeof(before)), 0);
	CU_ASSERT_EQUAL(count_packets(in, NULL), (8192 - sizeof(before) - 24) / (99 + 16));
}

struct visitor {
	const char *path;
	atomic_bool stop;
};

static void *come_and_leave(void *arg)
{
	struct visitor *visitor = arg;

	while (!atomic_load(&visitor->stop))
		close(open(visitor->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	return NULL;
}

/* A reader that leaves again as the FIFO is being opened fails no start. */
static void test_a_reader_that_comes_for_a_moment(void)
{
	struct visitor visitor = { .path = NULL };
	struct error error = { 0 };
	pthread_t thread;
	char path[128];

	signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
	visitor.path = make_fifo(path, "moment.pcap");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, come_and_leave, &visitor), 0);
	for (unsigned i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(capture_close(begin(path, 1), &error), 0);
		CU_ASSERT_STRING_EQUAL(error.text, "");
	}
	atomic_store(&visitor.stop, true);
	pthread_join(thread, NULL);
}

/* Neither the start nor the end waits for the reader of a FIFO; who comes late gets the header first. */
static void test_a_fifo_that_nobody_reads_yet(void)
{
	struct capture *capture;
	uint64_t number = 1;
	char path[128];
	FILE *reader;

	capture = begin(make_fifo(path, "never.pcap"), 0);
	record(capture, 3, 60, &number);
	CU_ASSERT_STRING_EQUAL(status_of(capture).state, "waiting for a reader");
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_TRUE(was_told("3 of 3 frames are not in it"));

	capture = begin(make_fifo(path, "late.pcapng"), 0);
	capture_add_port(capture, "a");
	record(capture, 3, 60, &number);
	reader = fdopen(open(path, O_RDONLY | O_CLOEXEC), "r");
	WAIT_UNTIL(status_of(capture).written == 3);
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_EQUAL(count_packets(reader, NULL), 3);
}

/* One that is for a single reader ends with it, also with one that was gone before the switch looked. */
static void test_a_single_reader_that_is_gone(void)
{
	struct vswitch_capture_options options = { .once = true };
	struct error error = { 0 };
	struct vswitch *vswitch;
	char path[128];

	options.path = make_fifo(path, "gone.pcapng");
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_start_capture(vswitch, &options, NULL, &error), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "nobody reads it"));
	CU_ASSERT_EQUAL(vswitch_reap_captures(vswitch), 0);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	/* Its reader has given up, and its FIFO is gone, too: nothing is recorded in a file of that name. */
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(vswitch_start_capture(vswitch, &options, NULL, &error), -ENOENT);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	vswitch_destroy(vswitch);
}

/* A paused reader costs frames of the capture, each counted; its stream is whole to the end. */
static void check_a_paused_reader(const char *name, uint32_t length, unsigned frames)
{
	struct capture_status status;
	struct capture *capture;
	uint64_t number = 1, number_of_all;
	char path[128];
	unsigned count;
	int fd;

	make_fifo(path, name);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	capture = begin(path, 1);
	capture_add_port(capture, "a");
	/* Until the ring has taken more than will ever fit into the pipe, and has lost some. */
	do {
		record(capture, frames, length, &number);
		sched_yield();
		status = status_of(capture);
	} while (!status.lost || status.recorded * length <= (uint64_t)fcntl(fd, F_GETPIPE_SZ));
	CU_ASSERT_TRUE(was_told("frames are lost"));
	/* It is to end, and the reader still does not read. */
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, 0), 0);
	number_of_all = number;
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_TRUE(was_told("does not read"));
	count = count_packets(fdopen(fd, "r"), &number);
	CU_ASSERT_EQUAL(number, 1);
	CU_ASSERT_TRUE(count >= status.written && count > 0);
	CU_ASSERT_TRUE(count < number_of_all);
}

static void test_a_paused_reader(void)
{
	check_a_paused_reader("paused.pcap", 1500, 4000);
	check_a_paused_reader("paused.pcapng", 1501, 4000);
	check_a_paused_reader("large.pcap", 60001, 200);
	check_a_paused_reader("mixed.pcapng", 9001, 1000);
}

static void *count_on_a_thread(void *reader)
{
	return (void *)(uintptr_t)count_packets(reader, NULL);
}

/* One who comes back to reading gets all that fitted, in order, and what comes then. */
static void test_a_reader_that_goes_on(void)
{
	struct capture *capture;
	uint64_t number = 1, lost;
	pthread_t thread;
	char path[128];
	void *count;
	int fd;

	make_fifo(path, "again.pcapng");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	capture = begin(path, 1);
	capture_add_port(capture, "a");
	record(capture, 5000, 777, &number);
	lost = status_of(capture).lost;
	CU_ASSERT_TRUE(lost > 0);
	fcntl(fd, F_SETFL, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, count_on_a_thread, fdopen(fd, "r")), 0);
	WAIT_UNTIL(status_of(capture).written + lost == 5000);
	record(capture, 10, 60, &number);
	WAIT_UNTIL(status_of(capture).written + lost == 5010);
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_EQUAL(pthread_join(thread, &count), 0);
	CU_ASSERT_EQUAL((uintptr_t)count, 5010 - lost);
}

/* A reader that leaves is told of at once, without any frame; the next one gets a stream of its own. */
static void test_a_reader_that_leaves(void)
{
	struct capture *capture;
	uint64_t number = 1, first = 0;
	char path[128];
	FILE *reader;
	int fd;

	make_fifo(path, "leaves.pcapng");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	capture = begin(path, 0);
	capture_add_port(capture, "a");
	record(capture, 3, 60, &number);
	WAIT_UNTIL(status_of(capture).written == 3);
	close(fd);
	WAIT_UNTIL(was_told("its reader left"));
	WAIT_UNTIL(!strcmp(status_of(capture).state, "waiting for a reader"));
	reader = fdopen(open(path, O_RDONLY | O_CLOEXEC), "r");
	WAIT_UNTIL(!strcmp(status_of(capture).state, "recording"));
	record(capture, 4, 60, &number);
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_EQUAL(count_packets(reader, &first), 4);
	CU_ASSERT_EQUAL(first, 4);
}

UNIT_MAIN("capture", UNIT(test_classic), UNIT(test_pcapng_has_both_directions),
	  UNIT(test_pcapng_names_and_directions), UNIT(test_frames_of_several_threads),
	  UNIT(test_a_place_that_cannot_be_written), UNIT(test_a_full_disk),
	  UNIT(test_a_file_that_cannot_grow), UNIT(test_a_file_that_is_added_to),
	  UNIT(test_a_reader_that_comes_for_a_moment), UNIT(test_a_fifo_that_nobody_reads_yet),
	  UNIT(test_a_single_reader_that_is_gone), UNIT(test_a_paused_reader),
	  UNIT(test_a_reader_that_goes_on), UNIT(test_a_reader_that_leaves))
