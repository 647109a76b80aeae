/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system of one file, which its server may stop answering for: for tests of what hangs.
 *
 *	slow_disk IMAGE FOLDER
 *
 * Mounts FOLDER (as root) with a file "disk" in it that shows IMAGE, prints "ready", and serves it until SIGTERM.
 * SIGSTOP to it is a network disk that hangs: whoever opens, reads or names the file waits in the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NODE    2
#define REQUEST_MOST (256u << 10)
#define WRITE_MOST   (128u << 10)

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

static void reply(int fuse, const struct fuse_in_header *in, int error, const void *data,
		  size_t size)
{
	static char out[REQUEST_MOST];
	struct fuse_out_header header = { .error = error, .unique = in->unique };

	header.len = (uint32_t)(sizeof(header) + (error ? 0 : size));
	memcpy(out, &header, sizeof(header));
	if (!error && size)
		memcpy(out + sizeof(header), data, size);
	if (write(fuse, out, header.len) < 0 && errno != ENOENT)
		perror("slow_disk: answering");
}

static struct fuse_attr attributes(uint64_t node, int image)
{
	struct stat status;

	if (node == FUSE_ROOT_ID)
		return (struct fuse_attr){ .ino = node, .mode = S_IFDIR | 0755, .nlink = 2 };
	fstat(image, &status);
	return (struct fuse_attr){ .ino = node,
				   .mode = S_IFREG | 0666,
				   .nlink = 1,
				   .size = (uint64_t)status.st_size,
				   .blocks = (uint64_t)status.st_size / 512,
				   .blksize = 4096 };
}

static void answer_init(int fuse, const struct fuse_in_header *in)
{
	const struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
					   .minor = 31,
					   .flags = FUSE_BIG_WRITES,
					   .max_write = WRITE_MOST };

	reply(fuse, in, 0, &out, sizeof(out));
}

static void answer_lookup(int fuse, int image, const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out out = { .nodeid = FILE_NODE };

	out.attr = attributes(FILE_NODE, image);
	reply(fuse, in, strcmp(name, "disk") ? -ENOENT : 0, &out, sizeof(out));
}

static void answer_read(int fuse, int image, const struct fuse_in_header *in,
			const struct fuse_read_in *wanted)
{
	static char data[REQUEST_MOST];
	ssize_t got = pread(image, data, wanted->size < WRITE_MOST ? wanted->size : WRITE_MOST,
			    (off_t)wanted->offset);

	reply(fuse, in, got < 0 ? -errno : 0, data, got < 0 ? 0 : (size_t)got);
}

static void answer_write(int fuse, int image, const struct fuse_in_header *in,
			 const struct fuse_write_in *wanted)
{
	ssize_t put = pwrite(image, wanted + 1, wanted->size, (off_t)wanted->offset);
	struct fuse_write_out out = { .size = put < 0 ? 0 : (uint32_t)put };

	reply(fuse, in, put < 0 ? -errno : 0, &out, sizeof(out));
}

static void answer(int fuse, int image, const struct fuse_in_header *in)
{
	const void *argument = in + 1;
	struct fuse_attr_out attr = { .attr = attributes(in->nodeid, image) };
	struct fuse_open_out open = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		answer_init(fuse, in);
		break;
	case FUSE_LOOKUP:
		answer_lookup(fuse, image, in, argument);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		reply(fuse, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(fuse, in, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		answer_read(fuse, image, in, argument);
		break;
	case FUSE_WRITE:
		answer_write(fuse, image, in, argument);
		break;
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		reply(fuse, in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fuse, in, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static union {
		struct fuse_in_header header;
		char bytes[REQUEST_MOST];
	} request;
	const struct sigaction action = { .sa_handler = end };
	char options[128];
	int fuse, image;

	if (argc != 3)
		return 2;
	image = open(argv[1], O_RDWR | O_CLOEXEC);
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (image < 0 || fuse < 0) {
		perror(image < 0 ? argv[1] : "/dev/fuse");
		return 1;
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 fuse);
	if (mount("slow_disk", argv[2], "fuse", MS_NOSUID | MS_NODEV, options)) {
		perror("slow_disk: mounting");
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	puts("ready");
	fflush(stdout);
	while (!ended) {
		ssize_t got = read(fuse, &request, sizeof(request));

		if (got < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (got < (ssize_t)sizeof(request.header))
			break;
		answer(fuse, image, &request.header);
	}
	umount2(argv[2], MNT_DETACH);
	return 0;
}
