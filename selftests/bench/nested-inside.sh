#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of bench/nested that runs in the emulated host. usage: nested.sh [--fields] DEVICE...
fields=
[ "$1" != --fields ] || { fields=yes; shift; }
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests mitigations=off"
run="vmctl run --kernel l1/vmlinuz"

# exits: of L1's vCPU so far, as its hypervisor counts them
exits()
{
	vmctl stat l1 --json | sed -n 's/^ *"exits": \([0-9]*\),\{0,1\}$/\1/p' | head -n 1
}

# count: tell of what was touched since the last time, for the operation $1, and begin anew
trigger=/sys/kernel/tracing/events/emys/emys_nested_field
count()
{
	[ -e $trigger/hist ] && [ -n "$fields" ] || return 0
	[ -z "$1" ] || sed -n "s/^{ field: *\\([0-9a-f]*\\), write: *\\([01]\\) } hitcount: *\\([0-9]*\\).*/@field $1 \\1 \\2 \\3/p" \
		$trigger/hist
	echo '!hist:keys=field.hex,write' >$trigger/trigger 2>/dev/null
	echo 'hist:keys=field.hex,write' >$trigger/trigger
}

# L1's memory is small pages: else L0 has no fault of its own
echo never >/sys/kernel/mm/transparent_hugepage/enabled

for device in "$@"; do
	case $device in
	/dev/emys)
		[ ! -d /sys/module/kvm_intel ] || rmmod kvm_intel || exit 1
		insmod ./emys.ko nested=1 || exit 1
		;;
	esac
	echo "@device $device"
	./ticks /tmp/ticks $run --device "$device" --memory 96M --mem-backend anon \
		--initrd l1/initrd.img --cmdline "$words" </dev/null >/tmp/out 2>&1 ||
		{ cat /tmp/out; exit 1; }
	grep -q '^processors: 1' /tmp/out || { cat /tmp/out; exit 1; }
	echo "@op boot-l1 $(cat /tmp/ticks) 1"

	rm -f /tmp/answer
	mkfifo /tmp/answer
	exec 5<>/tmp/answer
	$run --nested on --name l1 --device "$device" --memory 384M --mem-backend anon --initrd l1/l1.img \
		--cmdline "$words emys.cmd=\"sh /l1.sh\"" <&5 2>&1 | tr -d '\r' |
	while read -r what rest; do
		case $what in
		@begin)
			count
			before=$(exits)
			echo >&5
			;;
		@end)
			echo "@exits $rest $(($(exits) - before))"
			count "$rest"
			echo >&5
			;;
		*)
			echo "$what $rest"
			;;
		esac
	done
	exec 5>&-
done
