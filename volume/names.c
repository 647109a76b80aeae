/* SPDX-License-Identifier: BSD-2-Clause */
/* What groups and volumes may be called (lvm2 lib/misc/lvm-string.c). */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_vg.h"

static bool name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("+_.-", c));
}

int lvm_name_check(const char *kind, const char *name, struct error *error)
{
	if (!*name)
		return error_set(error, -EINVAL, "%s name: empty", kind);
	if (*name == '-')
		return error_set(error, -EINVAL, "%s name \"%.200s\": begins with a hyphen", kind,
				 name);
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return error_set(error, -EINVAL, "%s name \"%s\": is a directory's", kind, name);
	for (const char *c = name; *c; c++)
		if (!name_character(*c)) {
			error_set(error, -EINVAL, "%s name \"%.200s\": found byte 0x%02x", kind,
				  name, (unsigned char)*c);
			error_advise(error, "letters, digits, + _ . and - are allowed");
			return -EINVAL;
		}
	if (strlen(name) > VOLUME_NAME_LENGTH)
		return error_set(error, -EINVAL,
				 "%s name \"%.60s...\": has %zu characters, at "
				 "most %d are allowed",
				 kind, name, strlen(name), VOLUME_NAME_LENGTH);
	return 0;
}

int volume_group_name_check(const char *name, struct error *error)
{
	return lvm_name_check("volume group", name, error);
}

int volume_lv_name_check(const char *name, struct error *error)
{
	static const char *const prefixes[] = { "snapshot", "pvmove" };
	static const char *const parts[] = { "_cdata",   "_cmeta",  "_corig", "_cpool",  "_cvol",
					     "_wcorig",  "_mimage", "_mlog",  "_rimage", "_rmeta",
					     "_tdata",   "_tmeta",  "_vdata", "_imeta",  "_iorig",
					     "_pmspare", "_vorigin" };
	int rc = lvm_name_check("logical volume", name, error);

	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return error_set(error, -EINVAL,
					 "logical volume name \"%s\": LVM2 reserves names that "
					 "begin with \"%s\"",
					 name, prefixes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(name, parts[i]))
			return error_set(error, -EINVAL,
					 "logical volume name \"%s\": LVM2 reserves names with "
					 "\"%s\"",
					 name, parts[i]);
	return 0;
}
