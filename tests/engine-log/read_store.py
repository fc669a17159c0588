#!/usr/bin/env python3
"""Reads a store of the log engine, following docs/log-format.md and nothing else.

    read_store.py DIRECTORY

Prints a line for each key, sorted: the key and its value in hexadecimal. It reads as a start would,
but changes nothing. Exits with 1 and a message when the store would be refused.
"""
import os
import struct
import sys


def make_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = make_table()


def crc(begin, data):
    value = begin ^ 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def u32(data, offset):
    return struct.unpack_from("<I", data, offset)[0]


def u64(data, offset):
    return struct.unpack_from("<Q", data, offset)[0]


def refuse(reason):
    sys.exit("refused: " + reason)


# ---- the manifest ---------------------------------------------------------------------------------


def manifest_frame(data, offset, header_crc):
    """The bytes of the good frame that is here, or None."""
    if offset + 32 > len(data) or u32(data, offset) != 0x4D46564B:
        return None
    size, entries = u32(data, offset + 4), u32(data, offset + 8)
    if size != 32 + 64 * entries or offset + size > len(data):
        return None
    frame = data[offset:offset + size]
    value = crc(header_crc, struct.pack("<Q", offset))
    value = crc(crc(value, frame[:12]), frame[16:])
    return frame if value == u32(frame, 12) else None


def read_manifest(path):
    """The secret, and the entries of the segments by number."""
    with open(path, "rb") as file:
        data = file.read()
    header_size = u32(data, 12)
    header_crc = crc(0, data[:header_size - 4])
    if data[:8] != b"KVSLOGMF" or u32(data, header_size - 4) != header_crc:
        refuse("the manifest's header is damaged")
    if u32(data, 8) != 1:
        refuse("the manifest has a later format")
    segments = {}
    offset, durable = header_size, 0
    while (frame := manifest_frame(data, offset, header_crc)) is not None:
        for entry_offset in range(32, len(frame), 64):
            entry = frame[entry_offset:entry_offset + 64]
            if crc(crc(0, entry[:12]), entry[16:]) != u32(entry, 12):
                refuse("an entry of the manifest is damaged")
            kind, number, flags = struct.unpack_from("<III", entry)
            if kind == 1 and flags & ~3 == 0:
                generation, _, end, _, _, largest = struct.unpack_from("<6Q", entry, 16)
                segments[number] = {
                    "sealed": flags & 1, "removing": flags & 2,
                    "generation": generation, "end": end, "largest": largest}
            elif kind == 2:
                segments.pop(number, None)
            else:
                refuse("the manifest has an entry of a later version")
        durable = max(durable, u64(frame, 16))
        offset += len(frame)
    for later in range(offset, len(data), 8):
        frame = manifest_frame(data, later, header_crc)
        if frame is not None:
            durable = max(durable, u64(frame, 16))
    if durable > offset:
        refuse("the manifest is damaged")
    return data[32:64], segments


# ---- segments -------------------------------------------------------------------------------------


def read_record(data, offset, end, salt):
    """Sequence number, key, value (None: removed) and size of the record here, or None."""
    if offset + 24 > end:
        return None
    key_size, kind, value_size = u32(data, offset + 4) & 0xFFFFFF, data[offset + 7], u32(data, offset + 8)
    size = (24 + key_size + value_size + 7) // 8 * 8
    if not 1 <= key_size <= 65536 or kind not in (1, 2) or offset + size > end:
        return None
    record = data[offset:offset + size]
    if crc(salt, record[4:]) != u32(record, 0):
        return None
    key = record[24:24 + key_size]
    value = record[24 + key_size:24 + key_size + value_size]
    return u64(record, 16), key, value if kind == 1 else None, size


def read_frame(data, offset, end, salt):
    """The frame here: (size, first number, number known durable, records), or None."""
    if offset + 32 > end or u32(data, offset) != 0x3146564B:
        return None
    size, count = u32(data, offset + 8), u32(data, offset + 12)
    if size % 8 != 0 or count == 0 or offset + size > end:
        return None
    value = crc(salt, data[offset + 8:offset + 32])
    at, records = offset + 32, []
    for _ in range(count):
        record = read_record(data, at, offset + size, salt)
        if record is None:
            return None
        value = crc(value, data[at:at + 4])
        records.append(record[:3])
        at += record[3]
    if at != offset + size or value != u32(data, offset + 4):
        return None
    return size, u64(data, offset + 16), u64(data, offset + 24), records


class Segment:
    """The frames of one segment, from its begin to where they break off."""

    def __init__(self, directory, number, entry, secret):
        self.number, self.entry = number, entry
        try:
            with open(os.path.join(directory, f"{number:08}.seg"), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            refuse(f"segment {number} is missing")
        if u32(data, 0) != 0x3153564B or crc(0, data[8:64]) != u32(data, 4):
            refuse(f"the header of segment {number} is damaged")
        if (u32(data, 8), u32(data, 12), u64(data, 16)) != (1, number, entry["generation"]):
            refuse(f"segment {number} is not the one that the manifest names")
        self.appended = u32(data, 32) == 1
        salt = crc(crc(0, secret), struct.pack("<Q", entry["generation"]))
        end = entry["end"] if entry["sealed"] else len(data)
        self.frames, self.claimed, self.behind = [], 0, False
        at, following = 4096, None
        while (frame := read_frame(data, at, end, salt)) is not None:
            if self.appended and following is not None and frame[1] != following:
                break
            self.frames.append(frame)
            self.claimed = max(self.claimed, frame[2])
            following = frame[1] + len(frame[3])
            at += frame[0]
        self.end, self.following = at, following
        if entry["sealed"] and at != end:
            refuse(f"segment {number} is damaged at offset {at}")
        if not entry["sealed"]:
            self.look_behind(data, salt)
            if not self.appended and at < entry["end"]:
                refuse(f"segment {number} is damaged at offset {at}")

    def look_behind(self, data, salt):
        """Sound frames behind the end may say that something before them was durable."""
        for offset in range(self.end, len(data.rstrip(b"\0")), 8):
            frame = read_frame(data, offset, len(data), salt)
            if frame is not None:
                self.claimed = max(self.claimed, frame[2])


def accepted(segments, largest):
    """The segments whose frames count: unsealed appended ones only while numbers go on."""
    claimed = max([0] + [s.claimed for s in segments if s.appended and not s.entry["sealed"]])
    following, broken, result = largest + 1, False, []
    for segment in sorted(segments, key=lambda s: s.frames[0][1] if s.frames else 0):
        if segment.entry["sealed"] or not segment.appended:
            result.append(segment)
        elif segment.frames:
            broken = broken or segment.frames[0][1] > following
            if not broken:
                following = max(following, segment.following)
                result.append(segment)
    if claimed >= following:
        refuse(f"write number {following} was durable, and is not there")
    return result


def main():
    directory = sys.argv[1]
    secret, entries = read_manifest(os.path.join(directory, "log.manifest"))
    segments = [Segment(directory, number, entry, secret)
                for number, entry in entries.items() if not entry["removing"]]
    largest = max([0] + [entry["largest"] for entry in entries.values() if entry["sealed"]])
    newest = {}
    for segment in accepted(segments, largest):
        for frame in segment.frames:
            for sequence, key, value in frame[3]:
                if key not in newest or newest[key][0] <= sequence:
                    newest[key] = (sequence, value)
    for key in sorted(newest):
        if newest[key][1] is not None:
            print(key.hex(), newest[key][1].hex())


if __name__ == "__main__":
    main()
