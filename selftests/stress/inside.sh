#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # until_true calls
# The part of stress/run that runs in the emulated host.
# usage: stress.sh SECONDS MEMORY WORK GUEST..., sizes in MiB of each guest and of what it checks
# A guest is files, pages or storm; with "+" behind it, a storm runs beside.
export device=/dev/emys
# shellcheck source=selftests/lib/verdicts.sh
. ./verdicts.sh
seconds=$1
memory=$2
work=$3
shift 3
names=$(echo "$*" | tr -d +)
low=$((memory * 11 / 12))
# Without tracefs, whose inodes take 8 MiB; who panics ends.
words="console=ttyS0 quiet panic=-1 tsc_early_khz=50000 no_timer_check cryptomgr.notests \
initcall_blacklist=tracer_init_tracefs"
algorithms="emys ksm cmd-address cmd-count cmd-subpage"

mem_free()	# kB
{
	sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo
}

# kB that no counter of the kernel's has: what modules allocate by the page. Free memory alone
# says little: each CPU keeps some in lists of its own, and slabs grow.
unaccounted()
{
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^MemTotal:/ { kb += $2 }
		/^(MemFree|Buffers|Cached|SwapCached|AnonPages|Slab|KernelStack|PageTables|Percpu):/ { kb -= $2 }
		/^ *count: / { kb -= 4 * $2 } END { print kb }' /proc/meminfo /proc/zoneinfo
}

# what it is once it has stopped to change
unaccounted_soon()
{
	last=
	now=$(unaccounted)
	while [ "$now" != "$last" ]; do
		sleep 0.5
		last=$now
		now=$(unaccounted)
	done
	echo "$now"
}

# What the kernel's shrinkers looked at because memory was short
pressed()
{
	sed -n 's/^slabs_scanned //p' /proc/vmstat
}

# said NAME WORD: the last number the guest said after the word
said()
{
	tr -d '\r' <"/tmp/$1.out" | sed -n "s/^@$2 //p" | tail -n 1
}

# Wait at most so many seconds until the command holds.
until_true()	# SECONDS COMMAND...
{
	tries=$(($1 * 2))
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.5
	done
}

# Each guest is ready, or one has ended.
ready_or_ended()
{
	for g in $names; do
		kill -0 "$(cat "/tmp/$g.pid")" 2>/dev/null || return 0
	done
	waiting=
	for g in $names; do
		[ -n "$(said "$g" ready)" ] || waiting="$waiting $g"
	done
	turns=$((turns + 1))
	[ $((turns % 40)) != 0 ] || show
	[ -z "$waiting" ]
}

# The last that each guest said
show()
{
	for g in $names; do
		echo "# $g: $(tr -d '\r' <"/tmp/$g.out" | tail -n 1)"
	done
}

# A balloon swings.
swing()	# NAME
{
	until [ -e /tmp/stop ]; do
		for size in $low "$memory"; do
			vmctl balloon "$1" "${size}M" >>"/tmp/$1.swings" 2>&1 && echo "$size" >>"/tmp/$1.swung"
		done
	done
}

all_swung()
{
	for g in $names; do
		grep -qx $low "/tmp/$g.swung" && grep -qx "$memory" "/tmp/$g.swung" || return 1
	done
}

# The host takes memory until little is free, and gives it back.
hog()
{
	until [ -e /tmp/stop ]; do
		n=0
		while [ "$(mem_free)" -gt 49152 ] && [ $n -lt 200 ]; do
			dd if=/dev/zero of=/tmp/hog/$n bs=1M count=8 2>/dev/null
			n=$((n + 1))
		done
		sleep 1
		rm -f /tmp/hog/*
		echo $n >>/tmp/hogged
		sleep 2
	done
}

echo "TAP version 13"
echo "1..12"
cat guest/initrd.img work.cpio modules.cpio >/tmp/initrd.img
mkdir -p /tmp/hog && mount -t tmpfs -o size=100% none /tmp/hog
# The kernel looks for memory well before there is none, and calls nobody a killer before that.
echo 1000 >/proc/sys/vm/watermark_scale_factor
echo 0 >/proc/sys/vm/watermark_boost_factor
: >/tmp/hogged
start=$(unaccounted_soon)
insmod ./emys.ko || exit 1

# Busy guests must leave something to what works on their memory.
seed=0
for g; do
	seed=$((seed + 1))
	command="for m in /modules/*; do insmod \$m; done;"
	cpus=$((seed == 1 ? 2 : 1))
	if [ "$g" != "${g%+}" ]; then
		# Its input never ends; of what it says only what is wrong is wanted.
		command="$command tail -f /dev/null | work storm $((seed + 10)) $work busy forever | grep @wrong &"
	fi
	g=${g%+}
	mkfifo "/tmp/$g.in"
	: >"/tmp/$g.swung"
	# shellcheck disable=SC2016 # the other shell's
	sh -c 'renice -n 10 -p $$ >/dev/null; exec "$@"' guest \
		vmctl run --name "$g" --cpus $cpus --memory "${memory}M" \
		--kernel guest/vmlinux --initrd /tmp/initrd.img \
		--cmdline "$words emys.cmd=\"$command work $g $seed $work busy forever; \
echo @forked \$(sed -n 's/^processes //p' /proc/stat)\"" \
		<>"/tmp/$g.in" >"/tmp/$g.out" 2>&1 &
	echo $! >"/tmp/$g.pid"
done
turns=0
until_true 400 ready_or_ended
for g in $names; do
	if [ -z "$(said "$g" ready)" ]; then
		ok 1 "the guests work"
		tail -n 15 /tmp/*.out | sed 's/^/# /'
		exit 1
	fi
done
ok 0 "the guests work"
echo "# $(mem_free) kB free"

for g in $names; do
	said "$g" "done" >"/tmp/$g.before"
done
before=$(pressed)
{
	# shellcheck disable=SC2046 # one word each
	timeout $((seconds + 400)) ./drive 100 "$seconds" \
		$(for g in $names; do cat "/tmp/$g.pid"; done)
	echo $? >/tmp/drive.status
} | tee /tmp/driven | while read -r line; do
	echo "# $line"
done &
driver=$!
others=
for g in $names; do
	swing "$g" &
	others="$others $!"
done
hog &
others="$others $!"
wait $driver
until_true 90 all_swung
# They end by themselves, so that nothing of theirs is left.
touch /tmp/stop
# shellcheck disable=SC2086 # one word each
wait $others

for a in $algorithms; do
	grep -q "^algorithm $a " /tmp/driven
	ok $? "merged by $a"
done
ok "$(cat /tmp/drive.status)" "broken, collapsed, moved, pressed"

status=0
for g in $names; do
	down=$(grep -cx $low "/tmp/$g.swung")
	up=$(grep -cx "$memory" "/tmp/$g.swung")
	echo "# $g: $down times to $low MiB, $up times to $memory MiB"
	if [ "$down" = 0 ] || [ "$up" = 0 ]; then
		status=1
		tail -n 3 "/tmp/$g.swings" | sed 's/^/# /'
	fi
done
ok $status "each guest's balloon swung"

before=$(($(pressed) - before))
echo "# the host filled its memory $(wc -l </tmp/hogged) times and looked at $before objects of its caches"
[ $before -gt 0 ]
ok $? "the host lacked memory"

status=0
for g in $names; do
	vmctl balloon "$g" "${memory}M" >/dev/null 2>&1
	echo end <>"/tmp/$g.in" >&0
done
for g in $names; do
	wait "$(cat "/tmp/$g.pid")" || status=1
	echo "# $g: $(said "$g" end) rounds, $(cat "/tmp/$g.before") before; $(said "$g" forked) processes"
	[ "$(said "$g" end)" -gt $(($(cat "/tmp/$g.before") + 1)) ] || status=1
	[ "$1" = "${1%+}" ] || [ "$(said "$g" forked)" -gt 100 ] || status=1
	shift
	! grep -E "@wrong|Oops|BUG|Out of memory|panic|protection fault" "/tmp/$g.out" || status=1
done
ok $status "every byte was right"
[ $status = 0 ] || tail -n 15 /tmp/*.out | sed 's/^/# /'

until_true 10 nothing_left
ok $? "every page is back"

umount /tmp/hog && rmmod emys && after=$(unaccounted_soon)
status=$?
echo "# by the page before: $start kB, after: ${after:-?} kB"
[ $status = 0 ] && [ "$after" -lt $((start + 512)) ]
ok $? "the module unloads, and the host's memory is free again"
[ $bad = 0 ] || grep -E '^(Anon|Mapped|Shmem|Slab|KernelStack|PageTables|Percpu|Cached)' /proc/meminfo | sed 's/^/# /'
exit $bad
