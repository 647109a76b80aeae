#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon image build debian` without a mirror: in place of mmdebstrap there is one that says what it was told and gives a small
# system. What becomes of that: the table, the ESP, owners, modes, who and where it is; as root and as an ordinary user; failures.
set -u
PATH=$PATH:/usr/sbin
for program in sgdisk mke2fs debugfs mkfs.fat mcopy fakeroot; do
	command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
. "$(dirname "$0")/lib.sh"
. tests/interop/small_debian.sh
cd "$work" || exit 1
chmod 755 .
export TENON_DEVICES=$work/pv.img TMPDIR=$work/tmp
mkdir tmp
nothing_left() { [ -z "$(ls -A tmp)" ] || problem "tmp has $(ls -A tmp)"; }

# ---- A small system, and who installs it ----
small_debian || exit 1
export SAID=$work/arguments FAIL='' SLOW='' ORPHAN=''
PATH=$work/bin:$PATH
build() { expect 0 'boots by UEFI' "$TENON" image build debian "$@"; }

# ---- A disk ----
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIboKGDnBHcF/bVVIjbkqusXS/5i5JQ4GmDwa2V5PMt me@here' >key.pub
# shellcheck disable=SC2016 # a hash
printf '%s\n' '$6$saltsalt$FixedHashForTheTestOnlyFixedHashForTheTest' >hash
build disk.img --suite bookworm --packages vim,curl --hostname web1 --user me --ssh-key key.pub --password-hash hash 15</dev/null
grep -q '^--include=linux-image-cloud-amd64,.*systemd-boot.*,openssh-server,sudo,vim,curl$' arguments || problem "packages: $(cat arguments)"
grep -q '^deb .* bookworm main$' arguments && grep -q '^deb .* bookworm-updates main$' arguments || problem "sources: $(cat arguments)"
# Of the host's mirrors: one that has no security archive gives none.
if apt-get indextargets --format '$(REPO_URI) $(LABEL)' | grep -q 'security'; then
	grep -q '^deb .*security.* bookworm-security main$' arguments || problem "sources: $(cat arguments)"
fi
! grep -q FixedHash arguments || problem 'the hash is among the arguments'
[ "$(stat -c '%s %a' disk.img)" = "$((2 << 30)) 600" ] || problem "$(stat -c '%s %a' disk.img)"
[ "$(du -k disk.img | cut -f1)" -lt 100000 ] || problem "it takes $(du -k disk.img)"
sgdisk -v disk.img | grep -q 'No problems found' || problem "$(sgdisk -v disk.img)"
json "d['os'] == 'Small 1' and d['hostname'] == 'web1' and d['kernel'] == '6.1.0-10-amd64' and [p['type'] for p in d['parts']] == ['EFI system', 'Linux root (x86-64)']
	and d['parts'][0]['label'] == 'ESP' and d['parts'][1]['label'] == 'root' and d['parts'][0]['boot_files'] == ['EFI/BOOT/BOOTX64.EFI',
	'EFI/systemd/systemd-bootx64.efi', 'loader/entries/debian-6.1.0-10-amd64.conf']" $TENON image show disk.img --json
esp=disk.img@@1M root="disk.img?offset=$((257 << 20))"
e2fsck -fn "$root" >fsck 2>&1 || problem "$(cat fsck)"
dd if=disk.img of=esp.img bs=1M skip=1 count=256 status=none
/usr/sbin/fsck.fat -n esp.img >fsck 2>&1 || problem "the ESP: $(cat fsck)"
rm esp.img
[ "$(mtype -i $esp ::debian/6.1.0-10-amd64/linux)" = 'kernel 10' ] && [ "$(mtype -i $esp ::debian/6.1.0-10-amd64/initrd.img-6.1.0-10-amd64)" = 'ram 10' ] ||
	problem 'the kernel on the ESP'
uuid=$(sgdisk -i 2 disk.img | sed -n 's/.*unique GUID: //p' | tr A-Z a-z)
mtype -i $esp ::loader/entries/debian-6.1.0-10-amd64.conf | grep -q "^options root=PARTUUID=$uuid ro .*console=ttyS0" || problem "$(mtype -i $esp ::loader/entries/debian-6.1.0-10-amd64.conf)"

# ---- Its root: whose the files are, and what they say ----
text() { debugfs -R "cat $1" "$root" 2>/dev/null; }
is() { [ "$(debugfs -R "stat $1" "$root" 2>/dev/null | awk '/Mode:/ { for (i = 1; i < NF; i++) if ($i == "Mode:") m = $(i + 1) } /^User:/ { u = $2; g = $4 } END { print m, u, g }')" = "$2" ] ||
	problem "$1: $(debugfs -R "stat $1" "$root" 2>&1 | head -n 3), expected $2"; }
is /bin/su '04755 0 0'
is /var/mail/box '0660 33 8'
is /etc/shadow '0640 0 42'
is /root '0700 0 0'
is /tmp '01777 0 0'
is /boot/initrd.img-6.1.0-9-amd64 '0600 0 0'
is /home/me '0700 1000 1000'
is /home/me/.ssh/authorized_keys '0600 1000 1000'
is /etc/sudoers.d/90-tenon '0440 0 0'
is /etc/hostname '0644 0 0'
is / '0755 0 0'
is /bin/ping '0755 0 0' # which has extended attributes
debugfs -R 'ea_get -f capability /bin/ping security.capability' "$root" 2>/dev/null
capability=$(od -An -v -tx1 capability | tr -d ' \n')
[ "$capability" = 0100000200200000000000000000000000000000 ] || problem "the capability of ping: $capability"
debugfs -R 'ea_get /bin/ping user.note' "$root" 2>/dev/null | grep -q kept || problem 'an attribute is lost'
! debugfs -R 'ea_list /bin/ping' "$root" 2>/dev/null | grep selinux || problem "a label of the host's"
debugfs -R 'stat /dev/null' "$root" 2>/dev/null | grep -q 'character special' || problem 'a device is lost'
[ "$(text /etc/default/locale)" = LANG=C.UTF-8 ] || problem 'the locale'
[ "$(text /etc/hostname)" = web1 ] && [ ! -e /outside ] || problem 'the hostname'
text /etc/passwd | grep -qx 'me:x:1000:1000::/home/me:/bin/bash' || problem "$(text /etc/passwd)"
text /etc/shadow | grep -q '^me:\$6\$saltsalt\$FixedHash[^:]*:[0-9]*:0:99999:7:::$' || problem "$(text /etc/shadow)"
text /home/me/.ssh/authorized_keys | cmp - key.pub || problem 'the keys'
text /home/me/.bashrc | grep -q skeleton || problem 'the skeleton'
text /etc/fstab | grep -q "^PARTUUID=$uuid / ext4" || problem "$(text /etc/fstab)"
[ -z "$(text /etc/machine-id)" ] && [ -z "$(text /etc/ssh/ssh_host_ed25519_key)" ] || problem 'it would be the machine that others are'
text /etc/systemd/system/ssh.service.d/host-keys.conf | grep -q 'ssh-keygen -A' || problem 'nobody makes keys of the host'
text /etc/apt/cmdline | grep -q "root=PARTUUID=$uuid" || problem 'a link in the system led elsewhere'
nothing_left
# root's password, in place; and as an ordinary user.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir -m 777 user
	cp "$TENON" user/tenon && cp hash user/hash && chmod 644 user/hash
	expect 0 'boots by UEFI' setpriv --reuid 4712 --regid 4712 --clear-groups env SAID="$work/user/arguments" TMPDIR="$work/user" HOME="$work/user" \
		user/tenon image build debian user/disk.img --suite trixie --size 1G --password-hash user/hash
	root="user/disk.img?offset=$((129 << 20))"
	[ "$(stat -c %u user/disk.img)" = 4712 ] || problem 'the file is not the user'"'"'s'
	is /etc/shadow '0640 0 42'
	is /var/mail/box '0660 33 8'
	text /etc/shadow | grep -q '^root:\$6\$saltsalt\$FixedHash[^:]*:19000:' || problem "$(text /etc/shadow)"
fi

# ---- Wrong, and half way ----
expect 2 '--suite' $TENON image build debian x.img
expect 2 'where does it go' $TENON image build debian --suite bookworm
expect 2 'busybox has no suite' $TENON image build busybox x.img --suite bookworm
for wrong in '--suite a/b' '--suite=-x' "--suite bookworm --packages=-o" '--suite bookworm --packages a;b' '--suite bookworm --mirror x'; do
	# shellcheck disable=SC2086 # words
	expect 2 'tenon: ' $TENON image build debian x.img $wrong
done
expect 1 'disk.img: holds gpt' $TENON image build debian disk.img --suite bookworm
expect 1 "there is a user 'daemon'" $TENON image build debian x.img --suite bookworm --user daemon
FAIL='unable to fetch it' expect 1 'mmdebstrap failed: E: unable to fetch it' $TENON image build debian x.img --suite bookworm
grep -q '^deb http://mirror.example/debian bookworm main$' <($TENON image build debian x.img --suite bookworm --mirror http://mirror.example/debian >/dev/null 2>&1; cat arguments) ||
	problem "the mirror: $(cat arguments)"
$TENON image build debian x.img --suite bookworm --mirror http://me:se%40cret@mirror.example/debian --force >said 2>&1
grep -q ' from http://mirror.example/debian bookworm' said && ! grep -q secret said || problem "a mirror's password: $(cat said)"
! grep -q 'secret\|me:\|%40' arguments && grep -q '^deb http://mirror.example/debian bookworm main$' arguments ||
	problem "a mirror's password is among the arguments: $(cat arguments)"
[ "$(cat auth.conf)" = '600 machine http://mirror.example/debian login me password se@cret' ] || problem "apt is told: $(cat auth.conf)"
grep -q '^--customize-hook=rm -f "$1/etc/apt/auth.conf.d/90-tenon.conf"$' arguments || problem 'the password stays in the image'
expect 2 'older than bookworm' $TENON image build debian x.img --suite jessie
expect 1 'no blanks' $TENON image build debian x.img --suite sid --force --mirror http://me:se%20cret@mirror.example/debian
rm -f x.img
# Process 1 reaps nobody here, and fakeroot (from Debian 13 on) waits until its daemon is gone.
if [ "$(id -u)" = 0 ] && unshare --fork --pid --mount-proc true 2>/dev/null; then
	ORPHAN=$work/orphan expect 0 'boots by UEFI' unshare --fork --pid --mount-proc "$TENON" image build debian x.img --suite bookworm
	rm -f x.img
fi
expect 0 'x.img: would be made: Debian sid on a disk of 3 GiB' $TENON image build debian --output x.img --suite sid --size 3G --dry-run
[ ! -e x.img ] || problem 'what failed, or was only said, left a file'
nothing_left

# ---- A volume; and who is ended leaves none ----
truncate -s 3G pv.img
$TENON vg create vg0 pv.img || exit 1
build vg0/web1 --suite bookworm --size 1200M
json "d['os'] == 'Small 1' and d['size_bytes'] == 1200 << 20 and d['problem'] is None" $TENON image show vg0/web1 --json
expect 1 'vg0/web1: holds gpt' $TENON image build debian vg0/web1 --suite bookworm
expect 1 'its group has free' $TENON image build debian vg0/web2 --suite bookworm --size 4G
SLOW=$work/slow $TENON image build debian vg0/web2 --suite bookworm --size 1200M >ended 2>&1 &
pid=$!
wait_for test -s slow
kill -TERM $pid
wait $pid
[ $? = 143 ] || problem 'it was not ended by SIGTERM'
# What mmdebstrap has started does not go on.
! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$(cat slow)/status" || problem 'a process is left that installs'
! $TENON lv show vg0/web2 >/dev/null 2>&1 || problem 'it left a volume'
nothing_left

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
