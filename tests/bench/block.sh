#!/usr/bin/env bash
# Block devices over vhost-user beside qemu-storage-daemon; arguments as for block_bench.py.
exec "$(dirname "$0")/block_bench.py" "$@"
