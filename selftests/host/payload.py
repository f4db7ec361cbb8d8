# SPDX-License-Identifier: GPL-2.0-only
"""The payload: the cpio archive that one run adds to the base initrd."""
import lzma
import os
import re
import stat
import struct
import subprocess


class Archive:
    """A cpio archive in the kernel's "newc" form (Documentation, "initramfs buffer format")."""

    def __init__(self):
        self.parts, self.names, self.inode = [], set(), 0

    def add(self, name, mode, data=b""):
        name = name.strip("/")
        parent = os.path.dirname(name)
        if parent and parent not in self.names:
            self.add(parent, stat.S_IFDIR | 0o755)
        if name in self.names and stat.S_ISDIR(mode):
            return
        self.names.add(name)
        self._entry(name, mode, data)

    def _entry(self, name, mode, data):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def file(self, name, data, mode=0o644):
        self.add(name, stat.S_IFREG | mode, data)

    def copy(self, source, name):
        """A file or a tree from this machine, with its permissions."""
        if os.path.isdir(source):
            self.add(name, stat.S_IFDIR | 0o755)
            for entry in sorted(os.listdir(source)):
                self.copy(os.path.join(source, entry), name + "/" + entry)
            return
        with open(source, "rb") as f:
            data = f.read()
        self.file(name, data, 0o755 if os.access(source, os.X_OK) else 0o644)
        if data[:4] == b"\x7fELF":
            self.libraries(source)

    def libraries(self, program):
        """The shared libraries a program needs, at the places its loader looks for them."""
        listing = subprocess.run(["ldd", program], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listing):
            if library.strip("/") not in self.names:
                with open(library, "rb") as f:
                    self.file(library, f.read(), 0o755)

    def write(self, path):
        self._entry("TRAILER!!!", 0, b"")
        with open(path, "wb") as f:
            f.write(b"".join(self.parts))
            f.truncate(f.tell() + (-f.tell() % 4096))


def module_closure(kernel, names):
    """Files, in order of loading, of the modules NAMES of a kernel; built-in ones give none."""
    with open(kernel + "/release") as f:
        tree = "%s/lib/modules/%s/" % (kernel, f.read().strip())
    depends, builtin = {}, set()
    with open(tree + "modules.dep") as f:
        for line in f:
            path, _, needs = line.partition(":")
            depends[module_name(path)] = (path, needs.split())
    with open(tree + "modules.builtin") as f:
        builtin.update(module_name(line.strip()) for line in f)
    order = []
    for name in names:
        name = name.replace("-", "_")
        if name in builtin:
            continue
        if name not in depends:
            raise ValueError("the kernel has no module '%s'" % name)
        path, needs = depends[name]
        # modules.dep lists the nearest first; what is needed by all comes last.
        for file in list(reversed(needs)) + [path]:
            if tree + file not in order:
                order.append(tree + file)
    return order


def module_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def module_bytes(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        data = lzma.decompress(data)
    return unsigned(data)


def unsigned(module):
    """A module without its signature, whose check takes the emulated CPU a second."""
    magic = b"~Module signature appended~\n"
    if not module.endswith(magic):
        return module
    end = len(module) - len(magic)
    length, = struct.unpack(">I", module[end - 4:end])
    return module[:end - 12 - length]


def control(setup_lines, command):
    """The shell text that inside/init sources: what to load, what to run."""
    lines = ["setup()", "{", "\t:"] + ["\t" + line for line in setup_lines] + ["}"]
    lines += ["command()", "{", "\t" + command, "}"]
    return ("\n".join(lines) + "\n").encode()
