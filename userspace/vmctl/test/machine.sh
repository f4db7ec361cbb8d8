#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vmctl against a real device: boots, ways to end, control, errors (TAP).
#
# usage: machine.sh DEVICE GUEST TTY [VMLINUZ INITRD [VMLINUX]]
#
# GUEST is test/guest, TTY is test/tty. VMLINUZ and INITRD are a Linux guest
# whose init prints "processors: N" and takes emys.do= words; without them its
# tests are skipped. MACHINE_WORDS is what that guest needs on its command line
# besides.

device=$1 guest=$2 tty=$3 vmlinuz=$4 initrd=$5 vmlinux=$6
words="console=ttyS0 quiet $MACHINE_WORDS"
skipped=0
# shellcheck source=userspace/vmctl/test/tap.sh
. "$(dirname "$0")/tap.sh"

skip() {
	nr=$((nr + 1))
	skipped=1
	echo "ok $nr - $1 # SKIP $2"
}

run() {			# ARGS: status in $status, output in $out, $err
	vmctl run --device "$device" --timeout 120 "$@" >"$out" 2>"$err" </dev/null
	status=$?
}

tiny() {		# LETTER ARGS
	letter=$1
	shift
	run --kernel "$guest" --memory 16M --cmdline "$letter" "$@"
}

has() {			# FILE TEXT
	grep -q -e "$2" "$1"
}

expect() {		# STATUS NAME [FILE TEXT]
	want=$1 name=$2
	shift 2
	if [ $# -eq 0 ]; then
		[ $status -eq "$want" ]
	else
		[ $status -eq "$want" ] && has "$@"
	fi
	ok $? "$name (status $status, want $want)"
}

vmctl check --device "$device" >"$out" 2>"$err"
status=$?
expect 0 "check says the device is usable" "$out" "^verdict *usable"
vmctl check --device "$device" --json >"$out" 2>"$err"
status=$?
expect 0 "check --json" "$out" '"usable": true'

tiny p
expect 0 "multiboot: prints and powers off" "$out" "hello from the guest"
tiny r
expect 3 "reset by 0xcf9" "$err" "reset"
tiny k
expect 3 "reset by the keyboard controller"
tiny t
expect 4 "triple fault says which vCPU" "$err" "vCPU 0: .*triple fault"
has "$err" "rip 00000000002000" && has "$err" "cr3"
ok $? "triple fault prints registers"
tiny x --exit-port 0xf4
expect $((64 + 42)) "exit port" "$err" "0x2a"
tiny m
expect 0 "MMIO to nowhere reads as all ones" "$out" "all ones"
tiny d --debug-port
expect 0 "debug port" "$out" "hello from the guest"
tiny j
[ $status -eq 4 ] || [ $status -eq 5 ]
ok $? "a jump to nowhere ends the VM (status $status)"
tiny s --timeout 1
expect 7 "timeout" "$err" "timeout"
tiny p --no-console
[ $status -eq 0 ] && [ ! -s "$out" ]
ok $? "--no-console drops the output"
tiny p --no-sandbox
expect 0 "--no-sandbox" "$out" "hello"
tiny p --json
expect 0 "--json tells the end" "$err" '"state":"poweroff".*"status":0'
printf Q | vmctl run --device "$device" --kernel "$guest" --memory 16M \
	--cmdline e --timeout 60 >"$out" 2>"$err"
status=$?
expect 0 "input from a pipe" "$out" "^Q$"

vmctl run --device "$device" --kernel "$guest" --memory 16M --cpus 2 \
	--cmdline s --name spin --timeout 300 >"$out" 2>"$err" </dev/null &
pid=$!
i=0
while [ $i -lt 100 ] && ! vmctl list | grep -q "^spin "; do
	sleep 0.1
	i=$((i + 1))
done
! grep -L "^Seccomp:.*2" /proc/$pid/task/*/status | grep -q . &&
	grep -q "^NoNewPrivs:.*1" /proc/$pid/status
ok $? "every thread is in the sandbox"
vmctl list --json | grep -q '"name": "spin"'
ok $? "list shows it"
vmctl stat spin | grep -q "^spin: up"
ok $? "stat shows it"
vmctl stat --json spin | grep -q '"counters"'
ok $? "stat --json has the kernel's counters"
vmctl run --device "$device" --kernel "$guest" --name spin >/dev/null 2>"$dir/e2"
[ $? -eq 1 ] && grep -q "is running" "$dir/e2"
ok $? "a second VM of that name is refused"
vmctl stop $pid
ok $? "stop by process id"
wait $pid
status=$?
expect 8 "a stopped VM's status" "$err" "vmctl stop"
[ -z "$(vmctl list)" ]
ok $? "and it is gone from the list"
vmctl stop spin 2>"$err"
status=$?
expect 1 "stop of nothing" "$err" "no such VM"

for sig in TERM INT; do
	# A background job of a script ignores SIGINT, but vmctl takes it.
	vmctl run --device "$device" --kernel "$guest" --memory 16M \
		--cmdline s --timeout 300 >"$out" 2>"$err" </dev/null &
	pid=$!
	sleep 1
	kill -$sig $pid
	wait $pid
	status=$?
	expect 8 "SIG$sig stops the VM" "$err" "SIG\|$sig"
done
vmctl run --device "$device" --kernel "$guest" --memory 16M --name killed \
	--cmdline s >"$out" 2>"$err" </dev/null &
pid=$!
sleep 1
kill -KILL $pid
wait $pid 2>/dev/null
[ -z "$(vmctl list)" ]
ok $? "a killed VM is not listed"
tiny p --name killed
expect 0 "and its name is free again"

"$tty" "$device" "$guest" >"$out" 2>"$err"
ok $? "keys and the terminal ($(grep -c ^ok "$out") points)"

run --kernel "$dir/nosuch"
expect 1 "no kernel file" "$err" "nosuch: No such file"
head -c 200 "$guest" >"$dir/cut"
run --kernel "$dir/cut"
expect 1 "an ELF file cut short" "$err" "cut: .*cut short"
run --kernel /proc/self/exe
expect 1 "something that is no kernel"
tiny p --cpus 0
expect 2 "--cpus 0" "$err" "cpus 0"
tiny p --memory 1x
expect 2 "--memory 1x" "$err" "memory 1x"
tiny p --memory 1M
expect 1 "--memory 1M" "$err" "at least\|from 8 MiB"
tiny p --name ../x
expect 2 "--name ../x" "$err" "name"
vmctl run --device /dev/null --kernel "$guest" 2>"$err"
status=$?
expect 1 "a device that is not one" "$err" "KVM_GET_API_VERSION"

if [ -n "$vmlinuz" ]; then
	linux() {	# MORE-WORDS ARGS
		more=$1
		shift
		run --initrd "$initrd" --cmdline "$words $more" "$@"
	}
	linux "" --kernel "$vmlinuz" --cpus 2 --memory 256M
	expect 0 "Linux on 2 CPUs" "$out" "^processors: 2"
	linux "emys.do=reboot" --kernel "$vmlinuz"
	expect 3 "Linux reboots"
	head -c 1000000 "$vmlinuz" >"$dir/cut"
	run --kernel "$dir/cut"
	expect 1 "a bzImage cut short" "$err" "syssize.*cut short"
	run --kernel "$vmlinuz" --memory 8M
	expect 1 "a bzImage in too little memory" "$err" "init_size"
	printf 'echo sum $((40 + 2))\npoweroff -f\n' |
		vmctl run --device "$device" --kernel "$vmlinuz" \
			--initrd "$initrd" --cmdline "$words emys.do=shell" \
			--timeout 120 >"$out" 2>"$err"
	status=$?
	expect 0 "a shell on a pipe" "$out" "^sum 42"
else
	skip "Linux guests" "no VMLINUZ given"
fi
if [ -n "$vmlinux" ]; then
	linux "" --kernel "$vmlinux" --memory 256M
	expect 0 "vmlinux by PVH" "$out" "^processors: 1"
else
	skip "vmlinux by PVH" "no VMLINUX given"
fi

echo "1..$nr"
[ $failed -ne 0 ] && exit 1
[ $skipped -ne 0 ] && exit 4
exit 0
