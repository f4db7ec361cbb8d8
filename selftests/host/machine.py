# SPDX-License-Identifier: GPL-2.0-only
"""The emulated machine: its memory at power-on, its configuration, and its life.

The kernel, the initrd and a boot block lie in memory before the first instruction: no boot
loader runs and nothing is read from a disk or unpacked. boot/sector.S fixes the addresses.
"""
import os
import re
import selectors
import struct
import subprocess
import time

BLOCK = 0xE00000
CMDLINE = 0x7000
CMDLINE_MAX = 0xFF0
DISK_BYTES = 16 * 63 * 512
MIB = 1 << 20
WALL_FACTOR = 5

FIRMWARE = "/usr/share/bochs/BIOS-bochs-latest"
VGA_FIRMWARE = "/usr/share/vgabios/vgabios.bin"

CONFIG = """\
config_interface: textconfig
display_library: nogui
memory: guest={memory}, host={memory}
romimage: file={firmware}, options=fastboot
vgaromimage: file={vga}
cpu: model={model}, count={cpus}, ips=50000000, quantum=16, reset_on_triple_fault=0, \
ignore_bad_msrs=1, msrs="{msrs}"
ata0-master: type=disk, path={run}/disk, mode=flat, cylinders=1, heads=16, spt=63
optramimage1: file={boot}/flat, address={base:#x}
optramimage2: file={initrd}, address={initrd_at:#x}
optramimage3: file={run}/payload, address={payload_at:#x}
optramimage4: file={run}/block, address={block:#x}
boot: disk
vga: extension=vbe, realtime=0
ata1: enabled=0
com1: enabled=1, {com1}
clock: sync={sync}, time0=946684800
port_e9_hack: enabled=1
log: {run}/emulator.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
speaker: enabled=0
"""


def page_tables(at):
    """The first 4 GiB, one to one, in 2M pages; PML4 first."""
    present_write = 3
    tables = struct.pack("<Q", (at + 0x1000) | present_write).ljust(0x1000, b"\0")
    tables += b"".join(struct.pack("<Q", (at + 0x2000 + 0x1000 * i) | present_write)
                       for i in range(4)).ljust(0x1000, b"\0")
    return tables + b"".join(struct.pack("<Q", (i << 21) | 0x80 | present_write)
                             for i in range(2048))


def boot_block(setup, cmdline, initrd_at, initrd_bytes, entry):
    """boot_params and what goes with it; field offsets are those of boot.rst."""
    command = cmdline.encode()
    if len(command) > CMDLINE_MAX:
        raise ValueError("the kernel command line is longer than %d bytes" % CMDLINE_MAX)
    block = bytearray(0x8000)
    block[0x1F1:0x1F1 + len(setup)] = setup
    block[0x210] = 0xFF                 # type_of_loader: undefined
    block[0x211] |= 1                   # loadflags: LOADED_HIGH
    struct.pack_into("<II", block, 0x218, initrd_at, initrd_bytes)
    struct.pack_into("<I", block, 0x228, BLOCK + CMDLINE)
    block[0x1000:0x7000] = page_tables(BLOCK + 0x1000)
    block[CMDLINE:CMDLINE + len(command)] = command
    struct.pack_into("<Q", block, 0x7FF8, entry)
    return bytes(block)


class Machine:
    """One run: prepare() writes its files, frames() lives through it."""

    def __init__(self, emulator, boot, base, run_dir, here):
        self.emulator, self.boot, self.base = emulator, boot, base
        self.dir, self.here = run_dir, here
        self.process = None
        self.started = self.ended = 0.0

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        try:
            with open(self.path(name), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def prepare(self, cpus, memory, model, cmdline, com1=None, sync="none"):
        with open(self.boot + "/place") as f:
            base, entry, end = (int(word, 16) for word in f.read().split())
        with open(self.boot + "/setup", "rb") as f:
            setup = f.read()
        initrd_bytes = os.path.getsize(self.base)
        initrd_at = max(128 * MIB, (end + 4 * MIB) & -(2 * MIB))
        payload_bytes = os.path.getsize(self.path("payload"))
        # The kernel frees what lies between; four-byte alignment is all that cpio asks for.
        total = initrd_bytes + payload_bytes
        if initrd_at + total > (memory - 32) * MIB:
            raise ValueError("%d MiB of memory do not hold the payload of %d MiB"
                             % (memory, total // MIB))
        with open(self.path("block"), "wb") as f:
            f.write(boot_block(setup, cmdline, initrd_at, total, entry))
        with open(self.boot + "/sector", "rb") as f:
            sector = f.read()
        for left in ("disk.lock", "serial"):        # by a run that was killed
            if os.path.exists(self.path(left)):
                os.unlink(self.path(left))
        with open(self.path("disk"), "wb") as f:
            f.write(sector)
            f.truncate(DISK_BYTES)
        with open(self.path("config"), "w") as f:
            f.write(CONFIG.format(
                memory=memory, firmware=FIRMWARE, vga=VGA_FIRMWARE, model=model, cpus=cpus,
                msrs=self.here + "/boot/msrs.def", run=self.dir, boot=self.boot, base=base,
                initrd=self.base, initrd_at=initrd_at, payload_at=initrd_at + initrd_bytes,
                block=BLOCK, sync=sync, com1=com1 or "mode=file, dev=" + self.path("serial")))

    def start(self):
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [self.emulator, "-q", "-f", self.path("config")], cwd=self.dir,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.ended = time.monotonic()

    def seconds_used(self):
        """Seconds of processor time, which another run beside this one does not lengthen."""
        try:
            with open("/proc/%d/stat" % self.process.pid) as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def frames(self, nonce, seconds):
        """Yield (type, bytes) for each frame of the agent; TimeoutError when time is up.

        Time is the emulator's processor time, and five times as much of wall time: it never
        waits for anything, so on a machine with nothing else to do the two are one.
        Bytes that are in no frame are noise: the emulator's banner, or a payload that writes
        to the port on its own.
        """
        head = re.compile(rb"\n@@%s ([a-z]) ([0-9a-f]{8})\n" % nonce.encode())
        deadline = self.started + WALL_FACTOR * seconds
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                if time.monotonic() > deadline or self.seconds_used() > seconds:
                    raise TimeoutError
                if not selector.select(0.5):
                    continue
                data = os.read(self.process.stdout.fileno(), 1 << 16)
                if not data:
                    return
                pending += data
                while True:
                    found = head.search(pending)
                    if not found:
                        # Keep what may be the start of a frame.
                        pending = pending[-len(nonce) - 32:]
                        break
                    kind, size = found.group(1).decode(), int(found.group(2), 16)
                    if len(pending) < found.end() + size:
                        pending = pending[found.start():]
                        break
                    body = pending[found.end():found.end() + size]
                    pending = pending[found.end() + size:]
                    yield kind, body
                    if kind == "e":
                        return
