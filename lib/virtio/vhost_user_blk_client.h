/*
 * A vhost-user-blk device as a struct block: how a command reaches a volume that a running server
 * owns, how `tenon copy` reads and writes a disk that a foreign server exports, and how the server is
 * tested.
 *
 * Its guest memory is a memfd with one queue and a pool of buffers; data is copied in and out of them.
 */
#ifndef TENON_VIRTIO_VHOST_USER_BLK_CLIENT_H
#define TENON_VIRTIO_VHOST_USER_BLK_CLIENT_H

#include <stdint.h>

struct block;
struct error;

/*
 * Connects to the server on the unix socket `path` (or over the connected socket `fd`, taken over also
 * when it fails) and makes a block device of it, whose home is the current worker. On a fiber; the
 * server must be on another worker, for the handshake blocks the thread. Errors: those of
 * vhost_user_frontend_connect(), and -EPROTO where it is no disk. When the server goes away, requests
 * fail with -ENOTCONN.
 */
int vhost_user_blk_client_open(struct block **out, const char *path, struct error *error);
int vhost_user_blk_client_adopt(struct block **out, int fd, const char *name, struct error *error);

#endif
