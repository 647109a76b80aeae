/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of an object, for those who describe things (describe.h). */
#ifndef TENON_TOOLS_DESCRIBE_SET_H
#define TENON_TOOLS_DESCRIBE_SET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "tools/describe.h"

static inline void set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, describe_text(text));
}

static inline void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

/* null where it means nothing. */
static inline void set_number_if(json_t *object, const char *key, bool is_there, uint64_t number)
{
	json_object_set_new(object, key, is_there ? json_integer((json_int_t)number) : json_null());
}

static inline void set_flag(json_t *object, const char *key, bool flag)
{
	json_object_set_new(object, key, json_boolean(flag));
}

/* Seconds since 1970 as "2026-11-22T09:29:58Z". */
static inline void set_time(json_t *object, const char *key, uint64_t seconds)
{
	time_t when = (time_t)seconds;
	char text[40] = "";
	struct tm parts;

	if (gmtime_r(&when, &parts))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	set_text(object, key, seconds && text[0] ? text : NULL);
}

#endif
