#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What links draw, by the formulas of docs/links.md as another program has them: loss of a list, the shapes of jitter.
# timeout: 900
set -u
tool=$(dirname "${TENON:-build/tenon}")/tests/helpers/link_netem
[ -x "$tool" ] || { echo "link_netem is not built"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/link_formula.py" "$tool"
