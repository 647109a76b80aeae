#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Counts of a 4 KiB request, which no other load changes: arguments as for counts_bench.py.
exec "$(dirname "$0")/counts_bench.py" "$@"
