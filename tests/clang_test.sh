#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Another compiler sees other things: everything builds with clang, too, warnings being errors.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v clang >/dev/null || { echo "clang is not installed"; exit 77; }
exec make --no-print-directory -j2 CC=clang BUILD=build-clang build
