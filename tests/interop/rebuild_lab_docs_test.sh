#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The examples of docs/rebuild-lab.md: its commands run, and say what the page says, but for the figures.
set -u
. "$(dirname "$0")/lib.sh"
page=$PWD/docs/rebuild-lab.md
cd "$work" || exit 1

"$TENON" raid test show raid5-loss | sed 's/^name: .*/name: fast/; s/spares: 1/spares: 1\n  rebuild-min: 400M/' >fast.yaml
"$TENON" raid test show raid6-latent | sed 's/^name: .*/name: five/; s/level: 6/level: 5/' >five.yaml
# Figures, their units, and how wide they are.
plain() { sed -E 's/[0-9]+(\.[0-9]+)?(ms|us|s|min)?/N/g; s/ +/ /g; s/^ //'; }

commands=0 lines=0
while IFS= read -r line; do
	case $line in
	"    tenon "*)
		# shellcheck disable=SC2086
		"$TENON" ${line#    tenon } >said 2>&1
		status=$?
		[ $status -lt 2 ] || problem "'${line#    }' gave $status: $(cat said)"
		plain <said >plain
		commands=$((commands + 1)) ;;
	"      "*)
		grep -qF -- "$(plain <<<"$line")" plain || problem "the page says '$line': $(head -n 20 said)"
		lines=$((lines + 1)) ;;
	esac
done < <(sed -n '/^## Three examples/,/^## /p' "$page")
[ $commands -ge 5 ] && [ $lines -ge 6 ] || problem "found $commands commands and $lines lines in the page"
for picture in $(sed -n 's/.*(\(pictures\/[^)]*\)).*/\1/p' "$page"); do
	grep -q '<svg' "${page%/*}/$picture" || problem "there is no $picture"
done
[ $failures = 0 ] && echo "$commands commands of the page say what it says"
exit $((failures > 0))
