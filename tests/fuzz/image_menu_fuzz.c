/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot menus of any bytes: what they say of a kernel is plain words with one blank between, and is no more than they have. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/image_boot.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *found, size_t most)
{
	size_t length = found ? strlen(found) : 0;

	if (length > most || (length && (found[0] == ' ' || found[length - 1] == ' ')))
		abort();
	for (size_t i = 0; i < length; i++)
		if (found[i] < ' ' || found[i] > '~' || found[i] == '$' ||
		    (found[i] == ' ' && found[i + 1] == ' '))
			abort();
}

/* The first line is the kernel's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *all = malloc(size + 1), *grub = NULL, *entry = NULL;
	char *text;

	if (!all)
		abort();
	memcpy(all, data, size);
	all[size] = '\0';
	text = strchr(all, '\n');
	if (!text)
		return 0;
	*text++ = '\0';
	grub = image_menu_grub(text, all);
	entry = image_menu_entry(text, all);
	check(grub, strlen(text));
	check(entry, strlen(text));
	return 0;
}
