#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `make install` has all that its documents point to, and `make uninstall` leaves nothing; `make help` has every target;
# without packages `make` says the one line that installs them; places for large files are chosen with care.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
problem() { echo "FAILED: $*"; failures=$((failures + 1)); }
make() { command make --no-print-directory BUILD="${BUILD:-build}" "$@"; }

# ---- Installed ----
make -j2 install DESTDIR="$work/root" PREFIX=/usr >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
doc=$work/root/usr/share/doc/tenon man=$work/root/usr/share/man/man1
"$work/root/usr/bin/tenon" --version | grep -q '^tenon ' || problem "the installed command does not run"
while read -r page; do
	# Names of documents: links and in the text.
	for name in $(grep -oE '[A-Za-z0-9_./-]+\.md\b' "$page" | sort -u); do
		[ -e "$doc/$name" ] || [ -e "${page%/*}/$name" ] || problem "${page#"$doc"/} points to $name, which is not installed"
	done
	for name in $(grep -oE '\]\([^)#:]+' "$page" | cut -c 3- | sort -u); do
		[ -e "$doc/$name" ] || [ -e "${page%/*}/$name" ] || problem "${page#"$doc"/} links to $name, which is not installed"
	done
	for name in $(grep -oE 'docs/[a-z0-9-]+' "$page" | sort -u); do
		[ -e "$doc/$name" ] || [ -e "$doc/$name.md" ] || [ "$name" = docs/man ] || problem "${page#"$doc"/} names $name, which is not installed"
	done
done < <(find "$doc" -name '*.md')
# What a merge left is in no page.
grep -rnE '^(<<<<<<<|>>>>>>>) |^=======$' "$doc" "$man" && problem "conflicts of a merge stand in what is installed"
for page in "$man"/*.1; do
	for name in $(sed -n 's/^\.\(It \)\{0,1\}Xr \(tenon[a-z-]*\) 1.*/\2/p' "$page" | sort -u); do
		[ -e "$man/$name.1" ] || problem "${page##*/} refers to $name(1), which is not installed"
	done
done
[ "$(ls "$man" | wc -l)" = "$(ls docs/man/*.1 | wc -l)" ] || problem "not all manual pages are installed"
make uninstall DESTDIR="$work/root" PREFIX=/usr >"$work/said" 2>&1 || problem "uninstall: $(cat "$work/said")"
find "$work/root" ! -type d | grep . && problem "those files stay after make uninstall"

# ---- Help ----
make help >"$work/help"
for target in $(sed -n '/^\.PHONY: all/,/[^\\]$/p' Makefile | sed 's/^\.PHONY://; s/\\$//'); do
	[ "$target" = all ] || [ "$target" = help ] || grep -qE "^make .*\b$target\b" "$work/help" || problem "make help has nothing of $target"
done

# ---- Without packages ----
mkdir -p "$work/bare" "$work/tree"
cp -r Makefile tests lib raid volume netdev vswitch vmm tools "$work/tree/"
for program in make sh bash env sed grep awk dirname cat uname find id rm mkdir expr sort tr head; do
	path=$(type -P $program) && ln -s "$path" "$work/bare/$program"
done
# A system on which nothing is installed, whose user may not change that.
printf '#!/bin/sh\nexit 1\n' >"$work/bare/dpkg-query"
chmod 755 "$work/bare/dpkg-query"
(cd "$work/tree" && PATH=$work/bare "$work/bare/make" build) >"$work/said" 2>&1 && problem "make went well without a compiler"
[ "$(grep -c 'apt-get update && apt-get install' "$work/said")" = 1 ] && grep -q 'liburing-dev' "$work/said" ||
	problem "make without packages said: $(head -n 20 "$work/said")"
[ "$(wc -l <"$work/said")" -lt 8 ] || problem "make without packages said too much: $(head -n 20 "$work/said")"

# ---- Places ----
. tests/place.sh
mkdir "$work/there"
[ "$(PLACES="$work/none $work/there" place 1)" = "$work/there" ] || problem "place: a folder that is not there"
! PLACES=$work/there place 999999999 >/dev/null || problem "place: more than there is"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	unshare -m bash -c '
		. tests/place.sh
		mkdir "$1/small" "$1/noexec"
		mount -t tmpfs -o size=1M none "$1/small" && mount -t tmpfs -o noexec none "$1/noexec" || exit 77
		PLACES="$1/small $1/noexec $1/there"
		[ "$(place 20)" = "$1/noexec" ] && [ "$(place 20 exec)" = "$1/there" ] && [ -z "$(ls -A "$1/noexec")" ]' _ "$work"
	case $? in 0) ;; 77) echo "nothing can be mounted here" ;; *) problem "place: small, or noexec" ;; esac
fi
exit $((failures > 0))
