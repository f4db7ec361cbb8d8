#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of balloon/overcommit that runs in the emulated host. usage: overcommit.sh DEVICE
export device=$1
. ./lib.sh

all="g1 g2 g3 g4 g5 g6 g7 g8"
active="g1 g2 g3 g4"
idle="g5 g6 g7 g8"
size=256
budget=683

# hear PATTERN SECONDS GUEST...: each of these prints a line like that.
hear()
{
	pattern=$1 seconds=$2
	shift 2
	for guest; do
		hears "$guest" "$pattern" "$seconds" || return 1
	done
}

# go NR GUEST...: each of these does its round NR, and all it keeps is right.
go()
{
	turn=$1
	shift
	for guest; do
		tell "$guest" go
	done
	hear "@done $turn\$" 200 "$@"
}

# last_round: NAME HAS ACTIVE GOAL of each guest as the policy last saw and said it, in MiB.
last_round()
{
	tail -n 1 /tmp/policy.out | tr '{' '\n' | sed -n \
		's/.*"name":"\(g[0-9]\)".*"actual":\([0-9]*\).*"active":\([0-9]*\).*"goal":\([0-9]*\).*/\1 \2 \3 \4/p' |
		awk '{ printf "%s %d %d %d\n", $1, $2 / 1048576, $3 / 1048576, $4 / 1048576 }'
}

# shared_out: the policy takes, who works has clearly more than who does not, and weight counts.
shared_out()
{
	last_round | awk '
		$1 == "g1" { weighty = $4; next }
		$1 ~ "g[234]" { busy += $3 / 3; of_busy += $4 / 3; next }
		{ rest += $3 / 4; of_rest += $4 / 4 }
		END {
			printf "# g1 shall have %d MiB, g2 to g4 each %.1f for %.1f they use, ", weighty, of_busy, busy
			printf "g5 to g8 %.1f for %.1f\n", of_rest, rest
			exit !(weighty > 1.2 * of_busy && of_busy > 1.05 * of_rest && busy > 1.1 * rest)
		}' && tail -n 1 /tmp/policy.out | grep -q '"taking":true'
}

most_used()
{
	sed 's/.*"used":\([0-9]*\).*/\1/' /tmp/policy.out | sort -n | tail -n 1
}

echo "TAP version 13"
cat guest/initrd.img modules.cpio work.cpio >/tmp/initrd

# Sampled faster than by default, so that the estimates follow within this test.
vmctl largepage set budget=${budget}M sample-ms=500
ok $? "the module has a budget of $budget MiB"
vmctl policy --min 48M --interval 1 --json >/tmp/policy.out 2>/tmp/policy.err &
policy=$!
seed=0
for guest in $all; do
	seed=$((seed + 1))
	shares=1000
	[ $guest = g1 ] && shares=2000
	start $guest ${size}M work "work pages $seed 24" --shares $shares
	# Four at a time: each holds its kernel twice while it unpacks it.
	[ $guest = g4 ] && hear @ready 300 $active
done
hear @ready 300 $all
ok $? "eight guests of $size MiB are up"
go 1 $all
ok $? "each does a round of work, and what it keeps is right"

# Half of them work on; the others have their memory looked at no more. What these are taken to
# use sinks slowly: it took 7 to 10 rounds.
round=1
good=0
shared=1
while [ $round -lt 24 ]; do
	round=$((round + 1))
	go $round $active || good=1
	[ $round -ge 4 ] && shared_out && shared=0 && break
done
ok $good "four of them go on"
last_round | sed 's/^/# /'
ok $shared "who works has more than who does not, and who weighs more has most"
held=$(($(sed -n 's/^pages: *//p' /sys/kernel/debug/emys/stats) / 256))
echo "# guests use $held MiB, and used $(($(most_used) >> 20)) at most; the host has $(free_mib) MiB"
[ $held -le $budget ]
ok $? "all guests together are within the budget"
go 2 $idle
ok $? "the others' memory is right"
vmctl list >/tmp/list
sed 's/^/# /' /tmp/list
[ "$(grep -c "^g[1-8] " /tmp/list)" = 8 ]
ok $? "all eight run"

for guest in $all; do
	tell $guest end
done
hear @end 100 $all && ! grep -h "@wrong\|Out of memory\|oom-kill" /tmp/g?.out
ok $? "each ends its work and found no byte wrong"
status=0
for guest in $all; do
	eval "wait \$pid_$guest" || status=1
done
ok $status "each powers off"
kill -TERM $policy
wait $policy
ok $? "the policy ends when it is told to"
sed 's/^/# /' /tmp/policy.err
nothing_left
ok $? "nothing is left"

finish
