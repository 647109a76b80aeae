/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures as rows of files: vswitch/capture_row.h, and the switch's own writer of them. */
#include "unit.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "vswitch/capture.h"

static void test_names(void)
{
	const struct capture_row row = { .bytes = 1 }, one = { .keep = 3 };
	char name[PATH_MAX], path[PATH_MAX];

	CU_ASSERT_EQUAL(capture_row_name(&row, "d.x/a.b.pcapng", 1, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "d.x/a.b.00001.pcapng");
	CU_ASSERT_EQUAL(capture_row_name(&row, "d.x/all", 123456, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "d.x/all.123456");
	CU_ASSERT_EQUAL(capture_row_name(&one, "d.x/a.pcap", 7, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "d.x/a.pcap");
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(capture_row_name(&row, path, 1, name), -ENAMETOOLONG);
}

static bool same_row(const char *a, const char *b)
{
	static const struct capture_row row = { .bytes = CAPTURE_ROW_BYTES_LEAST };
	struct capture_place places[2];

	capture_place_find(&places[0], a, &row);
	capture_place_find(&places[1], b, &row);
	return capture_place_same(&places[0], &places[1]);
}

/* By a link to the folder, from elsewhere, or round about. */
static void test_the_same_row(void)
{
	const char *folder = unit_directory();
	char path[PATH_MAX], same[PATH_MAX];

	snprintf(path, sizeof(path), "%s/d", folder);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	snprintf(same, sizeof(same), "%s/link", folder);
	CU_ASSERT_EQUAL_FATAL(symlink("d", same), 0);
	snprintf(path, sizeof(path), "%s/d/a.pcapng", folder);
	CU_ASSERT_TRUE(same_row(path, path));
	snprintf(same, sizeof(same), "%s/link/a.pcapng", folder);
	CU_ASSERT_TRUE(same_row(path, same));
	snprintf(same, sizeof(same), "%s/link/..//d/./a.pcapng", folder);
	CU_ASSERT_TRUE(same_row(same, path));
	snprintf(same, sizeof(same), "%s/a.pcapng", folder);
	CU_ASSERT_FALSE(same_row(path, same));
	snprintf(same, sizeof(same), "%s/d/a.pcap", folder);
	CU_ASSERT_FALSE(same_row(path, same));
	snprintf(same, sizeof(same), "%s/none/a.pcapng", folder);
	CU_ASSERT_FALSE(same_row(same, same));
	CU_ASSERT_TRUE(same_row("a", "./a"));
}

static void record(struct capture *capture, unsigned interface, uint64_t number)
{
	static uint8_t bytes[600];
	struct iovec piece = { bytes, sizeof(bytes) };
	struct frame frame = { .pieces = &piece, .count = 1, .length = sizeof(bytes) };
	struct capture_event event = { .interface = interface, .time_ns = number };

	capture_frame(capture, &event, &frame);
	capture_flush(capture);
}

/* Its packets go on from *number, or (UINT64_MAX) wherever; the test fails if it is not whole. */
static void read_file(const char *name, uint64_t *number)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(name, PCAP_TSTAMP_PRECISION_NANO, text);
	struct pcap_pkthdr *header;
	const u_char *bytes;
	int rc;

	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pcap);
	while ((rc = pcap_next_ex(pcap, &header, &bytes)) == 1) {
		if (*number != UINT64_MAX)
			CU_ASSERT_EQUAL((uint64_t)header->ts.tv_usec, *number);
		*number = (uint64_t)header->ts.tv_usec + 1;
	}
	CU_ASSERT_EQUAL(rc, PCAP_ERROR_BREAK);
	pcap_close(pcap);
}

#define FILES_MOST 100

/* None is too long, none lacks what it begins with, and no packet is missing or there twice. */
static void check_row(const char *file, unsigned keep)
{
	struct capture_options options = { .row = { .bytes = CAPTURE_ROW_BYTES_LEAST,
						    .keep = keep } };
	uint64_t number = keep ? UINT64_MAX : 0;
	char path[128], name[PATH_MAX];
	struct capture *capture = NULL;
	unsigned port, found = 0;
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), file);
	options.path = path;
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, &options, NULL), 0);
	port = capture_add_port(capture, "a");
	for (unsigned i = 0; i < 1000; i++) {
		if (i == 500) /* later files name it, too */
			port = capture_add_port(capture, "late");
		if (i == 501) /* it was away for a moment */
			CU_ASSERT_EQUAL(capture_add_port(capture, "late"), port);
		record(capture, port, i);
	}
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	for (unsigned i = 1; i < FILES_MOST; i++) {
		CU_ASSERT_EQUAL(capture_row_name(&options.row, path, i, name), 0);
		if (stat(name, &status))
			continue;
		/* Statistics of two interfaces are in the last one besides. */
		CU_ASSERT_TRUE(status.st_size <= (off_t)CAPTURE_ROW_BYTES_LEAST + 200);
		read_file(name, &number);
		found++;
	}
	CU_ASSERT_EQUAL(number, 1000);
	CU_ASSERT_TRUE(keep ? found == keep : found > 9);
}

static void test_a_row_by_size(void)
{
	check_row("whole.pcapng", 0);
	check_row("kept.pcapng", 3);
	check_row("classic.pcap", 0);
}

/* By time a file ends with the first packet after it. */
static void test_a_row_by_time(void)
{
	struct capture_options options = { .row = { .ns = 1 } };
	struct capture_status status;
	struct capture *capture = NULL;
	char path[128], name[PATH_MAX];
	unsigned port;

	snprintf(path, sizeof(path), "%s/timed.pcapng", unit_directory());
	options.path = path;
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, &options, NULL), 0);
	port = capture_add_port(capture, "a");
	for (unsigned i = 1; i <= 2; i++) {
		record(capture, port, i);
		do {
			usleep(1000);
			capture_status(capture, &status);
		} while (status.written < i);
	}
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_EQUAL(capture_row_name(&options.row, path, 2, name), 0);
	CU_ASSERT_EQUAL(access(name, F_OK), 0);
}

/* What a file begins with may be there long before the first packet: that goes behind it, and not into the next file. */
static void test_a_row_that_waits_for_packets(void)
{
	struct capture_options options = { .row = { .ns = 1 } };
	struct capture_status begun, status;
	struct capture *capture = NULL;
	char path[128], name[PATH_MAX];
	unsigned port;

	snprintf(path, sizeof(path), "%s/waits.pcapng", unit_directory());
	options.path = path;
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, &options, NULL), 0);
	capture_status(capture, &begun);
	port = capture_add_port(capture, "a");
	capture_flush(capture);
	do {
		usleep(1000);
		capture_status(capture, &status);
	} while (status.bytes == begun.bytes);
	record(capture, port, 1);
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
	CU_ASSERT_EQUAL(capture_row_name(&options.row, path, 2, name), 0);
	CU_ASSERT_EQUAL(access(name, F_OK), -1);
}

/* Somebody removes the file: that is shown; the next one of a row has a name again. */
static void test_a_file_that_is_removed(void)
{
	struct capture_options options = { .row = { .bytes = CAPTURE_ROW_BYTES_LEAST } };
	struct capture *capture = NULL;
	struct capture_status status;
	char path[128], name[PATH_MAX];
	uint64_t number = 0;
	unsigned port;

	snprintf(path, sizeof(path), "%s/removed.pcapng", unit_directory());
	options.path = path;
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, &options, NULL), 0);
	port = capture_add_port(capture, "a");
	CU_ASSERT_EQUAL(capture_row_name(&options.row, path, 1, name), 0);
	CU_ASSERT_EQUAL(unlink(name), 0);
	record(capture, port, number++);
	do {
		usleep(1000);
		capture_status(capture, &status);
	} while (!status.written);
	CU_ASSERT_STRING_EQUAL(status.state, "recording, but its file was removed");
	while (number < 200)
		record(capture, port, number++);
	do {
		usleep(1000);
		capture_status(capture, &status);
	} while (status.written < number);
	CU_ASSERT_STRING_EQUAL(status.state, "recording");
	CU_ASSERT_EQUAL(capture_close(capture, NULL), 0);
}

/* What is no file is no row; the next file cannot be had: it ends, and says so. */
static void test_what_cannot_be_a_row(void)
{
	struct capture_options options = { .row = { .bytes = CAPTURE_ROW_BYTES_LEAST } };
	struct error error = { 0 };
	struct capture *capture = NULL;
	struct capture_status status;
	char path[128], name[PATH_MAX];

	options.path = "-";
	CU_ASSERT_EQUAL(capture_open(&capture, &options, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "needs files"));
	snprintf(path, sizeof(path), "%s/barred.pcapng", unit_directory());
	options.path = path;
	CU_ASSERT_EQUAL(capture_row_name(&options.row, path, 2, name), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(name, 0700), 0);
	CU_ASSERT_EQUAL_FATAL(capture_open(&capture, &options, NULL), 0);
	for (unsigned i = 0, port = capture_add_port(capture, "a"); i < 1000; i++)
		record(capture, port, i);
	while (!capture_has_ended(capture))
		usleep(1000);
	capture_status(capture, &status);
	CU_ASSERT_EQUAL(status.written + status.lost, 1000);
	CU_ASSERT_TRUE(status.written > 50);
	CU_ASSERT_TRUE(capture_close(capture, &error) < 0);
}

UNIT_MAIN("capture_row", UNIT(test_names), UNIT(test_the_same_row), UNIT(test_a_row_by_size),
	  UNIT(test_a_row_by_time), UNIT(test_a_row_that_waits_for_packets),
	  UNIT(test_a_file_that_is_removed), UNIT(test_what_cannot_be_a_row))
