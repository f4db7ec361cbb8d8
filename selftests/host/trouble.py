# SPDX-License-Identifier: GPL-2.0-only
"""Trouble in a kernel log: what a host kernel says when something is wrong with it."""
import re

SIGNS = re.compile("|".join((
    r"BUG: ", r"WARNING: (?!Spectre v2 mitigation leaves)", r"Oops", r"kernel BUG at",
    r"general protection fault",
    r"Kernel panic", r"[Uu]nable to handle", r"double fault", r"stack guard page",
    r"KASAN", r"UBSAN", r"KFENCE", r"kmemleak: [1-9]", r"unreferenced object",
    r"possible (circular|recursive|irq lock inversion)", r"inconsistent lock state",
    r"suspicious RCU usage", r"held lock freed", r"bad unlock balance", r"INFO: trying to register",
    r"sleeping function called", r"scheduling while atomic", r"lock held when returning",
    r"rcu: INFO: ", r"detected stall", r"self-detected", r"blocked for more than",
    r"soft lockup", r"hard LOCKUP", r"list_(add|del) corruption", r"refcount_t: ",
    r"Bad page (state|map)", r"bad pmd", r"nobody cared", r"unchecked MSR access", r"Call Trace:",
    r"stack-protector", r"Page poison", r"pagealloc: ", r"slab .*: (Redzone|Poison|Object)",
    r"Fixing recursive fault", r"unexpected (trap|NMI)",
)))
KERNEL_FACILITY = 0
EXCERPT_LINES = 60
LEAD_LINES = 3      # a warning's own message stands above its first sign


def records(kmsg):
    """The kernel's own lines in a dump of /dev/kmsg; what programs wrote there is left out."""
    for line in kmsg.decode(errors="replace").split("\n"):
        prefix, _, text = line.partition(";")
        fields = prefix.split(",")
        if len(fields) >= 4 and fields[0].isdigit() and int(fields[0]) >> 3 == KERNEL_FACILITY:
            stamp = int(fields[2])
            yield "[%5d.%06d] %s" % (stamp // 1000000, stamp % 1000000, text)


def console(serial):
    """The lines of a serial console's file."""
    return [line.rstrip("\r") for line in serial.decode(errors="replace").split("\n")]


def find(lines):
    """Return the excerpt from the first sign of trouble on; an empty list is good news."""
    lines = list(lines)
    for number, line in enumerate(lines):
        if SIGNS.search(line):
            return lines[max(number - LEAD_LINES, 0):number + EXCERPT_LINES]
    return []


def all_signs(lines):
    return [line for line in lines if SIGNS.search(line)]
