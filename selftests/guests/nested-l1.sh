#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of guests/nested that runs in L1, a guest. usage: l1.sh CASE...
# It says "L1: ok NAME", "L1: not ok NAME", and "L1: # REMARK" to the console, and how many verdicts.
mkdir -p /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmpfs /tmp
words="console=ttyS0 quiet tsc_early_khz=50000 no_timer_check cryptomgr.notests"
run="vmctl run --device /dev/kvm --kernel /guest/vmlinuz --initrd /guest/initrd.img --memory 96M"
figures=/sys/kernel/debug/kvm
huge=/sys/kernel/mm/transparent_hugepage/enabled
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
	[ ! -d /sys/module/kvm_intel ] || { rmmod kvm_intel && rmmod kvm && rmmod irqbypass; }
}

# kvm [NAME=0]: kvm-intel anew, with this parameter, which it must take
kvm()
{
	unload && insmod /modules/irqbypass.ko && insmod /modules/kvm.ko &&
		insmod /modules/kvm_intel.ko "$@" || return 1
	for p in "$@"; do
		case $(cat "/sys/module/kvm_intel/parameters/${p%=*}") in
		N | 0) ;;
		*) echo "L1: # $p has not been taken"; return 1 ;;
		esac
	done
}

# reached FILE CPUS: the guest came to user space with that many CPUs
reached()
{
	tr -d '\r' <"$1" >"$1.text"
	grep -q '^Linux ' "$1.text" && grep -q "^processors: $2\$" "$1.text" && return 0
	tail -n 12 "$1.text" | sed 's/^/L1: # /'
	return 1
}

# boots CPUS: a guest in this guest reaches user space and powers itself off
boots()
{
	$run --cpus "$1" --cmdline "$words" </dev/null >/tmp/l2 2>&1
	status=$?
	[ $status = 0 ] || echo "L1: # vmctl: status $status"
	reached /tmp/l2 "$1" && [ $status = 0 ]
}

# most: the most pages of 2M that KVM had in use since watch
watch()
{
	while :; do
		cat $figures/pages_2m
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
	$run --cmdline "$words emys.cmd=\"read word\"" </tmp/word1 >/tmp/two1 2>&1 &
	two1=$!
	$run --cmdline "$words emys.cmd=\"read word\"" </tmp/word2 >/tmp/two2 2>&1 &
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

# middle: a guest in this guest is on its way, pid in $l2
middle()
{
	$run --cpus "${1:-1}" --cmdline "$words" </dev/null >/tmp/l2 2>&1 &
	l2=$!
	for _ in $(seq 200); do
		[ "$(cat $figures/exits 2>/dev/null || echo 0)" -gt 2000 ] && return 0
		sleep 0.1
	done
	echo "L1: # the guest does not run"
	return 1
}

for case in "$@"; do
	case $case in
	default)
		watch
		kvm && boots 1
		verdict $? "a guest in the guest"
		pages=$(most)
		[ "${pages:-0}" -gt 0 ]
		verdict $? "with pages of 2M ($pages)"
		;;
	4k)
		echo never >$huge
		watch
		kvm && boots 1
		verdict $? "with pages of 4K only"
		pages=$(most)
		[ "${pages:-1}" = 0 ]
		verdict $? "none of 2M ($pages)"
		echo always >$huge
		;;
	*=0)
		kvm "$case" && boots 1
		verdict $? "kvm-intel with $case"
		;;
	two)
		kvm && together
		verdict $? "two at once"
		;;
	smp)
		kvm && boots 2
		verdict $? "2 CPUs in both"
		;;
	reload)
		kvm && unload && kvm && unload && [ ! -e /dev/kvm ] && kvm && boots 1 && unload
		verdict $? "kvm-intel unloads, loads again, and runs a guest"
		;;
	kill)
		status=0
		kvm || status=1
		for delay in 0 0.1 0.5 2; do
			middle || status=1
			sleep $delay
			kill -9 $l2
			wait $l2 2>/dev/null
		done
		left=$(find $figures -mindepth 1 -type d)
		[ $status = 0 ] && [ -z "$left" ] && unload
		verdict $? "kill -9 of its VMM at four points leaves nothing $left"
		;;
	hold | reboot | panic | reset)
		kvm && middle "$(nproc)" && echo "L1: middle" || continue
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
done
dmesg | grep -E 'WARNING:|BUG:|Oops|Call Trace|INFO: (rcu|task)|kvm.*(error|unsupported|unhandled)' |
	sed 's/^/L1: # /' >/tmp/trouble
cat /tmp/trouble
[ ! -s /tmp/trouble ]
verdict $? "L1's kernel has nothing to report"
echo "L1: end $said"
