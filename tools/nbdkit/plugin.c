/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nbdkit plugin: `nbdkit tenon volume=VG/LV`, a volume that a server serves (host_disk.h) as an NBD export. TLS, filters, sockets
 * and the protocol are nbdkit's.
 *
 * A thread of the plugin's own runs a worker, on which the disk is; nbdkit's threads call it, and wait. What a thread can
 * read or write of the disk itself, by a lease of the server's (host_lease.h), it does. Several
 * connections are one client of the server: a flush by any of them is about the writes of all, so multi-conn is true.
 *
 * nbdkit gives its plugins no context: what is configured, and the disk, is one static object here.
 *
 *	configured	config(): nothing runs
 *	looked at	get_ready(), before nbdkit forks: the disk was found once, on a worker that is gone again
 *	running		after_fork(): the worker's thread runs
 *	open		while there is a connection: the disk is connected, in the way that the connection needs
 */
#define NBDKIT_API_VERSION 2

#include <errno.h>
#include <nbdkit-plugin.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "tools/host_disk.h"
#include "util/bytes.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* How a connection has the disk: beside machines, or alone as one of them has it. */
enum way { WAY_BESIDE, WAY_ALONE, WAYS };

static struct {
	char *volume;
	bool shared;
	struct worker *worker;
	struct fiber_queue end;
	pthread_rwlock_t
		alive; /* who calls the worker reads, who ends it writes: nbdkit unloads us among its threads */
	bool running, ending;
	/* At home. */
	struct fiber_mutex opening;
	struct {
		struct host_disk *disk;
		unsigned connections;
	} ways[WAYS];
} plugin = { .alive = PTHREAD_RWLOCK_INITIALIZER };

/* A connection. */
struct connection {
	enum way way;
	struct error error;
};

static void tell(const struct error *error)
{
	nbdkit_error("%s%s%s", error->text, *error->advice ? ": " : "", error->advice);
}

/* ---- Configuration ---- */

static int plugin_config(const char *key, const char *value)
{
	int yes;

	if (!strcmp(key, "volume")) {
		free(plugin.volume);
		plugin.volume = strdup(value);
		if (plugin.volume)
			return 0;
		nbdkit_error("out of memory");
		return -1;
	}
	if (!strcmp(key, "shared")) {
		yes = nbdkit_parse_bool(value);
		plugin.shared = yes == 1;
		return yes < 0 ? -1 : 0;
	}
	nbdkit_error("there is no parameter '%s': expected volume or shared", key);
	return -1;
}

static int plugin_config_complete(void)
{
	const char *slash = plugin.volume ? strchr(plugin.volume, '/') : NULL;

	if (slash && slash != plugin.volume && slash[1])
		return 0;
	nbdkit_error("volume: expected VG/LV or md/NAME");
	return -1;
}

/* ---- The worker ---- */

static int look(void *arg)
{
	struct error *error = arg;
	struct host_disk *disk;
	int rc = host_disk_open(&disk, plugin.volume, &(struct host_disk_options){ .shared = true },
				error);

	if (!rc)
		host_disk_close(disk);
	return rc;
}

/* While somebody is there to be told. */
static int plugin_get_ready(void)
{
	struct error error = { 0 };
	struct worker *worker;
	int rc = worker_create(&worker, NULL, &error);

	if (!rc) {
		rc = worker_run(worker, look, &error);
		worker_destroy(worker);
	}
	if (rc)
		tell(&error);
	return rc ? -1 : 0;
}

static int live(void *arg)
{
	(void)arg;
	while (!plugin.ending)
		fiber_queue_wait_always(&plugin.end);
	return 0;
}

static int plugin_after_fork(void)
{
	struct error error = { 0 };
	int rc;

	fiber_queue_init(&plugin.end);
	fiber_mutex_init(&plugin.opening);
	rc = worker_create(&plugin.worker, NULL, &error);
	if (!rc) {
		rc = worker_start(plugin.worker, "tenon", live, NULL);
		if (rc)
			error_set(&error, rc, "no thread: %s", error_name(rc));
	}
	plugin.running = !rc;
	if (rc)
		tell(&error);
	return rc ? -1 : 0;
}

/* nbdkit does not close connections when it ends. */
static int end(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < WAYS; i++)
		host_disk_close(plugin.ways[i].disk);
	plugin.ending = true;
	fiber_queue_wake_all(&plugin.end);
	return 0;
}

static void plugin_cleanup(void)
{
	pthread_rwlock_wrlock(&plugin.alive);
	if (plugin.running) {
		worker_call(plugin.worker, end, NULL);
		worker_join(plugin.worker);
		worker_destroy(plugin.worker);
	}
	plugin.running = false;
	pthread_rwlock_unlock(&plugin.alive);
}

static int call(fiber_fn *fn, void *arg)
{
	int rc = -ESHUTDOWN;

	pthread_rwlock_rdlock(&plugin.alive);
	if (plugin.running)
		rc = worker_call(plugin.worker, fn, arg);
	pthread_rwlock_unlock(&plugin.alive);
	return rc;
}

static void plugin_unload(void)
{
	free(plugin.volume);
}

/* ---- Connections ---- */

static int open_disk(void *arg)
{
	struct connection *connection = arg;
	enum way way = connection->way;
	int rc = 0;

	fiber_mutex_lock(&plugin.opening);
	if (!plugin.ways[way].disk)
		rc = host_disk_open(&plugin.ways[way].disk, plugin.volume,
				    &(struct host_disk_options){ .shared = way == WAY_BESIDE,
								 .direct = true },
				    &connection->error);
	if (!rc)
		plugin.ways[way].connections++;
	fiber_mutex_unlock(&plugin.opening);
	return rc;
}

static int close_disk(void *arg)
{
	const struct connection *connection = arg;
	enum way way = connection->way;

	fiber_mutex_lock(&plugin.opening);
	if (!--plugin.ways[way].connections) {
		host_disk_close(plugin.ways[way].disk);
		plugin.ways[way].disk = NULL;
	}
	fiber_mutex_unlock(&plugin.opening);
	return 0;
}

static void *plugin_open(int readonly)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		nbdkit_error("out of memory");
		return NULL;
	}
	connection->way = readonly || plugin.shared ? WAY_BESIDE : WAY_ALONE;
	if (!call(open_disk, connection))
		return connection;
	tell(&connection->error);
	free(connection);
	return NULL;
}

static void plugin_close(void *handle)
{
	call(close_disk, handle);
	free(handle);
}

/* ---- Requests ---- */

enum what { PREAD, PWRITE, ZERO, TRIM, FLUSH, EXTENTS, SHAPE };

struct nbd_job {
	enum way way;
	struct host_disk *disk; /* at home */
	enum what what;
	void *buffer;
	uint64_t offset, length;
	unsigned flags;
	struct nbdkit_extents *extents;

	/* of SHAPE */
	uint64_t size;
	uint32_t preferred;
	bool read_only;
};

static bool note_extent(void *arg, uint64_t length, bool zero)
{
	struct nbd_job *job = arg;
	bool more = !nbdkit_add_extent(job->extents, job->offset, length,
				       zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0);

	job->offset += length;
	return more;
}

static int shape(struct nbd_job *job)
{
	struct block *block = host_disk_get(job->disk);

	if (!block)
		return -ENOTCONN;
	job->size = block->size;
	job->preferred = block->physical_block_size;
	job->read_only = block->read_only;
	block_unref(block);
	return 0;
}

static int trim(struct nbd_job *job)
{
	int rc = host_disk_discard(job->disk, job->offset, job->length);

	return !rc && job->flags & BLOCK_FUA ? host_disk_flush(job->disk) : rc;
}

static int run(void *arg)
{
	struct nbd_job *job = arg;

	job->disk = plugin.ways[job->way].disk;
	switch (job->what) {
	case PREAD:
		return host_disk_read(job->disk, job->offset, job->buffer, job->length);
	case PWRITE:
		return host_disk_write(job->disk, job->offset, job->buffer, job->length,
				       job->flags);
	case ZERO:
		return host_disk_write_zeroes(job->disk, job->offset, job->length, job->flags);
	case TRIM:
		return trim(job);
	case FLUSH:
		return host_disk_flush(job->disk);
	case EXTENTS:
		return host_disk_extents(job->disk, job->offset, job->length, note_extent, job);
	case SHAPE:
		return shape(job);
	}
	return -EINVAL;
}

/* What needs nobody else: 0, or -EAGAIN. The connection's disk stays while we are alive. */
static int transfer_here(const struct nbd_job *job)
{
	int rc = -EAGAIN;

	if (job->what > PWRITE || job->flags & BLOCK_FUA)
		return rc;
	pthread_rwlock_rdlock(&plugin.alive);
	if (plugin.running)
		rc = host_disk_direct(plugin.ways[job->way].disk, job->what == PWRITE, job->offset,
				      job->buffer, job->length);
	pthread_rwlock_unlock(&plugin.alive);
	return rc;
}

/* On a thread of nbdkit's. 0, or -1 with the error told. */
static int carry_out(void *handle, struct nbd_job *job)
{
	const struct connection *connection = handle;
	int rc;

	job->way = connection->way;
	rc = transfer_here(job);
	if (rc == -EAGAIN)
		rc = call(run, job);
	if (!rc)
		return 0;
	nbdkit_error("%s: %s", plugin.volume, error_name(rc));
	nbdkit_set_error(rc == -EROFS || rc == -ENOMEM || rc == -ENOSPC || rc == -EINVAL ? -rc
											 : EIO);
	return -1;
}

static unsigned fua_of(uint32_t flags)
{
	return flags & NBDKIT_FLAG_FUA ? BLOCK_FUA : 0;
}

static int plugin_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return carry_out(handle, &(struct nbd_job){ .what = PREAD,
						    .buffer = buffer,
						    .offset = offset,
						    .length = count });
}

static int plugin_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
			 uint32_t flags)
{
	return carry_out(handle, &(struct nbd_job){ .what = PWRITE,
						    .buffer = (void *)buffer,
						    .offset = offset,
						    .length = count,
						    .flags = fua_of(flags) });
}

static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return carry_out(
		handle,
		&(struct nbd_job){ .what = ZERO,
				   .offset = offset,
				   .length = count,
				   .flags = fua_of(flags) |
					    (flags & NBDKIT_FLAG_MAY_TRIM ? BLOCK_MAY_UNMAP : 0) });
}

static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return carry_out(handle, &(struct nbd_job){ .what = TRIM,
						    .offset = offset,
						    .length = count,
						    .flags = fua_of(flags) });
}

static int plugin_flush(void *handle, uint32_t flags)
{
	(void)flags;
	return carry_out(handle, &(struct nbd_job){ .what = FLUSH });
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			  struct nbdkit_extents *extents)
{
	(void)flags;
	return carry_out(handle, &(struct nbd_job){ .what = EXTENTS,
						    .offset = offset,
						    .length = count,
						    .extents = extents });
}

/* ---- The export ---- */

static int64_t plugin_get_size(void *handle)
{
	struct nbd_job job = { .what = SHAPE };

	return carry_out(handle, &job) ? -1 : (int64_t)job.size;
}

static int plugin_block_size(void *handle, uint32_t *least, uint32_t *preferred, uint32_t *most)
{
	struct nbd_job job = { .what = SHAPE };

	if (carry_out(handle, &job))
		return -1;
	*least = 1;
	*preferred = MAX(job.preferred, 4096u);
	*most = UINT32_MAX;
	return 0;
}

static int plugin_can_write(void *handle)
{
	struct nbd_job job = { .what = SHAPE };

	return carry_out(handle, &job) ? -1 : !job.read_only;
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

static int fua_is_native(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

/* What is asked to be in a cache is nearer nowhere than on the server. */
static int cache_is_nothing(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_NONE;
}

static struct nbdkit_plugin tenon_plugin = {
	.name = "tenon",
	.longname = "tenon volumes",
	.description = "A volume or array that `tenon serve` serves",
	.version = "0.1.0",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help = "volume=VG/LV   (required) what `tenon serve` serves, or md/NAME\n"
		       "shared=true    write beside a machine that has the disk",
	.magic_config_key = "volume",
	.get_ready = plugin_get_ready,
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.unload = plugin_unload,
	.open = plugin_open,
	.close = plugin_close,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_write = plugin_can_write,
	.can_flush = yes,
	.can_trim = yes,
	.can_zero = yes,
	.can_extents = yes,
	.can_multi_conn = yes,
	.can_fua = fua_is_native,
	.can_cache = cache_is_nothing,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.zero = plugin_zero,
	.trim = plugin_trim,
	.flush = plugin_flush,
	.extents = plugin_extents,
	.errno_is_preserved = 0,
};

/* What the macro defines is declared by no header of nbdkit's. */
NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(tenon_plugin)
