/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of our virtio-blk device, shared by virtio_blk.c and virtio_blk_config.c. */
#ifndef TENON_VIRTIO_VIRTIO_BLK_PRIVATE_H
#define TENON_VIRTIO_VIRTIO_BLK_PRIVATE_H

#define SECTOR_BYTES 512u /* virtio-blk's unit, whatever the block size */

/* Data buffers in a request: with header and status they fill a queue of 128, which is the size
 * that QEMU gives. */
#define VIRTIO_BLK_SEGMENTS 126u

/* Ranges in one discard or write-zeroes request, and how long each may be. Zeroes may have to be
 * written, so that a request of theirs must not take too long. */
#define VIRTIO_BLK_RANGES          16u
#define VIRTIO_BLK_DISCARD_SECTORS (1u << 22) /* 2 GiB */
#define VIRTIO_BLK_ZEROES_SECTORS  (1u << 17) /* 64 MiB */

#endif
