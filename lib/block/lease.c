/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases, the server's side; see lease.h. */
#include "block/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/process.h"

#define LAYERS        8u
#define WAIT_LEAST_NS 20000ull
#define WAIT_MOST_NS  2000000ull

/* In the list of a device that the lease goes through. */
struct lease_tie {
	struct list node;
	struct block_lease *lease;
	const struct block *block;
};

struct block_lease {
	struct lease_page *page;
	int page_fd, fds[LEASE_FILES];
	const struct block *files[LEASE_FILES]; /* to compare with, while it is given */
	int connection;
	pid_t user;
	unsigned tie_count;
	struct lease_tie ties[LAYERS];
	bool striped; /* while it is made: pieces are of the newest extent's newest area */
};

static struct block_lease *lease_at(struct list *node)
{
	return list_entry(node, struct lease_tie, node)->lease;
}

/* ---- Giving ---- */

/* Its number, of which all before `end` is wanted; or a negative errno. */
static int add_file(struct block_lease *lease, const struct block *block, uint64_t end)
{
	uint32_t at = 0;
	int fd;

	while (at < lease->page->file_count && lease->files[at] != block)
		at++;
	if (at == LEASE_FILES || !block->ops->lease)
		return -EOPNOTSUPP;
	fd = block->ops->lease(block, end, &lease->page->files[at]);
	if (fd < 0 || at < lease->page->file_count)
		return fd < 0 ? fd : (int)at;
	lease->fds[at] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (lease->fds[at] < 0)
		return -errno;
	lease->files[at] = block;
	lease->page->file_count++;
	return (int)at;
}

static int add_area(struct lease_page *page, unsigned file, uint64_t offset)
{
	if (page->area_count == LEASE_AREAS)
		return -EOPNOTSUPP;
	page->areas[page->area_count++] = (struct lease_area){ .offset = offset, .file = file };
	return 0;
}

static int add_extent(struct lease_page *page, const struct lease_extent *extent)
{
	if (page->extent_count == LEASE_EXTENTS)
		return -EOPNOTSUPP;
	page->extents[page->extent_count] = *extent;
	page->extents[page->extent_count++].first_area = page->area_count;
	return 0;
}

/* Whether it goes on at `offset` of the file, `had` bytes of it being there. */
static bool goes_on(const struct lease_area *area, unsigned file, uint64_t offset, uint64_t had)
{
	return area->file == file && area->offset + had == offset;
}

/* Byte `start` of the newest area, of which the device has one stretch or none. */
static int add_striped(struct lease_page *page, unsigned file, uint64_t start, uint64_t offset)
{
	if (!start)
		return add_area(page, file, offset);
	return goes_on(&page->areas[page->area_count - 1], file, offset, start) ? 0 : -EOPNOTSUPP;
}

static int add_linear(struct lease_page *page, unsigned file, uint64_t start, uint64_t offset,
		      uint64_t length)
{
	struct lease_extent *last =
		page->extent_count ? &page->extents[page->extent_count - 1] : NULL;
	int rc;

	if (last && last->area_count == 1 &&
	    goes_on(&page->areas[last->first_area], file, offset, last->length)) {
		last->length += length;
		last->chunk += length;
		return 0;
	}
	rc = add_extent(
		page, &(struct lease_extent){
			      .start = start, .length = length, .chunk = length, .area_count = 1 });
	return rc ? rc : add_area(page, file, offset);
}

static int add_piece(struct block_lease *lease, const struct block *block, uint64_t start,
		     uint64_t offset, uint64_t length)
{
	int file = add_file(lease, block, offset + length);

	if (file < 0)
		return file;
	return lease->striped ? add_striped(lease->page, (unsigned)file, start, offset)
			      : add_linear(lease->page, (unsigned)file, start, offset, length);
}

/* Once for each device. */
static int tie(struct block_lease *lease, struct block *block)
{
	for (unsigned i = 0; i < lease->tie_count; i++)
		if (lease->ties[i].block == block)
			return 0;
	if (lease->tie_count == LAYERS)
		return -EOPNOTSUPP;
	lease->ties[lease->tie_count] = (struct lease_tie){ .lease = lease, .block = block };
	list_add_tail(&block->leases.ties, &lease->ties[lease->tie_count++].node);
	return 0;
}

/* What a layer says of its own kind below it (volumes that lie on volumes, while extents move) changes by itself. */
static bool lasts(const struct block *block, const struct block *above)
{
	return block->ops->has_views && block->ops->has_views(block) && !block->gate.closed &&
	       !block->leases.barred && !block->gone && (!above || above->ops != block->ops);
}

static int walk(struct block_lease *lease, struct block *block, const struct block *above,
		uint64_t start, uint64_t offset, uint64_t length);

/* Whether stripes are all of what is at `offset`, or of a beginning of it, whose length is left in them. */
static bool find_stripes(const struct block_lease *lease, const struct block *block,
			 uint64_t offset, uint64_t length, struct block_stripes *stripes)
{
	if (lease->striped || !block->ops->stripes || !block->ops->stripes(block, offset, stripes))
		return false;
	stripes->length = MIN(stripes->length, length);
	stripes->length -= stripes->length % (stripes->chunk * stripes->count);
	return stripes->length;
}

static int add_stripes(struct block_lease *lease, struct block *block, uint64_t start,
		       uint64_t offset, const struct block_stripes *stripes)
{
	int rc = add_extent(lease->page, &(struct lease_extent){ .start = start,
								 .length = stripes->length,
								 .chunk = stripes->chunk,
								 .area_count = stripes->count });

	lease->striped = true;
	for (unsigned i = 0; !rc && i < stripes->count; i++) {
		struct block_extent extent = { .place = BLOCK_BELOW };

		rc = block->ops->map(block, BLOCK_WRITE, offset + i * stripes->chunk,
				     stripes->chunk, &extent);
		if (!rc && (extent.place != BLOCK_BELOW || extent.length != stripes->chunk))
			rc = -EOPNOTSUPP;
		if (!rc)
			rc = walk(lease, extent.lower, block, 0, extent.offset,
				  stripes->length / stripes->count);
	}
	lease->striped = false;
	return rc;
}

/* [offset, offset + length) of `block`, or a beginning of it, whose length is left in *done. */
static int walk_piece(struct block_lease *lease, struct block *block, uint64_t start,
		      uint64_t offset, uint64_t length, uint64_t *done)
{
	struct block_extent extent = { .place = BLOCK_BELOW };
	struct block_stripes stripes;
	int rc;

	if (find_stripes(lease, block, offset, length, &stripes)) {
		*done = stripes.length;
		return add_stripes(lease, block, start, offset, &stripes);
	}
	rc = block->ops->map(block, BLOCK_WRITE, offset, length, &extent);
	if (!rc && (extent.place != BLOCK_BELOW || !extent.length))
		rc = -EOPNOTSUPP;
	*done = extent.length;
	return rc ? rc : walk(lease, extent.lower, block, start, extent.offset, extent.length);
}

/*
 * [offset, offset + length) of `block`, which is `start` of the leased device, or of the area that is being made. Does not suspend.
 */
static int walk(struct block_lease *lease, struct block *block, const struct block *above,
		uint64_t start, uint64_t offset, uint64_t length)
{
	int rc;

	/* One above that has not heard yet that it became smaller. */
	if (!range_within(offset, length, block->size))
		return -EOPNOTSUPP;
	if (!block->ops->map)
		return add_piece(lease, block, start, offset, length);
	rc = lasts(block, above) ? tie(lease, block) : -EOPNOTSUPP;
	while (!rc && length) {
		uint64_t done = 0;

		rc = walk_piece(lease, block, start, offset, length, &done);
		start += done;
		offset += done;
		length -= rc ? 0 : done;
	}
	return rc;
}

static void untie(struct block_lease *lease)
{
	for (unsigned i = 0; i < lease->tie_count; i++)
		list_remove(&lease->ties[i].node);
	lease->tie_count = 0;
}

static void lease_free(struct block_lease *lease)
{
	untie(lease);
	for (unsigned i = 0; i < LEASE_FILES; i++)
		cleanup_close(&lease->fds[i]);
	cleanup_close(&lease->page_fd);
	if (lease->page)
		munmap(lease->page, sizeof(*lease->page));
	free(lease);
}

/* Of a size that the user cannot change, under us who look into it. */
static int make_page(struct block_lease *lease)
{
	void *at;

	lease->page_fd = memfd_create("tenon-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (lease->page_fd < 0 || ftruncate(lease->page_fd, sizeof(*lease->page)) ||
	    fcntl(lease->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	at = mmap(NULL, sizeof(*lease->page), PROT_READ | PROT_WRITE, MAP_SHARED, lease->page_fd,
		  0);
	if (at == MAP_FAILED)
		return -errno;
	lease->page = at;
	return 0;
}

int block_lease_give(struct block_lease **out, struct block *block, int connection, pid_t user)
{
	struct block_lease *lease = calloc(1, sizeof(*lease));
	int rc;

	if (!lease)
		return -ENOMEM;
	lease->page_fd = -1;
	for (unsigned i = 0; i < LEASE_FILES; i++)
		lease->fds[i] = -1;
	lease->connection = connection;
	lease->user = user;
	rc = make_page(lease);
	if (!rc) {
		lease->page->magic = LEASE_MAGIC;
		lease->page->size = block->size;
		lease->page->writable = !block->read_only;
		rc = block->size ? walk(lease, block, NULL, 0, 0, block->size) : -EOPNOTSUPP;
	}
	if (rc)
		lease_free(lease);
	else
		*out = lease;
	return rc;
}

unsigned block_lease_take_fds(struct block_lease *lease, int *fds)
{
	unsigned count = 0;

	fds[count++] = steal_fd(&lease->page_fd);
	for (unsigned i = 0; i < LEASE_FILES && lease->fds[i] >= 0; i++)
		fds[count++] = steal_fd(&lease->fds[i]);
	return count;
}

/* ---- Ending ---- */

static void say_over(struct block_lease *lease)
{
	/* Our side of it alone: that the other is closed is how the user says that it has let go. */
	if (!atomic_exchange(&lease->page->over, 1))
		shutdown(lease->connection, SHUT_WR);
}

static bool is_used(struct block_lease *lease)
{
	return atomic_load(&lease->page->inside);
}

static uint64_t patience_with(const struct block_lease *lease)
{
	return lease->user && process_is_stopped(lease->user) ? LEASE_STOPPED_NS
							      : LEASE_PATIENCE_NS;
}

void block_lease_end(struct block_lease *lease, bool gone)
{
	uint64_t began = worker_now();

	say_over(lease);
	while (!gone && is_used(lease) && worker_now() - began < patience_with(lease))
		fiber_sleep_always(WAIT_MOST_NS);
	lease_free(lease);
}

void block_leases_tell(struct block *block)
{
	list_for_each(at, &block->leases.ties)
		say_over(lease_at(at));
}

/* One in whose file somebody is; those of the device in which nobody is, are untied. */
static struct block_lease *find_used(struct block *block)
{
	block_leases_tell(block);
	while (!list_empty(&block->leases.ties)) {
		struct block_lease *lease = lease_at(block->leases.ties.next);

		if (is_used(lease))
			return lease;
		untie(lease);
	}
	return NULL;
}

static int say_used(const struct block *block, const struct block_lease *lease, struct error *error)
{
	char who[PROCESS_TEXT] = "a process";
	bool stopped = lease->user && process_is_stopped(lease->user);

	if (lease->user)
		process_describe(lease->user, who);
	error_set(error, -EBUSY, "%s: is being read or written by %s, which does not end that",
		  block->name, who);
	if (stopped)
		error_advise(error, "`kill -CONT %d` lets it go on; or end it", (int)lease->user);
	else
		error_advise(error, "see what it waits for, or end it");
	return -EBUSY;
}

int block_leases_stop(struct block *block, struct error *error)
{
	uint64_t began = worker_now(), pause = WAIT_LEAST_NS;
	struct block_lease *lease;

	while ((lease = find_used(block))) {
		if (worker_now() - began >= patience_with(lease))
			return say_used(block, lease, error);
		if (fiber_sleep(pause))
			return error_set(error, -ECANCELED, "%s: cancelled", block->name);
		pause = MIN(2 * pause, WAIT_MOST_NS);
	}
	return 0;
}

/*
 * Whoever can refuse has stopped them before, with the device barred, so there is nobody. Where there is one all the same, nothing but waiting is
 * safe, also on a fiber that was cancelled.
 */
void block_leases_wait(struct block *block)
{
	uint64_t pause = WAIT_LEAST_NS;

	while (find_used(block)) {
		fiber_sleep_always(pause);
		pause = MIN(2 * pause, WAIT_MOST_NS);
	}
}
