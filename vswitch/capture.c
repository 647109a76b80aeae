/* Writing captures; see capture.h. */
#include "vswitch/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define BLOCK_SECTION   0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET    6
#define SECTION_MAGIC   0x1a2b3c4d
#define OPTION_NAME     2 /* of an interface */
#define OPTION_TSRESOL  9 /* of an interface */
#define OPTION_FLAGS    2 /* of a packet */
#define FLAGS_IN        1
#define FLAGS_OUT       2

struct capture {
	char path[256];
	pcap_t *pcap;        /* classic format */
	pcap_dumper_t *dump; /* classic format */
	FILE *file;          /* pcapng: ours; classic: the dumper's */
	uint64_t count, flushed;
	int failed; /* the first error, negative */
	uint8_t bytes[VIRTIO_NET_FRAME_MAX + 4];
};

static void write_bytes(struct capture *capture, const void *at, size_t length)
{
	if (!capture->failed && fwrite(at, 1, length, capture->file) != length)
		capture->failed = errno ? -errno : -EIO;
}

/* A pcapng block: its body, padded to 32 bits, between two copies of its length. */
static void write_block(struct capture *capture, uint32_t type, const struct iovec *body,
			unsigned count)
{
	static const uint8_t zeroes[4];
	size_t length = 0;
	uint32_t frame[2];

	for (unsigned i = 0; i < count; i++)
		length += body[i].iov_len;
	frame[0] = type;
	frame[1] = (uint32_t)round_up(length, 4) + 12;
	write_bytes(capture, frame, 8);
	for (unsigned i = 0; i < count; i++)
		write_bytes(capture, body[i].iov_base, body[i].iov_len);
	write_bytes(capture, zeroes, round_up(length, 4) - length);
	write_bytes(capture, &frame[1], 4);
}

static void write_section(struct capture *capture)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		int64_t length;
	} __attribute__((packed)) body = { SECTION_MAGIC, 1, 0, -1 };

	write_block(capture, BLOCK_SECTION, &(struct iovec){ &body, sizeof(body) }, 1);
}

void capture_add_port(struct capture *capture, const char *name)
{
	static uint8_t tail[] = { OPTION_TSRESOL, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0 };
	static uint8_t zeroes[4];
	struct {
		uint16_t link, reserved;
		uint32_t snaplen;
		uint16_t option, length;
	} body = { DLT_EN10MB, 0, CAPTURE_SNAPLEN, OPTION_NAME, (uint16_t)strlen(name) };
	struct iovec pieces[] = { { &body, sizeof(body) },
				  { (void *)(uintptr_t)name, strlen(name) },
				  { zeroes, round_up(strlen(name), 4) - strlen(name) },
				  { tail, sizeof(tail) } };

	if (!capture->dump)
		write_block(capture, BLOCK_INTERFACE, pieces, ARRAY_SIZE(pieces));
}

static int open_classic(struct capture *capture)
{
	capture->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, CAPTURE_SNAPLEN,
							     PCAP_TSTAMP_PRECISION_NANO);
	if (!capture->pcap)
		return -ENOMEM;
	capture->dump = pcap_dump_fopen(capture->pcap, capture->file);
	return capture->dump ? 0 : -EIO;
}

int capture_open(struct capture **out, const char *path, struct error *error)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	size_t length = strlen(path);
	int status = 0;

	if (!capture)
		return error_set(error, -ENOMEM, "capture %s: out of memory", path);
	snprintf(capture->path, sizeof(capture->path), "%s", path);
	capture->file = fopen(path, "we");
	if (!capture->file)
		status = -errno;
	else if (length > 7 && !strcmp(path + length - 7, ".pcapng"))
		write_section(capture);
	else
		status = open_classic(capture);
	if (!status && fflush(capture->file))
		status = -errno;
	if (status) {
		error_set(error, status, "capture %s: cannot write it: %s", path,
			  error_name(status));
		if (capture->dump)
			pcap_dump_close(capture->dump);
		else if (capture->file)
			fclose(capture->file);
		if (capture->pcap)
			pcap_close(capture->pcap);
		free(capture);
		return status;
	}
	*out = capture;
	return 0;
}

int capture_close(struct capture *capture, struct error *error)
{
	int status;

	if (!capture)
		return 0;
	capture_flush(capture);
	if (capture->dump && ferror(capture->file) && !capture->failed)
		capture->failed = -EIO;
	if (capture->dump)
		pcap_dump_close(capture->dump);
	else if (fclose(capture->file) && !capture->failed)
		capture->failed = -errno;
	if (capture->pcap)
		pcap_close(capture->pcap);
	status = capture->failed;
	if (status)
		error_set(error, status, "capture %s: writing failed, it is not whole: %s",
			  capture->path, error_name(status));
	free(capture);
	return status;
}

bool capture_has_directions(const struct capture *capture)
{
	return !capture->dump;
}

static void write_classic(struct capture *capture, uint64_t time_ns, uint32_t length)
{
	struct pcap_pkthdr header = {
		/* The file's magic says that these are nanoseconds. */
		.ts = { (time_t)(time_ns / 1000000000), (suseconds_t)(time_ns % 1000000000) },
		.caplen = length,
		.len = length,
	};

	pcap_dump((u_char *)capture->dump, &header, capture->bytes);
}

static void write_packet(struct capture *capture, unsigned index, bool out, uint64_t time_ns,
			 uint32_t length)
{
	uint32_t body[5] = { index, (uint32_t)(time_ns >> 32), (uint32_t)time_ns, length, length };
	struct {
		uint16_t option, length;
		uint32_t flags;
		uint32_t end;
	} tail = { OPTION_FLAGS, 4, out ? FLAGS_OUT : FLAGS_IN, 0 };
	size_t padded = round_up(length, 4);
	struct iovec pieces[] = { { body, sizeof(body) },
				  { capture->bytes, padded },
				  { &tail, sizeof(tail) } };

	memset(capture->bytes + length, 0, padded - length);
	write_block(capture, BLOCK_PACKET, pieces, ARRAY_SIZE(pieces));
}

void capture_frame(struct capture *capture, unsigned index, bool out, uint64_t time_ns,
		   const struct frame *frame)
{
	uint32_t length = MIN(frame->length, (uint32_t)VIRTIO_NET_FRAME_MAX);
	struct virtio_net_offload offload = frame->offload;

	if (capture->failed)
		return;
	frame_copy_out(frame->pieces, frame->count, 0, capture->bytes, length);
	if (offload.needs_checksum)
		virtio_net_complete_checksum(&offload, &(struct iovec){ capture->bytes, length }, 1,
					     length);
	if (capture->dump)
		write_classic(capture, time_ns, length);
	else
		write_packet(capture, index, out, time_ns, length);
	capture->count++;
}

void capture_flush(struct capture *capture)
{
	if (capture->count == capture->flushed)
		return;
	capture->flushed = capture->count;
	if (fflush(capture->file) && !capture->failed)
		capture->failed = -errno;
}

uint64_t capture_count(const struct capture *capture)
{
	return capture->count;
}
