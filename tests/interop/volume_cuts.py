# SPDX-License-Identifier: BSD-2-Clause
"""What lvm2 says of disks after a cut of power, and what we say: volume_cuts.py TENON DIRECTORY..., of the disk images in each.

Of each group: UUID, name, sequence number, exported or not, the volumes with types and sizes, and the PVs that are there. Prints how many were asked about.
"""
import glob, json, os, subprocess, sys

TENON, DIRECTORIES = sys.argv[1], sys.argv[2:]

def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=600)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

def is_there(pv):
    """lvm2 forgets that a PV was missing when it is here again and nothing is on it; we keep it until it is said to be good."""
    return pv["device"] is not None and (not pv["missing_pv"] or pv["free_bytes"] == pv["size_bytes"])

def ours(images):
    devices = [word for image in images for word in ("--device", image)]
    groups = {}
    for group in json.loads(run(TENON, "vg", "list", "--json", *devices)[1]):
        rc, out, err = run(TENON, "vg", "show", group.get("uuid") or group["name"], "--json", *devices)
        if rc:
            raise SystemExit("tenon vg show %s: %s" % (group["name"], err))
        one = json.loads(out)
        volumes = json.loads(run(TENON, "lv", "list", "--all", "--json", *devices)[1])
        groups[one["uuid"]] = {
            "name": one["name"], "seqno": one["seqno"], "exported": one["exported"],
            "lvs": sorted((lv["name"], lv["type"], lv["size_bytes"]) for lv in volumes if lv["vg"] == one["name"]),
            "pvs": sorted((pv["uuid"], is_there(pv)) for pv in one["pvs"])}
    return groups

def theirs(images):
    loops = [run("losetup", "-f", "--show", image)[1].strip() for image in images]
    try:
        accept = "".join('"a|^%s$|",' % loop for loop in loops)
        config = ('devices { use_devicesfile=0 hints="none" filter=[%s"r|.*|"] obtain_device_list_from_udev=0 '
                  'external_device_info_source="none" } backup { backup=0 archive=0 } '
                  'global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 }' % accept)
        lvm = lambda *words: run("lvm", words[0], "--driverloaded", "n", "--config", config, *words[1:])
        report = lambda what, fields: [
            row for part in json.loads(lvm(what, "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields, *(["-a"] if what != "vgs" else []))[1])["report"]
            for row in list(part.values())[0]]
        groups = {}
        for row in report("vgs", "vg_uuid,vg_name,vg_seqno,vg_exported"):
            groups[row["vg_uuid"]] = {"name": row["vg_name"], "seqno": int(row["vg_seqno"]),
                                      "exported": bool(row["vg_exported"]), "lvs": [], "pvs": []}
        for row in report("lvs", "vg_uuid,lv_name,segtype,lv_size"):
            if row["vg_uuid"] in groups and row["lv_name"]:
                groups[row["vg_uuid"]]["lvs"].append((row["lv_name"].strip("[]"), row["segtype"], int(row["lv_size"])))
        for row in report("pvs", "vg_uuid,pv_uuid,pv_missing"):
            if row["vg_uuid"] in groups:
                groups[row["vg_uuid"]]["pvs"].append((row["pv_uuid"], not row["pv_missing"]))
        for group in groups.values():
            group["lvs"] = sorted(set(group["lvs"]))
            group["pvs"].sort()
        return groups
    finally:
        for loop in loops:
            run("losetup", "-d", loop)

def level(we, they):
    """Cut off in a split, before the old group let go of PVs: we take the new group, which is exported, for none."""
    for uuid in [uuid for uuid, group in they.items() if uuid not in we and group["exported"]]:
        if any(set(they[uuid]["pvs"]) <= set(group["pvs"]) for group in we.values()):
            del they[uuid]
    # lvs leaves out the volumes of groups that are exported.
    for group in [*we.values(), *they.values()]:
        if group["exported"]:
            group["lvs"] = []

os.environ["LC_ALL"] = "C"
differ = 0
for directory in DIRECTORIES:
    images = sorted(glob.glob(os.path.join(directory, "*.img")))
    we, they = ours(images), theirs(images)
    level(we, they)
    if we != they:
        differ += 1
        print("%s:\n  ours:   %s\n  theirs: %s" % (directory, we, they))
print("%d states, %d differ" % (len(DIRECTORIES), differ))
sys.exit(differ != 0)
