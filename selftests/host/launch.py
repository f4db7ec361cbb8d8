# SPDX-License-Identifier: GPL-2.0-only
"""Getting a machine ready: options, tools, the payload and the kernel's command line."""
import os
import subprocess
import sys

import payload
from machine import Machine

HERE = os.path.dirname(os.path.realpath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
KERNELS = ("6.1", "6.12", "watch")

CMDLINE = ("console=ttyS0,115200 nokaslr no_timer_check tsc_early_khz=50000 cryptomgr.notests "
           "log_buf_len=1M printk.devkmsg=on oops=panic panic=-1 reboot=t")
WATCH_CMDLINE = "panic_on_warn=1 page_poison=1 kasan_multi_shot hung_task_panic=1"


class Failure(Exception):
    """The harness cannot do what was asked for."""


def add_options(p):
    """The options that say what the machine is and what is in it."""
    p.add_argument("--cpus", type=int, default=1, metavar="N")
    p.add_argument("--memory", type=int, default=1024, metavar="MIB")
    p.add_argument("--kernel", default="6.1", choices=KERNELS)
    p.add_argument("--model", default="corei7_skylake_x", help="CPU model of the emulator")
    p.add_argument("--mitigations", default="off", metavar="off|auto")
    p.add_argument("--append", default="", metavar="ARGS", help="for the host kernel")
    p.add_argument("--load", action="store_true", help="insmod emys.ko first")
    p.add_argument("--params", default="", help="parameters of emys.ko for --load")
    p.add_argument("--kvm", action="store_true", help="load kvm-intel first")
    p.add_argument("--apicv", action="store_true", help="leave kvm-intel its APICv")
    p.add_argument("--modprobe", action="append", default=[], metavar="NAME",
                   help="load a module of the host kernel first")
    p.add_argument("--module", action="append", default=[], metavar="FILE.ko[:PARAMS]",
                   help="load this module first")
    p.add_argument("--file", action="append", default=[], metavar="SRC[:DST]",
                   help="put a file or tree into /payload, or at DST")
    p.add_argument("--guest", action="store_true", help="put a guest kernel and initrd into guest/")
    p.add_argument("--guest-elf", action="store_true", help="and the guest's vmlinux for PVH")


def say(text):
    print("host: " + text, file=sys.stderr, flush=True)


def get(*what):
    done = subprocess.run([HERE + "/get", *what], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failure("cannot make the host's " + " ".join(what))
    return done.stdout.strip()


def emys_module(args):
    """The module built for this host kernel; see the module target of the Makefile."""
    path = os.environ.get("EMYS_KO") or "%s/%s/emys.ko" % (
        os.environ.get("EMYS_BUILD", REPO + "/build"), args.kernel)
    return path if os.path.exists(path) else None


def warn_if_old(module, kernel):
    """Somebody edited the source and forgot to build: what runs is not what he looks at."""
    built = os.path.getmtime(module)
    for directory, _, names in os.walk(REPO + "/kmod"):
        for name in names:
            if not name.endswith((".c", ".h", ".S")) or name.endswith(".mod.c"):
                continue
            source = os.path.join(directory, name)
            if os.path.getmtime(source) > built:
                say("emys.ko for %s is older than %s; `make KVER=%s host-module` builds it"
                    % (kernel, os.path.relpath(source, REPO), kernel))
                return


def fill(archive, args, kernel):
    """Put what the options ask for into the archive; return the lines that load modules."""
    setup = []
    names = list(args.modprobe)
    if args.kvm:
        names.append("kvm_intel")
    for file in payload.module_closure(kernel, names):
        name = payload.module_name(file)
        archive.file("payload/modules/%s.ko" % name, payload.module_bytes(file))
        quirk = name == "kvm_intel" and not args.apicv
        setup.append("load /payload/modules/%s.ko%s" % (name, " enable_apicv=0" if quirk else ""))

    emys = emys_module(args)
    if emys:
        archive.copy(emys, "payload/emys.ko")
        if not os.environ.get("EMYS_KO"):
            warn_if_old(emys, args.kernel)
    if args.load:
        if not emys:
            raise Failure("no emys.ko for %s: run `make KVER=%s host-module`"
                          % (args.kernel, args.kernel))
        setup.append("load /payload/emys.ko " + args.params)
    for item in args.module:
        file, _, params = item.partition(":")
        name = "payload/modules/" + os.path.basename(file)
        archive.copy(file, name)
        setup.append("load /%s %s" % (name, params))

    vmctl = os.environ.get("EMYS_VMCTL", REPO + "/userspace/vmctl/vmctl")
    if os.path.isfile(vmctl):
        archive.copy(vmctl, "payload/bin/vmctl")
    if args.guest or args.guest_elf:
        guest = get("guest", "6.1")
        archive.copy(guest + "/vmlinuz", "payload/guest/vmlinuz")
        archive.copy(guest + "/initrd.img", "payload/guest/initrd.img")
    if args.guest_elf:
        archive.file("payload/guest/vmlinux", read(get("boot", "6.1") + "/vmlinux"))
    for item in args.file:
        source, _, target = item.partition(":")
        if not os.path.exists(source):
            raise Failure("--file %s: no such file" % source)
        target = target or os.path.basename(source.rstrip("/"))
        archive.copy(source, target if target.startswith("/") else "payload/" + target)
    return setup


def read(path):
    with open(path, "rb") as f:
        return f.read()


def machine(args, run_dir, command, words, again=None, **how):
    """A machine in run_dir that runs the shell text COMMAND after loading its modules.

    AGAIN is the same for a second kernel, which the program "again" starts from /payload/again.
    """
    kernel = get("kernel", args.kernel)
    made = Machine(get("emulator"), get("boot", args.kernel), get("base") + "/initrd", run_dir,
                   HERE)
    archive = payload.Archive()
    setup = fill(archive, args, kernel)
    files = how.pop("files", {})
    for name, data in files.items():
        archive.file(name, data, 0o600)
    if again:
        second = payload.Archive()
        fill(second, args, kernel)
        for name, data in files.items():
            second.file(name, data, 0o600)
        second.file("run/control", payload.control(setup, again))
        second.write(made.path("second"))
        archive.file("payload/again/initrd", read(made.base) + read(made.path("second")))
        for name in ("flat", "place", "setup"):
            archive.file("payload/again/" + name, read(made.boot + "/" + name))
    archive.file("run/control", payload.control(setup, command))
    archive.write(made.path("payload"))
    cmdline = [CMDLINE, "mitigations=" + args.mitigations]
    if args.kernel == "watch":
        cmdline.append(WATCH_CMDLINE)
    made.prepare(args.cpus, args.memory, args.model, " ".join(cmdline + words + [args.append]),
                 **how)
    return made
