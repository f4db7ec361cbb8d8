#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of selftests/kvm/run inside the emulated host. usage: inside.sh DEVICE
device=$1
out=$(mktemp)
# shellcheck source=selftests/lib/verdicts.sh
. ./verdicts.sh

verdict()	# STATUS NAME, and what the program said when it failed
{
	[ "$1" = 0 ] || tail -n 12 "$out" | grep -v addr2line | sed 's/^/# /'
	ok "$1" "$2"
}

# The programs know one device.
[ "$device" = /dev/kvm ] || ln -s "$device" /dev/kvm || exit 1
echo "TAP version 13"
echo "1..$(grep -cE '^(pass|skip|lack|left) ' list)"
while read -r what name rest; do
	case $what in
	pass) words=$rest ;;
	skip | lack) words= ;;
	left)
		: >"$out"
		[ -x "kvm/$name" ]
		verdict $? "$name # SKIP $rest"
		continue
		;;
	*) continue ;;
	esac
	status=0
	# shellcheck disable=SC2086
	timeout -s KILL 150 "kvm/$name" $words >"$out" 2>&1 </dev/null || status=$?
	echo "status $status" >>"$out"
	case $what in
	pass) verdict $status "$name${words:+ $words}" ;;
	skip) [ $status = 4 ]; verdict $? "$name # SKIP $rest" ;;
	lack)
		[ $status = 254 ] && grep -qF "${rest%%: *}" "$out"
		verdict $? "$name # SKIP ${rest#*: }"
		;;
	esac
done <list
for program in kvm/*; do
	if ! grep -qE "^(pass|skip|lack|left) ${program#kvm/}( |\$)" list; then
		: >"$out"
		verdict 1 "${program#kvm/} is in no line of selftests/kvm/list"
	fi
done
exit $bad
