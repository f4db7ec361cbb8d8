#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of guests/nested that runs in the emulated host. usage: nested.sh DEVICE SET...
device=$1
shift
# shellcheck source=selftests/lib/verdicts.sh
. ./verdicts.sh
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests mitigations=off"
run="vmctl run --device $device --kernel l1/vmlinuz --initrd l1/l1.img"

# l1 CPUS CASE...: boots L1, has it go through the cases, passes on what it says
l1()
{
	cpus=$1
	shift
	$run --cpus "$cpus" --memory 320M --cmdline "$words emys.cmd=\"sh /l1.sh $*\"" \
		</dev/null >/tmp/raw 2>&1
	status=$?
	tr -d '\r' </tmp/raw >/tmp/out
	sed -n 's/^L1: # /# /p' /tmp/out
	sed -n 's/^L1: \(not \)\{0,1\}ok /\1/p' /tmp/out >/tmp/said
	while read -r line; do
		case $line in
		"not "*) ok 1 "${line#not }" ;;
		*) ok 0 "$line" ;;
		esac
	done </tmp/said
	[ $status = 0 ] && grep -q '^L1: end' /tmp/out
	verdict=$?
	[ $verdict = 0 ] || { echo "# vmctl: status $status"; tail -n 30 /tmp/out | sed 's/^/# /'; }
	ok $verdict "L1 with $cpus CPUs: came to its end, and off"
	nothing_left
	ok $? "nothing left of it"
}

echo "TAP version 13"
for set in "$@"; do
	case $set in
	default) l1 1 default ;;
	esac
done
echo "1..$nr"
exit $bad
