#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Static analysis of everything that is compiled: cppcheck, clang-tidy.
set -u
cd "$(dirname "$0")/.." || exit 1
# Other versions have other opinions.
for tool in 'cppcheck 2\.10' 'clang-tidy 14\.'; do
	${tool% *} --version 2>/dev/null | grep -q "${tool#* }" ||
		{ echo "$tool, which judges, is not installed" | tr -d '\\'; exit 77; }
done
folders="lib raid volume netdev vswitch vmm tools"
failed=0

mapfile -t sources < <(find $folders -name '*.c')

# cppcheck does not follow cleanup attributes nor that error_set() returns its code.
cppcheck -j2 --quiet --enable=warning,portability --inline-suppr --std=c11 --error-exitcode=1 -I. -Ilib \
	--include=tests/lint_macros.h -D__x86_64__ \
	--suppress=memleak --suppress=uninitvar --suppress=legacyUninitvar --suppress=resourceLeak \
	--suppress=nullPointerRedundantCheck --suppress=arrayIndexThenCheck --suppress=ctunullpointer \
	--suppress=nullPointer --suppress=unknownMacro --suppress=invalidPrintfArgType_sint $folders || failed=1

includes=$(pkg-config --cflags libnl-3.0 libnl-route-3.0 liburing jansson)
printf '%s\n' "${sources[@]}" | xargs -P 2 -n 8 sh -c \
	'out=$(clang-tidy --quiet "$@" -- -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -Ilib -I'"${BUILD:-build} $includes"' 2>/dev/null) ||
	 { echo "$out"; exit 1; }' _ || failed=1
exit $failed
