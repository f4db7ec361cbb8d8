#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The kernel inside a vmlinuz: as its ELF file, and as the bytes it is in memory.

usage: flatten.py VMLINUZ DIR

Writes DIR/vmlinux (the ELF file, as PVH loaders take it), DIR/flat (its segments from the
lowest physical address on), DIR/setup (the setup header of the boot protocol, for boot_params)
and DIR/place ("BASE ENTRY END", physical, in hexadecimal). Code and data stay the kernel's own.
"""
import lzma
import struct
import subprocess
import sys

UNPACKERS = (
    (b"\xfd7zXZ\0", lambda z: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(z)),
    (b"\x28\xb5\x2f\xfd", lambda z: pipe(["zstd", "-dcq"], z)),
    (b"\x02\x21\x4c\x18", lambda z: pipe(["lz4", "-dcq"], z)),
)
PT_LOAD = 1


def pipe(command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def unpack(image):
    """Return the ELF file in a bzImage: see boot.rst, "The Real-Mode Kernel Header"."""
    if image[0x202:0x206] != b"HdrS":
        sys.exit("flatten: not a bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    # The last four bytes are the unpacked size, not a part of the stream.
    packed = image[start:start + length - 4]
    for magic, unpacker in UNPACKERS:
        if packed.startswith(magic):
            elf = unpacker(packed)
            break
    else:
        sys.exit("flatten: unknown compression %s" % packed[:6].hex())
    if elf[:4] != b"\x7fELF":
        sys.exit("flatten: the payload is not an ELF file")
    return elf


def segments(elf):
    phoff, = struct.unpack_from("<Q", elf, 32)
    phentsize, phnum = struct.unpack_from("<HH", elf, 54)
    for i in range(phnum):
        kind, _, offset, _, paddr, filesz, memsz, _ = struct.unpack_from(
            "<IIQQQQQQ", elf, phoff + i * phentsize)
        if kind == PT_LOAD:
            yield paddr, elf[offset:offset + filesz], memsz


def flatten(elf):
    """Return (base, entry, end, bytes), addresses physical."""
    loads = list(segments(elf))
    base = min(paddr for paddr, _, _ in loads)
    end = max(paddr + memsz for paddr, _, memsz in loads)
    flat = bytearray(end - base)
    for paddr, data, _ in loads:
        flat[paddr - base:paddr - base + len(data)] = data
    entry, = struct.unpack_from("<Q", elf, 24)
    return base, entry, end, bytes(flat).rstrip(b"\0")


def main():
    source, where = sys.argv[1:]
    with open(source, "rb") as f:
        image = f.read()
    elf = unpack(image)
    base, entry, end, flat = flatten(elf)
    setup = image[0x1F1:0x202 + image[0x201]]
    for name, data in (("vmlinux", elf), ("flat", flat), ("setup", setup),
                       ("place", b"%x %x %x\n" % (base, entry, end))):
        with open(where + "/" + name, "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
