/*
 * Recording frames to a file: classic pcap through libpcap, or pcapng, with nanoseconds in both.
 *
 * libpcap reads pcapng but writes only classic pcap, which has room for neither port nor direction; so
 * pcapng is written here. Its interfaces all have the same link type and snapshot length, for libpcap
 * refuses to read a file where they differ.
 *
 * Sources: draft-ietf-opsawg-pcapng; pcap-savefile(5).
 */
#ifndef TENON_VSWITCH_CAPTURE_H
#define TENON_VSWITCH_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/frame.h"

struct capture;
struct error;

#define CAPTURE_SNAPLEN 262144

/* Creates the file, or truncates it. ".pcapng" at the end of `path` decides the format. */
int capture_open(struct capture **out, const char *path, struct error *error);

/* Closes it; 0, or the negative errno of the first write that failed, with `error` set. NULL is fine. */
int capture_close(struct capture *capture, struct error *error);

/* Whether it has room for directions; else only frames that come in are worth recording. */
bool capture_has_directions(const struct capture *capture);

/* Names the interface for port `index`. Ports are added in the order of their indices, from 0. */
void capture_add_port(struct capture *capture, const char *name);

/* Records `frame` as it came in at port `index` (or went out of it), with its checksum finished.
 * `time_ns` since the epoch. A failure to write is kept for capture_close(). */
void capture_frame(struct capture *capture, unsigned index, bool out, uint64_t time_ns,
		   const struct frame *frame);

/* Makes what was recorded readable by others. Cheap when there is nothing new. */
void capture_flush(struct capture *capture);

uint64_t capture_count(const struct capture *capture);

#endif
