/* The PCI transport of virtio; see virtio_pci.h. */
#include "vmm/virtio_pci.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"

#define VIRTIO_VENDOR         0x1af4u
#define VIRTIO_DEVICE_BASE    0x1040u
#define VIRTIO_REVISION       1u
#define PCI_CAPABILITY_VENDOR 0x09u

#define ISR_CONFIG 2u

#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)

static struct virtio_pci *virtio_of(struct pci_function *function)
{
	return container_of(function, struct virtio_pci, function);
}

/* ---- Doorbells, which follow the BAR ---- */

static void remove_doorbells(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_pci_queue *queue = &virtio->queues[i];

		if (queue->doorbell)
			virtio->interrupts->ops->remove_doorbell(
				virtio->interrupts,
				virtio->bar_address + VIRTIO_BAR_NOTIFY +
					i * VIRTIO_BAR_NOTIFY_MULTIPLIER,
				queue->setup.kick_fd);
		queue->doorbell = false;
	}
}

/* Without one, the guest's write comes to us, and we ring: slower, but as good. */
static void add_doorbells(struct virtio_pci *virtio)
{
	if (!virtio->active || !virtio->bar_address)
		return;
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_pci_queue *queue = &virtio->queues[i];

		if (queue->setup.enabled)
			queue->doorbell = virtio->interrupts->ops->add_doorbell(
						  virtio->interrupts,
						  virtio->bar_address + VIRTIO_BAR_NOTIFY +
							  i * VIRTIO_BAR_NOTIFY_MULTIPLIER,
						  queue->setup.kick_fd) == 0;
	}
}

/* ---- On, off, failure ---- */

static void close_events(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_device_queue *setup = &virtio->queues[i].setup;

		msix_disconnect(&virtio->msix, i);
		if (setup->kick_fd >= 0)
			close(setup->kick_fd);
		if (setup->call_fd >= 0)
			close(setup->call_fd);
		setup->kick_fd = setup->call_fd = -1;
	}
}

static int open_events(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_device_queue *setup = &virtio->queues[i].setup;

		if (!setup->enabled)
			continue;
		setup->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		setup->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (setup->kick_fd < 0 || setup->call_fd < 0)
			return -errno;
		msix_connect(&virtio->msix, i, setup->call_fd, virtio->queues[i].vector);
	}
	return msix_update(&virtio->msix);
}

/* Tells the driver that something about the device has changed. */
static void raise_config(struct virtio_pci *virtio)
{
	virtio->isr |= ISR_CONFIG;
	msix_raise(&virtio->msix, virtio->config_vector);
}

/* Says why, once for each time that the driver gets the device going. */
static void fail_locked(struct virtio_pci *virtio, const char *why)
{
	if (virtio->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	log_error(virtio->log, "%s: %s", virtio->device->name, why);
	virtio->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	raise_config(virtio);
}

void virtio_pci_fail(struct virtio_pci *virtio, const char *why)
{
	pthread_mutex_lock(&virtio->lock);
	fail_locked(virtio, why);
	pthread_mutex_unlock(&virtio->lock);
}

static void activate(struct virtio_pci *virtio)
{
	struct virtio_device_queue queues[VIRTIO_DEVICE_QUEUES_MAX];
	struct error error = { 0 };
	int rc = open_events(virtio);

	if (rc < 0) {
		error_set(&error, rc, "cannot set up interrupts: %s", error_name(rc));
	} else {
		for (unsigned i = 0; i < virtio->queue_count; i++)
			queues[i] = virtio->queues[i].setup;
		rc = virtio->device->ops->activate(virtio->device, virtio->driver_features, queues,
						   &error);
	}
	if (rc < 0) {
		close_events(virtio);
		fail_locked(virtio, error.text);
		return;
	}
	virtio->active = true;
	add_doorbells(virtio);
	/* Buffers that were put into a queue before the device was ready. */
	for (unsigned i = 0; i < virtio->queue_count; i++)
		if (virtio->queues[i].setup.enabled)
			eventfd_write(virtio->queues[i].setup.kick_fd, 1);
}

/* The registers as after power-on (2.4). */
static void clear_registers(struct virtio_pci *virtio)
{
	virtio->status = virtio->isr = virtio->generation = 0;
	virtio->device_feature_select = virtio->driver_feature_select = 0;
	virtio->driver_features = 0;
	virtio->queue_select = 0;
	virtio->config_vector = MSIX_NO_VECTOR;
	for (unsigned i = 0; i < virtio->queue_count; i++)
		virtio->queues[i] = (struct virtio_pci_queue){
			.vector = MSIX_NO_VECTOR,
			.setup = { .size = VIRTIO_DEVICE_QUEUE_SIZE, .kick_fd = -1, .call_fd = -1 }
		};
}

/* When it returns, the device is quiet: the driver polls until the status reads 0. */
static void reset(struct virtio_pci *virtio)
{
	remove_doorbells(virtio);
	if (virtio->active)
		virtio->device->ops->stop(virtio->device);
	virtio->active = false;
	close_events(virtio);
	clear_registers(virtio);
}

static bool features_acceptable(const struct virtio_pci *virtio)
{
	return !(virtio->driver_features & ~virtio->device->features) &&
	       (virtio->driver_features & VERSION_1);
}

void virtio_pci_set_status(struct virtio_pci *virtio, uint8_t status)
{
	uint8_t old = virtio->status, fresh = status & ~old;

	if (!status) {
		reset(virtio);
		return;
	}
	/* Bits go in order, and only a reset clears them (2.1.1). */
	if (old & ~status & ~VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	fresh &= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER) && !(status & VIRTIO_CONFIG_S_ACKNOWLEDGE))
		return;
	if ((fresh & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    (!(status & VIRTIO_CONFIG_S_DRIVER) || !features_acceptable(virtio)))
		fresh &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER_OK) && !((old | fresh) & VIRTIO_CONFIG_S_FEATURES_OK))
		fresh &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	virtio->status |= fresh;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER_OK) && !(old & VIRTIO_CONFIG_S_NEEDS_RESET))
		activate(virtio);
}

/* ---- The BAR ---- */

static uint64_t read_isr(struct virtio_pci *virtio)
{
	uint8_t isr = virtio->isr;

	virtio->isr = 0;
	return isr;
}

static uint64_t read_structure(struct virtio_pci *virtio, uint64_t offset, unsigned size)
{
	uint64_t at = offset & 0xfff;
	struct virtio_device *device = virtio->device;

	if (offset >= VIRTIO_BAR_MSIX_PBA)
		return msix_pending_read(&virtio->msix, offset - VIRTIO_BAR_MSIX_PBA, size);
	if (offset >= VIRTIO_BAR_MSIX_TABLE) {
		at = offset - VIRTIO_BAR_MSIX_TABLE;
		return range_within(at, size, virtio->msix.vector_count * MSIX_ENTRY_SIZE)
			       ? msix_table_read(&virtio->msix, at, size)
			       : 0;
	}
	switch (offset - at) {
	case VIRTIO_BAR_COMMON:
		return virtio_pci_common_read(virtio, at, size);
	case VIRTIO_BAR_ISR:
		return at == 0 ? read_isr(virtio) : 0;
	case VIRTIO_BAR_CONFIG:
		return range_within(at, size, device->config_size)
			       ? device->ops->read_config(device, at, size)
			       : 0;
	}
	return 0;
}

static void ring(struct virtio_pci *virtio, uint64_t at)
{
	uint64_t index = at / VIRTIO_BAR_NOTIFY_MULTIPLIER;

	if (virtio->active && index < virtio->queue_count && virtio->queues[index].setup.enabled)
		eventfd_write(virtio->queues[index].setup.kick_fd, 1);
}

static int write_structure(struct virtio_pci *virtio, uint64_t offset, unsigned size,
			   uint64_t value)
{
	uint64_t at = offset & 0xfff;
	struct virtio_device *device = virtio->device;

	if (offset >= VIRTIO_BAR_MSIX_PBA)
		return 0; /* read-only */
	if (offset >= VIRTIO_BAR_MSIX_TABLE) {
		at = offset - VIRTIO_BAR_MSIX_TABLE;
		return range_within(at, size, virtio->msix.vector_count * MSIX_ENTRY_SIZE)
			       ? msix_table_write(&virtio->msix, at, size, value)
			       : 0;
	}
	switch (offset - at) {
	case VIRTIO_BAR_COMMON:
		virtio_pci_common_write(virtio, at, size, value);
		break;
	case VIRTIO_BAR_CONFIG:
		if (range_within(at, size, device->config_size))
			device->ops->write_config(device, at, size, value);
		break;
	case VIRTIO_BAR_NOTIFY:
		ring(virtio, at);
		break;
	}
	return 0;
}

static uint64_t bar_read(void *context, uint64_t offset, unsigned size)
{
	struct virtio_pci *virtio = context;
	uint64_t value;

	pthread_mutex_lock(&virtio->lock);
	value = read_structure(virtio, offset, size);
	pthread_mutex_unlock(&virtio->lock);
	return value;
}

static void bar_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *virtio = context;

	pthread_mutex_lock(&virtio->lock);
	if (write_structure(virtio, offset, size, value) < 0)
		fail_locked(virtio, "KVM refused an interrupt route");
	pthread_mutex_unlock(&virtio->lock);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

/* ---- Configuration space ---- */

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t address)
{
	struct virtio_pci *virtio = virtio_of(function);

	(void)bar;
	pthread_mutex_lock(&virtio->lock);
	remove_doorbells(virtio);
	virtio->bar_address = address;
	add_doorbells(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

/* The access capability (4.1.4.10) says which BAR, where in it and how many bytes; its last four bytes
 * are a window onto that. False if it says something that does not exist. */
static bool window_target(const struct virtio_pci *virtio, uint32_t *offset, uint32_t *size)
{
	const uint8_t *window = virtio->function.config + virtio->window;

	*offset = get_le32(window + offsetof(struct virtio_pci_cap, offset));
	*size = get_le32(window + offsetof(struct virtio_pci_cap, length));
	return window[offsetof(struct virtio_pci_cap, bar)] == VIRTIO_PCI_BAR &&
	       (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0;
}

static bool touches_window(const struct virtio_pci *virtio, unsigned offset)
{
	return offset / 4 * 4 == virtio->window + sizeof(struct virtio_pci_cap);
}

static void before_read(struct pci_function *function, unsigned offset, unsigned size)
{
	struct virtio_pci *virtio = virtio_of(function);
	uint32_t at, length;

	(void)size;
	if (touches_window(virtio, offset) && window_target(virtio, &at, &length))
		put_le32(function->config + virtio->window + sizeof(struct virtio_pci_cap),
			 (uint32_t)pci_bar_read(function, VIRTIO_PCI_BAR, at, length));
}

static void after_write(struct pci_function *function, unsigned offset, unsigned size)
{
	struct virtio_pci *virtio = virtio_of(function);
	unsigned control = virtio->msix_capability + MSIX_CONTROL;
	uint32_t at, length;

	if (touches_window(virtio, offset) && window_target(virtio, &at, &length))
		pci_bar_write(function, VIRTIO_PCI_BAR, at, length,
			      get_le32(function->config + virtio->window +
				       sizeof(struct virtio_pci_cap)));
	if (offset < control + 2 && offset + size > control) {
		pthread_mutex_lock(&virtio->lock);
		if (msix_set_control(&virtio->msix, get_le16(function->config + control)) < 0)
			fail_locked(virtio, "KVM refused an interrupt route");
		pthread_mutex_unlock(&virtio->lock);
	}
}

static void function_reset(struct pci_function *function)
{
	struct virtio_pci *virtio = virtio_of(function);

	pthread_mutex_lock(&virtio->lock);
	reset(virtio);
	msix_reset(&virtio->msix);
	pthread_mutex_unlock(&virtio->lock);
}

static const struct pci_function_ops function_ops = {
	.before_read = before_read,
	.after_write = after_write,
	.bar_moved = bar_moved,
	.reset = function_reset,
};

/* ---- Making it ---- */

/* Adds one of the capabilities that point into the BAR; `extra` bytes follow it. */
static int add_structure(struct virtio_pci *virtio, uint8_t type, uint32_t offset, uint32_t length,
			 const void *extra, unsigned extra_size)
{
	uint8_t bytes[sizeof(struct virtio_pci_cap) + 4] = { 0 };
	struct virtio_pci_cap cap = { .cap_len = (uint8_t)(sizeof(cap) + extra_size),
				      .cfg_type = type,
				      .bar = VIRTIO_PCI_BAR,
				      .offset = htole32(offset),
				      .length = htole32(length) };

	memcpy(bytes, &cap, sizeof(cap));
	memcpy(bytes + sizeof(cap), extra, extra_size);
	return pci_function_add_capability(&virtio->function, PCI_CAPABILITY_VENDOR, bytes + 2,
					   (unsigned)sizeof(cap) + extra_size);
}

static int add_window(struct virtio_pci *virtio)
{
	uint8_t *writable;
	int at = add_structure(virtio, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, "\0\0\0", 4);

	if (at < 0)
		return at;
	virtio->window = (unsigned)at;
	writable = virtio->function.writable + at;
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(writable + offsetof(struct virtio_pci_cap, offset), 0xff, 12); /* length, data */
	return 0;
}

static int add_msix(struct virtio_pci *virtio)
{
	uint8_t body[10];
	int at;

	put_le16(body, (uint16_t)(virtio->msix.vector_count - 1));
	put_le32(body + 2, VIRTIO_BAR_MSIX_TABLE | VIRTIO_PCI_BAR);
	put_le32(body + 6, VIRTIO_BAR_MSIX_PBA | VIRTIO_PCI_BAR);
	at = pci_function_add_capability(&virtio->function, MSIX_CAPABILITY_ID, body, 12);
	if (at < 0)
		return at;
	virtio->msix_capability = (unsigned)at;
	put_le16(virtio->function.writable + at + MSIX_CONTROL,
		 MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
	return 0;
}

static int add_capabilities(struct virtio_pci *virtio)
{
	uint8_t multiplier[4];
	int rc;

	put_le32(multiplier, VIRTIO_BAR_NOTIFY_MULTIPLIER);
	if ((rc = add_structure(virtio, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_BAR_COMMON,
				VIRTIO_BAR_COMMON_SIZE, "", 0)) < 0 ||
	    (rc = add_structure(virtio, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_BAR_ISR, 1, "", 0)) < 0 ||
	    (rc = add_structure(virtio, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_BAR_NOTIFY,
				virtio->queue_count * VIRTIO_BAR_NOTIFY_MULTIPLIER, multiplier,
				sizeof(multiplier))) < 0 ||
	    (rc = add_window(virtio)) < 0 || (rc = add_msix(virtio)) < 0)
		return rc;
	/* A device without configuration space must not have a structure for it. */
	if (virtio->device->config_size)
		rc = add_structure(virtio, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_BAR_CONFIG,
				   virtio->device->config_size, "", 0);
	return rc < 0 ? rc : 0;
}

int virtio_pci_create(struct virtio_pci **out, struct virtio_device *device,
		      struct interrupts *interrupts, struct log *log, struct error *error)
{
	struct virtio_pci *virtio = calloc(1, sizeof(*virtio));
	int rc = -ENOMEM;

	if (!virtio) {
		device->ops->destroy(device);
		return error_set(error, -ENOMEM, "out of memory");
	}
	virtio->device = device;
	virtio->interrupts = interrupts;
	virtio->log = log;
	virtio->queue_count = MIN(device->queue_count, VIRTIO_DEVICE_QUEUES_MAX);
	pthread_mutex_init(&virtio->lock, NULL);
	pci_function_init(&virtio->function, &function_ops, VIRTIO_VENDOR,
			  (uint16_t)(VIRTIO_DEVICE_BASE + device->id), device->class_code,
			  VIRTIO_REVISION);
	/* A vector for each queue and one for changes of the configuration. */
	rc = msix_init(&virtio->msix, interrupts, virtio->queue_count + 1, virtio->queue_count);
	if (rc < 0 || (rc = add_capabilities(virtio)) < 0) {
		error_set(error, rc, "%s: %s", device->name, error_name(rc));
		virtio_pci_destroy(virtio);
		return rc;
	}
	pci_function_set_bar(&virtio->function, VIRTIO_PCI_BAR, VIRTIO_BAR_SIZE, &bar_ops, virtio);
	clear_registers(virtio);
	*out = virtio;
	return 0;
}

void virtio_pci_destroy(struct virtio_pci *virtio)
{
	virtio->device->ops->destroy(virtio->device);
	msix_fini(&virtio->msix);
	pthread_mutex_destroy(&virtio->lock);
	free(virtio);
}
