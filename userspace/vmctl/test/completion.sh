#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What vmctl.bash offers (TAP). Words are as bash cuts them: at the colon too.
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=userspace/vmctl/vmctl.bash
. ./vmctl.bash

vmctl()			# the VMs there are
{
	printf 'NAME PID\nweb1 1\nweb2 2\ndb 3\n'
}

nr=0
failed=0
offers()		# WANTED WORD...: what is offered for the last word, in order
{
	local want=$1 status=ok
	shift
	COMP_WORDS=(vmctl "$@") COMP_CWORD=$# COMPREPLY=()
	_vmctl
	nr=$((nr + 1))
	if [ "${COMPREPLY[*]}" != "$want" ]; then
		status="not ok" failed=1
		echo "# offers '${COMPREPLY[*]}', not '$want'"
	fi
	echo "$status $nr - $* -> ${want:-nothing}"
}

offers "domain" dom
offers "list create remove join leave --json --help" domain ""
offers "web1 web2" balloon we
offers "--json web1 web2 db" domain leave ""
offers "default" dedup show d
offers "vm:web1 vm:web2 vm:db" dedup show vm
offers "web1 web2 db" dedup show vm :
offers "web1 web2" dedup show vm : we
offers "db" dedup set vm : d
offers "" dedup show vm : default
offers "algorithm= adaptive=" dedup set vm : db a
offers "" dedup show x : we
offers "on off" run --nested o
echo "1..$nr"
exit $failed
