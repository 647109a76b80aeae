#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# All C says its licence and is as clang-format puts it. Each version of it breaks lines in its own way, so one judges.
set -u
cd "$(dirname "$0")/.." || exit 1
version=14
for format in clang-format-$version clang-format; do
	command -v $format >/dev/null && $format --version | grep -q "version $version\." && break
	format=
done
[ -n "$format" ] || { echo "clang-format $version, which judges the format, is not installed"; exit 77; }
mapfile -t all < <(git ls-files '*.c' '*.h' 2>/dev/null | grep . ||
	find lib raid volume netdev vswitch vmm tools tests -name '*.[ch]')
! grep -L 'SPDX-License-Identifier: BSD-2-Clause' "${all[@]}" | grep . || { echo "lack a licence line"; exit 1; }
exec $format --dry-run -Werror "${all[@]}"
