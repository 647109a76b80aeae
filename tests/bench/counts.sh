#!/usr/bin/env bash
# Counts of a 4 KiB request, which no other load changes: arguments as for counts_bench.py.
exec "$(dirname "$0")/counts_bench.py" "$@"
