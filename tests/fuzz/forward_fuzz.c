/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from hostile guests through a switch of three ports: one that takes all offloads, one that takes
 * checksums, one that takes nothing. The input is a row of frames: the port, the virtio-net header, the
 * length (16 bits), the bytes (filled up with zeroes at the end of the input). In place of a frame, by the first bit of the port:
 * settings of it (a byte: VLANs, or another kind of setting) and a rule (a byte: which, and of what comes in or what leaves), or a
 * mirror of it to a VLAN.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/switch.h"

#define PORTS 3

struct fuzz_port {
	struct port port;
	struct frame frame;
	struct iovec pieces[3];
	uint8_t *head, *rest;
	struct virtio_net_header header;
	size_t length;
	bool waiting;
};

static const char *const settings[] = {
	"",
	"vlan=10",
	"trunk=10+20",
	"trunk=20,native=10",
	"trunk=all",
	"dot1q-tunnel=30",
	"tag-type=802.1ad,trunk=all",
	"isolate=1",
	"broadcast=1,unknown=2",
	"trunk=all,native=1",
	"vlan=10,isolate=1",
	"reserved=stp:flood",
	"dot1q-tunnel=10,cvlans=0+7",
	"dot1q-tunnel=20,cvlans=10",
};

static const struct {
	const char *expression, *action;
} rules[] = {
	{ "ip", "mark=dscp:46" },      { "vlan", "mark=pcp:5" }, { "ip6", "mark=dscp:10+pcp:3" },
	{ "tcp port 80", "drop" },     { "udp", "mirror=c" },    { "len > 200", "rate=1k" },
	{ "vlan 10 and ip", "drop" },  { "arp", "allow" },       { "ether[60] = 7", "drop" },
	{ "ip[200] = 1", "mirror=a" },
};

static struct fuzz_port *fuzz_of(struct port *port)
{
	return container_of(port, struct fuzz_port, port);
}

static void release(struct port *port)
{
	struct fuzz_port *fuzz = fuzz_of(port);

	free(fuzz->head);
	free(fuzz->rest);
	fuzz->head = fuzz->rest = NULL;
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct fuzz_port *fuzz = fuzz_of(port);
	size_t head = MIN(fuzz->length, (size_t)VIRTIO_NET_HEAD_MAX);
	enum virtio_net_fault fault;

	(void)max;
	if (!fuzz->waiting)
		return 0;
	fuzz->waiting = false;
	fault = virtio_net_decode(&fuzz->header, fuzz->head, head, fuzz->length,
				  &fuzz->frame.offload);
	if (fault) {
		port_drop(port, port_drop_of_fault(fault));
		release(port); /* nobody else does, of a port that gave nothing */
		return 0;
	}
	fuzz->pieces[0] = (struct iovec){ fuzz->head, head };
	fuzz->pieces[1] = (struct iovec){ fuzz->rest, (fuzz->length - head) / 2 };
	fuzz->pieces[2] = (struct iovec){ fuzz->rest + fuzz->pieces[1].iov_len,
					  fuzz->length - head - fuzz->pieces[1].iov_len };
	fuzz->frame.pieces = fuzz->pieces;
	fuzz->frame.count = 3;
	fuzz->frame.length = (uint32_t)fuzz->length;
	frames[0] = &fuzz->frame;
	return 1;
}

/* What comes out must be what this port takes, and must hold together. */
static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	static uint8_t bytes[VIRTIO_NET_FRAME_MAX];

	for (unsigned i = 0; i < count; i++) {
		struct virtio_net_offload again;
		struct virtio_net_header header;

		if (frames[i]->length < VIRTIO_NET_FRAME_MIN ||
		    frames[i]->length > VIRTIO_NET_FRAME_MAX ||
		    virtio_net_action(&frames[i]->offload, port->features) != VIRTIO_NET_PASS)
			abort();
		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, bytes, frames[i]->length);
		virtio_net_encode(&frames[i]->offload, &header);
		if (virtio_net_decode(&header, bytes, frames[i]->length, frames[i]->length, &again))
			abort();
	}
	return count;
}

static void destroy(struct port *port)
{
	release(port);
	free(fuzz_of(port));
}

static uint64_t fuzz_clock(void *arg)
{
	(void)arg;
	return 1;
}

/* One at a time. */
static void mirror(struct vswitch *vswitch, const char *port, unsigned how)
{
	struct port_mirror_options options = { .name = "m",
					       .to_vlan = how & 64 ? 10 : 20,
					       .source_count = 1,
					       .sources[0].ways = how & 32 ? PORT_WAY(PORT_OUT)
									   : PORT_WAY(PORT_IN) };

	strcpy(options.sources[0].port, port);
	vswitch_remove_mirror(vswitch, "m", NULL);
	vswitch_add_mirror(vswitch, &options, NULL);
}

/* What a user could have said wrong is refused, and that is all. */
static void change(struct vswitch *vswitch, const char *port, unsigned words, unsigned rule)
{
	char copy[64], *rest = copy, *word;
	struct filter_program *program;
	struct port_config config = { 0 };
	int rc = 0;

	snprintf(copy, sizeof(copy), "%s", settings[words % ARRAY_SIZE(settings)]);
	while (!rc && (word = strsep(&rest, ",")))
		rc = *word ? port_config_set(&config, word, NULL) : 0;
	if (!rc)
		vswitch_set_port(vswitch, port, &config, NULL);
	if (rule % 32 < ARRAY_SIZE(rules) &&
	    !filter_program_compile(&program, rules[rule % 32].expression, NULL))
		vswitch_add_rule(vswitch, port, rule & 32 ? PORT_OUT : PORT_IN, 1, program,
				 rules[rule % 32].action, NULL);
	else if (rule & 128)
		mirror(vswitch, port, rule);
	else if (rule & 64)
		vswitch_remove_rule(vswitch, port, rule & 32 ? PORT_OUT : PORT_IN, 1, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct port_ops ops = { .type = "fuzz",
					     .receive = receive,
					     .release = release,
					     .transmit = transmit,
					     .destroy = destroy };
	struct vswitch_options options = {
		.seed = 1, .clock = fuzz_clock, .table_size = 4, .table_per_port = 2
	};
	const uint64_t features[PORTS] = { VIRTIO_NET_GUEST_OFFLOADS, VIRTIO_NET_BIT(GUEST_CSUM),
					   0 };
	struct fuzz_port *ports[PORTS];
	struct vswitch *vswitch;

	if (vswitch_create(&vswitch, &options, NULL))
		return 0;
	for (unsigned i = 0; i < PORTS; i++) {
		char name[2] = { (char)('a' + i), 0 };

		ports[i] = calloc(1, sizeof(*ports[i]));
		ports[i]->port.ops = &ops;
		ports[i]->port.up = true;
		ports[i]->port.features = features[i];
		ports[i]->port.frame_max = i == 1 ? 1514 : 0;
		if (vswitch_add_port(vswitch, &ports[i]->port, name, NULL))
			abort();
	}
	while (size >= 15) {
		struct fuzz_port *fuzz = ports[data[0] % PORTS];
		size_t head, given;

		if (data[0] & 0x80) {
			change(vswitch, fuzz->port.name, data[1], data[2]);
			data += 3;
			size -= 3;
			continue;
		}
		memcpy(&fuzz->header, data + 1, sizeof(fuzz->header));
		fuzz->length = get_le16(data + 13);
		data += 15;
		size -= 15;
		given = MIN(fuzz->length, size);
		head = MIN(fuzz->length, (size_t)VIRTIO_NET_HEAD_MAX);
		fuzz->head = calloc(1, head + 1);
		fuzz->rest = calloc(1, fuzz->length - head + 1);
		memcpy(fuzz->head, data, MIN(given, head));
		if (given > head)
			memcpy(fuzz->rest, data + head, given - head);
		data += given;
		size -= given;
		fuzz->waiting = true;
		vswitch_round(vswitch);
	}
	vswitch_destroy(vswitch);
	return 0;
}
