/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile driver on the configuration space, the BAR and the interrupts of a virtio PCI device. Each
 * record of the input is one access: kind, size, offset (16 bits), value (32 bits, repeated for 64).
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_interrupts.c"
#include "util/bytes.h"
#include "util/error.h"
#include "vmm/virtio_pci.h"

#define WINDOW      0xc0000000ULL
#define RECORD_SIZE 8
#define QUEUES      3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t config[61];
static bool active;

static int activate(struct virtio_device *device, uint64_t features,
		    const struct virtio_device_queue *queues, struct error *error)
{
	(void)device, (void)error;
	if (active || (features & ~device->features))
		abort();
	for (unsigned i = 0; i < QUEUES; i++)
		if (queues[i].enabled != (queues[i].kick_fd >= 0))
			abort();
	active = true;
	return 0;
}

static void stop(struct virtio_device *device)
{
	(void)device;
	if (!active)
		abort();
	active = false;
}

static uint64_t read_config(struct virtio_device *device, uint64_t offset, unsigned size)
{
	(void)device;
	return bus_bytes_read(config, offset, size);
}

static void write_config(struct virtio_device *device, uint64_t offset, unsigned size,
			 uint64_t value)
{
	(void)device;
	bus_bytes_write(config, offset, size, value);
}

static void destroy(struct virtio_device *device)
{
	(void)device;
}

static const struct virtio_device_ops device_ops = { .activate = activate,
						     .stop = stop,
						     .read_config = read_config,
						     .write_config = write_config,
						     .destroy = destroy };

static void access_once(struct bus *memory, struct pci_bus *pci, struct virtio_pci *virtio,
			const uint8_t *record)
{
	unsigned bytes = 1u << (record[1] & 3);
	uint64_t at = get_le16(record + 2), value = get_le32(record + 4);

	value |= value << 32;
	switch (record[0] & 7) {
	case 0:
		pci_config_read(pci, 1, 0, (unsigned)at % 4096, bytes);
		break;
	case 1:
		pci_config_write(pci, 1, 0, (unsigned)at % 4096, bytes, (uint32_t)value);
		break;
	case 2:
		bus_read(memory, WINDOW + at, bytes);
		break;
	case 3:
		virtio_pci_fail(virtio, "fuzzing");
		break;
	case 4:
		pci_config_write(pci, 1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		pci_config_write(pci, 1, 0, PCI_BAR_0, 4, (uint32_t)WINDOW);
		pci_config_write(pci, 1, 0, PCI_BAR_0 + 4, 4, 0);
		break;
	default:
		bus_write(memory, WINDOW + at, bytes, value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pci_window windows[PCI_WINDOWS] = { { WINDOW, 0x100000 } };
	struct virtio_device device = { .ops = &device_ops,
					.name = "fuzz",
					.id = 2,
					.features = 1ULL << 32 | 0xff,
					.queue_count = QUEUES,
					.config_size = sizeof(config) };
	struct fake_interrupts fake;
	struct virtio_pci *virtio;
	struct pci_bus pci;
	static struct bus memory;

	fake_interrupts_init(&fake);
	bus_init(&memory);
	pci_bus_init(&pci, &memory, windows);
	if (virtio_pci_create(&virtio, &device, &fake.interrupts, NULL, NULL) < 0 ||
	    pci_bus_add(&pci, &virtio->function) < 0)
		abort();
	pci_config_write(&pci, 1, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (; size >= RECORD_SIZE; size -= RECORD_SIZE, data += RECORD_SIZE)
		access_once(&memory, &pci, virtio, data);
	pci_bus_reset(&pci);
	if (active || fake.doorbells || fake_interrupts_routes(&fake) ||
	    fake_interrupts_attached(&fake))
		abort();
	pci_bus_fini(&pci);
	bus_fini(&memory);
	virtio_pci_destroy(virtio);
	return 0;
}
