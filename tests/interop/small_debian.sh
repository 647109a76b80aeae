# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# A system of a few files in place of Debian, and a mmdebstrap that gives it: to be sourced, in a folder of the test's own.

# small_debian: makes system.tar and bin/mmdebstrap here. That writes its arguments to $SAID, fails if $FAIL says why, and is
# slow once it has made the file $SLOW (in a process of its own, for which it waits whatever it is told), and waits for an orphan to be
# reaped whose number is in $ORPHAN, each if it is not empty.
small_debian() {
	mkdir -p bin
	export SYSTEM=$PWD/system.tar
	python3 - <<'PYTHON' || return 1
import io, tarfile
with tarfile.open("system.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    def add(name, text=None, mode=0o644, uid=0, gid=0, link=None, pax=None, kind=None):
        i = tarfile.TarInfo("./" + name)
        i.mode, i.uid, i.gid, i.mtime = mode, uid, gid, 1700000000
        if pax:
            i.pax_headers = pax
        if link:
            i.type, i.linkname = tarfile.SYMTYPE, link
        elif kind:
            i.type, i.devmajor, i.devminor = kind, 1, 3
        elif text is None:
            i.type = tarfile.DIRTYPE
        data = (text or "").encode()
        i.size = len(data) if text is not None else 0
        tar.addfile(i, io.BytesIO(data))
    for folder in ("bin boot dev etc etc/apt etc/ssh etc/skel etc/sudoers.d home root usr usr/lib usr/lib/systemd usr/lib/systemd/boot "
                   "usr/lib/systemd/boot/efi var var/lib var/mail proc sys run").split():
        add(folder, mode=0o700 if folder == "root" else 0o755)
    add("tmp", mode=0o1777)
    add("etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n")
    add("etc/shadow", "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n", mode=0o640, gid=42)
    add("etc/group", "root:x:0:\n")
    add("etc/gshadow", "root:*::\n", mode=0o640, gid=42)
    add("etc/skel/.bashrc", "# skeleton\n")
    add("etc/machine-id", "0123456789abcdef0123456789abcdef\n", mode=0o444)
    add("etc/ssh/sshd_config", "x\n")
    add("etc/ssh/ssh_host_ed25519_key", "secret\n", mode=0o600)
    add("etc/hostname", link="/../../../../../../../../../../outside")
    add("etc/kernel", link="/etc/apt")
    add("usr/lib/os-release", "PRETTY_NAME=\"Small 1\"\nID=small\n")
    add("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ loader\n")
    add("boot/vmlinuz-6.1.0-9-amd64", "kernel 9\n")
    add("boot/initrd.img-6.1.0-9-amd64", "ram 9\n", mode=0o600)
    add("boot/vmlinuz-6.1.0-10-amd64", "kernel 10\n")
    add("boot/initrd.img-6.1.0-10-amd64", "ram 10\n", mode=0o600)
    add("bin/su", "su\n", mode=0o4755)
    add("bin/ping", "ping\n", mode=0o755, pax={"SCHILY.xattr.user.note": "kept", "SCHILY.xattr.security.selinux": "of the host",
        "SCHILY.xattr.security.capability": "\1\0\0\2\0\x20" + 14 * "\0"})
    add("var/mail/box", "mail\n", mode=0o660, uid=33, gid=8)
    add("dev/null", mode=0o666, kind=tarfile.CHRTYPE)
PYTHON
cat >bin/mmdebstrap <<'SH'
#!/bin/sh
[ -z "$SAID" ] || for word; do echo "$word"; done >"$SAID"
for word; do case $word in --setup-hook=upload*) file=$(eval "set -- $word" && echo "$2"); echo "$(stat -c %a "$file") $(cat "$file")" >auth.conf ;; esac; done
[ ! -e /proc/$$/fd/15 ] || { echo 'E: the descriptors of the caller are here'; exit 1; }
[ -z "$FAIL" ] || { echo "I: working"; echo "E: $FAIL"; exit 1; }
[ -z "$ORPHAN" ] || { (sleep 0.1 & echo $! >"$ORPHAN"); while kill -0 "$(cat "$ORPHAN")" 2>/dev/null; do sleep 0.1; done; }
for word; do case $word in *.tar) cp "$SYSTEM" "$word"; [ -z "$SLOW" ] || { trap : TERM; sleep 60 & echo $! >"$SLOW"; wait $!; wait $!; } ;; esac; done
SH
	chmod 755 bin/mmdebstrap
}
