/* SPDX-License-Identifier: BSD-2-Clause */
/* See log_queue.h. */
#include "util/log_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/thread.h"

#define LINE_BYTES  1024
#define END_SECONDS 1

struct line {
	enum log_level level;
	char text[LINE_BYTES];
};

struct log_queue {
	struct log log; /* the one that is handed out */
	struct log *to;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned first, count, left_out;
	bool stopping, ended, owner_gone;
	struct line lines[LOG_QUEUE_LINES];
};

static void destroy(struct log_queue *queue)
{
	pthread_cond_destroy(&queue->more);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

static void enqueue(struct log *log, enum log_level level, const char *text)
{
	struct log_queue *queue = container_of(log, struct log_queue, log);
	struct line *line;

	pthread_mutex_lock(&queue->lock);
	if (queue->count == LOG_QUEUE_LINES) {
		queue->left_out++;
	} else {
		line = &queue->lines[(queue->first + queue->count++) % LOG_QUEUE_LINES];
		line->level = level;
		snprintf(line->text, sizeof(line->text), "%s", text);
	}
	pthread_cond_signal(&queue->more);
	pthread_mutex_unlock(&queue->lock);
}

/* Writes the first line, without the lock: this is where it may wait. */
static void write_first(struct log_queue *queue)
{
	struct line line = queue->lines[queue->first];
	unsigned left_out = queue->left_out;

	queue->first = (queue->first + 1) % LOG_QUEUE_LINES;
	queue->count--;
	queue->left_out = 0;
	pthread_mutex_unlock(&queue->lock);
	queue->to->write(queue->to, line.level, line.text);
	if (left_out)
		log_warning(queue->to, "%u messages were left out: nobody read them", left_out);
	pthread_mutex_lock(&queue->lock);
}

static void *run(void *arg)
{
	struct log_queue *queue = arg;
	bool last;

	pthread_mutex_lock(&queue->lock);
	for (;;) {
		if (queue->count)
			write_first(queue);
		else if (queue->stopping)
			break;
		else
			pthread_cond_wait(&queue->more, &queue->lock);
	}
	queue->ended = true;
	last = queue->owner_gone;
	pthread_mutex_unlock(&queue->lock);
	if (last)
		destroy(queue);
	return NULL;
}

int log_queue_start(struct log_queue **out, struct log *to, struct error *error)
{
	struct log_queue *queue = calloc(1, sizeof(*queue));
	int rc;

	if (!queue)
		return error_set(error, -ENOMEM, "log: out of memory");
	queue->log = (struct log){ .level = to->level, .write = enqueue };
	queue->to = to;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->more, NULL);
	rc = thread_start(&queue->thread, "tenon-log", run, queue);
	if (rc) {
		destroy(queue);
		return error_set(error, rc, "log: cannot start its thread: %s", error_name(rc));
	}
	*out = queue;
	return 0;
}

struct log *log_queue_log(struct log_queue *queue)
{
	return &queue->log;
}

void log_queue_stop(struct log_queue *queue)
{
	struct timespec until;
	bool ended;

	if (!queue)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_SECONDS;
	pthread_mutex_lock(&queue->lock);
	queue->stopping = true;
	pthread_cond_signal(&queue->more);
	pthread_mutex_unlock(&queue->lock);
	if (!pthread_timedjoin_np(queue->thread, NULL, &until)) {
		destroy(queue);
		return;
	}
	/* It hangs in a write: whichever of the two comes last frees it. */
	pthread_detach(queue->thread);
	pthread_mutex_lock(&queue->lock);
	queue->owner_gone = true;
	ended = queue->ended;
	pthread_mutex_unlock(&queue->lock);
	if (ended)
		destroy(queue);
}
