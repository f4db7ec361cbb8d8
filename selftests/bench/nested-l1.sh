#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of bench/nested that runs in L1.
stty -echo
mkdir -p /run
mount -t tmpfs tmpfs /tmp
echo always >/sys/kernel/mm/transparent_hugepage/enabled
insmod /modules/irqbypass.ko && insmod /modules/kvm.ko && insmod /modules/kvm_intel.ko || exit 1
nested-client --sync /dev/kvm || exit 1
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests"
# The first time L0 has to find the memory that L1 gives to L2; the second time it is L1's own.
for boot in boot-first boot; do
	echo "@begin $boot"
	read -r _
	ticks /tmp/ticks vmctl run --device /dev/kvm --memory 96M --kernel /guest/vmlinuz \
		--initrd /guest/initrd.img --cmdline "$words" </dev/null >/tmp/out 2>&1
	status=$?
	echo "@end $boot"
	read -r _
	if [ $status = 0 ] && grep -q '^processors: 1' /tmp/out; then
		echo "@op $boot $(cat /tmp/ticks) 1"
	else
		echo "vmctl: status $status"
		tail -n 20 /tmp/out
	fi
done
