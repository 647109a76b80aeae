/* SPDX-License-Identifier: BSD-2-Clause */
/* See acceptor.h. */
#include "fiber/acceptor.h"

#include <errno.h>
#include <stdlib.h>

#include "fiber/fiber.h"
#include "util/peer_file.h"

#define RETRY_NS 100000000ull

static struct accepted *client_at(struct list *node)
{
	return list_entry(node, struct accepted, node);
}

static int client_run(void *arg)
{
	struct accepted *client = arg;

	client->acceptor->run(client);
	peer_socket_close(client->fd);
	client->ended = true;
	return 0;
}

static void client_join(struct accepted *client)
{
	fiber_join(client->fiber);
	client->acceptor->count--;
	list_remove(&client->node);
	free(client);
}

static void reap(struct acceptor *acceptor)
{
	list_for_each_safe(at, &acceptor->clients)
		if (client_at(at)->ended)
			client_join(client_at(at));
}

static void turn_away(struct acceptor *acceptor, int fd)
{
	if (acceptor->full)
		acceptor->full(acceptor, fd);
	peer_socket_close(fd);
}

static void let_in(struct acceptor *acceptor, struct accepted *client, int fd)
{
	client->acceptor = acceptor;
	client->fd = fd;
	list_add_tail(&acceptor->clients, &client->node);
	acceptor->count++;
	client->fiber = fiber_spawn(client_run, client);
}

static int accept_clients(void *arg)
{
	struct acceptor *acceptor = arg;

	for (;;) {
		int fd = fiber_accept(acceptor->fd);
		struct accepted *client;

		if (fd == -ECANCELED)
			return 0;
		reap(acceptor);
		if (fd >= 0)
			peer_socket_begin(fd);
		if (fd >= 0 && acceptor->count >= acceptor->most) {
			turn_away(acceptor, fd);
			continue;
		}
		client = fd >= 0 ? calloc(1, acceptor->size) : NULL;
		if (client) {
			let_in(acceptor, client, fd);
			continue;
		}
		peer_socket_close(fd);
		if (fiber_sleep(RETRY_NS))
			return 0;
	}
}

void acceptor_begin(struct acceptor *acceptor)
{
	list_init(&acceptor->clients);
	acceptor->count = 0;
	acceptor->fiber = fiber_spawn(accept_clients, acceptor);
}

void acceptor_close(struct acceptor *acceptor)
{
	fiber_cancel(acceptor->fiber);
	fiber_join(acceptor->fiber);
	acceptor->fiber = NULL;
}

void acceptor_end(struct acceptor *acceptor)
{
	list_for_each(at, &acceptor->clients)
		fiber_cancel(client_at(at)->fiber);
	while (!list_empty(&acceptor->clients))
		client_join(client_at(acceptor->clients.next));
}
