/* SPDX-License-Identifier: BSD-2-Clause */
/* See vm_control.h. */
#include "tools/vm_control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

struct vm_control {
	struct worker *worker;
	struct log *log;
	json_t *description; /* does not change; read by the thread alone once that runs */
	int stop;            /* eventfd */
};

static int show(void *context, json_t *params, json_t **result, struct error *error)
{
	const struct vm_control *control = context;

	(void)params, (void)error;
	*result = json_deep_copy(control->description);
	return *result ? 0 : -ENOMEM;
}

static const struct rpc_method methods[] = { { "vm.show", show }, { NULL, NULL } };

static int control_main(void *arg)
{
	struct vm_control *control = arg;
	CLEANUP_FREE char *path = NULL;
	struct rpc_server *server = NULL;
	struct error error = { 0 };
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "vm-%d", (int)getpid());
	rc = runtime_socket(name, &path, &error);
	if (!rc)
		rc = rpc_server_start(&server, path, methods, control, control->log, &error);
	if (rc)
		log_warning(control->log, "`tenon status` will not show this machine: %s",
			    error.text[0] ? error.text : error_name(rc));
	while (fiber_poll(control->stop, POLLIN, FIBER_FOREVER) == -EINTR)
		;
	rpc_server_stop(server);
	return 0;
}

static void control_free(struct vm_control *control)
{
	if (control->worker)
		worker_destroy(control->worker);
	if (control->stop >= 0)
		close(control->stop);
	json_decref(control->description);
	free(control);
}

struct vm_control *vm_control_start(json_t *description, struct log *log)
{
	struct vm_control *control = calloc(1, sizeof(*control));
	struct error error = { 0 };
	int rc;

	if (!control) {
		json_decref(description);
		return NULL;
	}
	control->description = description;
	control->log = log;
	control->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = control->stop < 0 ? -errno : worker_create(&control->worker, NULL, &error);
	if (!rc)
		rc = worker_start(control->worker, "control", control_main, control);
	if (!rc)
		return control;
	log_warning(log, "`tenon status` will not show this machine: %s",
		    error.text[0] ? error.text : error_name(rc));
	control_free(control);
	return NULL;
}

void vm_control_stop(struct vm_control *control)
{
	if (!control)
		return;
	eventfd_write(control->stop, 1);
	worker_join(control->worker);
	control_free(control);
}
