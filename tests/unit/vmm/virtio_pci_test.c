/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X, and the virtio PCI transport: status machine, registers, hostile accesses, failure and reset. */
#include "unit.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_interrupts.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "util/random.h"
#include "vmm/virtio_pci.h"

#define WINDOW   0xc0000000ULL
#define OFFERED  (1ULL << VIRTIO_F_VERSION_1 | 1ULL << 29 | 1ULL << 5)
#define ACK      VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER   VIRTIO_CONFIG_S_DRIVER
#define FEATURES VIRTIO_CONFIG_S_FEATURES_OK
#define READY    VIRTIO_CONFIG_S_DRIVER_OK
#define BROKEN   VIRTIO_CONFIG_S_NEEDS_RESET

/* ---- A device that notes what happens to it ---- */

struct test_device {
	struct virtio_device device;
	int refuse; /* a negative errno for activate() */
	unsigned activated, stopped, destroyed;
	uint64_t features;
	struct virtio_device_queue queues[3];
	uint8_t config[8];
};

static struct test_device under;

static int activate(struct virtio_device *device, uint64_t features,
		    const struct virtio_device_queue *queues, struct error *error)
{
	(void)device;
	if (under.refuse)
		return error_set(error, under.refuse, "refused by the test");
	under.activated++;
	under.features = features;
	memcpy(under.queues, queues, sizeof(under.queues));
	return 0;
}

static void stop(struct virtio_device *device)
{
	(void)device;
	under.stopped++;
}

static uint64_t read_config(struct virtio_device *device, uint64_t offset, unsigned size)
{
	(void)device;
	return bus_bytes_read(under.config, offset, size);
}

static void write_config(struct virtio_device *device, uint64_t offset, unsigned size,
			 uint64_t value)
{
	(void)device;
	bus_bytes_write(under.config, offset, size, value);
}

static void destroy(struct virtio_device *device)
{
	(void)device;
	under.destroyed++;
}

static const struct virtio_device_ops device_ops = {
	.activate = activate,
	.stop = stop,
	.read_config = read_config,
	.write_config = write_config,
	.destroy = destroy,
};

/* ---- The machine around it ---- */

static struct fake_interrupts fake;
static struct bus memory;
static struct pci_bus pci;
static struct virtio_pci *virtio;
static unsigned logged;

static void count_log(struct log *log, enum log_level level, const char *text)
{
	(void)log, (void)level, (void)text;
	logged++;
}

static struct log test_log = { .level = LOG_LEVEL_DEBUG, .write = count_log };

static void begin(void)
{
	static const struct pci_window windows[PCI_WINDOWS] = { { WINDOW, 0x100000 } };

	fake_interrupts_init(&fake);
	logged = 0;
	under = (struct test_device){ .device = { .ops = &device_ops,
						  .name = "test",
						  .id = 2,
						  .class_code = 0x018000,
						  .features = OFFERED,
						  .queue_count = 3,
						  .config_size = sizeof(under.config) } };
	bus_init(&memory);
	pci_bus_init(&pci, &memory, windows);
	CU_ASSERT_EQUAL_FATAL(
		virtio_pci_create(&virtio, &under.device, &fake.interrupts, &test_log, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pci_bus_add(&pci, &virtio->function), 1);
	pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void end(void)
{
	pci_bus_reset(&pci);
	CU_ASSERT_EQUAL(under.activated, under.stopped);
	CU_ASSERT_EQUAL(fake.doorbells, 0);
	CU_ASSERT_EQUAL(fake_interrupts_routes(&fake), 0);
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 0);
	pci_bus_fini(&pci);
	bus_fini(&memory);
	virtio_pci_destroy(virtio);
	CU_ASSERT_EQUAL(under.destroyed, 1);
}

static uint64_t in(uint64_t at, unsigned size)
{
	return bus_read(&memory, WINDOW + at, size);
}

static void out(uint64_t at, unsigned size, uint64_t value)
{
	bus_write(&memory, WINDOW + at, size, value);
}

static uint8_t status(void)
{
	return (uint8_t)in(VIRTIO_PCI_COMMON_STATUS, 1);
}

static uint8_t set_status(uint8_t value)
{
	out(VIRTIO_PCI_COMMON_STATUS, 1, value);
	return status();
}

static void accept_features(uint64_t features)
{
	set_status(ACK);
	set_status(ACK | DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		out(VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		out(VIRTIO_PCI_COMMON_GF, 4, features >> (32 * i) & 0xffffffff);
	}
	set_status(ACK | DRIVER | FEATURES);
}

static void set_up_queue(unsigned index, uint16_t vector)
{
	out(VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, 64);
	out(VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	out(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x10000 + index);
	out(VIRTIO_PCI_COMMON_Q_DESCHI, 4, 1);
	out(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 0x20000);
	out(VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x30000);
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void enable_msix(uint16_t control)
{
	pci_config_write(&pci, 1, 0, virtio->msix_capability + MSIX_CONTROL, 2, control);
}

static void set_vector(unsigned vector, uint32_t data, bool masked)
{
	uint64_t at = VIRTIO_BAR_MSIX_TABLE + vector * MSIX_ENTRY_SIZE;

	out(at, 4, 0xfee00000);
	out(at + 4, 4, 0);
	out(at + 8, 4, data);
	out(at + 12, 4, masked);
}

/* As Linux does it, with a vector for the configuration and one for each queue. */
static void start_driver(void)
{
	accept_features(OFFERED);
	enable_msix(MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
	for (unsigned i = 0; i < 4; i++)
		set_vector(i, 0x40 + i, false);
	enable_msix(MSIX_CONTROL_ENABLE);
	out(VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned i = 0; i < 3; i++)
		set_up_queue(i, (uint16_t)(i + 1));
	set_status(ACK | DRIVER | FEATURES | READY);
}

/* ---- Tests ---- */

/* virtio 1.2, 4.1.4: each structure has its capability, in the BAR, not overlapping another. */
static void test_capabilities_describe_the_bar(void)
{
	unsigned seen = 0, at;
	uint64_t ends[8] = { 0 }, starts[8] = { 0 };

	begin();
	CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, PCI_VENDOR_ID, 4), 0x10421af4);
	CU_ASSERT_TRUE(pci_config_read(&pci, 1, 0, PCI_REVISION, 1) >= 1);
	at = pci_config_read(&pci, 1, 0, PCI_CAPABILITIES, 1);
	while (at) {
		uint8_t id = (uint8_t)pci_config_read(&pci, 1, 0, at, 1);
		uint8_t type = (uint8_t)pci_config_read(&pci, 1, 0, at + 3, 1);

		CU_ASSERT_EQUAL(at % 4, 0);
		if (id == 0x09) {
			uint32_t start = pci_config_read(&pci, 1, 0, at + 8, 4);

			CU_ASSERT_FATAL(type < 8);
			seen |= 1u << type;
			starts[type] = start;
			ends[type] = start + pci_config_read(&pci, 1, 0, at + 12, 4);
			CU_ASSERT_TRUE(ends[type] <= VIRTIO_BAR_SIZE);
			if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
				CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, at + 16, 4), 4);
		} else {
			CU_ASSERT_EQUAL(id, MSIX_CAPABILITY_ID);
			CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, at + 2, 2), 3); /* 4 vectors */
		}
		at = pci_config_read(&pci, 1, 0, at + 1, 1);
	}
	CU_ASSERT_EQUAL(seen, 0x3e); /* types 1 to 5 */
	for (unsigned i = 1; i <= 4; i++)
		for (unsigned j = 1; j < i; j++)
			CU_ASSERT_TRUE(ends[i] <= starts[j] || ends[j] <= starts[i]);
	CU_ASSERT_TRUE(ends[1] - starts[1] >= 56);
	end();
}

static void test_status_goes_in_order(void)
{
	begin();
	CU_ASSERT_EQUAL(set_status(DRIVER), 0);
	CU_ASSERT_EQUAL(set_status(READY), 0);
	CU_ASSERT_EQUAL(set_status(ACK), ACK);
	CU_ASSERT_EQUAL(set_status(ACK | FEATURES), ACK);
	CU_ASSERT_EQUAL(set_status(ACK | DRIVER), ACK | DRIVER);
	CU_ASSERT_EQUAL(set_status(ACK), ACK | DRIVER); /* only a reset clears */
	CU_ASSERT_EQUAL(set_status(ACK | DRIVER | READY), ACK | DRIVER);
	CU_ASSERT_EQUAL(set_status(ACK | DRIVER | FEATURES), ACK | DRIVER); /* no VERSION_1 */
	CU_ASSERT_EQUAL(under.activated, 0);
	CU_ASSERT_EQUAL(set_status(0), 0);
	end();
}

static void test_features_are_negotiated(void)
{
	begin();
	out(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DF, 4), (uint32_t)OFFERED);
	out(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DF, 4), 1);
	out(VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DF, 4), 0);
	out(VIRTIO_PCI_COMMON_DFSELECT, 4, 0xffffffff);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DF, 4), 0);
	accept_features(OFFERED | 1ULL << 40); /* more than was offered */
	CU_ASSERT_EQUAL(status(), ACK | DRIVER);
	set_status(0);
	accept_features(OFFERED & ~(1ULL << 5));
	CU_ASSERT_EQUAL(status(), ACK | DRIVER | FEATURES);
	/* Settled now. */
	out(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	out(VIRTIO_PCI_COMMON_GF, 4, 0);
	set_status(ACK | DRIVER | FEATURES | READY);
	CU_ASSERT_EQUAL(under.features, OFFERED & ~(1ULL << 5));
	end();
}

static void test_driver_starts_and_resets(void)
{
	begin();
	start_driver();
	CU_ASSERT_EQUAL(status(), ACK | DRIVER | FEATURES | READY);
	CU_ASSERT_EQUAL(under.activated, 1);
	CU_ASSERT_TRUE(under.queues[1].enabled);
	CU_ASSERT_EQUAL(under.queues[1].size, 64);
	CU_ASSERT_EQUAL(under.queues[1].desc, 0x100010001);
	CU_ASSERT_EQUAL(under.queues[1].driver, 0x20000);
	CU_ASSERT_EQUAL(under.queues[1].device, 0x30000);
	CU_ASSERT_EQUAL(fake.doorbells, 3);
	CU_ASSERT_EQUAL(fake.last_doorbell, WINDOW + VIRTIO_BAR_NOTIFY + 8);
	/* Three routes, made in one call. */
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 3);
	CU_ASSERT_EQUAL(fake.commits, 1);
	CU_ASSERT_EQUAL(fake.routes[1].data, 0x42);
	CU_ASSERT_EQUAL(set_status(0), 0);
	CU_ASSERT_EQUAL(under.stopped, 1);
	CU_ASSERT_EQUAL(fake.doorbells, 0);
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_MSIX, 2), MSIX_NO_VECTOR);
	/* And again, as firmware hands over to a kernel. */
	start_driver();
	CU_ASSERT_EQUAL(under.activated, 2);
	end();
}

static void test_kick_reaches_the_queue(void)
{
	eventfd_t value;

	begin();
	out(VIRTIO_BAR_NOTIFY, 2, 0); /* before there is a queue */
	start_driver();
	/* One kick for buffers that were there before. */
	CU_ASSERT_EQUAL(eventfd_read(under.queues[2].kick_fd, &value), 0);
	out(VIRTIO_BAR_NOTIFY + 8, 2, 2);
	CU_ASSERT_EQUAL(eventfd_read(under.queues[2].kick_fd, &value), 0);
	CU_ASSERT_EQUAL(eventfd_read(under.queues[0].kick_fd, &value), 0);
	CU_ASSERT_EQUAL(eventfd_read(under.queues[0].kick_fd, &value), -1);
	out(VIRTIO_BAR_NOTIFY + 12, 2, 3); /* no such queue */
	out(VIRTIO_BAR_NOTIFY + 0xffc, 4, 3);
	end();
}

static void test_queues_that_do_not_exist(void)
{
	begin();
	accept_features(OFFERED);
	out(VIRTIO_PCI_COMMON_Q_SELECT, 2, 3);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_MSIX, 2), MSIX_NO_VECTOR);
	set_up_queue(3, 1);
	set_up_queue(0xffff, 1);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_SELECT, 2), 0xffff);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	set_status(ACK | DRIVER | FEATURES | READY);
	CU_ASSERT_EQUAL(under.activated, 1); /* with no queue at all */
	CU_ASSERT_FALSE(under.queues[0].enabled);
	end();
}

static void test_queue_registers_are_guarded(void)
{
	begin();
	out(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_SIZE, 2), VIRTIO_DEVICE_QUEUE_SIZE);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, 3);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, 0);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, 512);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_SIZE, 2), VIRTIO_DEVICE_QUEUE_SIZE);
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1); /* before FEATURES_OK */
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	out(VIRTIO_PCI_COMMON_Q_MSIX, 2, 4);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_MSIX, 2), MSIX_NO_VECTOR);
	out(VIRTIO_PCI_COMMON_MSIX, 2, 0x1000);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_MSIX, 2), MSIX_NO_VECTOR);
	accept_features(OFFERED);
	set_up_queue(0, 1);
	out(VIRTIO_PCI_COMMON_Q_SIZE, 2, 32); /* enabled: settled */
	out(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0);
	out(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x10000);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	end();
}

static void test_odd_accesses_do_nothing(void)
{
	begin();
	accept_features(OFFERED);
	out(VIRTIO_PCI_COMMON_STATUS, 2, 0); /* would be a reset, with the wrong size */
	CU_ASSERT_EQUAL(status(), ACK | DRIVER | FEATURES);
	out(VIRTIO_PCI_COMMON_DFSELECT, 8, UINT64_MAX);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DFSELECT, 4), 0);
	CU_ASSERT_EQUAL(in(VIRTIO_PCI_COMMON_DF + 1, 2), 0);
	CU_ASSERT_EQUAL(in(0x38, 4), 0);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG + 7, 2), 0); /* leaves the structure */
	out(VIRTIO_BAR_CONFIG + 6, 4, UINT64_MAX);
	CU_ASSERT_EQUAL(under.config[7], 0);
	out(VIRTIO_BAR_CONFIG + 4, 4, 0x11223344);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_CONFIG + 6, 1), 0x22);
	end();
}

static void test_failed_activation_needs_a_reset(void)
{
	begin();
	under.refuse = -EFAULT;
	start_driver();
	CU_ASSERT_EQUAL(status(), ACK | DRIVER | FEATURES | READY | BROKEN);
	CU_ASSERT_EQUAL(logged, 1);
	CU_ASSERT_EQUAL(fake.sent, 1); /* the configuration interrupt */
	CU_ASSERT_EQUAL(fake.last.data, 0x40);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_ISR, 1), 2);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_ISR, 1), 0); /* reading clears */
	CU_ASSERT_EQUAL(fake.doorbells, 0);
	out(VIRTIO_BAR_NOTIFY, 2, 0);
	under.refuse = 0;
	set_status(0);
	start_driver();
	CU_ASSERT_EQUAL(status(), ACK | DRIVER | FEATURES | READY);
	end();
}

static void test_back_end_that_is_gone(void)
{
	begin();
	start_driver();
	virtio_pci_fail(virtio, "gone");
	virtio_pci_fail(virtio, "gone");
	CU_ASSERT_EQUAL(logged, 1);
	CU_ASSERT_TRUE(status() & BROKEN);
	CU_ASSERT_EQUAL(fake.sent, 1);
	set_status(0);
	CU_ASSERT_EQUAL(under.stopped, 1);
	CU_ASSERT_EQUAL(status(), 0);
	end();
}

static void test_doorbells_follow_the_bar(void)
{
	begin();
	start_driver();
	pci_config_write(&pci, 1, 0, PCI_BAR_0, 4, WINDOW + VIRTIO_BAR_SIZE);
	CU_ASSERT_EQUAL(fake.doorbells, 3);
	CU_ASSERT_EQUAL(fake.last_doorbell, WINDOW + VIRTIO_BAR_SIZE + VIRTIO_BAR_NOTIFY + 8);
	pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, 0);
	CU_ASSERT_EQUAL(fake.doorbells, 0);
	end();
}

static void test_masked_vectors_stay_pending(void)
{
	begin();
	start_driver();
	set_vector(1, 0x41, true);
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 2);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_MSIX_PBA, 8), 0);
	eventfd_write(under.queues[0].call_fd, 1); /* the back-end completes something */
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_MSIX_PBA, 8), 1u << 1);
	out(VIRTIO_BAR_MSIX_PBA, 4, 0); /* read-only */
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_MSIX_PBA, 4), 1u << 1);
	/* Unmasked with another message: one commit, and the eventfd, still signalled, attached. */
	fake.commits = 0;
	set_vector(1, 0x51, false);
	CU_ASSERT_EQUAL(fake.commits, 1);
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 3);
	CU_ASSERT_EQUAL(fake.routes[0].data, 0x51);

	/* The same for what we raise ourselves, under the mask of the whole function. */
	enable_msix(MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 0);
	virtio_pci_fail(virtio, "gone");
	CU_ASSERT_EQUAL(fake.sent, 0);
	CU_ASSERT_TRUE(in(VIRTIO_BAR_MSIX_PBA, 4) & 1);
	enable_msix(MSIX_CONTROL_ENABLE);
	CU_ASSERT_EQUAL(fake.sent, 1);
	CU_ASSERT_EQUAL(fake_interrupts_attached(&fake), 3);
	end();
}

static void test_message_control_by_dword(void)
{
	begin();
	/* Capability id, next and control in one access; the size is read-only. */
	pci_config_write(&pci, 1, 0, virtio->msix_capability, 4, 0xffffffff);
	CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, virtio->msix_capability + 2, 2), 0xc003);
	CU_ASSERT_EQUAL(virtio->msix.control, 0xc000);
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_MSIX_TABLE + 12, 4), 1);     /* masked from the start */
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_MSIX_TABLE + 4 * 16, 4), 0); /* beyond the table */
	out(VIRTIO_BAR_MSIX_TABLE + 4 * 16, 4, 0xffffffff);
	out(VIRTIO_BAR_MSIX_TABLE + 1, 1, 0xff); /* no such access */
	CU_ASSERT_EQUAL(in(VIRTIO_BAR_MSIX_TABLE, 4), 0);
	end();
}

static void test_refused_route_breaks_the_device_only(void)
{
	begin();
	start_driver();
	fake.refuse = -EINVAL;
	set_vector(1, 0xffff, false);
	CU_ASSERT_TRUE(status() & BROKEN);
	CU_ASSERT_EQUAL(logged, 1);
	fake.refuse = 0;
	end();
}

/* virtio 1.2, 4.1.4.10: registers without mapping the BAR. */
static void test_window_in_configuration_space(void)
{
	unsigned at;

	begin();
	at = virtio->window;
	pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, 0);
	pci_config_write(&pci, 1, 0, at + 4, 1, 0);
	pci_config_write(&pci, 1, 0, at + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	pci_config_write(&pci, 1, 0, at + 12, 4, 1);
	pci_config_write(&pci, 1, 0, at + 16, 1, ACK);
	CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, at + 16, 1), ACK);
	CU_ASSERT_EQUAL(virtio->status, ACK);
	/* A BAR, an offset, a length that do not exist. */
	pci_config_write(&pci, 1, 0, at + 4, 1, 7);
	pci_config_write(&pci, 1, 0, at + 16, 1, 0);
	pci_config_write(&pci, 1, 0, at + 4, 1, 0);
	pci_config_write(&pci, 1, 0, at + 8, 4, 0xffffffff);
	pci_config_write(&pci, 1, 0, at + 16, 1, 0);
	CU_ASSERT_EQUAL(pci_config_read(&pci, 1, 0, at + 16, 1), 0xff);
	pci_config_write(&pci, 1, 0, at + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	pci_config_write(&pci, 1, 0, at + 12, 4, 0x80000000);
	pci_config_write(&pci, 1, 0, at + 16, 4, 0);
	CU_ASSERT_EQUAL(virtio->status, ACK);
	end();
}

/* A driver gone mad, repeatably: nothing but its own device suffers. */
static void test_random_accesses(void)
{
	struct random random = { .state = 7 };

	begin();
	for (unsigned i = 0; i < 200000; i++) {
		unsigned size = 1u << random_below(&random, 4);
		uint64_t at = random_below(&random, VIRTIO_BAR_SIZE);
		uint64_t value = random_next(&random);

		if (random_below(&random, 2))
			at = random_below(&random, 64);
		if (random_below(&random, 4) == 0)
			value = random_below(&random, 16);
		switch (random_below(&random, 8)) {
		case 0:
			pci_config_write(&pci, 1, 0, at % 256 & ~3u, 4, (uint32_t)value);
			pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
			pci_config_write(&pci, 1, 0, PCI_BAR_0, 4, WINDOW);
			pci_config_write(&pci, 1, 0, PCI_BAR_0 + 4, 4, 0);
			break;
		case 1:
			pci_config_read(&pci, 1, 0, at % 256, size);
			break;
		case 2:
			set_status(0);
			start_driver();
			break;
		case 3:
		case 4:
			in(at, size);
			break;
		default:
			out(at, size, value);
		}
	}
	CU_ASSERT_TRUE(under.activated > 10);
	end();
}

UNIT_MAIN("vmm virtio-pci", UNIT(test_capabilities_describe_the_bar),
	  UNIT(test_status_goes_in_order), UNIT(test_features_are_negotiated),
	  UNIT(test_driver_starts_and_resets), UNIT(test_kick_reaches_the_queue),
	  UNIT(test_queues_that_do_not_exist), UNIT(test_queue_registers_are_guarded),
	  UNIT(test_odd_accesses_do_nothing), UNIT(test_failed_activation_needs_a_reset),
	  UNIT(test_back_end_that_is_gone), UNIT(test_doorbells_follow_the_bar),
	  UNIT(test_masked_vectors_stay_pending), UNIT(test_message_control_by_dword),
	  UNIT(test_refused_route_breaks_the_device_only), UNIT(test_window_in_configuration_space),
	  UNIT(test_random_accesses))
