/* vswitch/capture: what was recorded, as libpcap reads it, while it is being written and after. */
#include "unit.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
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
	struct pcap_pkthdr *end;
	const u_char *bytes;
	char path[128];
	pcap_t *pcap;

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), file);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", VIRTIO_NET_GUEST_OFFLOADS);
	CU_ASSERT_EQUAL_FATAL(vswitch_start_capture(vswitch, path, NULL), 0);
	b = fake_port_add(vswitch, "port-b", VIRTIO_NET_GUEST_OFFLOADS);
	fake_port_put(a, frame, sizeof(frame), &header);
	vswitch_round(vswitch);
	vswitch_round(vswitch);
	/* Readable while the capture goes on. */
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
	CU_ASSERT_EQUAL(vswitch_stop_capture(vswitch, NULL), 0);
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

/* The parts of pcapng that libpcap does not show: interface names and directions. */
static void test_pcapng_names_and_directions(void)
{
	uint8_t head[64] = { 0 }, file[1024];
	struct iovec piece = { head, sizeof(head) };
	struct frame frame = { .pieces = &piece, .count = 1, .length = 61 };
	struct capture *capture;
	char path[128];
	size_t length;
	FILE *in;

	snprintf(path, sizeof(path), "%s/y.pcapng", unit_directory());
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, path, NULL), 0);
	capture_add_port(capture, "abcde");
	capture_frame(capture, 0, true, 1, &frame);
	CU_ASSERT_EQUAL(capture_count(capture), 1);
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	in = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	length = fread(file, 1, sizeof(file), in);
	fclose(in);
	/* Section 28; interface 8 + 8 + (4 + 8) + (4 + 4) + 4 + 4; packet 8 + 20 + 64 + 8 + 4 + 4. */
	CU_ASSERT_EQUAL_FATAL(length, 28 + 44 + 108);
	CU_ASSERT_EQUAL(get_le32(file + 28), 1);
	CU_ASSERT_EQUAL(get_le32(file + 32), 44);
	CU_ASSERT_EQUAL(get_le16(file + 44), 2);
	CU_ASSERT_EQUAL(memcmp(file + 48, "abcde\0\0\0", 8), 0);
	CU_ASSERT_EQUAL(get_le16(file + 56), 9);
	CU_ASSERT_EQUAL(file[60], 9);
	CU_ASSERT_EQUAL(get_le32(file + 68), 44);
	CU_ASSERT_EQUAL(get_le32(file + 72), 6);
	CU_ASSERT_EQUAL(get_le32(file + 72 + 8 + 12), 61);
	CU_ASSERT_EQUAL(get_le16(file + 72 + 28 + 64), 2); /* epb_flags */
	CU_ASSERT_EQUAL(get_le32(file + 72 + 28 + 68), 2); /* outbound */
	CU_ASSERT_EQUAL(get_le32(file + length - 4), 108);
}

static void test_a_place_that_cannot_be_written(void)
{
	struct capture *capture = NULL;
	struct error error = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/none/x.pcap", unit_directory());
	CU_ASSERT_EQUAL(capture_open(&capture, path, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, path));
}

static void test_a_full_disk(void)
{
	struct capture *capture = NULL;
	struct error error = { 0 };

	if (access("/dev/full", W_OK)) {
		unit_skip("no /dev/full");
		return;
	}
	CU_ASSERT_EQUAL(capture_open(&capture, "/dev/full", &error), -ENOSPC);
}

/* A disk that fills up later shows at the end, and harms nobody before. */
static void test_a_file_that_cannot_grow(void)
{
	static const char *const names[] = { "small.pcap", "small.pcapng" };
	struct rlimit old, small;
	uint8_t head[64] = { 0 };
	struct iovec piece = { head, sizeof(head) };
	struct frame frame = { .pieces = &piece, .count = 1, .length = 64 };

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 8192, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	for (unsigned i = 0; i < 2; i++) {
		struct capture *capture = NULL;
		struct error error = { 0 };
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", unit_directory(), names[i]);
		CU_ASSERT_EQUAL_FATAL(capture_open(&capture, path, &error), 0);
		for (unsigned j = 0; j < 10000; j++)
			capture_frame(capture, 0, false, j, &frame);
		CU_ASSERT_TRUE(capture_close(capture, &error) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "not whole"));
	}
	setrlimit(RLIMIT_FSIZE, &old);
}

UNIT_MAIN("capture", UNIT(test_classic), UNIT(test_pcapng_has_both_directions),
	  UNIT(test_pcapng_names_and_directions), UNIT(test_a_place_that_cannot_be_written),
	  UNIT(test_a_full_disk), UNIT(test_a_file_that_cannot_grow))
