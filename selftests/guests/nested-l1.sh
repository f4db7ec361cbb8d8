#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of guests/nested that runs in L1, a guest. usage: l1.sh CASE...
# Each case says "L1: ok NAME" or "L1: not ok NAME", and why, to the console.
mkdir -p /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmpfs /tmp
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests"
run="vmctl run --device /dev/kvm --kernel /guest/vmlinuz --initrd /guest/initrd.img"

verdict()	# STATUS NAME
{
	[ "$1" = 0 ] && echo "L1: ok $2" || echo "L1: not ok $2"
}

# kvm [PARAMETER]...: kvm-intel anew, with these
kvm()
{
	if [ -d /sys/module/kvm_intel ]; then
		rmmod kvm_intel && rmmod kvm && rmmod irqbypass || return 1
	fi
	insmod /modules/irqbypass.ko && insmod /modules/kvm.ko && insmod /modules/kvm_intel.ko "$@"
}

# l2 FILE CPUS [CMDLINE]: a guest in this guest; its output in FILE
l2()
{
	$run --cpus "$2" --memory 96M --cmdline "$words $3" </dev/null >"$1" 2>&1
}

# reached FILE CPUS: the guest came to user space with that many CPUs
reached()
{
	tr -d '\r' <"$1" >"$1.text"
	grep -q '^Linux ' "$1.text" && grep -q "^processors: $2\$" "$1.text" && return 0
	tail -n 12 "$1.text" | sed 's/^/L1: # /'
	return 1
}

# boots CPUS NAME: such a guest reaches user space and powers itself off
boots()
{
	l2 /tmp/l2 "$1"
	status=$?
	[ $status = 0 ] || echo "L1: # vmctl: status $status"
	reached /tmp/l2 "$1" && [ $status = 0 ]
	verdict $? "$2"
}

for case in "$@"; do
	case $case in
	default)
		kvm && boots 1 "a guest in the guest"
		;;
	*)
		verdict 1 "no case '$case'"
		;;
	esac
done
dmesg | grep -E 'WARNING:|BUG:|Oops|Call Trace|INFO: (rcu|task)|kvm.*(error|unsupported|unhandled)' |
	sed 's/^/L1: # /' >/tmp/trouble
cat /tmp/trouble
[ ! -s /tmp/trouble ]
verdict $? "L1's kernel has nothing to report"
echo "L1: end"
