# SPDX-License-Identifier: BSD-2-Clause
"""Volumes of types that only lvm2 operates, as it and we see them; see volume_types_test.sh.

Their metadata is written here and put on the disks by vgcfgrestore, which checks it: making them takes a kernel with
device-mapper. Type and attributes are compared for each, hidden ones too; then all that lvm2 says of them (lv_all, seg_all), before and after changes
of ours that write the text anew. Type and attributes of arrays are compared as well.
"""
import json, os, random, re, subprocess, sys

TENON = sys.argv[1]
rnd = random.Random(1)
problems = []
os.environ["TENON_DEVICES"] = ":".join(f"p{i}.img" for i in range(4))


def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=300)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def tenon(*words):
    rc, out, err = run(TENON, *words)
    if rc:
        problems.append(f"{words}: {err}")
    return out


def lvm(verb, *words):
    """With the images on loop devices, for this command alone."""
    loops = [run("losetup", "-f", "--show", f"p{i}.img")[1].strip() for i in range(4)]
    try:
        accept = "".join(f'"a|^{loop}$|",' for loop in loops)
        config = (f'devices {{ use_devicesfile=0 hints="none" filter=[{accept}"r|.*|"] obtain_device_list_from_udev=0 '
                  'external_device_info_source="none" } backup { backup=0 archive=0 } '
                  'global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 }')
        rc, out, err = run("lvm", verb, "--driverloaded", "n", "--config", config, *words)
    finally:
        run("losetup", "-d", *loops)
    if rc:
        sys.exit(f"lvm {verb} {words}: {err}")
    # Others use such devices, too: it is not always the same.
    return re.sub("/dev/loop[0-9]+", lambda found: f"p{loops.index(found[0])}.img" if found[0] in loops else found[0], out)


def uuid():
    letters = "abcdefghijkmnpqrstuvwxyz0123456789"
    return "-".join("".join(rnd.choice(letters) for _ in range(n)) for n in (6, 4, 4, 4, 4, 4, 6))


def volume(name, kind, extents, *keys, hidden=False):
    status = '"READ", "WRITE"' + ("" if hidden else ', "VISIBLE"')
    lines = [f'{name} {{', f'id = "{uuid()}"', f"status = [{status}]", "flags = []", "segment_count = 1", "segment1 {",
             "start_extent = 0", f"extent_count = {extents}", f'type = "{kind}"', *keys, "}", "}"]
    return "\n".join(lines) + "\n"


places = {"next": 0}


def linear(name, extents, hidden=True):
    at, places["next"] = places["next"], places["next"] + extents
    return volume(name, "striped", extents, "stripe_count = 1", f'stripes = ["pv1", {at}]', hidden=hidden)


VDO = ["header_size = 2048", "virtual_extents = 200", "use_compression = 1", "use_deduplication = 1", "use_metadata_hints = 1",
       "minimum_io_size = 4096", "block_map_cache_size_mb = 128", "block_map_era_length = 16380", "use_sparse_index = 0",
       "index_memory_size_mb = 256", "slab_size_mb = 2048", "max_discard = 1", "ack_threads = 1", "bio_threads = 4",
       "bio_rotation = 64", "cpu_threads = 2", "hash_zone_threads = 1", "logical_threads = 1", "physical_threads = 1",
       'write_policy = "auto"']


def all_types():
    yield linear("org", 20, hidden=False)
    yield linear("snap", 8)
    yield volume("snapshot0", "snapshot", 20, "chunk_size = 8", 'origin = "org"', 'cow_store = "snap"', hidden=True)
    yield linear("pool_tmeta", 4) + linear("pool_tdata", 16) + linear("lvol0_pmspare", 4)
    yield volume("pool", "thin-pool+CROP_METADATA", 16, 'metadata = "pool_tmeta"', 'pool = "pool_tdata"', "transaction_id = 2", "chunk_size = 128",
                 'discards = "passdown"', "zero_new_blocks = 1", "crop_metadata = 1")
    yield volume("thin", "thin", 100, 'thin_pool = "pool"', "transaction_id = 0", "device_id = 1")
    yield volume("thin2", "thin", 100, 'thin_pool = "pool"', "transaction_id = 1", "device_id = 2", 'origin = "thin"')
    yield linear("cp_cmeta", 4) + linear("cp_cdata", 16)
    yield volume("cp_cpool", "cache-pool+METADATA_FORMAT", 16, 'data = "cp_cdata"', 'metadata = "cp_cmeta"', "chunk_size = 128", "metadata_format = 2",
                 'cache_mode = "writethrough"', 'policy = "smq"', hidden=True)
    yield linear("cached_corig", 20) + volume("cached", "cache", 20, 'cache_pool = "cp_cpool"', 'origin = "cached_corig"')
    yield linear("wc_cvol", 8) + linear("wc_wcorig", 10)
    yield volume("wc", "writecache", 10, 'origin = "wc_wcorig"', 'writecache = "wc_cvol"', "writecache_block_size = 4096", "high_watermark = 60")
    yield linear("ig_imeta", 4) + linear("ig_iorig", 10)
    yield volume("ig", "integrity", 10, 'origin = "ig_iorig"', "data_sectors = 20480", 'mode = "J"', "tag_size = 4", "block_size = 4096",
                 'internal_hash = "crc32c"', 'meta_dev = "ig_imeta"')
    yield linear("vp_vdata", 60) + volume("vp", "vdo-pool", 60, 'data = "vp_vdata"', *VDO)
    yield volume("vd", "vdo", 200, 'vdo_pool = "vp"', "vdo_offset = 0")
    yield volume("zeroes", "zero", 4) + volume("errors", "error", 4)


def theirs():
    """All that lvm2 says of each volume."""
    report = json.loads(lvm("lvs", "-a", "-o", "lv_all,seg_all", "--reportformat", "json", "vg0"))["report"][0]["lv"]
    return {row["lv_name"].strip("[]"): row for row in report}


def compare(rows):
    ours = {row["name"]: row for row in json.loads(tenon("lv", "list", "vg0", "--all", "--json"))}
    del ours["snapshot0"]  # lvm2 shows it as its store alone
    if set(ours) != set(rows):
        problems.append(f"volumes: {set(ours) ^ set(rows)}")
    for name in set(ours) & set(rows):
        found = ours[name]["type"], ours[name]["attributes"]
        expected = rows[name]["segtype"], rows[name]["lv_attr"].replace("X", "-")
        if "_rimage_" in name:  # to lvm2 without device-mapper none is in sync
            expected = expected[0], expected[1].replace("I", "i", 1)
        if name.endswith("_iorig"):  # 2.03.31 says whether it is in sync, 2.03.16 does not
            expected = expected[0], expected[1].replace("I", "-", 1)
        # A snapshot is shown as one, not as its store.
        if found != expected and not (name == "snap" and found == ("snapshot", expected[1])):
            problems.append(f"{name}: {found}, lvm2 says {expected}")


for i in range(4):
    with open(f"p{i}.img", "wb") as image:
        image.truncate(256 << 20)
tenon("vg", "create", "vg0", *(f"p{i}.img" for i in range(4)), "--extent-size", "1M")
tenon("lv", "create", "vg0/plain", "--size", "4M")
lvm("vgcfgbackup", "-f", os.path.abspath("plain"), "vg0")
text = open("plain").read()
types = "".join(all_types())


def restore(volumes):
    with open("all", "w") as file:
        file.write(text.replace("logical_volumes {\n", "logical_volumes {\n" + volumes, 1))
    lvm("vgcfgrestore", "-y", "--force", "-f", os.path.abspath("all"), "vg0")


# A type that is not known is shown, and its group left alone.
restore(types + volume("later", "of_the_future", 4, "some_key = 3"))
compare(theirs())
restore(types)
before = theirs()
tenon("lv", "create", "vg0/more", "--size", "9M")
tenon("lv", "tag", "vg0/thin", "--add", "kept")
tenon("lv", "tag", "vg0/thin", "--delete", "kept")
tenon("lv", "extend", "vg0/more", "--size", "+3M")
tenon("lv", "remove", "vg0/more", "--yes")
tenon("vg", "rename", "vg0", "vg1")
tenon("vg", "rename", "vg1", "vg0")
lvm("vgck", "vg0")
after = theirs()
compare(after)
for name, row in before.items():
    # Free space, and what else is the group's, is not the volume's.
    changed = {key for key in row if after.get(name, {}).get(key) != row[key] and not key.startswith("vg_")}
    if changed:
        problems.append(f"{name}: {changed} changed")

# Arrays, of which we make the metadata.
for kind in "raid0", "raid0_meta", "raid1", "raid4", "raid5_la", "raid5_n", "raid10":
    unsynced = [] if kind.startswith("raid0") else ["--nosync"]
    tenon("lv", "create", f"vg0/of_{kind}", "--size", "4M", "--type", kind, *unsynced)
tenon("lv", "create", "vg0/synced", "--size", "4M", "--type", "raid1")
compare(theirs())
print("\n".join(problems))
sys.exit(bool(problems))
