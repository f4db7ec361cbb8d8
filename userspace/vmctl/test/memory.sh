#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vmctl mem, dedup, largepage, domain and events against the module (TAP).
#
# usage: memory.sh GUEST
#
# As root, on a machine that runs no other VMs; the module is unloaded at the end. GUEST is
# test/guest.

guest=$1
# shellcheck source=userspace/vmctl/test/tap.sh
. "$(dirname "$0")/tap.sh"
chmod 755 "$dir"
cp "$(command -v vmctl)" "$dir/nobody"

v() {			# STATUS ARGS...: vmctl, output in $out and $err; does it end so?
	want=$1
	shift
	vmctl "$@" >"$out" 2>"$err"
	[ $? -eq "$want" ]
}

refused() {		# STATUS SENTENCE ARGS...: it says the sentence, and nothing else
	want=$1 sentence=$2
	shift 2
	v "$want" "$@" && [ ! -s "$out" ] && grep -q -e "$sentence" "$err"
	ok $? "vmctl $*: $sentence"
}

field() {		# KEY: the first number under it in JSON of $out
	sed -n "s/.*\"$1\": \(-\{0,1\}[0-9]*\).*/\1/p" "$out" | head -n 1
}

start() {		# NAME
	vmctl run --kernel "$guest" --memory 16M --cmdline s --name "$1" --timeout 600 \
		>/dev/null 2>"$dir/$1.err" </dev/null &
	i=0
	while [ $i -lt 200 ] && ! vmctl list | grep -q "^$1 "; do
		sleep 0.1
		i=$((i + 1))
	done
}

gone() {			# DOMAIN: it is not listed, when who looks at it is done at the latest
	i=0
	while v 0 domain && grep -q "^ *$1 " "$out" && [ $i -lt 100 ]; do
		sleep 0.1
		i=$((i + 1))
	done
	! grep -q "^ *$1 " "$out"
}

as_nobody() {		# start-stop-daemon wants a program that does not run yet
	start-stop-daemon -S -c 65534:65534 -x "$dir/nobody" -- "$@" >"$out" 2>"$err"
}

for c in mem dedup largepage domain events; do
	v 0 $c --help && grep -q "^usage: vmctl $c" "$out" && [ ! -s "$err" ]
	ok $? "$c --help"
	refused 2 "^usage: vmctl $c" $c --none-such
	refused 2 "^usage: vmctl $c" $c much too many words
done

v 0 mem && grep -q "^guests use 0, " "$out" && [ "$(wc -l <"$out")" -eq 4 ]
ok $? "mem without VMs"
v 0 domain && [ "$(wc -l <"$out")" -eq 1 ]
ok $? "domain without VMs"

vmctl events --json --timeout 600 >"$dir/events" 2>"$dir/events.err" &
events=$!
sleep 1
v 0 largepage set large=small
ok $? "largepage set large"
start a
start b

# -- mem
v 0 mem && grep -q "^ *[0-9]* a  .* own " "$out" && grep -q "^ *[0-9]* b  .* own " "$out" &&
	grep -q "^memory is high: " "$out"
ok $? "mem shows both"
v 0 mem --json && grep -q '"name": "a"' "$out" && grep -q '"name": "b"' "$out" &&
	[ "$(field vms)" = 2 ] && [ "$(grep -c '"resident": [1-9]' "$out")" = 2 ]
ok $? "mem --json too, with counters"
v 0 mem -j
pages=$(sed -n 's/^    "pages": \([0-9]*\).*/\1/p' "$out")	# of the module itself
sum=0
for n in $(sed -n 's/.*"resident": \([0-9]*\).*/\1/p' "$out"); do
	sum=$((sum + n))
done
[ "$pages" = "$sum" ]
ok $? "the module's pages ($pages) are those of the VMs ($sum)"
as_nobody mem && ! grep -q " [ab]  " "$out" && ! grep -q "guests use" "$out"
ok $? "somebody else sees no VM"
as_nobody dedup
[ $? -eq 1 ] && grep -q "CAP_SYS_ADMIN" "$err"
ok $? "and no domain"
as_nobody events --timeout 1
[ $? -eq 1 ] && grep -q "CAP_SYS_ADMIN" "$err"
ok $? "and no events"

# -- domain
v 0 domain create 5 algorithm=ksm pages=100 && v 0 dedup show 5 &&
	grep -q "^policy.algorithm  *ksm" "$out" && grep -q "^policy.pages  *100$" "$out"
ok $? "domain create, with settings"
v 0 domain join a 5 && v 0 domain join b 5 && v 0 domain &&
	grep -q "^ *5  *2 .* ksm .*(a).*(b)" "$out"
ok $? "domain join, by name"
id=$(vmctl domain | sed -n 's/.* \([0-9]*\)(b).*/\1/p')
v 0 domain leave "$id" && v 0 mem && grep -q " b  .* own " "$out" && grep -q " a .*  5 " "$out"
ok $? "domain leave, by id"
v 0 domain list --json && grep -q '"id": 5' "$out"
ok $? "domain list --json"
refused 1 "no such VM" domain join c 5
refused 1 "no VM 4000000\|no such VM" domain join 4000000 5
refused 2 "not a domain" domain join a 0
refused 2 "not a domain" domain create 2147483648
refused 2 "not a setting" domain create 6 colour=red
refused 2 "not a setting" domain create 6 stats.passes=1
refused 2 "not a setting" domain create 6 pages
refused 2 "not a number" domain create 6 pages=many
refused 1 "no 'best'.*emys" domain create 6 algorithm=best
refused 1 "out of range\|at most\|from 1 to\|range" domain create 6 cpu-permille=1001
v 0 domain && ! grep -q "^ *6 " "$out"
ok $? "and none was made"
v 0 domain create 6 pages=77 && v 0 domain && grep -q "^ *6  *0 " "$out" &&
	v 0 domain remove 6 && gone 6
ok $? "domain remove"
refused 1 "no.* domain" domain remove 6
refused 2 "not a domain" domain remove 0
v 2 domain remove 6 7
ok $? "domain remove of two"
v 0 domain join b 5
ok $? "b is back"

# -- dedup
v 0 dedup scan 5 3 && v 0 dedup show 5 && grep -q "^stats.passes  *3$" "$out" &&
	grep -q "^policy.algorithm  *ksm" "$out" && grep -q "^counts.resident  *[1-9]" "$out"
ok $? "dedup scan, and what dedup show has of it"
v 0 dedup && grep -q "^ *5  *2 ksm  *off  *3 " "$out"
ok $? "dedup shows it"
v 0 dedup show vm:a --json && [ "$(field id)" = 5 ] && [ "$(field passes)" = 3 ]
ok $? "dedup show vm:NAME --json"
v 0 dedup reset 5 && v 0 dedup show 5 -j && [ "$(field passes)" = 0 ]
ok $? "dedup reset"
v 0 dedup set vm:b algorithm=cmd-subpage sleep-ms=7 run=on && v 0 dedup show 5 &&
	grep -q "algorithm  *cmd-subpage" "$out" && grep -q "sleep-ms  *7$" "$out" &&
	grep -q "run  *on$" "$out" && grep -q "pages  *100$" "$out"
ok $? "dedup set changes what is named"
v 0 dedup set 5 run=off
ok $? "dedup set run=off"
v 0 dedup show default && was=$(sed -n 's/^pages *//p' "$out") &&
	v 0 dedup set default pages=321 && v 0 dedup show default -j && [ "$(field pages)" = 321 ] &&
	v 0 dedup set default pages="$was"
ok $? "dedup set default"
refused 1 "no.* domain" dedup show 99
refused 1 "no.* domain" dedup scan 99
refused 1 "no.* domain" dedup reset 99
refused 1 "no.* domain" dedup set 99 run=on
refused 1 "range\|from 1\|at most" dedup scan 5 1001
refused 1 "not a number of passes" dedup scan 5 x3
refused 1 "not a number of passes" dedup scan 5 0
refused 1 "not a domain" dedup show 5x
refused 2 "not an option" dedup show -5
refused 1 "no such VM" dedup show vm:c
refused 2 "not a setting" dedup set 5 stats=1
refused 2 "not a number" dedup set 5 run=maybe
v 0 dedup show 5 && grep -q "algorithm  *cmd-subpage" "$out" && grep -q "run  *off$" "$out"
ok $? "and nothing has changed"

# -- largepage
v 0 largepage && grep -q "^sample-ms " "$out" && grep -q "^state  *high" "$out" &&
	grep -q " a  *small  " "$out"
ok $? "largepage shows settings, figures and VMs"
v 0 largepage set large=proactive && v 0 largepage && grep -q " a  *proactive  " "$out"
ok $? "largepage set large, back"
v 0 largepage vm a never && v 0 largepage && grep -q " a  *never *! " "$out" &&
	grep -q " b  *proactive  " "$out"
ok $? "largepage vm: of one only"
v 0 largepage vm a module && v 0 largepage && grep -q " a  *proactive  " "$out"
ok $? "and the one for all again"
v 0 largepage round
ok $? "largepage round"
v 0 largepage set budget=64M storm=777 up.soft=990 && v 0 largepage --json &&
	[ "$(field budget)" = 16384 ] && [ "$(field storm)" = 777 ] && [ "$(field soft)" = 990 ]
ok $? "largepage set"
v 0 largepage set budget=0 up.soft=1000
ok $? "largepage set, back"
refused 1 "no 'some'.*never" largepage vm a some
refused 1 "no such VM" largepage vm c never
refused 1 "order\|range" largepage set storm=778 up.clear=1
refused 1 "range\|at least\|from 10" largepage set storm=778 sample-ms=9
refused 2 "not a setting" largepage set up=1
v 0 largepage --json && [ "$(field storm)" = 777 ]
ok $? "and nothing has changed"

# -- events
vmctl stop a b
wait_for() {		# PATTERN: among the events
	i=0
	while [ $i -lt 100 ] && ! grep -q -e "$1" "$dir/events"; do
		sleep 0.1
		i=$((i + 1))
	done
	cp "$dir/events" "$out"
	grep -q -e "$1" "$dir/events"
	ok $? "events: $1"
}
wait_for '"vm":.*"event":"vm-new"'
wait_for '"domain":5,.*"event":"pass-end"'
wait_for '"event":"vm-gone"'
kill $events
wait $events 2>/dev/null
start c
{ sleep 1; vmctl stop c; } &
v 0 events --count 1 --timeout 60 && grep -q "^\[ *[0-9.]*\] vm-gone vm [0-9]* pid [0-9]* uid 0$" "$out" &&
	[ "$(wc -l <"$out")" -eq 1 ]
ok $? "events as text, --count"
wait
v 0 events --timeout 1 && [ ! -s "$out" ]
ok $? "events --timeout"
refused 2 "not a number" events --count 0

# -- no module
rmmod emys >"$out" 2>"$err"
ok $? "the module goes"
for c in mem dedup largepage domain events; do
	refused 1 "is the module loaded" $c
done

echo "1..$nr"
exit $failed
