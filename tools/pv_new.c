/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon pv create`, `tenon pv remove`: physical volumes of no group, which no server has. See vg_change.h. */
#include "block/block.h"
#include "tools/consent.h"
#include "tools/device_look.h"
#include "tools/device_new.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "tools/vg_change.h"
#include "util/bytes.h"
#include "volume/volume.h"

struct pv_command {
	struct cli_words given, devices;
	struct volume_group_options options;
	uint64_t metadata_copies;
	bool remove;
	struct consent consent;
};

static int pv_ask(struct pv_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	int rc;

	if (!consent_asks(&command->consent))
		return 0;
	rc = stack_look(&look, &command->given, error);
	for (unsigned i = 0; !rc && i < command->devices.count; i++) {
		if (command->remove)
			consent_plan(&command->consent, "%s: would be no physical volume any more",
				     command->devices.words[i]);
		else
			rc = consent_plan_device(&command->consent, look, command->devices.words[i],
						 "would become a physical volume", error);
	}
	command->consent.always |= command->remove;
	if (!rc)
		rc = consent_ask(&command->consent, error);
	command->options.force |= !rc && command->consent.loss;
	return rc;
}

static int pv_run_one(struct pv_command *command, struct stack *below, char *device,
		      struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	int rc = device_open_new(below, device, true, &block, error);

	if (rc)
		return rc;
	rc = command->remove ? volume_pv_remove(block, error)
			     : volume_pv_create(block, &command->options, error);
	if (!rc)
		cli_say(command->remove ? "%s: is no physical volume any more"
					: "%s: is a physical volume now",
			device);
	return rc;
}

static int pv_run(void *arg, struct error *error)
{
	struct pv_command *command = arg;
	struct stack *below = NULL;
	int rc = devices_check_distinct(command->devices.words, command->devices.count, error);

	command->options.force = command->consent.force || command->consent.yes;
	command->options.metadata_copies = (unsigned)command->metadata_copies;
	if (!rc)
		rc = pv_ask(command, error);
	if (rc)
		return MIN(rc, 0);
	rc = device_claim_below(&below, &command->given, &command->devices, error);
	for (unsigned i = 0; !rc && i < command->devices.count; i++)
		rc = pv_run_one(command, below, command->devices.words[i], error);
	return stack_finish(below, rc, error);
}

int pv_create_verb(int argc, char **argv)
{
	struct pv_command command = { 0 };
	const struct cli_option options[] = {
		{ "data-alignment", CLI_SIZE, &command.options.data_alignment, "SIZE", "default 1M",
		  4096, 1ull << 40 },
		{ "metadata-size", CLI_SIZE, &command.options.metadata_size, "SIZE",
		  "of a metadata area", 4096, 0 },
		{ "metadata-copies", CLI_NUMBER, &command.metadata_copies, "N",
		  "metadata areas on it, 1 or 2", 1, 2 },
		{ "force", CLI_FLAG, &command.consent.force, NULL,
		  "overwrite what is on the devices" },
		CLI_OPTIONS_CONSENT(&command.consent),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("pv create DEVICE...", options, argc, argv, 1, CLI_ANY, &command.devices,
		       &status))
		return status;
	return cli_on_fiber(pv_run, &command);
}

int pv_remove_verb(int argc, char **argv)
{
	struct pv_command command = { .remove = true };
	const struct cli_option options[] = { CLI_OPTIONS_CONSENT(&command.consent),
					      CLI_OPTION_DEVICE(&command.given), CLI_OPTION_END };
	int status;

	if (!cli_parse("pv remove DEVICE...", options, argc, argv, 1, CLI_ANY, &command.devices,
		       &status))
		return status;
	return cli_on_fiber(pv_run, &command);
}
