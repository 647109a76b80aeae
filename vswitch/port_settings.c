/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of a port take effect; see internal.h. In calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/internal.h"

void port_free_filters(struct port *port)
{
	for (unsigned way = 0; way < PORT_WAYS; way++) {
		filter_free(port->filter[way]);
		port->filter[way] = NULL;
	}
}

/* Room for what `config` polices; nothing has changed where there is none. */
int port_prepare_police(struct port *port, const struct port_config *config, struct error *error)
{
	for (unsigned way = 0; way < PORT_WAYS; way++) {
		if (!config->police[way].rate || port->filter[way])
			continue;
		port->filter[way] = calloc(1, sizeof(*port->filter[way]));
		if (!port->filter[way])
			return error_set(error, -ENOMEM, "port %s: out of memory", port->name);
	}
	return 0;
}

/* A bucket whose rate stays is not filled anew. */
static void apply_police(struct port *port, const struct port_config *config)
{
	for (unsigned way = 0; way < PORT_WAYS; way++) {
		const struct police *wanted = &config->police[way];
		struct police *police = port->filter[way] ? &port->filter[way]->police : NULL;

		if (police && (police->rate != wanted->rate || police->burst != wanted->burst ||
			       police->packets != wanted->packets))
			*police = *wanted;
	}
}

void port_apply_config(struct port *port, const struct port_config *config)
{
	apply_police(port, config);
	port->config = *config;
	memset(port->storm_next, 0, sizeof(port->storm_next));
	mac_table_limit_port(port->vswitch->table, port->index, config->addresses);
}
