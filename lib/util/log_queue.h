/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log whose writers never wait.
 *
 * Standard error may be a pipe whose reader is stopped, or a file on a disk that does not answer; a thread that
 * serves others must not hang there with them. Messages go into a queue of bounded length, and a thread of
 * the queue's own hands them to another log. When it is full they are left out, and that is said.
 */
#ifndef TENON_UTIL_LOG_QUEUE_H
#define TENON_UTIL_LOG_QUEUE_H

#include "util/log.h"

struct error;
struct log_queue;

#define LOG_QUEUE_LINES 256

/* Messages to log_queue_log() go to `to`, which must live as long as the process. -ENOMEM, -EAGAIN. */
int log_queue_start(struct log_queue **out, struct log *to, struct error *error);

/* What to hand to those who must not wait; as talkative as `to`. */
struct log *log_queue_log(struct log_queue *queue);

/* Writes what is in the queue, waiting for that a second at most, and ends it. Nobody may write to its log
 * any more. NULL is fine. */
void log_queue_stop(struct log_queue *queue);

#endif
