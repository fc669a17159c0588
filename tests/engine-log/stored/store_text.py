#!/usr/bin/env python3
"""Keeps a small data directory as a text file, without the zeros that most of it is.

    store_text.py pack DIRECTORY > FILE
    store_text.py unpack FILE DIRECTORY

A line "file NAME SIZE" begins a file; "OFFSET HEX" are bytes of it that are not all zero.
"""
import os
import re
import sys

LINE_BYTES = 48


def pack(directory):
    for name in sorted(os.listdir(directory)):
        if name == "kvs.lock":
            continue
        with open(os.path.join(directory, name), "rb") as file:
            data = file.read()
        print("file", name, len(data))
        for run in re.finditer(rb"[^\0]+(?:\0{1,8}[^\0]+)*", data):
            for begin in range(run.start(), run.end(), LINE_BYTES):
                print(begin, data[begin:min(begin + LINE_BYTES, run.end())].hex())


def unpack(path, directory):
    file = None
    with open(path, encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if words[0] == "file":
                file = open(os.path.join(directory, words[1]), "wb")
                file.truncate(int(words[2]))
            else:
                file.seek(int(words[0]))
                file.write(bytes.fromhex(words[1]))
                file.flush()


if sys.argv[1] == "pack":
    pack(sys.argv[2])
else:
    unpack(sys.argv[2], sys.argv[3])
