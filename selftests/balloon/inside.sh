#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of balloon/run that runs in the emulated host. usage: balloon.sh DEVICE
export device=$1
# shellcheck source=selftests/balloon/lib.sh
. ./lib.sh

echo "TAP version 13"
cat guest/initrd.img modules.cpio >/tmp/initrd

start hand 256M shell : --balloon-min 32M
driver hand
ok $? "Debian's driver takes the balloon"
# 85 MiB are touched and then free in the guest: the host still has to hold them.
dirty hand
ok $? "the guest fills 85 MiB"
before=$(held hand) free=$(free_mib)
host_memory
tell hand "rm /tmp/hog*; echo removed"
hears hand removed 20
vmctl balloon hand 64M
status=$?
after=$(held hand) now=$(free_mib)
host_memory
echo "# held $before MiB, then $after; the host has free $free MiB, then $now"
[ $status = 0 ] && [ "$(value hand actual)" -le $((64 << 20)) ]
ok $? "64 of 256 MiB by hand"
# vmctl's own memory counts with anonymous memory.
most=64
[ "$device" = /dev/emys ] || most=72
[ "$before" -ge 120 ] && [ "$after" -le $most ] && [ $((now - free)) -ge $((before - after - 16)) ]
ok $? "the host has the rest within the command"
[ "$(value hand kept)" = 0 ]
ok $? "it could free all of it"

vmctl balloon hand 1G >/tmp/err 2>&1
status=$?
[ $status = 1 ] && grep -q "more than the VM's memory" /tmp/err && [ "$(value hand target)" = $((64 << 20)) ]
ok $? "more than it has is refused, and changes nothing"
vmctl balloon hand 16M >/tmp/err 2>&1
status=$?
[ $status = 1 ] && grep -q "balloon-min" /tmp/err && [ "$(value hand target)" = $((64 << 20)) ]
ok $? "so is less than its minimum"
vmctl balloon hand -5 >/tmp/err 2>&1
status=$?
[ $status = 2 ]
ok $? "and a negative size"
vmctl balloon nobody 64M >/tmp/err 2>&1
status=$?
[ $status = 1 ] && grep -q "no such VM" /tmp/err
ok $? "and a VM that is not there"

# The guest needs more than it has: its balloon lets go before anything is killed.
dirty hand && ! grep -q "Out of memory" /tmp/hand.out && [ "$(value hand actual)" -ge $((120 << 20)) ]
ok $? "the guest survives want of memory by deflation"
tell hand "rm /tmp/hog*"
vmctl balloon hand max && [ "$(value hand actual)" = $((256 << 20)) ]
ok $? "all of it back"
dirty hand
ok $? "and it holds what is written there"
[ "$(value hand available)" -gt 0 ] && [ "$(value hand stats_age_ms)" -lt 2000 ]
ok $? "statistics come from the guest"

before=$(held hand)
# Reports are of 2 MiB or more, so what is free is put together first. How much of it can be is the
# guest's affair, and it says so, except while it reports. Its zone DMA is too small for that.
tell hand "rm /tmp/hog*; echo 1 >/proc/sys/vm/compact_memory"
reported()
{
	last=$whole look=$((look + 1))
	tell hand "grep DMA32 /proc/buddyinfo; echo look$look"
	hears hand "look$look" 20
	whole=$(tr -d '\r' </tmp/hand.out |
		awk '/zone +DMA32/ { n = $(NF - 1) * 2 + $NF * 4 } END { print n + 0 }')
	after=$(held hand)
	[ "$whole" = "$last" ] && [ $((before - after)) -ge 40 ] &&
		[ "$after" -le $((256 - whole + 4 + most - 64)) ]
}
look=0 whole=0
within 30 reported && [ "$(value hand actual)" = $((256 << 20)) ]
ok $? "pages that are free in the guest are reported and freed"
echo "# held $before MiB, then $after; the guest has $whole free in whole blocks"

# By policy: 85 % of 76 MiB for all, and so for the one there is.
small() { [ "$(value hand actual)" -le $((64 << 20)) ]; }
whole() { [ "$(value hand actual)" = $((256 << 20)) ]; }
free=$(free_mib)
host_memory
vmctl policy --budget 76M --interval 1 >/tmp/policy.out 2>&1 &
policy=$!
within 60 small && [ "$(value hand target)" = $((64 << 20)) ] &&
	grep -q "memory is scarce" /tmp/policy.out
ok $? "64 of 256 MiB by policy"
now=$(free_mib)
host_memory
echo "# held $after MiB, then $(held hand); the host has free $free MiB, then $now"
[ "$(held hand)" -le $most ] && [ $((now - free)) -ge $((after - most - 16)) ]
ok $? "the host has the rest"
kill -TERM $policy
wait $policy
ok $? "the policy ends when it is told to"
vmctl policy --budget 4G --interval 1 >/tmp/policy2.out 2>&1 &
policy=$!
within 60 whole
ok $? "and one with a larger budget gives it back"
kill -TERM $policy
wait $policy
cat /tmp/policy.out /tmp/policy2.out | sed 's/^/# /'
dirty hand
ok $? "and it holds what is written there"

# Somebody else on the host is short of memory, and the guest pays for it last.
mkdir /tmp/cg
mount -t cgroup2 none /tmp/cg && echo +memory >/tmp/cg/cgroup.subtree_control &&
	mkdir /tmp/cg/tight && echo 8M >/tmp/cg/tight/memory.high
grep -q "^some" /proc/pressure/memory
ok $? "the host tells how long tasks stall for memory"
vmctl policy --budget 4G --interval 1 >/tmp/policy3.out 2>&1 &
policy=$!
sh -c 'echo $$ >/tmp/cg/tight/cgroup.procs; exec dd if=/dev/zero of=/tmp/tight bs=64k count=2048' 2>/dev/null &
stalled=$!
within 60 grep -q "memory is scarce" /tmp/policy3.out
steps=$(sed -n 's/.*\(duplicates\|broken\|scarce\).*/\1/p' /tmp/policy3.out | tr '\n' ' ')
[ "$steps" = "duplicates broken scarce " ] || [ "$device $steps" = "/dev/kvm scarce " ]
ok $? "stalls: duplicates first, then large pages, then the balloon"
sed 's/^/# /' /tmp/policy3.out
sed 's/^/# /' /proc/pressure/memory
kill -TERM $policy
kill -KILL $stalled
wait $policy
rm -f /tmp/tight
dirty hand
ok $? "the guest's memory is right"

tell hand "poweroff -f"
eval "wait \$pid_hand"
[ $? = 0 ] && nothing_left
ok $? "it powers off and leaves nothing"

finish
