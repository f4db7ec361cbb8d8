# SPDX-License-Identifier: GPL-2.0-only
# What the scripts of the emulated host share: the cache, locks, apt.
# Sourced by bash; the caller has set HOST_DIR to the directory of this file.

EMYS_CACHE=${EMYS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/emys}
case $EMYS_CACHE in /*) ;; *) EMYS_CACHE=$PWD/$EMYS_CACHE ;; esac
export EMYS_CACHE
REPO=$(cd "$HOST_DIR/../.." && pwd)
BUILD=${EMYS_BUILD:-$REPO/build}

say()
{
	printf 'host: %s\n' "$*" >&2
}

# die MESSAGE: harness failure, by its own status.
die()
{
	printf 'host: error: %s\n' "$*" >&2
	exit 125
}

# under_lock NAME COMMAND...: run COMMAND while holding the cache's lock NAME.
under_lock()
{
	local name=$1 fd rc=0
	shift
	mkdir -p "$EMYS_CACHE/lock" || die "cannot create $EMYS_CACHE"
	exec {fd}>"$EMYS_CACHE/lock/$name"
	if ! flock -n "$fd"; then
		say "waiting for another process that makes $name"
		flock "$fd"
	fi
	"$@" || rc=$?
	exec {fd}>&-
	return $rc
}

# digest FILE...: a short key of the contents of FILEs.
digest()
{
	cat "$@" | sha256sum | cut -c1-12
}

# debian_uri: the Debian mirror this machine's apt uses, from deb822 or one-line sources.
debian_uri()
{
	local uri
	uri=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list \
		  /etc/apt/sources.list.d/*.list 2>/dev/null | awk '
		/^URIs:/ { for (i = 2; i <= NF; i++) print $i }
		/^deb[ \t]/ { sub(/\[[^]]*\]/, ""); print $2 }' |
		grep -E '/debian/?$' | head -n 1)
	[ -n "$uri" ] || return 1
	printf '%s\n' "$uri"
}

# private_apt DIR: set APT to an apt-get that keeps its lists in DIR, away from the system's.
private_apt()
{
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	APT=(-q -o "Dir::State::lists=$1/lists" -o "Dir::Cache=$1/cache"
	     -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3)
}

# fetch_debs DIR PACKAGE...: download Debian packages into DIR; nothing is installed.
fetch_debs()
{
	local dir=$1
	shift
	(cd "$dir" && apt-get -q -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3 \
		download "$@") >>"$dir/apt.log" 2>&1 && return
	say "package lists look stale; reading them again"
	private_apt "$EMYS_CACHE/apt"
	apt-get "${APT[@]}" update >>"$dir/apt.log" 2>&1 &&
		(cd "$dir" && apt-get "${APT[@]}" download "$@") >>"$dir/apt.log" 2>&1
}
