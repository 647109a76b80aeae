/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding arrays and groups among the homes of a storage server; see serve.h. On the control worker. */
#include <errno.h>

#include "tools/serve.h"
#include "util/error.h"

int serve_find_array(struct serve *serve, const char *name, struct serve_home **home,
		     struct stack_array **out, struct error *error)
{
	unsigned found = 0;

	for (unsigned i = 0; i < serve->home_count; i++) {
		struct stack_array *array;
		int rc = serve->homes[i].stack
				 ? stack_find_array(serve->homes[i].stack, name, &array, NULL)
				 : -ENOENT;

		if (rc == -EEXIST)
			return stack_find_array(serve->homes[i].stack, name, &array, error);
		if (rc)
			continue;
		*home = &serve->homes[i];
		*out = array;
		found++;
	}
	if (found == 1)
		return 0;
	if (!found)
		return error_set(error, -ENOENT, "%s: the server has no such array", name);
	error_set(error, -EEXIST, "%s: two arrays have this name", name);
	error_advise(error, "name the array by its UUID (`tenon raid list`)");
	return -EEXIST;
}

int serve_find_group(struct serve *serve, const char *name, struct serve_home **home,
		     struct volume_group **out, struct error *error)
{
	unsigned found = 0;

	for (unsigned i = 0; i < serve->home_count; i++) {
		struct volume_group *group;
		int rc = serve->homes[i].stack
				 ? volume_scan_find(serve->homes[i].stack->scan, name, &group, NULL)
				 : -ENOENT;

		if (rc == -EEXIST)
			return stack_find_group(serve->homes[i].stack, name, &group, error);
		if (rc)
			continue;
		*home = &serve->homes[i];
		*out = group;
		found++;
	}
	if (found == 1)
		return 0;
	if (!found)
		return error_set(error, -ENOENT, "%s: the server has no such volume group", name);
	error_set(error, -EEXIST, "volume group %s: there are %u", name, found);
	error_advise(error, "name it by its uuid");
	return -EEXIST;
}
