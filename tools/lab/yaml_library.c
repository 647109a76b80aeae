/* SPDX-License-Identifier: BSD-2-Clause */
/* See yaml_library.h. */
#include "tools/lab/yaml_library.h"

LIBRARY_DEFINE(libyaml, YAML_LIBRARY, SONAME_yaml, "scenarios of `raid test`")
