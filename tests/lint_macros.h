/* SPDX-License-Identifier: BSD-2-Clause */
/* What cppcheck must know of macros whose headers it does not read (jansson's loops). */
#define json_array_foreach(array, index, value)                                                    \
	for (index = 0; (value = json_array_get(array, index)); index++)
#define json_object_foreach(object, key, value)                                                    \
	for (key = 0; (value = json_object_get(object, key));)
