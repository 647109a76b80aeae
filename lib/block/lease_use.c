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

#include "block/iov.h"
#include "block/lease.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define BOUNCE_BYTES (1u << 20)
#define BOUNCE_ALIGN 65536u
#define PIECES       64u /* of memory, for one call */

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

/* Of one that begins where the last has ended. */
static bool extent_fits(const struct lease_use *use, unsigned area_count,
			const struct lease_extent *extent)
{
	uint64_t each;

	if (!extent->length || !extent->chunk || !extent->area_count ||
	    !range_within(extent->start, extent->length, use->size) ||
	    !range_within(extent->first_area, extent->area_count, area_count) ||
	    extent->chunk > extent->length / extent->area_count ||
	    extent->length % (extent->chunk * extent->area_count))
		return false;
	each = extent->length / extent->area_count;
	for (unsigned i = 0; i < extent->area_count; i++) {
		const struct lease_area *area = &use->areas[extent->first_area + i];

		if (area->file >= use->fd_count || !range_within(area->offset, each, INT64_MAX))
			return false;
	}
	return true;
}

/* Takes copies, which nobody changes. All of the device must be there, in its order. */
static bool copy_page(struct lease_use *use)
{
	const struct lease_page *page = use->page;
	unsigned area_count = page->area_count;
	uint64_t at = 0;

	use->size = page->size;
	use->writable = page->writable;
	use->extent_count = page->extent_count;
	if (page->magic != LEASE_MAGIC || page->file_count != use->fd_count ||
	    use->extent_count > LEASE_EXTENTS || area_count > LEASE_AREAS)
		return false;
	memcpy(use->extents, page->extents, use->extent_count * sizeof(*use->extents));
	memcpy(use->areas, page->areas, area_count * sizeof(*use->areas));
	memcpy(use->files, page->files, sizeof(use->files));
	for (unsigned i = 0; i < use->fd_count; i++)
		if (!file_fits(&use->files[i]))
			return false;
	for (unsigned i = 0; i < use->extent_count; i++) {
		if (use->extents[i].start != at || !extent_fits(use, area_count, &use->extents[i]))
			return false;
		at += use->extents[i].length;
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

/* What of a request lies in one stretch of a file, as much as is done at once. */
struct stretch {
	const struct lease_file *file;
	int fd;
	uint64_t offset, length;
	struct iovec iov[PIECES];
	unsigned count;
};

/* What is not all done is the server's to do again, and to tell of. */
static bool transfer_as_it_is(const struct stretch *stretch, bool write)
{
	ssize_t done;

	do
		done = write ? pwritev(stretch->fd, stretch->iov, (int)stretch->count,
				       (off_t)stretch->offset)
			     : preadv(stretch->fd, stretch->iov, (int)stretch->count,
				      (off_t)stretch->offset);
	while (done < 0 && errno == EINTR);
	return done >= 0 && (uint64_t)done == stretch->length;
}

static bool transfer_by_bounce(const struct stretch *stretch, bool write)
{
	struct iov_range at = iov_range_of(stretch->iov, stretch->count);
	struct stretch step = { .fd = stretch->fd, .offset = stretch->offset, .count = 1 };
	uint64_t left = stretch->length;

	step.iov[0].iov_base = thread_bounce();
	if (!step.iov[0].iov_base)
		return false;
	while (left) {
		step.length = step.iov[0].iov_len = MIN(left, (uint64_t)BOUNCE_BYTES);
		if (write)
			iov_copy_out(&at, step.iov[0].iov_base, step.length);
		if (!transfer_as_it_is(&step, write))
			return false;
		if (!write)
			iov_copy_in(&at, step.iov[0].iov_base, step.length);
		step.offset += step.length;
		left -= step.length;
	}
	return true;
}

/* A file that became shorter is not made longer again by a write. */
static bool is_whole(int fd, const struct lease_file *file)
{
	off_t size = lseek(fd, 0, SEEK_END);

	return size >= 0 && (uint64_t)size >= file->least;
}

static bool transfer_stretch(const struct stretch *stretch, bool write)
{
	const struct lease_file *file = stretch->file;
	uint64_t places = stretch->offset;
	uintptr_t addresses = 0;

	for (unsigned i = 0; i < stretch->count; i++) {
		places |= stretch->iov[i].iov_len;
		addresses |= (uintptr_t)stretch->iov[i].iov_base;
	}
	if (places & (file->unit - 1) || (write && !is_whole(stretch->fd, file)))
		return false;
	return addresses & (file->memory - 1) ? transfer_by_bounce(stretch, write)
					      : transfer_as_it_is(stretch, write);
}

/* A request, as far as it is one extent's. */
struct part {
	const struct lease_use *use;
	const struct lease_extent *extent;
	uint64_t within, length; /* of the extent */
	char *at;
};

/* The chunks of one area, which follow each other in its file, from `chunk` on. */
static bool transfer_area(const struct part *part, bool write, uint64_t chunk)
{
	const struct lease_extent *extent = part->extent;
	const struct lease_area *area =
		&part->use->areas[extent->first_area + chunk % extent->area_count];
	struct stretch stretch = { .file = &part->use->files[area->file],
				   .fd = part->use->fds[area->file] };
	uint64_t end = part->within + part->length, step = extent->chunk * extent->area_count;
	uint64_t from = MAX(chunk * extent->chunk, part->within);

	stretch.offset =
		area->offset + chunk / extent->area_count * extent->chunk + from % extent->chunk;
	for (uint64_t at = chunk * extent->chunk; at < end; at += step) {
		struct iovec *iov = &stretch.iov[stretch.count++];

		from = MAX(at, part->within);
		iov->iov_base = part->at + (from - part->within);
		iov->iov_len = MIN(at + extent->chunk, end) - from;
		stretch.length += iov->iov_len;
		if (stretch.count < PIECES && step < end - at)
			continue;
		if (!transfer_stretch(&stretch, write))
			return false;
		stretch.offset += stretch.length;
		stretch.length = stretch.count = 0;
	}
	return true;
}

static bool transfer_part(const struct part *part, bool write)
{
	uint64_t first = part->within / part->extent->chunk;
	uint64_t last = (part->within + part->length - 1) / part->extent->chunk;

	for (uint64_t i = 0; i <= last - first && i < part->extent->area_count; i++)
		if (!transfer_area(part, write, first + i))
			return false;
	return true;
}

static bool transfer_inside(const struct lease_use *use, bool write, uint64_t offset, char *at,
			    uint64_t length)
{
	struct part part = { .use = use, .extent = find_extent(use, offset), .at = at };
	bool done = true;

	for (; done && length; part.extent++) {
		part.within = offset - part.extent->start;
		part.length = MIN(length, part.extent->length - part.within);
		done = transfer_part(&part, write);
		offset += part.length;
		part.at += part.length;
		length -= part.length;
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
