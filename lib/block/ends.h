/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where labels and superblocks lie, at the start and the end of devices, read of many at once: who asks a hundred devices
 * one after the other what they are, a dozen reads each, mostly waits.
 *
 * It is how things were when they were read: not for what is written to meanwhile.
 */
#ifndef TENON_BLOCK_ENDS_H
#define TENON_BLOCK_ENDS_H

struct block;

/*
 * Makes out[i] of blocks[i]: a device of the same name and size, for reading only, that gives what was read of the ends from
 * memory and asks for all else, and for what could not be read. NULL where blocks[i] is. It takes a reference. 0, or -ENOMEM with nothing made.
 */
int block_create_ends(struct block **out, struct block *const *blocks, unsigned count);

#endif
