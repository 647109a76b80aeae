#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What the command says of itself: help in each form, other words for a verb, what was likely meant, the exit status of
# wrong values, output that cannot be written; and that manual pages and --help have the same verbs and options.
set -u
. "$(dirname "$0")/lib.sh"
top=$PWD
cd "$work" || exit 1
nouns=$("$TENON" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
# Those of a noun, or nothing for a noun that is a verb itself.
verbs_of() { "$TENON" "$1" --help | sed -n "s/^  tenon $1 \([a-z-]*\) .*/\1/p"; }
# NOUN [VERB]: its long options, one a line.
options_of() { "$TENON" "$@" --help | sed -n 's/^  \(-., \)\{0,1\}--\([a-z-]*\).*/\2/p' | sort -u; }

# ---- Help in each form ----
for option in --help -h help; do
	expect 0 '^  raid ' "$TENON" $option
done
for option in --version -V version; do
	expect 0 '^tenon [0-9]' "$TENON" $option
done
for noun in $nouns; do
	"$TENON" "$noun" --help >want || problem "$noun --help"
	cmp -s want <("$TENON" "$noun" -h) || problem "$noun -h"
	[ -z "$(awk 'length > 80' want)" ] || problem "$noun: wider than a terminal: $(awk 'length > 80' want)"
	cmp -s want <("$TENON" help "$noun") || problem "help $noun"
	for verb in $(verbs_of "$noun"); do
		"$TENON" "$noun" "$verb" --help >want || problem "$noun $verb --help"
		cmp -s want <("$TENON" "$noun" "$verb" -h) || problem "$noun $verb -h"
		cmp -s want <("$TENON" help "$noun" "$verb") || problem "help $noun $verb"
		cmp -s want <("$TENON" "$noun" help "$verb") || problem "$noun help $verb"
		[ "$(head -n 1 want | cut -c 1-$((14 + ${#noun} + ${#verb})))" = "usage: tenon $noun $verb" ] ||
			problem "$noun $verb: $(head -n 1 want)"
		[ -z "$(awk 'length > 80' want)" ] || problem "$noun $verb: wider than a terminal: $(awk 'length > 80' want)"
		# Where a table of options ends is not told by the compiler.
		[ "$(grep -c '^  -' want)" -lt 32 ] || problem "$noun $verb: too many options for cli_parse.c"
	done
done

# ---- Other words, and what was likely meant ----
expect 0 '^\[\]$' "$TENON" lv ls --json
expect 2 'lv remove: too few' "$TENON" lv rm
expect 2 'lv remove: too few' "$TENON" lv delete
expect 2 'lv rename: too few' "$TENON" lv mv
expect 2 "raid: there is no verb 'creat'; did you mean 'create'" "$TENON" raid creat
expect 2 "no verb 'explode'" "$TENON" raid explode
expect 2 "no noun 'riad'; did you mean .tenon raid." "$TENON" riad list
expect 2 "did you mean .tenon lv create." "$TENON" lvcreate
expect 2 "did you mean .tenon lv list." "$TENON" lvs
expect 2 "lv create: there is no option --szie; did you mean --size" "$TENON" lv create vg/a --szie 1G
expect 2 "lv create: --size: SIZE is missing" "$TENON" lv create vg/a --size
expect 2 "lv create: --stri: --stripes or --stripe-size" "$TENON" lv create vg/a --stri 2
expect 2 "lv list: --json takes no value" "$TENON" lv list --json=yes
expect 2 'there is no option -q' "$TENON" lv list -q

# ---- Sizes without a unit ----
truncate -s 64M a.img b.img
before=$(md5sum ./*.img)
for size in 1 100 1048576; do
	expect 2 "size: $size: $size MiB, or $size bytes. write ${size}M or ${size}B" "$TENON" lv create vg/a --size $size
	expect 2 "$size MiB, or" "$TENON" vg create vg a.img --extent-size $size
	expect 2 "$size MiB, or" "$TENON" raid create r --level 1 a.img b.img --bitmap-chunk $size
	expect 2 "$size MiB, or" "$TENON" vm run --kernel x --memory $size
done
[ "$(md5sum ./*.img)" = "$before" ] || problem 'an image changed'

# ---- Output that cannot be written ----
if [ -w /dev/full ]; then
	full() {
		local rc said
		said=$("$@" 2>&1 >/dev/full)
		rc=$?
		[ $rc = 1 ] || problem "'$*' >/dev/full gave $rc: $said"
		grep -q 'standard output: No space left' <<<"$said" || problem "'$*' >/dev/full said: $said"
	}
	export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img
	truncate -s 64M c.img
	"$TENON" raid create r --level 1 a.img b.img && "$TENON" vg create vg c.img && "$TENON" lv create vg/l --size 4M ||
		problem 'cannot make something to look at'
	full "$TENON" --help
	full "$TENON" --version
	for noun in $nouns; do
		full "$TENON" help "$noun"
		for verb in $(verbs_of "$noun"); do
			full "$TENON" help "$noun" "$verb"
		done
	done
	for command in 'lv list' 'vg list' 'pv list' 'raid list' 'device list' 'host check' 'lv show vg/l' 'vg show vg' 'pv show c.img' \
		'raid show r' 'pv check c.img' 'raid examine a.img'; do
		full "$TENON" $command
		full "$TENON" $command --json
	done
	full "$TENON" pv dump c.img
	full "$TENON" raid check r
	full "$TENON" raid rebuild r
	full "$TENON" raid assemble r
	"$TENON" copy vg/l - >/dev/full 2>said && problem 'copy to a full device'
	grep -q 'No space left' said || problem "copy said: $(cat said)"
fi

# ---- Manual pages ----
# What all listings have is in tenon(1).
common=$(sed -n 's/.*Fl Fl \([a-z-]*\).*/\1/p' "$top/docs/man/tenon.1" | sort -u)
for noun in $nouns; do
	page=$top/docs/man/tenon-$noun.1
	[ -f "$page" ] || { problem "$noun has no page"; continue; }
	grep -q '^\.Sh EXAMPLES' "$page" || problem "$page: no EXAMPLES"
	grep -o 'Fl Fl [a-z-]*' "$page" | sed 's/Fl Fl //' | sort -u >in_page
	sed -n 's/^\.D1 .*//; s/^.*\(tenon .*\)$/\1/p' "$page" >/dev/null
	verbs=$(verbs_of "$noun")
	: >in_help
	for verb in ${verbs:-''}; do
		options_of "$noun" $verb >of_verb
		cat of_verb >>in_help
		while read -r option; do
			grep -qx -- "$option" in_page || grep -qx -- "$option" <<<"$common" ||
				problem "tenon $noun $verb --$option is not in $page"
		done <of_verb
		if [ -n "$verb" ]; then
			grep -q "^\.D1 tenon $noun $verb" "$page" || problem "$page: $verb is not in the SYNOPSIS"
		fi
		if grep -qx json of_verb; then
			grep -qx json in_page || problem "$page: nothing of --json"
		fi
	done
	sort -u in_help >all
	while read -r option; do
		grep -qx -- "$option" all || [ "$option" = help ] || problem "$page: no verb of $noun has --$option"
	done <in_page
	# Verbs of the synopsis, and options in it and in the examples.
	sed -n "s/^\.D1 tenon $noun \([a-z-]*\).*/\1/p" "$page" | sort -u | while read -r verb; do
		[ -z "$verbs" ] || grep -qx -- "$verb" <<<"$verbs" || echo "$page: $noun has no verb $verb"
	done >surplus
	[ ! -s surplus ] || problem "$(cat surplus)"
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh /p; /^\.D1 /p' "$page" | grep -E "tenon $noun( |\$)" | grep -o -- ' --[a-z-]*' | tr -d ' ' | sort -u |
		while read -r option; do
			grep -qx -- "${option#--}" all || [ "$option" = --help ] || echo "$page: example with $option"
		done >surplus
	[ ! -s surplus ] || problem "$(cat surplus)"
done
while read -r option; do
	case $option in help | version) continue ;; esac
	grep -qx -- "$option" <(for noun in lv raid; do options_of $noun list; done; options_of lv create) ||
		problem "tenon(1) has --$option"
done <<<"$common"
# mdoc takes a quote at the beginning of a word away, so that the example is another command.
! grep -n '^\.D[1l].*"' "$top"/docs/man/*.1 || problem 'examples lose their quotes: \(dq'
if command -v mandoc >/dev/null; then
	mandoc -T lint -W error "$top"/docs/man/*.1 || problem 'mandoc'
fi
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
