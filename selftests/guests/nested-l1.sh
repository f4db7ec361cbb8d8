#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of guests/nested that runs in L1, a guest. usage: l1.sh kvm|emys CASE...
# It says "L1: ok NAME", "L1: not ok NAME", and "L1: # REMARK" to the console, and how many verdicts.
mkdir -p /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmpfs /tmp
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests"
# For guests so deep that an exit takes as long as a tick of the clock, and there is time for no more
# than the next tick: to them the emulator's TSC is that of a real machine, so a second is longer.
slow="no-kvmclock tsc=reliable tsc_early_khz=2000000"
run="vmctl run --device /dev/$1 --kernel /guest/vmlinuz --memory 128M --timeout 400"
backend=
hypervisor=$1
shift
huge=/sys/kernel/mm/transparent_hugepage/enabled
figures=/sys/kernel/debug/$hypervisor
said=0
# Linux has them off in a machine as small as this
echo always >$huge

verdict()	# STATUS NAME
{
	if [ "$1" = 0 ]; then
		echo "L1: ok $2"
	else
		echo "L1: not ok $2"
	fi
	said=$((said + 1))
}

unload()
{
	case $hypervisor in
	kvm) [ ! -d /sys/module/kvm_intel ] || { rmmod kvm_intel && rmmod kvm && rmmod irqbypass; } ;;
	emys) [ ! -d /sys/module/emys ] || rmmod emys ;;
	esac
}

# load [NAME=VALUE]: the hypervisor anew, with this parameter, which it must take
load()
{
	unload || return 1
	case $hypervisor in
	kvm)
		module=kvm_intel
		insmod /modules/irqbypass.ko && insmod /modules/kvm.ko || return 1
		;;
	emys) module=emys ;;
	esac
	insmod "/modules/$module.ko" "$@" || return 1
	for p in "$@"; do
		case ${p#*=}:$(cat "/sys/module/$module/parameters/${p%=*}") in
		"${p#*=}:${p#*=}" | 0:N | 1:Y) ;;
		*) echo "L1: # $p has not been taken"; return 1 ;;
		esac
	done
}

# exits: of all guests here so far
exits()
{
	case $hypervisor in
	kvm) cat $figures/exits ;;
	emys) awk '$1 == "exits:" { n += $2 } END { print n + 0 }' $figures/vms ;;
	esac
}

# gone: no guest is left here
gone()
{
	case $hypervisor in
	kvm) [ -z "$(find $figures -mindepth 1 -type d)" ] ;;
	emys) ! grep -E '^(vms|vcpus|pages): *[1-9]' $figures/stats ;;
	esac
}

# reached FILE CPUS: the guest came to user space with that many CPUs
reached()
{
	tr -d '\r' <"$1" >"$1.text"
	grep -q '^Linux ' "$1.text" && grep -q "^processors: $2\$" "$1.text" && return 0
	tail -n 20 "$1.text" | sed 's/^/L1: # /'
	return 1
}

# boots CPUS [WORDS]: a guest in this guest reaches user space and powers itself off
boots()
{
	# shellcheck disable=SC2086	# it is words, or none
	$run $backend --initrd /guest/initrd.img --cpus "$1" --cmdline "$words ${2:-}" </dev/null >/tmp/l2 2>&1
	status=$?
	[ $status = 0 ] || echo "L1: # vmctl: status $status"
	reached /tmp/l2 "$1" && [ $status = 0 ]
}

# large, none: did the hypervisor have pages of 2M in use since watch?
watch()
{
	while :; do
		case $hypervisor in
		kvm) cat $figures/pages_2m ;;
		# counters that are 0 are not there
		emys) sed -n 's/^ *mem_pages_4k: .*/0/p; s/^ *mem_pages_2m: //p' $figures/vms ;;
		esac
		sleep 1
	done >/tmp/watched 2>/dev/null &
	watcher=$!
}

most()
{
	kill $watcher
	sort -n /tmp/watched | tail -n 1
}

# together: two guests, of which each waits in user space for a word that comes when both are there
together()
{
	rm -f /tmp/word1 /tmp/word2
	mkfifo /tmp/word1 /tmp/word2
	$run --initrd /guest/initrd.img --cmdline "$words emys.cmd=\"read word\"" </tmp/word1 >/tmp/two1 2>&1 &
	two1=$!
	$run --initrd /guest/initrd.img --cmdline "$words emys.cmd=\"read word\"" </tmp/word2 >/tmp/two2 2>&1 &
	two2=$!
	exec 4>/tmp/word1 5>/tmp/word2
	for _ in $(seq 600); do
		both=$(cat /tmp/two1 /tmp/two2 | grep -c '^uptime:')
		[ "$both" = 2 ] && break
		sleep 1
	done
	[ -d /proc/$two1 ] && [ -d /proc/$two2 ]
	alive=$?
	echo go >&4
	echo go >&5
	wait $two1 || alive=1
	wait $two2 || alive=1
	exec 4>&- 5>&-
	reached /tmp/two1 1 && reached /tmp/two2 1 && [ "$both" = 2 ] && [ $alive = 0 ]
}

# third: L2 does the same again, with a guest of its own
third()
{
	$run --nested on --memory 256M --timeout 2000 --initrd /guest/l2.img --cmdline "$words $slow mitigations=off \
emys.cmd=\"sh /l1.sh $hypervisor deep\"" </dev/null >/tmp/l2 2>&1 && reached /tmp/l2 1 &&
		grep -q '^L1: end 2' /tmp/l2.text && ! grep '^L1: not ok' /tmp/l2.text
}

# middle CPUS EXITS: a guest in this guest is on its way, pid in $l2
middle()
{
	$run --initrd /guest/initrd.img --cpus "$1" --cmdline "$words" </dev/null >/tmp/l2 2>&1 &
	l2=$!
	for _ in $(seq 400); do
		[ "$(exits)" -ge "$2" ] && return 0
		sleep 0.1
	done
	echo "L1: # the guest does not run"
	return 1
}

large()
{
	pages=$(most)
	[ "${pages:-0}" -gt 0 ]
	verdict $? "with pages of 2M ($pages)"
}

none()
{
	pages=$(most)
	[ "${pages:-1}" = 0 ]
	verdict $? "none of 2M ($pages)"
}

for case in "$@"; do
	read -r began _ </proc/uptime
	case $case in
	default)
		watch
		load && boots 1
		verdict $? "a guest in the guest"
		[ "$hypervisor" = emys ] ||
			echo "L1: # enable_apicv: $(cat /sys/module/kvm_intel/parameters/enable_apicv)"
		large
		;;
	deep)
		load && boots 1 "$slow"
		verdict $? "a guest in the guest's guest"
		;;
	4k)
		# memory that is emys's own has large pages whatever the kernel thinks of them
		backend="--mem-backend anon"
		echo never >$huge
		watch
		load && boots 1
		verdict $? "with pages of 4K only"
		none
		echo always >$huge
		backend=
		;;
	anon)
		backend="--mem-backend anon"
		watch
		load && boots 1
		verdict $? "in anonymous memory"
		large
		backend=
		;;
	mem_large=never)
		watch
		load "$case" && boots 1
		verdict $? "$hypervisor with $case"
		none
		;;
	*=*)
		load "$case" && boots 1
		verdict $? "$hypervisor with $case"
		;;
	two)
		load && together
		verdict $? "two at once"
		;;
	smp)
		load && boots 2
		verdict $? "2 CPUs in both"
		;;
	reload)
		load && unload && load && unload && [ ! -e "/dev/$hypervisor" ] && load && boots 1 && unload
		verdict $? "$hypervisor unloads, loads again, and runs a guest"
		;;
	kill)
		status=0
		load || status=1
		for exits in 1 100 1000 2500; do
			middle 1 $exits || status=1
			kill -9 $l2
			wait $l2 2>/dev/null
		done
		[ $status = 0 ] && sleep 1 && gone && unload
		verdict $? "kill -9 of its VMM at four points leaves nothing"
		;;
	third)
		load nested=1 && third
		verdict $? "a third level: L2 is a hypervisor, too, and its guest runs"
		;;
	hold | reboot | panic | reset)
		load && middle "$(nproc)" 2000 && echo "L1: middle" || continue
		sleep 1
		case $case in
		hold) wait $l2 ;;
		reboot) reboot -f ;;
		panic) echo c >/proc/sysrq-trigger ;;
		reset) echo b >/proc/sysrq-trigger ;;
		esac
		;;
	*)
		verdict 1 "no case '$case'"
		;;
	esac
	read -r ended _ </proc/uptime
	echo "L1: # $case: $((${ended%.*} - ${began%.*})) s"
done
dmesg | grep -E 'WARNING:|BUG:|Oops|Call Trace|INFO: (rcu|task)|kvm.*(error|unsupported|unhandled)|emys: (VM .* stopped|cannot)' |
	sed 's/^/L1: # /' >/tmp/trouble
cat /tmp/trouble
[ ! -s /tmp/trouble ]
verdict $? "L1's kernel has nothing to report"
echo "L1: end $said"
