/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring and the writer of the console's output; see console_output.h. */
#include "vmm/console_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "util/thread.h"

#define CHUNK       4096u
#define MARK        96u /* bytes of a mark for what is missing, at most */
#define RETRY_MS    1000
#define LOOK_MS     200  /* between two looks at whether the thread is to end */
#define GRACE_MS    1000 /* for it to end */
#define ENDS(error) ((error) == EPIPE || (error) == EIO || (error) == EBADF || (error) == ENXIO)

/*
 * `lost` bytes are missing before what is in the ring, and the reader was not told yet. An episode of loss
 * begins with the first of them and ends when the ring is empty again.
 */
struct console_output {
	int fd;
	pthread_t thread;
	_Atomic bool stop; /* it is to end; with the lock held */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	struct log *
		log; /* the thread writes to it with the lock held: it may go away before the thread does */
	bool writing;    /* a chunk is on its way */
	size_t in_chunk; /* bytes of the guest's in it that were not written, as far as is known */
	bool given_up;   /* nobody reads, for good */
	uint64_t lost, episode, total;
	uint64_t written;    /* chunks, to see progress by */
	uint32_t head, tail; /* free running; bytes are tail..head */
	uint8_t ring[CONSOLE_OUTPUT_SIZE];
	uint8_t chunk[MARK + CHUNK]; /* the thread's */
};

static struct timespec after_ms(unsigned milliseconds)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += milliseconds / 1000;
	time.tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

/* ---- The guest's side ---- */

void console_output_put(struct console_output *output, uint8_t byte)
{
	bool first = false;

	pthread_mutex_lock(&output->lock);
	if (output->given_up) {
		output->total++;
		pthread_mutex_unlock(&output->lock);
		return;
	}
	if (output->head - output->tail == CONSOLE_OUTPUT_SIZE) {
		output->tail++;
		output->lost++;
		output->total++;
		first = output->episode++ == 0;
	}
	if (output->head == output->tail)
		pthread_cond_broadcast(&output->changed);
	output->ring[output->head++ % CONSOLE_OUTPUT_SIZE] = byte;
	pthread_mutex_unlock(&output->lock);
	if (first)
		log_warning(output->log, "console: its reader does not keep up; the guest goes on, "
					 "and the oldest output is dropped");
}

/* ---- The thread ---- */

/* Moves what comes next into the chunk, a mark for what is missing before it. Returns its length. */
static size_t take_chunk(struct console_output *output, uint64_t *lost, size_t *mark)
{
	uint8_t *at = output->chunk;

	*lost = output->lost;
	*mark = 0;
	if (output->lost)
		*mark = (size_t)snprintf((char *)at, MARK,
					 "\n[tenon: %llu bytes of console output are missing]\n",
					 (unsigned long long)output->lost);
	output->lost = 0;
	at += *mark;
	while (at < output->chunk + *mark + CHUNK && output->tail != output->head)
		*at++ = output->ring[output->tail++ % CONSOLE_OUTPUT_SIZE];
	output->writing = true;
	output->in_chunk = (size_t)(at - output->chunk) - *mark;
	return (size_t)(at - output->chunk);
}

/*
 * Waits in poll(), as long as it is not to end, and in write() only for what is no pipe or promises more than
 * it takes. Returns how much was written, and in *failure why not all.
 */
static size_t write_chunk(struct console_output *output, size_t length, int *failure)
{
	struct pollfd entry = { .fd = output->fd, .events = POLLOUT };
	size_t done = 0;

	*failure = 0;
	while (done < length && !atomic_load(&output->stop)) {
		ssize_t written;

		if (poll(&entry, 1, LOOK_MS) == 0)
			continue;
		/* A pipe that is ready takes so much. */
		written = write(output->fd, output->chunk + done, MIN(length - done, CHUNK));
		if (written > 0) {
			done += (size_t)written;
		} else if (written == 0 || (errno != EINTR && errno != EAGAIN)) {
			*failure = written == 0 ? EIO : errno;
			break;
		}
	}
	return done;
}

static void tell_failure(struct console_output *output, int failure, bool first)
{
	if (output->given_up)
		log_warning(output->log,
			    "console: nobody reads it any more (%s); the guest's output is "
			    "dropped from here on",
			    error_name(failure));
	else if (first)
		log_warning(output->log,
			    "console: cannot write: %s; the guest goes on, and its output is "
			    "dropped until it can be written",
			    error_name(failure));
}

/* `missing` bytes were not written; with the lock. */
static void note_failure(struct console_output *output, int failure, uint64_t lost,
			 uint64_t missing)
{
	struct timespec again = after_ms(RETRY_MS);
	bool first = !output->episode;

	output->lost += lost + missing;
	output->episode += missing;
	output->total += missing;
	if (ENDS(failure)) {
		output->given_up = true;
		output->total += output->head - output->tail;
		output->tail = output->head;
	}
	tell_failure(output, failure, first);
	while (!output->stop && !output->given_up &&
	       pthread_cond_timedwait(&output->changed, &output->lock, &again) != ETIMEDOUT)
		;
}

/* All that there was is written: the reader keeps up again. */
static void end_episode(struct console_output *output)
{
	uint64_t episode = output->episode;

	if (!episode || output->head != output->tail || output->lost)
		return;
	output->episode = 0;
	log_warning(output->log, "console: output is written again; %llu bytes were lost",
		    (unsigned long long)episode);
}

static void *write_out(void *argument)
{
	struct console_output *output = argument;

	pthread_mutex_lock(&output->lock);
	while (!output->stop) {
		size_t length, done, mark;
		uint64_t lost;
		int failure;

		if (output->head == output->tail) {
			pthread_cond_wait(&output->changed, &output->lock);
			continue;
		}
		length = take_chunk(output, &lost, &mark);
		pthread_mutex_unlock(&output->lock);
		done = write_chunk(output, length, &failure);
		pthread_mutex_lock(&output->lock);
		output->writing = false;
		output->written++;
		output->in_chunk = failure ? 0 : length - MAX(done, mark);
		if (failure)
			note_failure(output, failure, done >= mark ? 0 : lost,
				     length - MAX(done, mark));
		else
			end_episode(output);
		pthread_cond_broadcast(&output->changed);
	}
	pthread_mutex_unlock(&output->lock);
	return NULL;
}

/* ---- Its life ---- */

int console_output_create(struct console_output **out, int fd, struct log *log, struct error *error)
{
	struct console_output *output = calloc(1, sizeof(*output));
	pthread_condattr_t monotonic;
	int rc;

	if (!output)
		return error_set(error, -ENOMEM, "console: out of memory");
	/* Its own: a thread that is stuck in write() may come back when `fd` is something else. */
	output->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (output->fd < 0) {
		rc = error_set(error, -errno, "console: %s", error_name(errno));
		free(output);
		return rc;
	}
	output->log = log;
	pthread_mutex_init(&output->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&output->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = thread_start(&output->thread, "console", write_out, output);
	if (rc < 0) {
		close(output->fd);
		free(output);
		return error_set(error, rc, "console: cannot start a thread: %s", error_name(rc));
	}
	*out = output;
	return 0;
}

void console_output_drain(struct console_output *output, unsigned patience_ms)
{
	struct timespec end = after_ms(patience_ms);
	uint64_t seen;

	pthread_mutex_lock(&output->lock);
	seen = output->written;
	while (output->writing || output->head != output->tail) {
		if (pthread_cond_timedwait(&output->changed, &output->lock, &end) == ETIMEDOUT &&
		    output->written == seen)
			break;
		if (output->written != seen) {
			seen = output->written;
			end = after_ms(patience_ms);
		}
	}
	pthread_mutex_unlock(&output->lock);
}

uint64_t console_output_lost(struct console_output *output)
{
	uint64_t total;

	pthread_mutex_lock(&output->lock);
	total = output->total;
	pthread_mutex_unlock(&output->lock);
	return total;
}

void console_output_destroy(struct console_output *output)
{
	struct timespec grace;
	uint64_t left;
	bool stuck;

	if (!output)
		return;
	pthread_mutex_lock(&output->lock);
	output->stop = true;
	pthread_cond_broadcast(&output->changed);
	pthread_mutex_unlock(&output->lock);
	clock_gettime(CLOCK_REALTIME, &grace);
	grace.tv_sec += GRACE_MS / 1000;
	/* A file system that does not answer, or a terminal, lets go of nobody: the thread keeps what it uses,
	 * but the log may go away. */
	stuck = pthread_timedjoin_np(output->thread, NULL, &grace) != 0;
	pthread_mutex_lock(&output->lock);
	left = output->head - output->tail + output->in_chunk;
	if (left)
		log_warning(output->log, "console: the last %llu bytes were not read by anybody",
			    (unsigned long long)left);
	output->log = NULL;
	pthread_mutex_unlock(&output->lock);
	if (stuck) {
		pthread_detach(output->thread);
		return;
	}
	close(output->fd);
	pthread_cond_destroy(&output->changed);
	pthread_mutex_destroy(&output->lock);
	free(output);
}
