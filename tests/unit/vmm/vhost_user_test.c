/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front-end half of a disk: virtio-pci registers on one side, our vhost-user-blk back-end on the
 * other, a driver in between that knows only the registers; and back-ends that misbehave.
 */
#include "unit.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/block.h"
#include "fake_interrupts.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_blk.h"
#include "virtio/virtqueue_driver.h"
#include "vmm/vhost_user_device.h"
#include "vmm/virtio_pci.h"

#define WINDOW     0xc0000000ULL
#define DISK_SIZE  (8ULL << 20)
#define RING       0x10000
#define REQUEST    0x20000
#define DATA       0x21000
#define STATUS     0x22000
#define QUEUE_SIZE 64
#define ACCEPTABLE (1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_BLK_F_FLUSH)
#define FEATURES_OK                                                                                \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

/* ---- The back-end, on a thread of its own ---- */

static struct {
	struct worker *worker;
	int fd, stop;
	bool empty; /* its disk has no bytes */
	struct block *block;
	sem_t ready;
} server;

static int serve(void *unused)
{
	struct vhost_user_blk_server *blk = NULL;
	struct block *block = NULL;

	(void)unused;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&block, "disk", DISK_SIZE, NULL), 0);
	if (server.empty)
		block->size = 0;
	server.block = block;
	CU_ASSERT_EQUAL_FATAL(
		vhost_user_blk_server_adopt(&blk, block, server.fd, "disk", NULL, NULL), 0);
	sem_post(&server.ready);
	fiber_poll(server.stop, POLLIN, FIBER_FOREVER);
	vhost_user_blk_server_stop(blk);
	block_unref(block);
	return 0;
}

static int start_server(void)
{
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	server.fd = pair[1];
	server.stop = eventfd(0, EFD_NONBLOCK);
	sem_init(&server.ready, 0, 0);
	CU_ASSERT_EQUAL_FATAL(worker_create(&server.worker, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(worker_start(server.worker, "disk", serve, NULL), 0);
	sem_wait(&server.ready);
	return pair[0];
}

static void stop_server(void)
{
	eventfd_write(server.stop, 1);
	worker_join(server.worker);
	worker_destroy(server.worker);
	close(server.stop);
	sem_destroy(&server.ready);
}

/* ---- The machine around the device ---- */

static struct fake_interrupts fake;
static struct guest_memory memory;
static struct bus bus;
static struct pci_bus pci;
static struct virtio_pci *virtio;
static struct virtqueue_driver driver;

static int make_device(int fd, enum machine_device_type type, struct error *error)
{
	static const struct pci_window windows[PCI_WINDOWS] = { { WINDOW, 0x100000 } };
	struct machine_device config = { .type = type, .name = "back-end", .fd = fd };
	struct virtio_device *device;
	int rc;

	memcpy(config.mac, "\x52\1\2\3\4\5", 6);
	rc = vhost_user_device_create(&device, &config, &memory, error);
	if (rc < 0)
		return rc;
	fake_interrupts_init(&fake);
	bus_init(&bus);
	pci_bus_init(&pci, &bus, windows);
	rc = virtio_pci_create(&virtio, device, &fake.interrupts, NULL, error);
	if (!rc)
		CU_ASSERT_EQUAL(pci_bus_add(&pci, &virtio->function), 1);
	return rc;
}

static void destroy_device(void)
{
	pci_bus_reset(&pci);
	virtio_pci_destroy(virtio);
	pci_bus_fini(&pci);
	bus_fini(&bus);
}

static uint64_t in(uint64_t at, unsigned size)
{
	return bus_read(&bus, WINDOW + at, size);
}

static void out(uint64_t at, unsigned size, uint64_t value)
{
	bus_write(&bus, WINDOW + at, size, value);
}

/* Sets queue 0 up and says DRIVER_OK; the ring is fresh. */
static void start_driver(void)
{
	static const uint8_t order[] = { VIRTIO_CONFIG_S_ACKNOWLEDGE,
					 VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER };

	pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		out(VIRTIO_PCI_COMMON_STATUS, 1, order[i]);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	out(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)ACCEPTABLE);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(VIRTIO_PCI_COMMON_GF, 4, ACCEPTABLE >> 32);
	out(VIRTIO_PCI_COMMON_STATUS, 1, FEATURES_OK);
	memset(memory.regions[0].host + RING, 0, virtqueue_driver_bytes(QUEUE_SIZE, ACCEPTABLE));
	virtqueue_driver_init(&driver, memory.regions[0].host + RING, RING, QUEUE_SIZE, ACCEPTABLE);
	out(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE_SIZE);
	out(VIRTIO_PCI_COMMON_Q_DESCLO, 8, driver.desc_address);
	out(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, driver.avail_address);
	out(VIRTIO_PCI_COMMON_Q_USEDLO, 8, driver.used_address);
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	driver.kick_fd = -1;
}

/* One request of 512 bytes, rung by register; returns its status byte. */
static int request(uint32_t type, uint64_t sector, uint8_t *data)
{
	uint8_t *ram = memory.regions[0].host;
	struct virtio_blk_outhdr header = { .type = htole32(type), .sector = htole64(sector) };
	bool writes = type == VIRTIO_BLK_T_OUT;
	struct virtqueue_part parts[] = { { REQUEST, sizeof(header) },
					  { DATA, 512 },
					  { STATUS, 1 } };
	struct pollfd call = { .fd = virtio->queues[0].setup.call_fd, .events = POLLIN };
	uint32_t written;
	uint16_t head;

	memcpy(ram + REQUEST, &header, sizeof(header));
	ram[STATUS] = 0xff;
	if (writes)
		memcpy(ram + DATA, data, 512);
	virtqueue_driver_add(&driver, parts, writes ? 2 : 1, writes ? 1 : 2, &head);
	virtqueue_driver_kick(&driver);
	out(VIRTIO_BAR_NOTIFY, 2, 0);
	while (virtqueue_driver_take(&driver, &head, &written) == 0)
		if (poll(&call, 1, 5000) == 0)
			return -ETIMEDOUT;
	if (!writes)
		memcpy(data, ram + DATA, 512);
	return ram[STATUS];
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(guest_memory_create_region(&memory, "ram", 0, 1 << 20, NULL), 0);
}

static void end(void)
{
	guest_memory_clear(&memory);
}

/* ---- Tests ---- */

static void test_disk_through_the_registers(void)
{
	uint8_t data[512], found[512] = { 0 };
	int fd;

	begin();
	fd = start_server();
	CU_ASSERT_EQUAL_FATAL(make_device(fd, MACHINE_DISK, NULL), 0);
	start_driver();
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_STATUS, 1), FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG, 8), DISK_SIZE / 512);
	memset(data, 0xa5, sizeof(data));
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_OUT, 7, data), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 7, found), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(memcmp(data, found, sizeof(data)), 0);
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, DISK_SIZE / 512, found), VIRTIO_BLK_S_IOERR);

	/* A reset and another driver: the disk and its data are still there. */
	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_STATUS, 1), 0);
	virtqueue_driver_destroy(&driver);
	start_driver();
	memset(found, 0, sizeof(found));
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 7, found), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(memcmp(data, found, sizeof(data)), 0);
	virtqueue_driver_destroy(&driver);
	destroy_device();
	stop_server();
	end();
}

static void test_rings_outside_of_memory(void)
{
	int fd;

	begin();
	fd = start_server();
	CU_ASSERT_EQUAL_FATAL(make_device(fd, MACHINE_DISK, NULL), 0);
	start_driver();
	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(VIRTIO_PCI_COMMON_GF, 4, 1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, FEATURES_OK);
	out(VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0xfffffffffffffff0);
	out(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 1 << 20);
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	out(VIRTIO_PCI_COMMON_STATUS, 1, FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	CU_ASSERT_TRUE(in(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	virtqueue_driver_destroy(&driver);
	/* And it works again after a reset. */
	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	start_driver();
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_STATUS, 1), FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	virtqueue_driver_destroy(&driver);
	destroy_device();
	stop_server();
	end();
}

static void test_back_end_goes_away(void)
{
	struct pollfd watch = { .events = POLLRDHUP };

	begin();
	CU_ASSERT_EQUAL_FATAL(make_device(start_server(), MACHINE_DISK, NULL), 0);
	start_driver();
	watch.fd = vhost_user_device_fd(virtio->device);
	CU_ASSERT_EQUAL(poll(&watch, 1, 0), 0);
	stop_server();
	CU_ASSERT_EQUAL(poll(&watch, 1, 5000), 1);
	virtio_pci_fail(virtio, "the back-end hung up");
	out(VIRTIO_BAR_NOTIFY, 2, 0); /* into the void */
	CU_ASSERT_TRUE(in(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	virtqueue_driver_destroy(&driver);
	out(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_STATUS, 1), 0);
	start_driver(); /* fails, says so, harms nothing */
	CU_ASSERT_TRUE(in(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	virtqueue_driver_destroy(&driver);
	destroy_device();
	end();
}

/* As when the guest restarts: the bus is reset, then there is another back-end. */
static void test_back_end_comes_back(void)
{
	struct error error = { 0 };
	uint8_t data[512];
	int pair[2];

	begin();
	CU_ASSERT_EQUAL_FATAL(make_device(start_server(), MACHINE_DISK, NULL), 0);
	start_driver();
	stop_server();
	virtqueue_driver_destroy(&driver);
	pci_bus_reset(&pci);
	/* Not yet. */
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	CU_ASSERT_EQUAL(vhost_user_device_reconnect(virtio->device, pair[0], &error), -EPROTO);
	CU_ASSERT_EQUAL(vhost_user_device_reconnect(virtio->device, start_server(), &error), 0);
	start_driver();
	CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 7, data), VIRTIO_BLK_S_OK);
	virtqueue_driver_destroy(&driver);
	destroy_device();
	stop_server();
	end();
}

static int shrink_disk(void *size)
{
	block_set_size(server.block, *(uint64_t *)size);
	return 0;
}

static void test_a_new_size_is_told_to_the_driver(void)
{
	uint64_t size = DISK_SIZE / 2;
	struct pollfd channel = { .events = POLLIN };
	uint8_t generation;

	begin();
	CU_ASSERT_EQUAL_FATAL(make_device(start_server(), MACHINE_DISK, NULL), 0);
	start_driver();
	channel.fd = vhost_user_device_channel(virtio->device);
	generation = (uint8_t)in(VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG, 8), DISK_SIZE / 512);
	virtio_pci_refresh(virtio); /* nothing was said */
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	worker_call(server.worker, shrink_disk, &size);
	CU_ASSERT_EQUAL(poll(&channel, 1, 5000), 1);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG, 8), DISK_SIZE / 512);
	virtio_pci_refresh(virtio);
	CU_ASSERT_EQUAL(poll(&channel, 1, 0), 0);
	CU_ASSERT_NOT_EQUAL(in(VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_ISR, 1), 2);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG, 8), DISK_SIZE / 1024);
	virtqueue_driver_destroy(&driver);
	destroy_device();
	stop_server();
	end();
}

/* While the guest runs: what it asks for in between is done by the next back-end. */
static void test_a_disk_goes_on_behind_another_back_end(void)
{
	struct vhost_user_frontend *fe;
	struct error error = { 0 };
	uint8_t data[512];

	begin();
	CU_ASSERT_EQUAL_FATAL(make_device(start_server(), MACHINE_DISK, NULL), 0);
	start_driver();
	for (unsigned round = 0; round < 3; round++) {
		struct virtqueue_part parts[] = { { REQUEST, 16 }, { DATA, 512 }, { STATUS, 1 } };
		struct pollfd call = { .fd = virtio->queues[0].setup.call_fd, .events = POLLIN };
		uint32_t written;
		uint16_t head;
		uint64_t count;

		for (unsigned i = 0; i <= round; i++)
			CU_ASSERT_EQUAL(request(VIRTIO_BLK_T_IN, 7, data), VIRTIO_BLK_S_OK);
		stop_server();
		CU_ASSERT_EQUAL(virtqueue_driver_add(&driver, parts, 1, 2, &head), 0);
		virtqueue_driver_kick(&driver);
		out(VIRTIO_BAR_NOTIFY, 2, 0);
		while (poll(&call, 1, 0) > 0)
			CU_ASSERT_EQUAL(read(call.fd, &count, 8), 8);
		CU_ASSERT_EQUAL(vhost_user_device_shake_hands(virtio->device, start_server(), &fe,
							      &error),
				0);
		CU_ASSERT_EQUAL(virtio_pci_resume(virtio, fe, &error), 0);
		while (virtqueue_driver_take(&driver, &head, &written) == 0)
			CU_ASSERT_EQUAL_FATAL(poll(&call, 1, 5000), 1);
		CU_ASSERT_EQUAL(written, 513);
		CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_STATUS, 1),
				FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	}
	/* One that is not like it, while the first is gone. */
	stop_server();
	server.empty = true;
	CU_ASSERT_EQUAL(vhost_user_device_shake_hands(virtio->device, start_server(), &fe, &error),
			0);
	CU_ASSERT_EQUAL(virtio_pci_resume(virtio, fe, &error), -EINVAL);
	server.empty = false;
	virtqueue_driver_destroy(&driver);
	destroy_device();
	stop_server();
	end();
}

/* ---- Back-ends that misbehave: a thread that answers what the test says ---- */

struct script {
	int fd;
	uint64_t features; /* the answer to GET_FEATURES; 0: hang up instead */
};

static void *follow_script(void *argument)
{
	struct script *script = argument;
	struct vhost_user_message message;

	while (recv(script->fd, &message, sizeof(message), 0) > 0 && script->features) {
		if (message.header.request != VHOST_USER_GET_FEATURES)
			continue;
		message.header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		message.header.size = 8;
		message.payload.u64 = script->features;
		send(script->fd, &message, 12 + 8, MSG_NOSIGNAL);
	}
	close(script->fd);
	return NULL;
}

static int create_against(uint64_t features, enum machine_device_type type, struct error *error)
{
	struct script script = { .features = features };
	pthread_t thread;
	int pair[2], rc;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	script.fd = pair[1];
	pthread_create(&thread, NULL, follow_script, &script);
	rc = make_device(pair[0], type, error);
	if (rc == 0)
		destroy_device();
	pthread_join(thread, NULL);
	return rc;
}

static void test_useless_back_ends_are_refused(void)
{
	struct error error = { 0 };

	begin();
	CU_ASSERT_EQUAL(create_against(0, MACHINE_DISK, &error), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "hung up"));
	CU_ASSERT_EQUAL(create_against(1, MACHINE_NIC, &error), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "VERSION_1"));
	/* A NIC's back-end, given as a disk: it has no configuration space. */
	CU_ASSERT_EQUAL(create_against(1ULL << VIRTIO_F_VERSION_1, MACHINE_DISK, &error),
			-EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "not usable as a disk"));
	end();
}

static void test_a_disk_of_no_size_is_refused(void)
{
	struct error error = { 0 };

	begin();
	server.empty = true;
	CU_ASSERT_EQUAL(make_device(start_server(), MACHINE_DISK, &error), -EINVAL);
	server.empty = false;
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "back-end: a disk of 0 bytes"));
	stop_server();
	end();
}

static void test_nic_has_its_own_configuration(void)
{
	struct script script = { .features = 1ULL << VIRTIO_F_VERSION_1 |
					     1ULL << VIRTIO_NET_F_CTRL_VQ |
					     1ULL << VIRTIO_NET_F_CSUM };
	pthread_t thread;
	int pair[2];

	begin();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	script.fd = pair[1];
	pthread_create(&thread, NULL, follow_script, &script);
	CU_ASSERT_EQUAL_FATAL(make_device(pair[0], MACHINE_NIC, NULL), 0);
	pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, PCI_DEVICE_ID, 2), 0x1041);
	CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, PCI_REVISION + 2, 2), 0x0200);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DF, 4), 1u << VIRTIO_NET_F_CSUM |
							     1u << VIRTIO_NET_F_MAC |
							     1u << VIRTIO_NET_F_STATUS);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG, 4), 0x03020152);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG + 6, 2), VIRTIO_NET_S_LINK_UP);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG + 12, 4), 10000); /* Mbit/s */
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG + 16, 1), 1);     /* full duplex */
	out(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	CU_ASSERT_TRUE(in(VIRTIO_PCI_COMMON_DF, 4) >> (VIRTIO_NET_F_SPEED_DUPLEX - 32) & 1);
	out(VIRTIO_BAR_CONFIG, 4, 0); /* read-only */
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG, 4), 0x03020152);
	destroy_device();
	pthread_join(thread, NULL);
	end();
}

UNIT_MAIN("vmm vhost-user", UNIT(test_disk_through_the_registers),
	  UNIT(test_rings_outside_of_memory), UNIT(test_back_end_goes_away),
	  UNIT(test_back_end_comes_back), UNIT(test_a_new_size_is_told_to_the_driver),
	  UNIT(test_a_disk_goes_on_behind_another_back_end),
	  UNIT(test_useless_back_ends_are_refused), UNIT(test_a_disk_of_no_size_is_refused),
	  UNIT(test_nic_has_its_own_configuration))
