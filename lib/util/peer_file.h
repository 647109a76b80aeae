/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that a peer has given us, of whatever kind. One of a file system in user space (FUSE) answers when its server, which may be the
 * peer, likes to: fstat(2), a first access of a mapping, and close(2) as well wait for it, and no signal ends that. A socket may be
 * told to wait at its closing (SO_LINGER). So nothing is done with a file that may wait but to close it, on a thread of its own.
 *
 * A peer can send files with any byte on a unix socket, wanted or not. What is not taken of them the kernel closes in whoever receives the byte without
 * (read(2), recv(2)), or closes the socket with it unread, and that one waits. So what peers send is received by these functions, and their connections
 * are closed by them.
 */
#ifndef TENON_UTIL_PEER_FILE_H
#define TENON_UTIL_PEER_FILE_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether nobody is waited for by whoever uses or closes it: memory (memfd, tmpfs, huge pages), an eventfd or its like, a pipe, a unix
 * socket, or a file of a file system of this kernel: one on a device, btrfs, or one that is mounted here. Never waits itself. */
bool peer_file_is_prompt(int fd);

/* A unix socket. */
bool peer_file_is_socket(int fd);

/* Closes it, later where that may wait: so any socket, for who gave it may have it still. */
void peer_file_close(int fd);

/* As many closings wait as may: files of peers are not to be taken. They are again when a closing has ended. */
bool peer_files_wait(void);
/* How many do. */
unsigned peer_files_waiting(void);
/* As error_name(), of what peer_receive() returned. */
const char *peer_error_name(int code);

/* A connection with a peer, from its beginning, and at its end, which is one for all who have it. Of whatever kind of socket that was made here. */
void peer_socket_begin(int fd);
void peer_socket_close(int fd);
/* What listens, of whatever kind: who waits for it to accept him may have sent files already, and is hung up on. One for all who have it, too. */
void peer_listener_close(int fd);

#define PEER_FILES_MOST 253u /* that come with a message: Linux's SCM_MAX_FD */
#define PEER_FILES_ROOM CMSG_SPACE(PEER_FILES_MOST * sizeof(int))

/* The files that came with a message into a room of PEER_FILES_ROOM: the first `room` of them become the caller's, the others are closed. How many came. */
unsigned peer_files_take(const struct msghdr *message, int *files, unsigned room);

/* What is next, which stays there: as peer_receive(), with -EMFILE if files came with it, or with what is right behind it. */
ssize_t peer_look(int fd, void *bytes, size_t length, int flags);

/*
 * As recv(2), and with files that came with it, as above, *count of them; *count is the room for them before. Bytes; 0: the peer hung up; or a negative errno. -EMFILE: files
 * came and are lost, because this process has too many, or cannot be taken yet (peer_files_wait()), and stay there.
 */
ssize_t peer_receive(int fd, void *bytes, size_t length, int flags, int *files, unsigned *count);
/* The same where nobody wants files, and without waiting. */
ssize_t peer_receive_bytes(int fd, void *bytes, size_t length);

#endif
