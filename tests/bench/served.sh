#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A served volume in the ways that it is reached, beside the file itself; arguments as for served_bench.py.
exec "$(dirname "$0")/served_bench.py" "$@"
