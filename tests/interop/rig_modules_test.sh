#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Modules of kernels that come compressed are put into guests unpacked, in the order in which they need each other.
set -u
. "$(dirname "$0")/lib.sh"
for tool in zstd xz gzip; do command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }; done
RIG_DIR=$PWD/tests/guest
. "$RIG_DIR/image.sh"
cd "$work" || exit 1

mkdir -p kernel/drivers guest
for name in plain zst xz gz; do head -c 20000 /dev/urandom >$name.ko; done
cp plain.ko kernel/drivers/plain.ko
zstd -q zst.ko -o kernel/drivers/zst.ko.zst
xz -c xz.ko >kernel/drivers/xz.ko.xz
gzip -c gz.ko >kernel/drivers/gz.ko.gz
cat >modules.dep <<-'DEP'
	kernel/drivers/plain.ko: kernel/drivers/zst.ko.zst kernel/drivers/xz.ko.xz
	kernel/drivers/zst.ko.zst: kernel/drivers/xz.ko.xz
	kernel/drivers/xz.ko.xz:
	kernel/drivers/gz.ko.gz:
DEP
echo kernel/built.ko >modules.builtin
order=$(rig_module_order . plain gz built 'gone?')
for file in $order; do
	name=$(rig_plain_name "${file##*/}")
	rig_put_module "$file" "guest/$name" || problem "$file"
	cmp -s "guest/$name" "$name" || problem "$file is not unpacked to $name"
	echo "$name"
done >names
[ "$(tr '\n' ' ' <names)" = 'xz.ko zst.ko plain.ko gz.ko ' ] || problem "the order: $(cat names)"
expect 1 'no module gone' rig_module_order . gone
head -c 100 /dev/urandom >kernel/drivers/broken.ko.zst
rig_put_module kernel/drivers/broken.ko.zst guest/broken.ko 2>/dev/null && problem 'a module that is damaged was taken'

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
