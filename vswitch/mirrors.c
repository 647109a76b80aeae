/* SPDX-License-Identifier: BSD-2-Clause */
/* Mirrors of a switch come and go; see switch.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"

struct mirror_call {
	struct vswitch *vswitch;
	const struct port_mirror_options *options;
	const char *name;
	struct vswitch_mirror_status *list;
	unsigned count;
	struct error *error;
};

/* A port that copies go to cannot be looked at. */
static int check_loops(const struct mirror_call *call)
{
	const struct port_mirror_options *made = call->options;

	for (unsigned i = 0; i <= call->vswitch->mirrors.count; i++) {
		const struct port_mirror_options *other =
			i < call->vswitch->mirrors.count ? &call->vswitch->mirrors.list[i].options
							 : made;

		for (unsigned k = 0; made->to[0] && k < other->source_count; k++)
			if (!strcmp(made->to, other->sources[k].port))
				return error_set(call->error, -EINVAL,
						 "switch %s: mirror %s: port %s is looked at by "
						 "mirror %s, and cannot get copies",
						 call->vswitch->name, made->name, made->to,
						 other->name);
		for (unsigned k = 0; other->to[0] && k < made->source_count; k++)
			if (!strcmp(other->to, made->sources[k].port))
				return error_set(call->error, -EINVAL,
						 "switch %s: mirror %s: port %s gets the copies of "
						 "mirror %s, and cannot be looked at",
						 call->vswitch->name, made->name, other->to,
						 other->name);
	}
	return 0;
}

static int check_mirrored(const struct mirror_call *call, const char *name)
{
	const struct port *port = vswitch_find_port(call->vswitch, name);

	if (port)
		return bond_refuse_link(port, "mirrors", call->error);
	return call->options->absent ? 0 : vswitch_no_such_port(call->vswitch, name, call->error);
}

/* One that is there would get nothing but copies until the new one is refused. */
static int check_made(const struct mirror_call *call, const char *name)
{
	const struct vswitch *vswitch = call->vswitch;

	if (!vswitch_find_port(vswitch, name))
		return 0;
	error_set(call->error, -EEXIST,
		  "switch %s: mirror %s: port %s: there is one of that name already", vswitch->name,
		  call->options->name, name);
	return error_advise(call->error, "give the mirror another name"), -EEXIST;
}

static int check_mirror(const struct mirror_call *call)
{
	const struct port_mirror_options *made = call->options;
	struct vswitch *vswitch = call->vswitch;
	int rc = 0;

	for (unsigned i = 0; i < vswitch->mirrors.count; i++)
		if (!strcmp(vswitch->mirrors.list[i].options.name, made->name))
			return error_set(call->error, -EEXIST,
					 "switch %s: mirror %s: there is one of that name already",
					 vswitch->name, made->name);
	if (vswitch->mirrors.count == CHECKPOINT_MIRRORS)
		return error_set(call->error, -ENOSPC, "switch %s: it has %d mirrors, no more fit",
				 vswitch->name, CHECKPOINT_MIRRORS);
	if (made->to[0])
		rc = made->makes ? check_made(call, made->to) : check_mirrored(call, made->to);
	for (unsigned i = 0; !rc && i < made->source_count; i++)
		rc = check_mirrored(call, made->sources[i].port);
	return rc ? rc : check_loops(call);
}

static int add_mirror(void *arg)
{
	struct mirror_call *call = arg;
	int rc = check_mirror(call);

	if (rc)
		return rc;
	call->vswitch->mirrors.list[call->vswitch->mirrors.count++] =
		(struct port_mirror){ .options = *call->options };
	checkpoint_refresh(call->vswitch);
	return 0;
}

int vswitch_add_mirror(struct vswitch *vswitch, const struct port_mirror_options *options,
		       struct error *error)
{
	struct mirror_call call = { .vswitch = vswitch, .options = options, .error = error };
	int rc = vswitch_check_port_name(options->name, error);

	if (rc)
		return rc;
	if (!options->to[0] && (!options->to_vlan || options->to_vlan > VLAN_ID_MAX))
		return error_set(error, -EINVAL,
				 "mirror %s: expected a port or a VLAN that copies go to",
				 options->name);
	if (options->to[0] && options->to_vlan)
		return error_set(error, -EINVAL,
				 "mirror %s: copies go to a port or a VLAN, not to both (%s, %u)",
				 options->name, options->to, options->to_vlan);
	return vswitch_call(vswitch, add_mirror, &call);
}

static int remove_mirror(void *arg)
{
	struct mirror_call *call = arg;
	struct port_mirrors *mirrors = &call->vswitch->mirrors;
	unsigned at = 0;

	while (at < mirrors->count && strcmp(mirrors->list[at].options.name, call->name))
		at++;
	if (at == mirrors->count)
		return error_set(call->error, -ENOENT,
				 "switch %s: mirror %.40s: there is none of that name",
				 call->vswitch->name, call->name);
	mirrors->count--;
	memmove(&mirrors->list[at], &mirrors->list[at + 1],
		(mirrors->count - at) * sizeof(mirrors->list[0]));
	checkpoint_refresh(call->vswitch);
	return 0;
}

int vswitch_remove_mirror(struct vswitch *vswitch, const char *name, struct error *error)
{
	struct mirror_call call = { .vswitch = vswitch, .name = name, .error = error };

	return vswitch_call(vswitch, remove_mirror, &call);
}

static int list_mirrors(void *arg)
{
	struct mirror_call *call = arg;
	const struct port_mirrors *mirrors = &call->vswitch->mirrors;

	for (unsigned i = 0; i < mirrors->count; i++)
		call->list[i] =
			(struct vswitch_mirror_status){ .options = mirrors->list[i].options,
							.there = mirrors->list[i].port ||
								 !mirrors->list[i].options.to[0],
							.copies = mirrors->list[i].copies };
	call->count = mirrors->count;
	return 0;
}

int vswitch_list_mirrors(struct vswitch *vswitch, struct vswitch_mirror_status **out,
			 unsigned *count)
{
	struct mirror_call call = { .vswitch = vswitch,
				    .list = calloc(CHECKPOINT_MIRRORS, sizeof(*call.list)) };
	int rc = call.list ? vswitch_call(vswitch, list_mirrors, &call) : -ENOMEM;

	*out = call.list;
	*count = call.count;
	return rc;
}
