/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel parameters in boot menus, as far as they are plain text: grub.cfg as grub-mkconfig writes it, and entries of the Boot Loader
 * Specification. See image_boot.h. */
#include <stdlib.h>
#include <string.h>

#include "tools/image_boot.h"

#define BLANKS " \t\r"

/* What follows the word `key` on a line; NULL: the line begins otherwise. */
static const char *after_key(const char *line, const char *key)
{
	size_t length = strlen(key);

	line += strspn(line, BLANKS);
	if (strncmp(line, key, length) || !line[length] || !strchr(BLANKS, line[length]))
		return NULL;
	return line + length + strspn(line + length, BLANKS);
}

/* Whether a path, which ends at a blank, is one of the kernel's, in whichever folder. */
static bool is_kernel(const char *path, size_t length, const char *kernel)
{
	size_t wanted = strlen(kernel);

	return length >= wanted && !memcmp(path + length - wanted, kernel, wanted) &&
	       (length == wanted || path[length - wanted - 1] == '/');
}

static bool is_plain(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (word[i] <= ' ' || word[i] > '~' || word[i] == '$')
			return false;
	return true;
}

/* Adds the words of a line to `*text`. False: no memory. */
static bool add_words(char **text, const char *line)
{
	size_t had = *text ? strlen(*text) : 0, rest = strcspn(line, "\n");
	char *longer = realloc(*text, had + rest + 2);

	if (!longer)
		return false;
	*text = longer;
	longer += had;
	*longer = '\0';
	for (const char *end = line + rest; line < end;) {
		size_t length = strcspn(line, BLANKS "\n");

		if (length && is_plain(line, length)) {
			if (longer != *text)
				*longer++ = ' ';
			memcpy(longer, line, length);
			longer += length;
			*longer = '\0';
		}
		line += length;
		line += strspn(line, BLANKS);
	}
	return true;
}

#define FOR_EACH_LINE(line, text)                                                                  \
	for (const char *line = (text); *line; line += strcspn(line, "\n"), line += *line == '\n')

char *image_menu_grub(const char *text, const char *kernel)
{
	static const char *const keys[] = { "linux", "linuxefi", "linux16" };
	char *found = NULL;

	FOR_EACH_LINE(line, text)
	{
		const char *path = NULL;
		size_t length;

		for (size_t i = 0; !path && i < sizeof(keys) / sizeof(keys[0]); i++)
			path = after_key(line, keys[i]);
		length = path ? strcspn(path, BLANKS "\n") : 0;
		/* The first is what is booted unless somebody chooses; others are for rescue. */
		if (path && is_kernel(path, length, kernel))
			return add_words(&found, path + length) ? found : NULL;
	}
	return NULL;
}

char *image_menu_entry(const char *text, const char *kernel)
{
	const char *version = strchr(kernel, '-');
	bool its = false;
	char *found = NULL;

	FOR_EACH_LINE(line, text)
	{
		const char *path = after_key(line, "linux"), *said = after_key(line, "version");

		its |= path && is_kernel(path, strcspn(path, BLANKS "\n"), kernel);
		its |= said && version && strlen(version + 1) == strcspn(said, BLANKS "\n") &&
		       !strncmp(said, version + 1, strlen(version + 1));
	}
	if (!its)
		return NULL;
	FOR_EACH_LINE(line, text)
	{
		const char *options = after_key(line, "options");

		if (options && !add_words(&found, options))
			break;
	}
	return found ? found : strdup("");
}
