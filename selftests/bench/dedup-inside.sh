#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of bench/dedup that runs in the emulated host.
# usage: dedup-inside.sh guests|short ROUNDS kvm|ALGORITHM...
#
# short: the VMs have memory like that of guests, and no guests.
# Lines for the other part begin with @. "@run NAME", then what was measured, in order; "@still"
# before the passes over memory that has not changed.
form=$1
rounds=$2
shift 2
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests init_on_alloc=0"
# The least that Debian's kernel of 74 MiB with its data runs in comfortably
mib=96
[ "$form" = guests ] || mib=8
guests="files pages storm idle"
clones="clone1 clone2"
# Passes with nothing changed after the rounds: KSM needs two to merge what it has not seen.
settle=2
nr=0

die()
{
	echo "bench: $*" >&2
	exit 1
}

tool()
{
	./dedup-tool "$@" || die "dedup-tool $* failed"
}

stamp()
{
	echo "@time $(cut -d' ' -f1 /proc/uptime) $*"
}

# guest NAME SEED MIB DEVICE OPTIONS: start one; its pid goes to /tmp/NAME.pid
guest()
{
	name=$1 seed=$2 size=$3 device=$4
	shift 4
	rm -f "/tmp/$name.in" "/tmp/$name.out"
	mkfifo "/tmp/$name.in"
	# Read and write: the pipe does not end with the first who wrote to it.
	if [ "$form" = short ]; then
		# shellcheck disable=SC2046 # one word each
		./dedup-tool vm "$name" "$seed" $mib "$device" emys.ko $(command -v vmctl) dedup-tool \
			<>"/tmp/$name.in" >"/tmp/$name.out" 2>&1 &
		echo $! >"/tmp/$name.pid"
		return
	fi
	vmctl run --device "$device" "$@" --name "$name" --memory ${mib}M --kernel guest/vmlinux \
		--initrd /tmp/initrd.img \
		--cmdline "$words emys.cmd=\"work $name $seed $size\"" \
		<>"/tmp/$name.in" >"/tmp/$name.out" 2>&1 &
	echo $! >"/tmp/$name.pid"
}

# clone NAME OF: a VM whose memory is a copy, taken while the other one stands still
clone()
{
	rm -f "/tmp/$1.in" "/tmp/$1.out"
	mkfifo "/tmp/$1.in"
	kill -STOP "$(cat "/tmp/$2.pid")"
	./dedup-tool clone "$(cat "/tmp/$2.pid")" $mib "$(cat "/tmp/$2.object")" $nr \
		<>"/tmp/$1.in" >"/tmp/$1.out" 2>&1 &
	echo $! >"/tmp/$1.pid"
	tool wait 60 "/tmp/$1.out" "@ready clone"
	kill -CONT "$(cat "/tmp/$2.pid")"
}

start_all()	# DEVICE OPTIONS
{
	stamp start
	nr=0
	seed=0
	for g in $guests; do
		seed=$((seed + 1))
		guest "$g" $seed 8 "$@"
	done
	for g in $guests; do
		tool wait 400 "/tmp/$g.out" "@ready $g"
	done
	stamp booted
	for g in $guests; do
		object=0
		[ "$1" = /dev/kvm ] || object=$(./dedup-tool object "$(cat "/tmp/$g.pid")") ||
			die "$g has no object"
		echo "$object" >"/tmp/$g.object"
	done
}

# New clones for each run: those of the run before have drifted away from what they were made of.
clone_all()
{
	for g in $clones; do
		clone "$g" files
	done
	stamp cloned
}

# One round of work in each of them, one after the other, so that it is the same every time.
round()
{
	nr=$((nr + 1))
	for g in $guests $clones; do
		echo go >"/tmp/$g.in"
		tool wait 100 "/tmp/$g.out" "@done $nr"
	done
	stamp "round $nr"
}

pids()
{
	for g in $guests $clones; do
		cat "/tmp/$g.pid"
	done
}

end()	# NAME...
{
	for g in "$@"; do
		echo end >"/tmp/$g.in"
	done
	for g in "$@"; do
		wait "$(cat "/tmp/$g.pid")" || die "$g ended with status $?"
	done
	stamp ended
}

# Pages of guest memory that the processes have touched.
resident()
{
	for pid in $(pids); do
		awk '/^[0-9a-f]+-/ { big = 0 } /^Size:/ { big = $2 == '$((mib * 1024))' }
			/^Rss:/ && big { n += $2 / 4 } END { print n }' "/proc/$pid/smaps"
	done | awk '{ n += $1 } END { print n }'
}

domain=0
# measure kvm|emys: the same for both; scan_X and a number does so many passes
measure()
{
	start=$nr
	while [ "$nr" -lt $((start + rounds)) ]; do
		"scan_$1" 1
		round
	done
	# shellcheck disable=SC2046 # one word each
	kill -STOP $(pids)
	"scan_$1" $settle
	echo "@still"
	"scan_$1" 1
	# shellcheck disable=SC2046
	tool alike "$domain" $mib $(pids)
	# shellcheck disable=SC2046
	kill -CONT $(pids)
	stamp scanned
}

scan_kvm()
{
	tool ksm "$1"
	echo "@resident $(resident)"
}

scan_emys()
{
	tool scan $domain "$1"
}

[ "$form" = short ] || cat guest/initrd.img work.cpio >/tmp/initrd.img
# Small pages on both sides: what is merged is the question here, not what is split for it.
echo never >/sys/kernel/mm/transparent_hugepage/enabled
emys=
for which in "$@"; do
	if [ "$which" = kvm ]; then
		echo "@run kvm"
		start_all /dev/kvm --mergeable
		clone_all
		measure kvm
		# shellcheck disable=SC2086 # one word each
		end $guests $clones
		echo 2 >/sys/kernel/mm/ksm/run
		rmmod kvm_intel || die "kvm_intel does not unload"
		continue
	fi
	if [ -z "$emys" ]; then
		insmod ./emys.ko mem_large=never || die "emys.ko does not load"
		start_all /dev/emys --no-balloon
		emys=1
	fi
	clone_all
	echo "@run $which"
	# A new domain: nothing is shared and nothing known of the pages.
	domain=$((domain + 1))
	# shellcheck disable=SC2046
	tool join $domain $(pids)
	tool algorithm $domain "$which"
	measure emys
	# shellcheck disable=SC2086
	end $clones
done
if [ -n "$emys" ]; then
	clone clone3 pages
	kill -STOP "$(cat /tmp/pages.pid)"
	tool join $domain "$(cat /tmp/clone3.pid)"
	tool cloned "$(cat /tmp/pages.pid)" "$(cat /tmp/clone3.pid)"
	kill -CONT "$(cat /tmp/pages.pid)"
	# shellcheck disable=SC2086
	end $guests clone3
	rmmod emys || die "emys does not unload"
fi
