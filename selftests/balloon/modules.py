#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""An archive with a guest's virtio modules, in order of loading, to put behind its initrd.

usage: modules.py KERNEL OUT

KERNEL is what `selftests/host/get kernel` printed. The modules become /modules/NN.ko.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "host"))
import payload  # noqa: E402


def main():
    kernel, out = sys.argv[1:]
    archive = payload.Archive()
    files = payload.module_closure(kernel, ["virtio_pci", "virtio_balloon"])
    for number, path in enumerate(files):
        archive.file("modules/%02d.ko" % number, payload.module_bytes(path))
    archive.write(out)


main()
