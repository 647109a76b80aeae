/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon pv check`, `tenon vg check`, `tenon pv dump`: what is on physical volumes, down to the bytes. They only read. */
#ifndef TENON_TOOLS_PV_CHECK_H
#define TENON_TOOLS_PV_CHECK_H

#include "tools/cli.h"

command_fn pv_check_verb, vg_check_verb, pv_dump_verb;

#endif
