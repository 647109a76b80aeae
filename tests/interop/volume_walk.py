# SPDX-License-Identifier: BSD-2-Clause
"""A random walk over one volume group, a step of ours and a step of lvm2 in turn; see volume_walk_test.sh.

After each step everything that `lvm fullreport` says of group, PVs, volumes, segments and free extents is what our
listings say, field by field. A field that no rule below speaks of must have one value in the whole walk; KERNEL are what
device-mapper or the host would tell, and ROOM what free bytes metadata areas have, which we do not list.
Arguments: the command, steps, the seed.
"""
import json, os, random, re, subprocess, sys

TENON, STEPS, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rnd = random.Random(SEED)
here = os.getcwd()
images = {os.path.join(here, name + ".img"): None for name in "abcd"}  # path: loop device
group = "walk"
MIB = 1 << 20
KERNEL = re.compile("pv_major|pv_minor|pv_name|lv_active|lv_kernel|lv_permissions|lv_suspended|lv_live_table|lv_inactive"
                    "|lv_device_open|lv_(check_needed|merge_failed|snapshot_invalid)|zero$")
ROOM = {"vg_mda_free", "pv_mda_free"}
ALLOC = {"contiguous": "c", "cling": "l", "normal": "n", "anywhere": "a"}
constant, problems, counts = {}, [], {}

os.environ["TENON_DEVICES"] = ":".join(images)
os.environ["TZ"] = "UTC"

def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=600)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

def tenon(*words):
    return run(TENON, *words)

def attach():
    for path in images:
        images[path] = run("losetup", "-f", "--show", path)[1].strip()

def detach():
    for path, loop in images.items():
        if loop:
            run("losetup", "-d", loop)
        images[path] = None

def lvm(*words):
    """Between attach() and detach()."""
    accept = "".join('"a|^%s$|",' % loop for loop in images.values())
    config = ('devices { use_devicesfile=0 hints="none" filter=[%s"r|.*|"] obtain_device_list_from_udev=0 '
              'external_device_info_source="none" } backup { backup=0 archive=0 } '
              'global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 }' % accept)
    return run("lvm", words[0], "--driverloaded", "n", "--config", config, *words[1:])

def shown(*words):
    rc, out, err = tenon(*words, "--json")
    if rc:
        raise SystemExit("tenon %s: %s" % (" ".join(words), err))
    return json.loads(out)

# ---- Both views, as lvm2 names things ----

def expected_pv(pv):
    size, extent = pv["extents"], ours["vg"]["extent_size_bytes"]
    used = pv["allocated_extents"]
    return {"pv_fmt": "lvm2", "pv_uuid": pv["uuid"], "dev_size": os.path.getsize(pv["device"]),
            "pe_start": pv["pe_start_bytes"], "pv_size": size * extent, "pv_free": (size - used) * extent,
            "pv_used": used * extent, "pv_pe_count": size, "pv_pe_alloc_count": used,
            "pv_attr": ("a" if pv["allocatable"] else "u") + ("x" if ours["vg"]["exported"] else "-") + "-",
            "pv_allocatable": "allocatable" if pv["allocatable"] else "",
            "pv_exported": "exported" if ours["vg"]["exported"] else "", "pv_missing": "",
            "pv_tags": ",".join(sorted(pv["tags"])), "pv_mda_count": pv["metadata_areas"],
            "pv_mda_used_count": pv["metadata_areas_used"], "pv_in_use": "used" if pv["used"] else "",
            "pv_ba_size": pv["bootloader_area_bytes"]}

def expected_vg():
    vg, free = ours["vg"], ours["vg"]["free_extents"]
    flags = ["w", "z" if vg["resizeable"] else "-", "x" if vg["exported"] else "-", "-", ALLOC[vg["allocation"]], "-"]
    areas = sum(pv["metadata_areas"] for pv in ours["pvs"])
    return {"vg_fmt": "lvm2", "vg_uuid": vg["uuid"], "vg_name": group, "vg_attr": "".join(flags),
            "vg_permissions": "writeable", "vg_extendable": "extendable" if vg["resizeable"] else "",
            "vg_exported": "exported" if vg["exported"] else "", "vg_partial": "",
            "vg_autoactivation": "enabled" if vg["autoactivate"] else "",
            "vg_allocation_policy": vg["allocation"], "vg_size": vg["size_bytes"], "vg_free": vg["free_bytes"],
            "vg_extent_size": vg["extent_size_bytes"], "vg_extent_count": vg["extents"], "vg_free_count": free,
            "max_lv": vg["max_lvs"], "max_pv": vg["max_pvs"], "pv_count": len(ours["pvs"]),
            "vg_missing_pv_count": 0, "lv_count": len(ours["lvs"]), "snap_count": 0, "vg_seqno": vg["seqno"],
            "vg_tags": ",".join(sorted(vg["tags"])), "vg_mda_count": areas, "vg_mda_used_count": areas}

def dm(name):
    return name.replace("-", "--")

def expected_lv(lv):
    vg = ours["vg"]["name"]
    time = lv["created"].replace("T", " ").replace("Z", " +0000")
    return {"lv_uuid": lv["uuid"], "lv_name": lv["name"], "lv_full_name": vg + "/" + lv["name"],
            "lv_path": "/dev/%s/%s" % (vg, lv["name"]), "lv_dm_path": "/dev/mapper/%s-%s" % (dm(vg), dm(lv["name"])),
            "lv_layout": lv["type"] if len({s["areas"].__len__() > 1 for s in lv["segments"]}) == 1 else ANY,
            "lv_role": "public", "lv_allocation_policy": lv["allocation"],
            "lv_skip_activation": "skip activation" if lv["activation_skip"] else "",
            "lv_autoactivation": "enabled" if lv["autoactivate"] else "", "lv_size": lv["size_bytes"],
            "seg_count": lv["segment_count"], "lv_tags": ",".join(sorted(lv["tags"])), "lv_time": time,
            "lv_host": lv["creation_host"],
            "lv_attr": lv["attributes"][:4] + "XX" + lv["attributes"][6:]}

ANY = object()

def expected_segments():
    extent = ours["vg"]["extent_size_bytes"]
    for lv in ours["lvs"]:
        for seg in lv["segments"]:
            count = len(seg["areas"])
            each = seg["extents"] // count
            areas = [re.fullmatch(r"(.*)\((\d+)\)", area).groups() for area in seg["areas"]]
            areas = [(loops[path], int(at)) for path, at in areas]
            ranges = ["%s:%d-%d" % (loop, at, at + each - 1) for loop, at in areas]
            yield {"segtype": "striped" if count > 1 else "linear", "stripes": count, "data_stripes": count,
                   "stripe_size": seg["stripe_size_bytes"], "seg_start": seg["start"] * extent,
                   "seg_start_pe": seg["start"], "seg_size": seg["extents"] * extent, "seg_size_pe": seg["extents"],
                   "seg_pe_ranges": " ".join(ranges), "seg_le_ranges": ",".join(ranges),
                   "devices": ",".join("%s(%d)" % area for area in areas), "lv_uuid": lv["uuid"]}

def expected_ranges():
    """Of each PV what is used by whom, and what is free, in order; lvm2 joins neither."""
    for pv in ours["pvs"]:
        used = []
        for lv in ours["lvs"]:
            for seg in lv["segments"]:
                each = seg["extents"] // len(seg["areas"])
                for area in seg["areas"]:
                    path, at = re.fullmatch(r"(.*)\((\d+)\)", area).groups()
                    if path == pv["device"]:
                        used.append((int(at), each, lv["uuid"]))
        at = 0
        for start, size, owner in sorted(used) + [(pv["extents"], 0, None)]:
            if start > at:
                yield {"pvseg_start": at, "pvseg_size": start - at, "pv_uuid": pv["uuid"], "lv_uuid": ""}
            if size:
                yield {"pvseg_start": start, "pvseg_size": size, "pv_uuid": pv["uuid"], "lv_uuid": owner}
            at = start + size

def compare_rows(kind, key, theirs, expected):
    theirs = sorted(theirs, key=lambda row: [row[k].zfill(20) for k in key])
    expected = sorted(expected, key=lambda row: [str(row[k]).zfill(20) for k in key])
    if len(theirs) != len(expected):
        problems.append("%s: lvm2 has %d, we have %d" % (kind, len(theirs), len(expected)))
        return
    for row, wanted in zip(theirs, expected):
        for field, value in row.items():
            value = ",".join(sorted(value.split(","))) if field.endswith("_tags") else value
            if KERNEL.match(field) or field in ROOM:
                continue
            if field in wanted:
                if wanted[field] is not ANY and str(wanted[field]) != value:
                    problems.append("%s %s: lvm2 says %r, we %r" % (kind, field, value, wanted[field]))
            elif constant.setdefault(field, value) != value:
                problems.append("%s %s: is %r, was %r, and we do not list it" % (kind, field, value, constant[field]))

def compare():
    global ours, loops
    vg = shown("vg", "show", group)
    ours = {"vg": vg, "pvs": [shown("pv", "show", pv["device"]) for pv in vg["pvs"]],
            "lvs": [shown("lv", "show", group + "/" + lv["name"]) for lv in vg["lvs"]]}
    attach()
    try:
        loops = dict(images)
        rc, out, err = lvm("fullreport", "--reportformat", "json", "--units", "b", "--nosuffix", group)
        checked, _, said = lvm("vgck", group)
    finally:
        detach()
    if rc or checked and not vg["exported"]:
        problems.append("lvm2: " + err + said)
        return
    report = json.loads(out)["report"][0]
    compare_rows("vg", ["vg_name"], report["vg"], [expected_vg()])
    compare_rows("pv", ["pv_uuid"], report["pv"], map(expected_pv, ours["pvs"]))
    compare_rows("lv", ["lv_name"], report["lv"] if ours["lvs"] else [], map(expected_lv, ours["lvs"]))
    compare_rows("segment", ["lv_uuid", "seg_start"], report["seg"] if ours["lvs"] else [], expected_segments())
    compare_rows("extents", ["pv_uuid", "pvseg_start"], report["pvseg"], expected_ranges())

# ---- Steps ----

def some_lv():
    return group + "/" + rnd.choice(ours["lvs"])["name"]

def some_pv():
    return rnd.choice(ours["pvs"])["device"]

def a_range():
    """Of a PV, as both write it; now and then one that it has not."""
    pv = rnd.choice(ours["pvs"])
    first = rnd.randrange(max(pv["extents"], 1))
    return pv["device"] + rnd.choice([":%d-%d" % (first, first + rnd.randint(0, 9)), ":%d-" % first, ":-%d" % first, ":%d" % first,
                                      ":%d+%d" % (first, rnd.randint(1, 5)), ":0-3:%d-" % first])

def as_loop(word):
    """lvm2's word for one of ours: a PV, with ranges or not."""
    path, colon, rest = word.partition(":")
    return images[path] + colon + rest if path in images else word

def new_name():
    return rnd.choice("abcdefg") + str(rnd.randrange(1000)) + rnd.choice(["", "-x", "_y", "+z", ".w"])

def a_tag():
    return rnd.choice(["one", "two/2", "a=b", "x:y", "t-1"])

def inside():
    return {pv["device"] for pv in ours["pvs"]}

def choose(mine):
    """A step: its kind, and the words of our command or of lvm2's."""
    lvs, size = ours["lvs"], str(rnd.randint(1, 12))
    outside = sorted(set(images) - inside())
    steps = ["create"] * 4 + ["vg_tag", "vg_change", "pv_tag", "pv_change", "pv_resize", "rename_vg", "move"]
    steps += ["extend_vg"] * 2 if outside else []
    steps += ["reduce_vg"] if len(ours["pvs"]) > 2 else []
    steps += ["extend", "extend", "reduce", "rename", "tag", "policy", "skip", "autoactivate", "permission"] if lvs else []
    steps += ["ranges", "ranges"] + (["extend_ranges", "pv_move", "lv_move"] if lvs else []) + (["regroup"] if len(ours["pvs"]) > 1 else [])
    steps += ["remove"] * (1 if len(lvs) < 8 else 8) if lvs else []
    kind = rnd.choice(steps)
    alloc, yes = rnd.choice(list(ALLOC) + ["inherit"]), rnd.random() < 0.5
    yn, word = ("y" if yes else "n"), ("yes" if yes else "no")
    tag_ours = ["--add" if yes else "--delete", a_tag()]
    tag_theirs = ["--addtag" if yes else "--deltag", tag_ours[1]]
    stripes = str(rnd.choice([1, 1, 1, 2, 2, 3]))
    percent = rnd.choice(["20%FREE", "10%VG", "15%PVS"])
    name = new_name()
    loop = lambda path: images[path]
    if kind == "create":
        if mine:
            words = ["lv", "create", group + "/" + name, *rnd.choice([["--size", size + "M"], ["--extents", percent]]),
                     "--stripes", stripes, *(["--tag", a_tag()] if yes else [])]
            return kind, words + (["--alloc", alloc] if rnd.random() < 0.3 else []) + ([some_pv()] if stripes == "1" and yes else [])
        return kind, ["lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", name, "-i", stripes, *rnd.choice([["-L", size + "m"], ["-l", percent]]),
                      *(["--addtag", a_tag()] if yes else []), *(["--alloc", alloc] if rnd.random() < 0.3 else []), group]
    if kind == "ranges":
        places = [a_range() for _ in range(rnd.randint(1, 2))]
        amount = rnd.choice([["--extents", size], ["--extents", "100%PVS"]])
        return kind, ["lv", "create", group + "/" + name, *amount, *places] if mine else \
            ["lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", name, "-l", amount[1], group, *places]
    if kind == "extend_ranges":
        lv, place = some_lv(), a_range()
        return kind, ["lv", "extend", lv, "--extents", "+" + size, place] if mine else ["lvextend", "-l", "+" + size, lv, place]
    # lvm2 wants the kernel for its own.
    if kind == "pv_move":
        return kind, ["pv", "move", rnd.choice([some_pv, a_range])(), *([rnd.choice([some_pv, a_range])()] if yes else [])]
    if kind == "lv_move":
        return kind, ["lv", "move", some_lv(), rnd.choice([some_pv, a_range])()]
    if kind == "regroup":
        return kind, ["vg", "split", group, "part", some_pv()] if mine else ["vgsplit", group, "part", some_pv()]
    if kind == "extend":
        amount = rnd.choice(["+" + size, "+10%FREE", "+50%LV"])
        return kind, ["lv", "extend", some_lv(), "--extents", amount] if mine else ["lvextend", "-l", amount, some_lv()]
    if kind == "reduce":
        amount = rnd.choice(["-" + size, "-30%LV"])
        return kind, ["lv", "reduce", some_lv(), "--extents", amount, "--yes", "--force"] if mine else \
            ["lvreduce", "-f", "-y", "-l", amount, some_lv()]
    if kind == "remove":
        return kind, ["lv", "remove", some_lv(), "--yes"] if mine else ["lvremove", "-f", "-y", some_lv()]
    if kind == "rename":
        return kind, ["lv", "rename", some_lv(), name] if mine else ["lvrename", some_lv(), group + "/" + name]
    if kind == "tag":
        return kind, ["lv", "tag", some_lv(), *tag_ours] if mine else ["lvchange", *tag_theirs, some_lv()]
    if kind == "policy":
        return kind, ["lv", "change", some_lv(), "--alloc", alloc] if mine else ["lvchange", "--alloc", alloc, some_lv()]
    if kind == "skip":
        return kind, ["lv", "change", some_lv(), "--activation-skip", word] if mine else ["lvchange", "-k" + yn, some_lv()]
    if kind == "autoactivate":
        return kind, ["lv", "change", some_lv(), "--autoactivate", word] if mine else \
            ["lvchange", "--setautoactivation", yn, some_lv()]
    if kind == "permission":
        return kind, ["lv", "change", some_lv(), "--read-write" if yes else "--read-only"] if mine else \
            ["lvchange", "-prw" if yes else "-pr", some_lv()]
    if kind == "vg_tag":
        return kind, ["vg", "tag", group, *tag_ours] if mine else ["vgchange", *tag_theirs, group]
    if kind == "vg_change":
        alloc = rnd.choice(list(ALLOC))
        return kind, ["vg", "change", group, "--alloc", alloc, "--autoactivate", word] if mine else \
            ["vgchange", *rnd.choice([["--alloc", alloc], ["--setautoactivation", yn]]), group]
    if kind == "pv_tag":
        pv = some_pv()
        return kind, ["pv", "tag", pv, *tag_ours] if mine else ["pvchange", *tag_theirs, pv]
    if kind == "pv_change":
        return kind, ["pv", "change", some_pv(), "--allocatable", word] if mine else ["pvchange", "-x", yn, some_pv()]
    if kind == "pv_resize":
        pv = some_pv()
        size = str(rnd.randint(20, 48))
        return kind, ["pv", "resize", pv, "--size", size + "M"] if mine else \
            ["pvresize", "-y", "--setphysicalvolumesize", size + "m", pv]
    if kind == "extend_vg":
        return kind, ["vg", "extend", group, rnd.choice(outside), "--yes"] if mine else ["vgextend", "-y", group, rnd.choice(outside)]
    if kind == "reduce_vg":
        return kind, ["vg", "reduce", group, some_pv()] if mine else ["vgreduce", group, some_pv()]
    if kind == "rename_vg":
        return kind, ["vg", "rename", group, "w" + name] if mine else ["vgrename", group, "w" + name]
    exported = ours["vg"]["exported"]
    if mine:
        return "move", ["vg", "import" if exported else "export", group]
    return "move", ["vgimport" if exported else "vgexport", group]

def carry_out(mine, words):
    if mine:
        return tenon(*words)
    attach()
    try:
        return lvm(*map(as_loop, words))
    finally:
        detach()

def step(number):
    global group
    mine = number % 2 == 0
    kind, words = choose(mine)
    if ours["vg"]["exported"] and rnd.random() < 0.9:
        kind, words = "move", ["vg", "import", group] if mine else ["vgimport", group]
    mine = mine or words[0] in ("pv", "lv")
    rc, out, err = carry_out(mine, words)
    if os.environ.get("VERBOSE"):
        print(number, "ours" if mine else "lvm2", " ".join(words), "refused: " + err.strip() if rc else "", flush=True)
    count = counts.setdefault(kind, [0, 0, 0, 0])
    count[(0 if mine else 2) + bool(rc)] += 1
    if not rc and kind == "rename_vg":
        group = words[-1]
    before = len(problems)
    if not rc and kind == "regroup":
        # The other one puts together again.
        done, out, err = carry_out(not mine, ["vgmerge", group, "part"] if mine else ["vg", "merge", group, "part"])
        if done:
            problems.append("what was split cannot be merged: " + err)
    compare()
    if len(problems) > before:
        print("step %d, %s: %s\n%s%s" % (number, " ".join(words), "failed" if rc else "done", out, err))
        print("\n".join(problems[before:]))
        sys.exit(1)

for path in images:
    with open(path, "wb") as file:
        file.truncate(49 * MIB)
rc, out, err = tenon("vg", "create", group, *list(images)[:3], "--extent-size", "1M")
if rc:
    raise SystemExit(err)
compare()
for number in range(STEPS):
    step(number)
if problems:
    raise SystemExit("\n".join(problems))
print("%d steps from seed %d, done/refused by us, by lvm2:" % (STEPS, SEED))
for kind, count in sorted(counts.items()):
    print("  %-14s %d/%d %d/%d" % (kind, *count))
ours_done = sum(c[0] for c in counts.values())
theirs_done = sum(c[2] for c in counts.values())
if ours_done < STEPS / 5 or theirs_done < STEPS / 5:
    raise SystemExit("too few steps were done: %d of ours, %d of lvm2's" % (ours_done, theirs_done))
