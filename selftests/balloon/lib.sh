#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the programs of selftests/balloon share in the emulated host. $device is what VMs run on.
# shellcheck source=selftests/lib/verdicts.sh
. ./verdicts.sh
# Without tracefs, whose inodes take 8 MiB that cannot be given away.
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests \
initcall_blacklist=tracer_init_tracefs"

# start NAME MEMORY shell|work COMMAND [OPTIONS]: a guest, to which `tell` writes, that runs
# the command, and a shell then or powers off.
start()
{
	name=$1 memory=$2 then=$3 command=$4
	shift 4
	mkfifo "/tmp/$name.in"
	vmctl run --device "$device" --name "$name" --memory "$memory" --kernel guest/vmlinuz \
		--initrd /tmp/initrd "$@" --cmdline "$words \
emys.cmd=\"stty -echo; for m in /modules/*; do insmod \$m; done; $command\" emys.do=$then" \
		<"/tmp/$name.in" >"/tmp/$name.out" 2>&1 &
	eval "pid_$name=\$!"
	# Somebody has to hold it open, or its input ends with the first line.
	sleep 100000 >"/tmp/$name.in" &
}

# tell NAME COMMAND: to the guest's shell.
tell()
{
	echo "$2" >"/tmp/$1.in"
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
	for _ in 1 2; do
		vmctl balloon "$1" --json | tr -d '\n' | sed 's/^/# /; s/$/\n/'
		vmctl stat "$1" | sed 's/^/# /'
	done
	return 1
}

# within SECONDS COMMAND...: it succeeds once in that time.
within()
{
	left=$1
	shift
	while ! "$@"; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		sleep 1
	done
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

# host_memory: where the host's memory is, for who looks into a failure.
host_memory()
{
	grep -E '^(MemFree|MemAvailable|Cached|AnonPages|Shmem|Slab|PageTables|Percpu):' /proc/meminfo |
		tr -s ' \n' ' ' | sed 's/^/# /; s/$/\n/'
}

# free_mib: MiB that the host can use. MemAvailable leaves out what each CPU keeps at hand in a
# list of its own, up to tens of MiB of pages just freed; they are free to whoever runs short.
free_mib()
{
	kept=$(awk '$1 == "count:" { n += $2 } END { print n * 4 }' /proc/zoneinfo)
	awk -v kept="$kept" '$1 == "MemAvailable:" { print int(($2 + kept) / 1024) }' /proc/meminfo
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

# finish: the plan, and the verdict.
finish()
{
	echo "1..$nr"
	exit $bad
}
