#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A stranger greps: one structure, union or enumeration and one exported function have one name, and a name that is
# exported is nobody's static one; in a folder of lib/, in netdev/, vswitch/ and vmm/ no two files have a static one of one name. What a call came to is in `rc` (0 or a negative errno); `status` is, in tools/, what
# the process will exit with.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
mapfile -t sources < <(find lib raid volume netdev vswitch vmm tools -name '*.[ch]' | sort)
[ "${#sources[@]}" -gt 100 ] || { echo "found only ${#sources[@]} sources in $PWD"; exit 1; }

# Of a format that clang-format decides: what is at the start of a line belongs to nothing else.
awk '
function tell(kind, name, where) {
	printf "%s %s is in %s\n", kind, name, where
	failed = 1
}
FNR == 1 { name = "" }
match($0, /^[ \t]*((typedef|static|const) )*(struct|union|enum) [a-z_0-9]+( __attribute__[^{]*)? \{/) {
	tag = substr($0, RSTART, RLENGTH)
	sub(/^.*(struct|union|enum) /, "", tag)
	sub(/[^a-z_0-9].*/, "", tag)
	tags++
	if (tag in tagged && tagged[tag] != FILENAME)
		tell("a structure named", tag, tagged[tag] " and " FILENAME)
	tagged[tag] = FILENAME
}
FILENAME ~ /\.c$/ && /^\t+int ([^;(]*, )?(ret|r|err|code|retval|rv|res|status)( = .*|,.*)?;?$/ &&
    !(FILENAME ~ /^tools\// && / status/) {
	print FILENAME ":" FNR ": a result is called rc:" $0
	failed = 1
}
# A head of a function may take several lines; its body opens at the start of one.
/^[a-z_].*\(/ && !/;[ \t]*$/ && !/^typedef / {
	is_static = /^static /
	name = $0
	sub(/\(.*/, "", name)
	sub(/.*[^a-z_0-9]/, "", name)
}
/^[^ \t].*;$|^\}/ { name = "" }
/^\{/ && name != "" {
	functions++
	if (!is_static && name in exported && exported[name] != FILENAME)
		tell("a function named", name, exported[name] " and " FILENAME)
	module = FILENAME # an inline one of a header may be a function of its source elsewhere
	sub(/\.[ch]$/, "", module)
	if (is_static && name != "__attribute__") {
		statics[name] = statics[name] " " module
		folder = FILENAME
		sub(/[^\/]*$/, "", folder)
		if (folder ~ /^(lib|netdev|vswitch|vmm)\// && folder name in own && own[folder name] != FILENAME)
			tell("a static function named", name, own[folder name] " and " FILENAME)
		own[folder name] = FILENAME
	} else if (!is_static)
		exported[name] = FILENAME
	name = ""
}
END {
	for (name in exported)
		if (name in statics && index(exported[name], substr(statics[name], 2)) != 1)
			tell("a function named", name, exported[name] ", exported, and in" statics[name] ", static")
	if (tags < 100 || functions < 1000) {
		print "found only " tags + 0 " structures and " functions + 0 " functions"
		failed = 1
	}
	exit failed
}' "${sources[@]}"
