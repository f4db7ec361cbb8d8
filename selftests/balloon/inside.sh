#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of balloon/run that runs in the emulated host. usage: balloon.sh DEVICE
device=$1
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests"
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

# start NAME MEMORY [OPTIONS]: a guest with a shell that `tell` writes to.
start()
{
	name=$1 memory=$2
	shift 2
	mkfifo "/tmp/$name.in"
	vmctl run --device "$device" --name "$name" --memory "$memory" --kernel guest/vmlinuz \
		--initrd /tmp/initrd "$@" --cmdline "$words \
emys.cmd=\"stty -echo; for m in /modules/*; do insmod \$m; done\" emys.do=shell" \
		<"/tmp/$name.in" >"/tmp/$name.out" 2>&1 &
	eval "pid_$name=\$!"
	eval "exec $fd>/tmp/$name.in"
	eval "fd_$name=$fd"
	fd=$((fd + 1))
}
fd=3

# tell NAME COMMAND: to the guest's shell.
tell()
{
	eval "echo \"\$2\" >&\$fd_$1"
}

# hears NAME PATTERN SECONDS: the guest prints a line like that.
hears()
{
	for _ in $(seq "$3"); do
		tr -d '\r' <"/tmp/$1.out" | grep -q "$2" && return 0
		sleep 1
	done
	echo "# $1 does not say $2:"
	tr -d '\r' <"/tmp/$1.out" | tail -n 15 | sed 's/^/# /'
	return 1
}

# value NAME KEY: a number of `vmctl balloon NAME --json`.
value()
{
	vmctl balloon "$1" --json | sed -n "s/^ *\"$2\": \([0-9]*\),*\$/\1/p"
}

# driver NAME: its driver runs.
driver()
{
	hears "$1" "Please press\|job control\|^~ #\|^/ #" 200 || return 1
	for _ in 1 2 3 4 5; do
		vmctl balloon "$1" --json | grep -q '"driver": true' && return 0
		sleep 1
	done
	hears "$1" "driver" 0
}

# held NAME: MiB that the host spends on the guest's memory.
held()
{
	if [ "$device" = /dev/emys ]; then
		sed -n 's/^pages: *//p' /sys/kernel/debug/emys/stats | awk '{ print int($1 / 256) }'
	else
		eval "sed -n 's/^Rss: *//p' /proc/\$pid_$1/smaps_rollup" | awk '{ print int($1 / 1024) }'
	fi
}

free_mib()
{
	sed -n 's/^MemAvailable: *//p' /proc/meminfo | awk '{ print int($1 / 1024) }'
}

# dirty NAME: the guest fills about 85 MiB with 45 copies of a file and looks at some of them.
dirty()
{
	turn=$((turn + 1))
	tell "$1" "for i in \$(seq 45); do cat /bin/busybox >/tmp/hog\$i || break; done; \
sums=\$(md5sum /bin/busybox /tmp/hog1 /tmp/hog23 /tmp/hog45 | cut -c1-32 | sort -u | wc -l); echo filled$turn \$i \$sums"
	hears "$1" "filled$turn 45 1\$" 120
}
turn=0

# nothing_left: of any guest.
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

echo "TAP version 13"
cat guest/initrd.img modules.cpio >/tmp/initrd

start hand 256M --balloon-min 32M
driver hand
ok $? "Debian's driver takes the balloon"
# 100 MiB are touched and then free in the guest: the host still has to hold them.
dirty hand
ok $? "the guest fills 100 MiB"
before=$(held hand) free=$(free_mib)
tell hand "rm /tmp/hog*; echo removed"
hears hand removed 20
vmctl balloon hand 64M
status=$?
after=$(held hand) now=$(free_mib)
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
dirty hand && ! grep -q "Out of memory" /tmp/hand.out && [ "$(value hand actual)" -ge $((110 << 20)) ]
ok $? "the guest survives want of memory by deflation"
tell hand "rm /tmp/hog*"
vmctl balloon hand max && [ "$(value hand actual)" = $((256 << 20)) ]
ok $? "all of it back"
dirty hand
ok $? "and it holds what is written there"
[ "$(value hand available)" -gt 0 ] && [ "$(value hand stats_age_ms)" -lt 2000 ]
ok $? "statistics come from the guest"

before=$(held hand)
tell hand "rm /tmp/hog*"
after=$before
for _ in $(seq 60); do
	after=$(held hand)
	[ $((before - after)) -ge 70 ] && break
	sleep 1
done
echo "# held $before MiB, then $after"
[ $((before - after)) -ge 70 ] && [ "$(value hand actual)" = $((256 << 20)) ]
ok $? "pages that are free in the guest are reported and freed"

tell hand "poweroff -f"
eval "wait \$pid_hand"
[ $? = 0 ] && nothing_left
ok $? "it powers off and leaves nothing"

echo "1..$nr"
exit $bad
