/* SPDX-License-Identifier: BSD-2-Clause */
/* libyaml, loaded by what reads a scenario (util/library.h). */
#ifndef TENON_TOOLS_LAB_YAML_LIBRARY_H
#define TENON_TOOLS_LAB_YAML_LIBRARY_H

#include <yaml.h>

#include "util/library.h"

#define YAML_LIBRARY(F)                                                                            \
	F(yaml_document_delete)                                                                    \
	F(yaml_document_get_node)                                                                  \
	F(yaml_document_get_root_node)                                                             \
	F(yaml_parser_delete)                                                                      \
	F(yaml_parser_initialize)                                                                  \
	F(yaml_parser_load)                                                                        \
	F(yaml_parser_set_input_string)

LIBRARY_DECLARE(libyaml, YAML_LIBRARY)

#endif
