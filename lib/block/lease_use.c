/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases, the user's side; see lease.h.
 *
 * On threads of whoever: nothing here is a worker's. A range is done by this alone or not at all: what the kernel does not take as it is
 * (memory that is not aligned for direct I/O) goes through memory of the thread's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/lease.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define BOUNCE_BYTES (1u << 20)
#define BOUNCE_ALIGN 65536u

/* ---- Taking one ---- */

static bool page_fits(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	return seals >= 0 && seals & F_SEAL_SHRINK && !fstat(fd, &status) &&
	       (uint64_t)status.st_size >= sizeof(struct lease_page);
}

static bool file_fits(const struct lease_file *file)
{
	return is_power_of_two(file->unit) && is_power_of_two(file->memory) &&
	       file->unit <= BOUNCE_ALIGN && file->memory <= BOUNCE_ALIGN;
}

/* Takes copies, which nobody changes. All of the device must be there, in its order. */
static bool copy_page(struct lease_use *use)
{
	const struct lease_page *page = use->page;
	uint64_t at = 0;

	use->size = page->size;
	use->writable = page->writable;
	use->extent_count = page->extent_count;
	if (page->magic != LEASE_MAGIC || page->file_count != use->fd_count ||
	    use->extent_count > LEASE_EXTENTS)
		return false;
	memcpy(use->extents, page->extents, use->extent_count * sizeof(*use->extents));
	memcpy(use->files, page->files, sizeof(use->files));
	for (unsigned i = 0; i < use->fd_count; i++)
		if (!file_fits(&use->files[i]))
			return false;
	for (unsigned i = 0; i < use->extent_count; i++) {
		const struct lease_extent *extent = &use->extents[i];

		if (extent->start != at || !extent->length || extent->file >= use->fd_count ||
		    !range_within(extent->offset, extent->length, INT64_MAX) ||
		    !range_within(at, extent->length, use->size))
			return false;
		at += extent->length;
	}
	return at == use->size;
}

int lease_use_open(struct lease_use **out, const int *fds, unsigned count)
{
	struct lease_use *use = calloc(1, sizeof(*use));
	void *at = MAP_FAILED;
	int rc = -EPROTO;

	if (use && count && count <= LEASE_FDS) {
		use->fd_count = count - 1;
		memcpy(use->fds, fds + 1, use->fd_count * sizeof(*fds));
		if (page_fits(fds[0]))
			at = mmap(NULL, sizeof(*use->page), PROT_READ | PROT_WRITE, MAP_SHARED,
				  fds[0], 0);
		if (at != MAP_FAILED) {
			use->page = at;
			rc = copy_page(use) ? 0 : -EPROTO;
		}
		close(fds[0]);
	} else {
		for (unsigned i = 0; i < count; i++)
			close(fds[i]);
		rc = use ? rc : -ENOMEM;
	}
	if (rc)
		lease_use_close(use);
	else
		*out = use;
	return rc;
}

void lease_use_close(struct lease_use *use)
{
	if (!use)
		return;
	for (unsigned i = 0; i < use->fd_count; i++)
		close(use->fds[i]);
	if (use->page)
		munmap(use->page, sizeof(*use->page));
	free(use);
}

bool lease_use_is_over(const struct lease_use *use)
{
	return atomic_load(&use->page->over);
}

/* ---- Memory for direct I/O, one piece for each thread ---- */

static pthread_once_t bounce_once = PTHREAD_ONCE_INIT;
static pthread_key_t bounce_key;
static bool bounce_there;

static void make_key(void)
{
	bounce_there = !pthread_key_create(&bounce_key, free);
}

static void *thread_bounce(void)
{
	void *at = NULL;

	pthread_once(&bounce_once, make_key);
	if (!bounce_there)
		return NULL;
	at = pthread_getspecific(bounce_key);
	if (at || posix_memalign(&at, BOUNCE_ALIGN, BOUNCE_BYTES))
		return at;
	if (pthread_setspecific(bounce_key, at)) {
		free(at);
		return NULL;
	}
	return at;
}

/* ---- Transfers ---- */

static const struct lease_extent *find_extent(const struct lease_use *use, uint64_t offset)
{
	unsigned low = 0, high = use->extent_count;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (use->extents[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &use->extents[low];
}

/* What is not all done is the server's to do again, and to tell of. */
static bool transfer_piece(int fd, bool write, uint64_t offset, void *at, uint64_t length)
{
	ssize_t done;

	do
		done = write ? pwrite(fd, at, length, (off_t)offset)
			     : pread(fd, at, length, (off_t)offset);
	while (done < 0 && errno == EINTR);
	return done >= 0 && (uint64_t)done == length;
}

static bool transfer_by_bounce(int fd, bool write, uint64_t offset, char *at, uint64_t length)
{
	char *bounce = thread_bounce();

	while (bounce && length) {
		uint64_t step = MIN(length, (uint64_t)BOUNCE_BYTES);

		if (write)
			memcpy(bounce, at, step);
		if (!transfer_piece(fd, write, offset, bounce, step))
			return false;
		if (!write)
			memcpy(at, bounce, step);
		offset += step;
		at += step;
		length -= step;
	}
	return bounce;
}

/* A file that became shorter is not made longer again by a write. */
static bool is_whole(int fd, const struct lease_file *file)
{
	off_t size = lseek(fd, 0, SEEK_END);

	return size >= 0 && (uint64_t)size >= file->least;
}

static bool transfer_extent(const struct lease_use *use, const struct lease_extent *extent,
			    bool write, uint64_t offset, char *at, uint64_t length)
{
	const struct lease_file *file = &use->files[extent->file];
	int fd = use->fds[extent->file];

	offset += extent->offset;
	if ((offset | length) & (file->unit - 1) || (write && !is_whole(fd, file)))
		return false;
	return (uintptr_t)at & (file->memory - 1)
		       ? transfer_by_bounce(fd, write, offset, at, length)
		       : transfer_piece(fd, write, offset, at, length);
}

static bool transfer_inside(const struct lease_use *use, bool write, uint64_t offset, char *at,
			    uint64_t length)
{
	const struct lease_extent *extent = find_extent(use, offset);
	bool done = true;

	while (done && length) {
		uint64_t within = offset - extent->start;
		uint64_t step = MIN(length, extent->length - within);

		done = transfer_extent(use, extent++, write, within, at, step);
		offset += step;
		at += step;
		length -= step;
	}
	return done;
}

int lease_use_transfer(struct lease_use *use, bool write, uint64_t offset, void *at,
		       uint64_t length)
{
	bool done = false;

	if (!length || !range_within(offset, length, use->size) || (write && !use->writable))
		return -EAGAIN;
	atomic_fetch_add(&use->page->inside, 1);
	if (!atomic_load(&use->page->over))
		done = transfer_inside(use, write, offset, at, length);
	atomic_fetch_sub(&use->page->inside, 1);
	return done ? 0 : -EAGAIN;
}
