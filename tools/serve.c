/* `tenon serve`: the storage server; see serve.h. */
#include "tools/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/signal.h"
#include "tools/runtime.h"

struct serve_arguments {
	struct cli_words given, targets;
	struct serve serve;
};

/* ---- What is served ---- */

/* Whether a group lies on the array. */
static bool carries_group(const struct stack *stack, struct raid_array *array)
{
	for (unsigned i = 0; i < stack->scan->device_count; i++)
		if (stack->scan->devices[i].block == raid_array_block(array))
			return stack->scan->devices[i].is_pv;
	return false;
}

/* Without targets: every group, and every array that no group lies on. */
static int add_all_targets(struct serve_arguments *arguments, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	int rc = stack_look(&look, &arguments->given, error);

	if (rc)
		return rc;
	for (unsigned i = 0; i < look->scan->group_count; i++)
		cli_words_add(&arguments->targets, cli_keep_text(look->scan->groups[i]->name));
	for (unsigned i = 0; i < look->array_count; i++) {
		struct raid_array *array = look->arrays[i].raid;

		if (array && !carries_group(look, array))
			cli_words_add(&arguments->targets,
				      cli_keep_text(raid_array_block(array)->name));
	}
	if (arguments->targets.count)
		return 0;
	rc = stack_report(look, false, error);
	if (rc)
		return rc;
	error_set(error, -ENOENT,
		  "no volume group and no array on the %u devices that were looked at",
		  look->node_count);
	return error_advise(error,
			    "name the devices with --device, TENON_DEVICES or `tenon device add`");
}

/* An array and the group on it cannot both be written to. */
static int check_overlap(struct serve *serve, const struct cli_words *targets, struct error *error)
{
	struct raid_array *array;
	bool volumes = false;

	for (unsigned i = 0; i < targets->count; i++)
		volumes |= !stack_names_array(targets->words[i]);
	for (unsigned i = 0; volumes && i < targets->count; i++) {
		if (!stack_names_array(targets->words[i]) ||
		    stack_find_running(serve->stack, targets->words[i], &array, NULL))
			continue;
		if (!carries_group(serve->stack, array))
			continue;
		error_set(error, -EINVAL, "%s: carries a physical volume", targets->words[i]);
		error_advise(error, "serve either the array or its volumes");
		return -EINVAL;
	}
	return 0;
}

static int export_target(struct serve *serve, char *target, struct error *error)
{
	struct volume_group *group;
	int rc;

	if (stack_names_array(target) || strchr(target, '/'))
		return export_start(serve, target, error);
	rc = stack_find_group(serve->stack, target, &group, error);
	if (rc)
		return rc;
	cli_words_add(&serve->groups, target);
	return export_start_group(serve, group, error);
}

static int claim(struct serve *serve, struct serve_arguments *arguments, struct error *error)
{
	struct stack_options options = {
		.write = !serve->read_only,
		.lock = true,
		.resync = !serve->read_only,
		.command = "tenon serve",
		.log = &serve->log,
	};
	int rc =
		stack_claim(&serve->stack, &arguments->given, &arguments->targets, &options, error);

	for (unsigned i = 0; !rc && i < serve->stack->node_count; i++)
		if (serve->stack->nodes[i].self < 0)
			rc = device_list_add(&serve->owned, serve->stack->nodes[i].name);
	return rc;
}

/* ---- Running ---- */

static int start(struct serve *serve, struct serve_arguments *arguments, struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	char name[32];
	int rc = socket_options_make_directory(&serve->sockets, error);
	if (rc)
		return rc;
	if (!arguments->targets.count)
		rc = add_all_targets(arguments, error);
	if (!rc)
		rc = claim(serve, arguments, error);
	if (!rc)
		rc = check_overlap(serve, &arguments->targets, error);
	for (unsigned i = 0; !rc && i < arguments->targets.count; i++)
		rc = export_target(serve, arguments->targets.words[i], error);
	snprintf(name, sizeof(name), "serve-%d", (int)getpid());
	if (!rc)
		rc = runtime_socket(name, &path, error);
	return rc ? rc
		  : rpc_server_start(&serve->control, path, serve_methods, serve, &serve->log,
				     error);
}

static int serve_run(void *arg, struct error *error)
{
	struct serve_arguments *arguments = arg;
	struct serve *serve = &arguments->serve;
	sigset_t set;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	list_init(&serve->exports);
	fiber_mutex_init(&serve->changing);
	rc = start(serve, arguments, error);
	if (!rc) {
		list_for_each(at, &serve->exports) {
			struct export *export = list_entry(at, struct export, node);

			cli_say("%s %s", export->name, export->path);
		}
		cli_say("ready");
		cli_ready();
		rc = fiber_wait_signal(&set);
		rc = MIN(rc, 0);
	}
	rpc_server_stop(serve->control);
	export_stop_all(serve);
	rc = stack_finish(serve->stack, rc, error);
	device_list_free(&serve->owned);
	return rc;
}

int command_serve(int argc, char **argv)
{
	struct serve_arguments arguments = { 0 };
	struct serve *serve = &arguments.serve;
	bool verbose = false;
	const struct cli_option options[] = {
		CLI_OPTION_SOCKETS(&serve->sockets),
		{ "read-only", CLI_FLAG, &serve->read_only, NULL, "write nothing to any device" },
		{ "queues", CLI_NUMBER, &serve->queues, "N", "virtqueues of each disk (16)", 1,
		  64 },
		{ "verbose", CLI_FLAG, &verbose, NULL, "say what happens" },
		CLI_OPTION_DEVICE(&arguments.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("serve [VG | VG/LV | md/NAME]... --socket-dir DIR", options, argc, argv, 0,
		       CLI_ANY, &arguments.targets, &status))
		return status;
	if (!serve->sockets.directory)
		return cli_usage_error("serve: --socket-dir is needed");
	if (!socket_options_parse(&serve->sockets, "serve"))
		return EXIT_USAGE;
	log_to_stderr(&serve->log, verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
	return cli_on_fiber(serve_run, &arguments);
}
