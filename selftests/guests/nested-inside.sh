#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of guests/nested that runs in the emulated host. usage: nested.sh DEVICE kvm|emys CASE...
device=$1 hypervisor=$2
shift 2
# shellcheck source=selftests/lib/verdicts.sh
. ./verdicts.sh
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests mitigations=off panic=-1"
run="vmctl run --nested on --device $device --memory 512M --kernel l1/vmlinuz --initrd l1/l1.img"

# gone: nothing is left of any guest, on KVM too
gone()
{
	[ "$device" = /dev/emys ] || [ -z "$(find /sys/kernel/debug/kvm -mindepth 1 -type d)" ] || return 1
	nothing_left
}

# took: what the host's clock says since the last
last=0
took()
{
	read -r up _ </proc/uptime
	[ $last = 0 ] || echo "# $1: $((${up%.*} - last)) s"
	last=${up%.*}
}

# l1 CPUS CASE...: boots L1, has it go through the cases, passes on what it says
l1()
{
	cpus=$1
	shift
	{
		$run --cpus "$cpus" --cmdline "$words emys.cmd=\"sh /l1.sh $hypervisor $*\"" </dev/null 2>&1
		echo $? >/tmp/status
	} | tee /tmp/raw | while read -r line; do
		case $line in
		"L1: # "*) echo "${line#L1: }" | tr -d '\r' ;;
		esac
	done
	status=$(cat /tmp/status)
	tr -d '\r' </tmp/raw >/tmp/out
	sed -n 's/^L1: \(not \)\{0,1\}ok /\1/p' /tmp/out >/tmp/said
	while read -r line; do
		case $line in
		"not "*) ok 1 "${line#not }" ;;
		*) ok 0 "$line" ;;
		esac
	done </tmp/said
	[ $status = 0 ] && grep -q "^L1: end $(wc -l </tmp/said)\$" /tmp/out
	verdict=$?
	[ $verdict = 0 ] || complain $status
	ok $verdict "L1 with $cpus CPUs came to its end: $*"
	gone
	ok $? "nothing left of it"
}

complain()	# STATUS
{
	echo "# vmctl: status $1"
	tail -n 30 /tmp/out | sed 's/^/# /'
}

# down CASE CPUS STATUS: L1 goes down in the middle of L2, and its vmctl says how
down()
{
	$run --cpus "$2" --cmdline "$words emys.cmd=\"sh /l1.sh $hypervisor $1\"" </dev/null >/tmp/raw 2>&1
	status=$?
	tr -d '\r' </tmp/raw >/tmp/out
	grep -q '^L1: middle' /tmp/out && [ $status = "$3" ] && gone
	verdict=$?
	[ $verdict = 0 ] || complain $status
	ok $verdict "L1 goes down in the middle of L2, by $1"
}

# killed: L1's VMM is, in the middle of L2
killed()
{
	$run --cpus "$1" --cmdline "$words emys.cmd=\"sh /l1.sh $hypervisor hold\"" </dev/null >/tmp/raw 2>&1 &
	pid=$!
	for _ in $(seq 300); do
		grep -q '^L1: middle' /tmp/raw && break
		[ -d /proc/$pid ] || break
		sleep 0.5
	done
	sleep "$2"
	kill -9 $pid
	wait $pid 2>/dev/null
	tr -d '\r' </tmp/raw >/tmp/out
	grep -q '^L1: middle' /tmp/out && gone
	verdict=$?
	[ $verdict = 0 ] || complain killed
	ok $verdict "kill -9 of the VMM of L1 with $1 CPUs in the middle of L2 leaves nothing"
}

echo "TAP version 13"
plain=
for case in "$@"; do
	case $case in
	smp | reboot | panic | reset | killed) ;;
	*) plain="$plain $case" ;;
	esac
done
took
# shellcheck disable=SC2086	# they are words
[ -z "$plain" ] || l1 1 $plain
took "one CPU"
for case in "$@"; do
	case $case in
	smp) l1 2 smp ;;
	reboot) down reboot 1 3 ;;
	reset) down reset 2 3 ;;
	panic) down panic 1 3 ;;
	killed) killed 1 0; killed 2 2 ;;
	*) continue ;;
	esac
	took "$case"
done
if [ "$device" = /dev/emys ]; then
	rmmod emys && insmod ./emys.ko && rmmod emys
	ok $? "the module unloads and loads again"
fi
echo "1..$nr"
exit $bad
