/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends equal Ethernet frames on an interface as fast as it takes them: net_blast IFNAME MAC LENGTH
 * SECONDS. Prints how many were sent. For tests/bench/net.sh.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/standard.h"

#define BURST 32

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	static unsigned char frame[2048];
	struct mmsghdr messages[BURST];
	struct iovec piece = { frame, 0 };
	unsigned long sent = 0;
	double end;
	int fd;

	if (standard_open())
		return 1;
	if (argc != 5) {
		fprintf(stderr, "usage: net_blast IFNAME MAC LENGTH SECONDS\n");
		return 2;
	}
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	piece.iov_len = (size_t)atoi(argv[3]);
	if (!to.sll_ifindex || piece.iov_len < 14 || piece.iov_len > sizeof(frame) ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &frame[0], &frame[1], &frame[2],
		   &frame[3], &frame[4], &frame[5]) != 6) {
		fprintf(stderr, "net_blast: no such interface, or bad MAC or length\n");
		return 2;
	}
	memcpy(frame + 6, "\x02\x00\x00\x00\xbb\x01\x88\xb5", 8);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	/* A socket that receives nothing. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("net_blast: AF_PACKET");
		return 1;
	}
	for (unsigned i = 0; i < BURST; i++)
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &to,
							     .msg_namelen = sizeof(to),
							     .msg_iov = &piece,
							     .msg_iovlen = 1 } };
	for (end = seconds() + atof(argv[4]); seconds() < end;) {
		int count = sendmmsg(fd, messages, BURST, 0);

		if (count > 0)
			sent += (unsigned long)count;
		else if (errno != ENOBUFS && errno != EAGAIN)
			break;
	}
	printf("%lu\n", sent);
	return 0;
}
