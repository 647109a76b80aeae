#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a volume group of N volumes of one extent each, at once: many_volumes.py IMAGE N

The group is made by `tenon vg create` (--metadata-size large enough) before; its metadata text gets N volumes and
is written into the metadata area as lvm2 does: the text behind the present one, then its place in the header.
Creating them one by one would write N texts of up to megabytes."""
import struct
import sys

SECTOR = 512


def crc(data, value=0xf597a6cf):
    """lvm2's (lib/misc/crc.c): CRC-32 with that start and no final complement."""
    import zlib
    return zlib.crc32(data, value ^ 0xffffffff) ^ 0xffffffff


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    with open(path, 'r+b') as image:
        label = image.read(8 * SECTOR)
        at = next(i * SECTOR for i in range(4) if label[i * SECTOR:i * SECTOR + 8] == b'LABELONE')
        header = at + struct.unpack_from('<I', label, at + 20)[0]
        place = header + 40
        for _ in range(2):  # the lists of data areas and of metadata areas, each ended by zeroes
            areas = []
            while struct.unpack_from('<QQ', label, place) != (0, 0):
                areas.append(struct.unpack_from('<QQ', label, place))
                place += 16
            place += 16
        start, size = areas[0]
        image.seek(start)
        mda = bytearray(image.read(SECTOR))
        offset, length = struct.unpack_from('<QQ', mda, 40)
        image.seek(start + offset)
        text = image.read(length).rstrip(b'\0').decode()
        volumes = ''.join('''
lv%05d {
id = "%s"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
creation_time = 1700000000
creation_host = "bench"
segment_count = 1
segment1 {
start_extent = 0
extent_count = 1
type = "striped"
stripe_count = 1
stripes = [
"pv0", %d
]
}
}
''' % (i, 'aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-%06d' % i, i) for i in range(count))
        depth, i = 0, text.index('physical_volumes {')
        while True:  # the end of that section
            depth += (text[i] == '{') - (text[i] == '}')
            if text[i] == '}' and not depth:
                break
            i += 1
        text = text[:i + 1] + '\nlogical_volumes {\n' + volumes + '}\n' + text[i + 1:]
        data = text.encode() + b'\0'
        new = (offset + length + SECTOR - 1) // SECTOR * SECTOR
        if new + len(data) > size:
            sys.exit('the metadata area is too small: %d bytes, %d are needed' % (size, new + len(data)))
        image.seek(start + new)
        image.write(data)
        struct.pack_into('<QQI', mda, 40, new, len(data), crc(data))
        struct.pack_into('<I', mda, 0, crc(bytes(mda[4:])))
        image.seek(start)
        image.write(mda)


main()
