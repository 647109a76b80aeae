#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The house stands on its floors: no file includes upwards or sideways, or in circles (docs/architecture.md), and nowhere but in
# volume/ files of a folder call each other in circles.
set -u
BUILD=$(realpath "${BUILD:-build}")
cd "$(dirname "$0")/.." || exit 1
failed=0

# FOLDER ALLOWED...: what the files of a folder may include besides its own.
floor() {
	local folder=$1 own=${1#lib/} found; shift
	found=$(grep -rnE '^#include "[a-z_]+/' --include='*.[ch]' "$folder" |
		grep -vE "#include \"($own$(printf '|%s' "$@"))/")
	[ -z "$found" ] && return
	echo "$folder may include only its own, $*:"
	echo "$found"
	failed=1
}

floor lib/util
floor lib/fiber util
floor lib/rpc util fiber
floor lib/block util fiber
floor lib/virtio util fiber block
lib="util fiber block rpc virtio"
floor netdev $lib
floor raid $lib
floor volume $lib raid
floor vswitch $lib netdev
floor vmm $lib
floor tools/lab $lib raid volume
floor tools $lib netdev raid volume vswitch vmm

# A folder without a line above would not be looked at.
for folder in lib/*/ */; do
	folder=${folder%/}
	case $folder in lib | docs | tests | build* | include) continue ;; esac
	ls "$folder"/*.c >/dev/null 2>&1 || continue
	grep -qE "^floor $folder( |\$)" "$0" || { echo "$folder has no floor in $0"; failed=1; }
done

# No header includes itself by way of others: tsort says which go round.
circles=$(find lib raid volume netdev vswitch vmm tools -name '*.h' -exec \
	sed -nE 's|^#include "([a-z_0-9/]+\.h)"|\1|; t pair; b; :pair; F; p' {} + |
	sed 's|^lib/||' | paste - - | tsort 2>&1 >/dev/null)
[ -z "$circles" ] || { echo "headers include each other:"; echo "$circles"; failed=1; }

# Nor do files of a folder, by what their objects define and use. "A B": A uses B.
calls() {
	nm -A "$BUILD/$1"/*.o | awk '
	{
		sub(/^.*\//, ""); split($0, line, /[: ]+/)
		file = line[1]; kind = $(NF - 1); name = $NF
		sub(/\.o$/, "", file)
		if (kind ~ /^[TDBRVWCG]$/) defined[name] = file
		else if (kind == "U") used[file " " name] = 1
	}
	END {
		for (use in used) {
			split(use, pair, " ")
			if (pair[2] in defined && defined[pair[2]] != pair[1])
				print pair[1], defined[pair[2]]
		}
	}'
}
for folder in lib/*/ netdev raid vswitch vmm tools; do
	folder=${folder%/}
	edges=$(calls "$folder")
	# lib/rpc has four files; what finds nothing there does not look.
	[ "$(wc -l <<<"$edges")" -ge 4 ] || { echo "$folder: found no calls between the objects in $BUILD"; failed=1; }
	circles=$(tsort <<<"$edges" 2>&1 >/dev/null)
	[ -z "$circles" ] || { echo "$folder: files call each other in a circle:"; echo "$circles"; failed=1; }
done
exit $failed
