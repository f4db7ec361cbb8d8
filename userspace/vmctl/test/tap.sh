#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the tests of vmctl's commands share: a directory of their own, where the output of the last
# command is in $out and $err, and verdicts.
# shellcheck disable=SC2034	# for who reads this file
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_RUNTIME_DIR="$dir"
out=$dir/out err=$dir/err
nr=0
failed=0

ok() {			# CONDITION-STATUS TEXT
	nr=$((nr + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
		failed=1
		sed 's/^/# out: /' "$out" | tail -n 20
		sed 's/^/# err: /' "$err" | tail -n 40
	fi
}
