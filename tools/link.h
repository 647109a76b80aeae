/* SPDX-License-Identifier: BSD-2-Clause */
/* Verbs of `tenon link` that have files of their own. */
#ifndef TENON_TOOLS_LINK_H
#define TENON_TOOLS_LINK_H

int link_schedule(int argc, char **argv);

#endif
