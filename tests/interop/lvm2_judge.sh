# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
# What lvm2 says of *.img in the present folder, which are attached to loop devices for it. Sourced by tests that have $work, and fail().
# $judge says why it cannot be asked, or is empty; lvm2_end detaches what a failure left.
loops=()
judge=
for tool in lvs losetup; do command -v $tool >/dev/null || judge="$tool is not installed"; done
[ -n "$judge" ] || { [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; } || judge="lvm2 wants root and loop devices"
[ -z "$judge" ] || echo "not asked of lvm2: $judge"

lvm2_end() { for loop in "${loops[@]}"; do losetup -d "$loop"; done; }

# What else its configuration says
lvm2_config=
# lvm2 COMMAND...: runs it, output in the files theirs.out and theirs.err. IMAGE_a stands for the loop device of a.img.
lvm2() {
	local filter config image word words=() rc=0
	for image in *.img; do loops+=("$(losetup -f --show "$work/$image")"); done
	filter=$(printf '"a|^%s$|",' "${loops[@]}")
	config="devices { use_devicesfile=0 hints=\"none\" filter=[$filter\"r|.*|\"] obtain_device_list_from_udev=0 external_device_info_source=\"none\" } backup { backup=0 archive=0 } global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 } $lvm2_config"
	for word; do
		local i=0
		for image in *.img; do [ "$word" != "IMAGE_${image%.img}" ] || word=${loops[i]}; i=$((i + 1)); done
		words+=("$word")
	done
	lvm "${words[0]}" --driverloaded n --config "$config" "${words[@]:1}" >theirs.out 2>theirs.err || rc=$?
	[ $rc != 0 ] || lvm vgck --driverloaded n --config "$config" >>theirs.err 2>&1 || { cat theirs.err; rc=1; }
	lvm2_end
	loops=()
	return $rc
}

# theirs EXPECTED COMMAND...: what its command says, words separated by one space
theirs() {
	[ -z "$judge" ] || return 0
	local expected=$1 said; shift
	lvm2 "$@" || { cat theirs.err; fail "lvm2, $*"; }
	said=$(tr -s ' \n' '  ' <theirs.out | sed 's/^ //; s/ $//; s/-XX-/----/g; s/-XXm/---m/g')
	[ "$said" = "$expected" ] || fail "lvm2, $*: '$said', expected '$expected'"
}
