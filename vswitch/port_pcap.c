/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port that is files: see port_pcap.h.
 *
 * Frames that are due come in with the next round, for which tick() has the thread wake. They lie in memory (replay.h), and what
 * leaves goes into the ring of a capture (capture.h): no file holds the thread.
 */
#include "vswitch/port_pcap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/capture.h"
#include "vswitch/internal.h"

struct port_pcap {
	struct port port;
	char *replayed, *recorded;     /* paths; or NULL */
	struct capture_replay *replay; /* or NULL */
	struct capture *capture;       /* or NULL */
	unsigned interface;            /* of the capture */
	uint64_t done;                 /* frames that came in */
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST];
};

static struct port_pcap *pcap_of(struct port *port)
{
	return container_of(port, struct port_pcap, port);
}

static int pcap_attach(struct port *port, struct error *error)
{
	struct port_pcap *pcap = pcap_of(port);

	(void)error;
	if (pcap->replay)
		replay_start(pcap->replay, port_now(port));
	if (pcap->capture)
		pcap->interface = capture_add_port(pcap->capture, port->name);
	if (pcap->replay && pcap->replay->left_out)
		log_warning(port->log, "port %s: %s: %u %s left out: cut, too short or too long",
			    port->name, pcap->replayed, pcap->replay->left_out,
			    pcap->replay->left_out == 1 ? "frame is" : "frames are");
	if (pcap->replay && pcap->replay->damage[0])
		log_warning(port->log, "port %s: %s: damaged after %u frame%s: %s", port->name,
			    pcap->replayed, pcap->replay->count,
			    pcap->replay->count == 1 ? "" : "s", pcap->replay->damage);
	return 0;
}

static unsigned pcap_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_pcap *pcap = pcap_of(port);
	unsigned count = 0;

	while (pcap->replay && count < max && replay_due(pcap->replay) <= port_now(port)) {
		const struct replay_frame *frame = replay_take(pcap->replay);

		pcap->pieces[count] =
			(struct iovec){ pcap->replay->bytes + frame->offset, frame->length };
		pcap->frames[count] = (struct frame){ .pieces = &pcap->pieces[count],
						      .count = 1,
						      .length = frame->length };
		frames[count] = &pcap->frames[count];
		count++;
	}
	pcap->done += count;
	return count;
}

static void pcap_release(struct port *port)
{
	(void)port;
}

static unsigned pcap_tick(struct port *port, uint64_t now, uint64_t *next)
{
	struct port_pcap *pcap = pcap_of(port);

	(void)now;
	*next = pcap->replay ? replay_due(pcap->replay) : UINT64_MAX;
	return 0;
}

static unsigned pcap_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct vswitch *vswitch = port->vswitch;
	struct port_pcap *pcap = pcap_of(port);
	uint64_t now;

	if (!pcap->capture) {
		port->counters.drops[PORT_DROP_RX_DISABLED] += count;
		return count;
	}
	now = vswitch->clock(vswitch->clock_arg) + vswitch->epoch;
	for (unsigned i = 0; i < count; i++) {
		capture_frame(pcap->capture,
			      &(struct capture_event){
				      .interface = pcap->interface, .out = true, .time_ns = now },
			      frames[i]);
		port_count_tx(port, frames[i]);
	}
	capture_flush(pcap->capture);
	return count;
}

static void pcap_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			  char text[PORT_TEXT_MAX])
{
	struct port_pcap *pcap = pcap_of(port);
	struct capture_status status = { 0 };
	bool ended = !pcap->replay || replay_due(pcap->replay) == UINT64_MAX;

	if (pcap->capture)
		capture_status(pcap->capture, &status);
	snprintf(where, PORT_TEXT_MAX, "%s%s%s", pcap->replay ? pcap->replayed : "",
		 !pcap->capture ? ""
		 : pcap->replay ? " > "
				: "> ",
		 pcap->capture ? pcap->recorded : "");
	if (!pcap->replay)
		snprintf(state, PORT_TEXT_MAX, "%s", status.state);
	else
		snprintf(state, PORT_TEXT_MAX, "%s, %" PRIu64 " frames%s%s",
			 ended ? "replayed" : "replaying", pcap->done, pcap->capture ? "; " : "",
			 status.state);
	text[0] = '\0';
	if (status.lost)
		snprintf(text, PORT_TEXT_MAX, "%" PRIu64 " frames lost", status.lost);
}

static void pcap_destroy(struct port *port)
{
	struct port_pcap *pcap = pcap_of(port);
	struct error error = { 0 };

	if (pcap->capture && capture_close(pcap->capture, &error))
		log_warning(port->log, "port %s: %s", port->name, error.text);
	replay_destroy(pcap->replay);
	free(pcap->replayed);
	free(pcap->recorded);
	free(pcap);
}

static const struct port_ops ops = {
	.type = "pcap",
	.no_calls = true, /* frames are in memory, and go into a ring */
	.attach = pcap_attach,
	.receive = pcap_receive,
	.release = pcap_release,
	.tick = pcap_tick,
	.transmit = pcap_transmit,
	.describe = pcap_describe,
	.destroy = pcap_destroy,
};

/* The file that is played would be cut: whatever is to be done with older captures, that is none to be written over. */
static int check_apart(const struct vswitch_pcap_options *options, struct error *error)
{
	struct stat replayed, recorded;

	if (!options->replay || !options->record || stat(options->replay, &replayed) ||
	    stat(options->record, &recorded) || replayed.st_dev != recorded.st_dev ||
	    replayed.st_ino != recorded.st_ino)
		return 0;
	error_set(error, -EINVAL, "%s: the file that is replayed is the one to record to",
		  options->record);
	return error_advise(error, "give another one to record=");
}

struct alone_call {
	struct vswitch *vswitch;
	const char *path;
	struct capture_place place;
	struct error *error;
};

static int check_record_alone(void *arg)
{
	const struct alone_call *call = arg;

	return captures_check_alone(call->vswitch, call->path, &call->place, call->error);
}

static int open_recording(struct port_pcap *pcap, struct vswitch *vswitch,
			  const struct vswitch_pcap_options *options, struct error *error)
{
	struct capture_options capture = { .path = options->record,
					   .log = vswitch->log,
					   .force = options->force };
	struct alone_call call = { .vswitch = vswitch, .path = options->record, .error = error };
	int rc;

	capture_place_find(&call.place, options->record, &capture.row);
	rc = vswitch_call(vswitch, check_record_alone, &call);
	if (!rc)
		rc = capture_open(&pcap->capture, &capture, error);
	if (rc == -EEXIST)
		error_advise(error, "name another file, or put ,force behind the port's record= if "
				    "nothing in it is needed");
	return rc;
}

/* Both files. */
static int pcap_open_files(struct port_pcap *pcap, struct vswitch *vswitch,
			   const struct vswitch_pcap_options *options, struct error *error)
{
	int rc = 0;

	pcap->replayed = options->replay ? strdup(options->replay) : NULL;
	pcap->recorded = options->record ? strdup(options->record) : NULL;
	if ((options->replay && !pcap->replayed) || (options->record && !pcap->recorded))
		return error_set(error, -ENOMEM, "out of memory");
	rc = check_apart(options, error);
	if (!rc && options->replay)
		rc = replay_read(&pcap->replay, options->replay, &options->timing, error);
	if (!rc && options->record)
		rc = open_recording(pcap, vswitch, options, error);
	return rc;
}

int vswitch_add_port_pcap(struct vswitch *vswitch, const char *name,
			  const struct vswitch_pcap_options *options, struct error *error)
{
	struct port_pcap *pcap = calloc(1, sizeof(*pcap));
	int rc;

	if (!pcap)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	pcap->port.ops = &ops;
	rc = pcap_open_files(pcap, vswitch, options, error);
	if (rc) {
		pcap_destroy(&pcap->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	pcap->port.recording = pcap->capture;
	pcap->port.up = true;
	return vswitch_add_port_as(vswitch, &pcap->port, name, options->config, error);
}
