/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that a peer has given us, of whatever kind. One of a file system in user space (FUSE) answers when its server, which may be the
 * peer, likes to: fstat(2), a first access of a mapping, and close(2) as well wait for it, and no signal ends that. A socket may be
 * told to wait at its closing (SO_LINGER). So nothing is done with a file that may wait but to close it, on a thread of its own.
 */
#ifndef TENON_UTIL_PEER_FILE_H
#define TENON_UTIL_PEER_FILE_H

#include <stdbool.h>

/* Whether nobody is waited for by whoever uses or closes it: memory (memfd, tmpfs, huge pages), an eventfd or its like, a pipe, a unix
 * socket, or a file of a file system of this kernel that is mounted here. Never waits itself. */
bool peer_file_is_prompt(int fd);

/* Closes it, later where that may wait. */
void peer_file_close(int fd);

/* As many closings wait as may: files of peers are not to be taken (a message's are lost where nobody receives them). */
bool peer_files_wait(void);

#endif
