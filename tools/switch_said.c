/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a running switch was told of its protocols and of schedules, so that `show --config` has it: lists as a configuration has them
 * (switch_config.c), each about the switch or (`port`) one of its ports. A word KEY=VALUE takes the place of the last one of its key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/switch.h"

static const char *const protocols[] = { "stp", "igmp", "lldp" };

static json_t *list_of(struct switch_control *control, const char *what)
{
	json_t *list;

	if (!control->said)
		control->said = json_object();
	list = json_object_get(control->said, what);
	if (!list) {
		list = json_array();
		json_object_set_new(control->said, what, list);
	}
	return list;
}

static bool is_of(json_t *item, const char *port)
{
	const char *name = json_string_value(json_object_get(item, "port"));

	return port ? name && !strcmp(name, port) : !name;
}

/* Where it is in the list; as long as that where it is not. */
static size_t find_item(json_t *list, const char *port)
{
	size_t at = 0;

	while (at < json_array_size(list) && !is_of(json_array_get(list, at), port))
		at++;
	return at;
}

static void put_word(json_t *words, json_t *word)
{
	const char *text = json_string_value(word);
	size_t key = text ? strcspn(text, "=") + 1 : 0, index;
	json_t *each;

	json_array_foreach(words, index, each)
		if (text && !strncmp(json_string_value(each), text, key)) {
			json_array_set(words, index, word);
			return;
		}
	json_array_append(words, word);
}

void switch_said_words(struct switch_control *control, const char *what, const char *port,
		       json_t *words)
{
	json_t *list = list_of(control, what), *item = json_array_get(list, find_item(list, port));
	json_t *word;
	size_t index;

	if (!json_array_size(words) && strcmp(what, "stp") != 0)
		return;
	if (!item) {
		item = json_pack("{s:[]}", "words");
		if (port)
			json_object_set_new(item, "port", json_string(port));
		json_array_append_new(list, item);
	}
	json_array_foreach(words, index, word)
		put_word(json_object_get(item, "words"), word);
}

void switch_said_schedule(struct switch_control *control, json_t *params)
{
	static const char *const keys[] = { "port", "file", "text", "traces" };
	json_t *list = list_of(control, "schedules"), *item = json_object();
	size_t at = find_item(list, json_string_value(json_object_get(params, "port")));

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(params, keys[i]))
			json_object_set(item, keys[i], json_object_get(params, keys[i]));

	if (at < json_array_size(list))
		json_array_set_new(list, at, item);
	else
		json_array_append_new(list, item);
}

void switch_said_forget(struct switch_control *control, const char *what, const char *port)
{
	json_t *list = json_object_get(control->said, what);
	size_t at = find_item(list, port);

	if (at < json_array_size(list))
		json_array_remove(list, at);
}

void switch_said_forget_port(struct switch_control *control, const char *port)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		switch_said_forget(control, protocols[i], port);
}

bool switch_said_forget_capture(struct switch_control *control, unsigned id)
{
	json_t *each;
	size_t index;

	json_array_foreach(control->kept, index, each)
		if (json_integer_value(json_object_get(each, "id")) == id)
			return !json_array_remove(control->kept, index);
	return false;
}

/* Those that go on; a port that goes leaves them, also the one whose they are. */
static json_t *schedules_json(struct switch_control *control, const struct vswitch_status *ports)
{
	struct vswitch_schedule_status *status = malloc(sizeof(*status));
	json_t *said = json_object_get(control->said, "schedules"), *list = json_array();

	for (unsigned i = 0; said && status && i < ports->port_count; i++) {
		json_t *item;

		if (!ports->ports[i].has_link ||
		    vswitch_schedule_status(control->vswitch, ports->ports[i].name, status, NULL) ||
		    status->ended || find_item(list, status->owner) < json_array_size(list))
			continue;
		item = json_copy(json_array_get(said, find_item(said, status->owner)));
		if (status->absent)
			json_object_set_new(item, "absent", json_true());
		json_array_append_new(list, item);
	}
	free(status);
	return list;
}

void switch_said_show(struct switch_control *control, const struct vswitch_status *status,
		      json_t *config)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		json_t *list = json_object_get(control->said, protocols[i]);

		json_object_set_new(config, protocols[i],
				    list ? json_deep_copy(list) : json_array());
	}
	json_object_set_new(config, "schedules", schedules_json(control, status));
}
