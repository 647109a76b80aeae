/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon nic`: what nic.c and nic_print.c share. */
#ifndef TENON_TOOLS_NIC_H
#define TENON_TOOLS_NIC_H

#include "netdev/nic.h"
#include "tools/cli.h"
#include "tools/output.h"

extern const struct cli_column nic_columns[], nic_stats_columns[];

void nic_print_list(const struct nic_list *list, const struct cli_listing *listing);
void nic_print(const struct nic *nic, const struct cli_listing *listing);
/* `nic`: of one; NULL: of all. */
void nic_print_stats(const struct nic_list *list, const struct nic *nic,
		     const struct cli_listing *listing);

#endif
