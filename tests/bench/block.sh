#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Block devices over vhost-user beside qemu-storage-daemon; arguments as for block_bench.py.
exec "$(dirname "$0")/block_bench.py" "$@"
