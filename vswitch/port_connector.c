/* SPDX-License-Identifier: BSD-2-Clause */
/* See port_connector.h. */
#include "vswitch/port_connector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netdev/endpoint.h"
#include "util/bytes.h"
#include "util/log.h"
#include "vswitch/internal.h"

#define RETRY_NS 1000000000ULL /* between two tries */

static void try_after(struct port_connector *connector, uint64_t pause)
{
	port_timer_arm(connector->port, &connector->retry, port_now(connector->port) + pause);
}

static int begin_to_connect(struct port_connector *connector)
{
	const struct endpoint *endpoint = connector->endpoint;
	int fd, rc = 0;

	if (connector->maker.make) {
		fd = connector->maker.make(connector->maker.context, &connector->last);
		return fd < 0 ? fd : connector->take(connector->port, fd, false, &connector->last);
	}
	fd = endpoint_socket(endpoint, SOCK_STREAM);
	if (fd >= 0 && connect(fd, &endpoint->address.any, endpoint->length))
		rc = -errno;
	if (fd >= 0 && (!rc || rc == -EINPROGRESS))
		return connector->take(connector->port, fd, rc == -EINPROGRESS, &connector->last);
	if (fd >= 0)
		close(fd);
	else
		rc = fd;
	port_connector_refused(connector, rc);
	return rc;
}

void port_connector_try(struct port_connector *connector)
{
	int before = connector->last.code, rc = begin_to_connect(connector);

	if (!rc)
		return;
	if (before != rc)
		log_info(connector->port->log, "port %s: %s", connector->port->name,
			 connector->last.text);
	try_after(connector, RETRY_NS);
}

static void retry_expired(struct timer *timer)
{
	struct port_connector *connector = container_of(timer, struct port_connector, retry);
	struct port *port = connector->port;

	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	port_connector_try(connector);
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
}

void port_connector_init(struct port_connector *connector, struct port *port,
			 const struct endpoint *endpoint, const struct port_stream_maker *maker,
			 int (*take)(struct port *port, int fd, bool connecting,
				     struct error *error))
{
	*connector = (struct port_connector){
		.port = port, .endpoint = endpoint, .take = take, .retry.expire = retry_expired
	};
	if (maker)
		connector->maker = *maker;
}

void port_connector_made(struct port_connector *connector)
{
	connector->last.code = 0;
}

void port_connector_lost(struct port_connector *connector, bool was_up)
{
	const struct port_stream_maker *maker = &connector->maker;
	struct error why = { 0 };
	bool wanted = maker->make && maker->gone(maker->context, &why);

	if (was_up && maker->make && !wanted) {
		connector->last = why;
		log_warning(connector->port->log,
			    "port %s: its process ended%s%s; another is started",
			    connector->port->name, why.code ? ": " : "", why.text);
	} else if (was_up) {
		log_info(connector->port->log, "port %s: %s", connector->port->name,
			 wanted ? "its process is started again" : "the peer left");
	}
	try_after(connector, wanted ? 0 : RETRY_NS);
}

void port_connector_refused(struct port_connector *connector, int rc)
{
	error_set(&connector->last, rc, "cannot connect to %s: %s", connector->endpoint->text,
		  error_name(rc));
}

void port_connector_stop(struct port_connector *connector)
{
	port_timer_disarm(connector->port, &connector->retry);
}

void port_connector_describe(struct port_connector *connector, char where[PORT_TEXT_MAX],
			     char state[PORT_TEXT_MAX])
{
	const struct port_stream_maker *maker = &connector->maker;

	snprintf(where, PORT_TEXT_MAX, "%s",
		 maker->make ? maker->where : connector->endpoint->text);
	if (connector->port->up) {
		if (!maker->make || !maker->waits(maker->context, state))
			snprintf(state, PORT_TEXT_MAX, "up");
	} else if (connector->last.code) {
		snprintf(state, PORT_TEXT_MAX, "%.*s", PORT_TEXT_MAX - 1, connector->last.text);
	} else {
		snprintf(state, PORT_TEXT_MAX, "connecting");
	}
}

void port_connector_end(struct port_connector *connector)
{
	const struct port_stream_maker *maker = &connector->maker;
	struct error unused;

	if (!maker->make)
		return;
	maker->gone(maker->context, &unused);
	maker->destroy(maker->context);
}
