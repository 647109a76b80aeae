/* SPDX-License-Identifier: BSD-2-Clause */
/* Says of network interfaces that their links are of 1000 Mb/s and full duplex: virtio's do not know, and bonding wants to (as
 * `ethtool -s IFACE speed 1000 duplex full` does). */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int set_speed(int fd, const char *name)
{
	struct ethtool_cmd command = { .cmd = ETHTOOL_GSET };
	struct ifreq request = { .ifr_data = (char *)&command };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &request))
		return -1;
	command.cmd = ETHTOOL_SSET;
	ethtool_cmd_speed_set(&command, SPEED_1000);
	command.duplex = DUPLEX_FULL;
	return ioctl(fd, SIOCETHTOOL, &request);
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (int i = 1; fd >= 0 && i < argc; i++)
		if (set_speed(fd, argv[i])) {
			perror(argv[i]);
			return 1;
		}
	close(fd);
	return fd < 0;
}
