#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of guests/run that runs in the emulated host. usage: guests.sh DEVICE
device=$1
# shellcheck source=selftests/lib/verdicts.sh
. ./verdicts.sh
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests"
run="vmctl run --device $device --kernel guest/vmlinuz --initrd guest/initrd.img"

# boots CPUS MEMORY LEAST-KB: to user space with that many CPUs and that much memory, and off
boots()
{
	$run --cpus "$1" --memory "$2" --cmdline "$words" </dev/null >/tmp/raw 2>&1
	status=$?
	tr -d '\r' </tmp/raw >/tmp/out
	if [ $status = 0 ] && grep -q "^processors: $1\$" /tmp/out && grep -q '^Linux ' /tmp/out &&
		[ "$(sed -n 's/^memory: \([0-9]*\) kB.*/\1/p' /tmp/out)" -ge "$3" ]; then
		return 0
	fi
	echo "# status $status"
	tail -n 15 /tmp/out | sed 's/^/# /'
	return 1
}

echo "TAP version 13"
echo "1..7"

boots 2 128M 60000
ok $? "2 vCPUs, 128 MiB"
boots 4 128M 60000
ok $? "4 vCPUs, 128 MiB"
boots 1 6G 5500000
ok $? "6 GiB, more than the host has"
nothing_left
ok $? "nothing left after orderly guests"

# Ten at once: all have to be alive together before the first is stopped.
for i in 1 2 3 4 5 6 7 8 9 10; do
	$run --name "ten$i" --cpus 1 --memory 128M --cmdline "console=ttyS0 earlyprintk=ttyS0 $words" \
		</dev/null >"/tmp/ten$i" 2>&1 &
	eval "pid$i=\$!"
done
alive=0
for _ in $(seq 300); do
	alive=$(grep -l 'Linux version' /tmp/ten* 2>/dev/null | wc -l)
	[ "$alive" = 10 ] && break
	sleep 1
done
together=$(vmctl list | grep -c ten)
status=0
for i in 1 2 3 4 5 6 7 8 9 10; do
	vmctl stop "ten$i" || status=1
done
for i in 1 2 3 4 5 6 7 8 9 10; do
	eval "wait \$pid$i"
	[ $? = 8 ] || status=1
done
[ "$alive" = 10 ] && [ "$together" = 10 ] && [ $status = 0 ] && nothing_left
verdict=$?
[ $verdict = 0 ] || tail -n 3 /tmp/ten1 /tmp/ten10 | sed 's/^/# /'
ok $verdict "ten guests at once, stopped cleanly ($alive spoke, $together listed)"

# kill -9 at many points of a guest's life, from its creation to its boot.
status=0
for delay in 0 0.02 0.05 0.1 0.15 0.2 0.3 0.5 0.8 1.2 2 3; do
	$run --cpus 2 --memory 128M --cmdline "$words" </dev/null >/dev/null 2>&1 &
	pid=$!
	sleep $delay
	kill -9 $pid
	wait $pid 2>/dev/null
	nothing_left || status=1
done
ok $status "kill -9 of the VMM at twelve points leaves nothing"

if [ "$device" = /dev/emys ]; then
	rmmod emys && insmod ./emys.ko && boots 1 128M 60000 && rmmod emys
	ok $? "the module unloads, loads again, and runs a guest"
else
	echo "ok $((nr + 1)) unload # SKIP not emys"
fi
exit $bad
