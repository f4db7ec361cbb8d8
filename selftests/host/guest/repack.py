#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Debian's vmlinuz, packed anew so that an emulated CPU unpacks it in a second.

usage: repack.py VMLINUZ BOOT_DIR STUB.elf OUT

BOOT_DIR is what boot/flatten.py made of the same VMLINUZ. The kernel's code and data, and the
real-mode setup before them, stay as they are; only the compression and the code that undoes it
change. The stub is linked twice: `high`, where the image moves to, depends on the kernel's end.
"""
import struct
import subprocess
import sys

MIB = 1 << 20


def packed(path):
    return subprocess.run(["lz4", "-l", "-9", "-c", "-q", path], stdout=subprocess.PIPE,
                          check=True).stdout


def symbols(elf):
    listing = subprocess.run(["nm", elf], stdout=subprocess.PIPE, check=True, text=True).stdout
    return {name: int(value, 16) for value, _, name in map(str.split, listing.splitlines())}


def image(stub, where, kernel, place):
    base, entry, _ = place
    body = bytearray(stub.ljust(where["payload"], b"\0")[:where["payload"]] + kernel)
    body += b"\0" * (-len(body) % 16)
    struct.pack_into("<IIII", body, where["header"], len(body), len(kernel), base, entry)
    return bytes(body)


def main():
    vmlinuz, boot, stub_elf, out = sys.argv[1:]
    with open(boot + "/place") as f:
        place = [int(word, 16) for word in f.read().split()]
    with open(vmlinuz, "rb") as f:
        original = f.read()
    stub = subprocess.run(["objcopy", "-O", "binary", stub_elf, "/dev/stdout"],
                          stdout=subprocess.PIPE, check=True).stdout
    body = image(stub, symbols(stub_elf), packed(boot + "/flat"), place)
    high = symbols(stub_elf)["high"]
    if high < place[2]:
        sys.exit("repack: the stub moves into the kernel's own place")

    setup = bytearray(original[:((original[0x1F1] or 4) + 1) * 512])
    struct.pack_into("<I", setup, 0x1F4, len(body) // 16)       # syssize
    setup[0x234] = 0                                            # relocatable_kernel
    struct.pack_into("<H", setup, 0x236, 1)                     # xloadflags: 64-bit entry only
    struct.pack_into("<II", setup, 0x248, 0, 0)                 # no payload to find
    # From the usual load address up to the end of the moved image.
    struct.pack_into("<I", setup, 0x260, high + len(body) - MIB & -4096)
    struct.pack_into("<I", setup, 0x264, 0)                     # no EFI handover
    with open(out, "wb") as f:
        f.write(bytes(setup) + body)


if __name__ == "__main__":
    main()
