#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the parts of tests that run in the emulated host share: verdicts, and what guests leave.
# $device is what VMs run on.
# shellcheck disable=SC2034	# for who reads this file
: "${device:?}"
nr=0
bad=0

ok()	# STATUS NAME
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
	else
		echo "not ok $nr $2"
		bad=1
	fi
}

# nothing_left: of any guest, no VM, no page of guest memory.
nothing_left()
{
	[ "$device" = /dev/emys ] || return 0
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		left=$(grep -E '^(vms|vcpus|pages): *[1-9]' /sys/kernel/debug/emys/stats) || return 0
		sleep 0.2
	done
	echo "# left: $left"
	return 1
}
