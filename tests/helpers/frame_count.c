/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbered frames from one interface of a machine to another one, while what is between them dies and comes back.
 *
 *	frame_count FROM TO DEATHS [QUEUES]	sends bursts, and prints "DOWN n" when both links have gone down, and "ALIVE n" whenever 2000 frames have come since
 *					both were last up; after so many deaths (each has both links go down) it stops, waits for what is on its way, and
 *					prints "accepted A refused R lost L twice T strange S deaf D": frames that the kernel took, attempts that
 *					it did not, frames that never came, that came again, that nobody sent, that the socket lost
 *
 * With QUEUES the interfaces are given so many (ETHTOOL_SCHANNELS), and frames are of 64 flows of UDP, so that they are shared out among these.
 *
 * Frames whose number has the bit OUTSIDE are somebody else's, from outside the machine: these are strange or come twice, too, and are not counted else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL   0x88b5 /* for experiments */
#define MOST       (1u << 24)
#define OUTSIDE    MOST
#define BURST      64
#define GAP_US     1000
#define ALIVE      2000
#define QUIET_MS   3000
#define SECONDS    600 /* at most */
#define DOWN_COUNT "/sys/class/net/%s/carrier_down_count"

#define FLOWS 64
#define PORT  9 /* discard */

struct packet {
	struct ether_header head;
	struct iphdr ip; /* these two are zero where there are no flows */
	struct udphdr udp;
	uint32_t number, inverse;
	uint8_t rest[200];
} __attribute__((packed));

static uint8_t came[2 * MOST];
static unsigned accepted, refused, received, twice, strange;
static uint16_t protocol = PROTOCOL;

static void die(const char *what)
{
	fprintf(stderr, "frame_count: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_end(const char *name, uint8_t mac[ETH_ALEN])
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	/* With the protocol it would take frames of all interfaces until it is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW, 0), room = 64 << 20, one = 1;
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	address.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !address.sll_ifindex || ioctl(fd, SIOCGIFHWADDR, &request) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		die(name);
	memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	return fd;
}

/* How often the link has gone down. */
static unsigned deaths_of(const char *name)
{
	char path[128];
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), DOWN_COUNT, name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%u", &count) != 1)
		die(path);
	fclose(file);
	return count;
}

static void send_burst(int fd, struct packet *packet)
{
	for (unsigned i = 0; i < BURST && accepted < MOST; i++) {
		packet->udp.source =
			protocol == PROTOCOL ? 0 : htons((uint16_t)(1024 + accepted % FLOWS));
		packet->number = accepted;
		packet->inverse = ~accepted;
		if (send(fd, packet, sizeof(*packet), MSG_DONTWAIT) < 0) {
			/* The link is down, or the ring full (without a queue before the ring that is known for each), or nobody has given back what was
			 * sent: that may be until another switch comes. */
			if (errno != EAGAIN && errno != ENOBUFS && errno != ENETDOWN &&
			    errno != EIO && errno != ENXIO)
				die("sending");
			refused++;
			return;
		}
		accepted++;
	}
}

static void take(int fd)
{
	struct packet packet;
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);

	while (recvfrom(fd, &packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&from,
			&size) > 0) {
		size = sizeof(from);
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		/* Its own stack's. */
		if (protocol != PROTOCOL && packet.udp.dest != htons(PORT))
			continue;
		if (packet.number != ~packet.inverse || packet.number >= 2 * MOST ||
		    (packet.number < OUTSIDE && packet.number >= accepted)) {
			strange++;
			continue;
		}
		twice += came[packet.number] != 0;
		came[packet.number] = 1;
		received += packet.number < OUTSIDE;
	}
}

static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void set_queues(const char *name, unsigned count)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_SCHANNELS, .combined_count = count };
	struct ifreq request = { .ifr_data = (char *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &request))
		die("queues");
	close(fd);
}

/* UDP between two addresses that nobody has; each packet has a port of its own. */
static void make_flows(struct packet *packet)
{
	uint16_t length = sizeof(*packet) - sizeof(packet->head);
	uint16_t words[sizeof(packet->ip) / 2];
	uint32_t sum = 0;

	protocol = ETHERTYPE_IP;
	packet->ip = (struct iphdr){ .version = 4,
				     .ihl = 5,
				     .tot_len = htons(length),
				     .ttl = 64,
				     .protocol = IPPROTO_UDP,
				     .saddr = htonl(0xc0000201),
				     .daddr = htonl(0xc0000202) };
	packet->udp = (struct udphdr){ .dest = htons(PORT),
				       .len = htons((uint16_t)(length - sizeof(packet->ip))) };
	memcpy(words, &packet->ip, sizeof(words));
	for (unsigned i = 0; i < sizeof(packet->ip) / 2; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	packet->ip.check = (uint16_t)~sum;
}

int main(int argc, char **argv)
{
	struct packet packet = { 0 };
	struct tpacket_stats stats = { 0 };
	socklen_t size = sizeof(stats);
	unsigned seen = 0, since = 0, lost = 0, total, base[2];
	uint64_t end = now_ms() + SECONDS * 1000, quiet;
	bool said = false;
	int out, in;

	if (argc != 4 && argc != 5)
		return 2;
	total = (unsigned)atoi(argv[3]);
	if (argc == 5) {
		set_queues(argv[1], (unsigned)atoi(argv[4]));
		set_queues(argv[2], (unsigned)atoi(argv[4]));
		make_flows(&packet);
	}
	packet.head.ether_type = htons(protocol);
	out = open_end(argv[1], packet.head.ether_shost);
	in = open_end(argv[2], packet.head.ether_dhost);
	base[0] = deaths_of(argv[1]);
	base[1] = deaths_of(argv[2]);
	while (seen < total || !said) {
		unsigned one = deaths_of(argv[1]) - base[0], other = deaths_of(argv[2]) - base[1];

		if (now_ms() > end) {
			fprintf(stderr, "frame_count: after %u of %u deaths nothing happens\n",
				seen, total);
			return 1;
		}
		if (one > seen && other > seen) {
			seen++;
			since = received;
			said = false;
			printf("DOWN %u\n", seen);
			fflush(stdout);
		}
		send_burst(out, &packet);
		usleep(GAP_US);
		take(in);
		if (!said && received - since >= ALIVE) {
			printf("ALIVE %u\n", seen);
			fflush(stdout);
			said = true;
		}
	}
	for (quiet = now_ms(); now_ms() < quiet + QUIET_MS; usleep(GAP_US)) {
		unsigned before = received;

		take(in);
		if (received != before)
			quiet = now_ms();
	}
	for (unsigned i = 0; i < accepted; i++)
		lost += !came[i];
	if (getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		die("statistics");
	printf("accepted %u refused %u lost %u twice %u strange %u deaf %u\n", accepted, refused,
	       lost, twice, strange, stats.tp_drops);
	return strange != 0;
}
