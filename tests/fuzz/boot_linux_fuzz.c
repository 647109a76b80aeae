/* The bzImage loader: any file is refused or loaded, into 32 MiB of guest memory. */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "util/error.h"
#include "virtio/guest_memory.h"
#include "vmm/boot_linux.h"
#include "vmm/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest_memory memory;
	struct boot_linux boot = { .kernel_name = "kernel",
				   .kernel = data,
				   .kernel_size = size,
				   .initrd_name = "initrd",
				   .initrd = data,
				   .initrd_size = size,
				   .cmdline = "console=ttyS0" };
	struct boot_linux_entry entry;
	struct error error = { 0 };

	if (!memory.count)
		guest_memory_add_region(&memory, 0, LAYOUT_MEMORY_MINIMUM,
					mmap(NULL, LAYOUT_MEMORY_MINIMUM, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
					NULL);
	boot_linux_load(&boot, &memory, &entry, &error);
	return 0;
}
