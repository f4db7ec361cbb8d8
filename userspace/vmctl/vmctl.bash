# SPDX-License-Identifier: GPL-2.0-only
# bash completion for vmctl

_vmctl_names()
{
	vmctl list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# VERBS WORDS KEYS: of a command about memory; a value behind "KEY=" is one's own affair
_vmctl_memory()
{
	local vms words
	if ((COMP_CWORD == 2)); then
		COMPREPLY=($(compgen -W "$1 --json --help" -- "$cur"))
		return
	fi
	vms=$(_vmctl_names)
	words="$2 --json"
	case ${COMP_WORDS[2]} in
	set|create)
		words+=" $3" ;;&
	show|scan|reset|set)
		[[ $cmd == dedup ]] && words+=" $(printf 'vm:%s ' $vms)" ;;
	vm|join|leave)
		words+=" $vms" ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
}

_vmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local cmd=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run check list stat stop balloon policy top mem dedup largepage
			domain events version help --help" -- "$cur"))
		return
	fi
	# Bash takes vm:NAME apart at the colon, and puts the reply in the place of what is behind it.
	if [[ $cmd == dedup && ( $prev$cur == vm: ||
	      $prev == : && ${COMP_WORDS[COMP_CWORD-2]} == vm ) ]]; then
		COMPREPLY=($(compgen -W "$(_vmctl_names)" -- "${cur#:}"))
		return
	fi
	case $prev in
	--device|-d|--kernel|-k|--initrd|-i)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--mem-backend)
		COMPREPLY=($(compgen -W "emys anon" -- "$cur"))
		return ;;
	--nested)
		COMPREPLY=($(compgen -W "on off" -- "$cur"))
		return ;;
	esac
	case $cmd in
	run)
		COMPREPLY=($(compgen -W "--device --cpus --memory --kernel --initrd --cmdline
			--mem-backend --mergeable --name --timeout --json --no-console --no-balloon --no-sandbox
			--balloon-min --shares --nested
			--debug-port --exit-port --verbose --help" -- "$cur")) ;;
	check)
		COMPREPLY=($(compgen -W "--device --json --help" -- "$cur")) ;;
	list)
		COMPREPLY=($(compgen -W "--json --help" -- "$cur")) ;;
	stat|stop)
		COMPREPLY=($(compgen -W "$([[ $cmd == stat ]] && echo --interval --json) --help
			$(_vmctl_names)" -- "$cur")) ;;
	balloon)
		COMPREPLY=($(compgen -W "--wait --json --help max
			$(_vmctl_names)" -- "$cur")) ;;
	policy)
		COMPREPLY=($(compgen -W "--budget --min --tax --interval --dry-run --once
			--release --json --help" -- "$cur")) ;;
	mem)
		COMPREPLY=($(compgen -W "--json --help" -- "$cur")) ;;
	events)
		COMPREPLY=($(compgen -W "--count --timeout --json --help" -- "$cur")) ;;
	dedup)
		_vmctl_memory "show set scan reset" "default" "algorithm= run= adaptive= classes=
			pages= sleep-ms= cpu-permille=" ;;
	largepage)
		_vmctl_memory "show set vm round" "proactive never demand small module" "large= budget=
			min-free= up. down. sample-ms= sample-pages= cold-samples=
			share-permille= storm=" ;;
	domain)
		_vmctl_memory "list create remove join leave" "" "algorithm= run= adaptive= classes=
			pages= sleep-ms= cpu-permille=" ;;
	top)
		COMPREPLY=($(compgen -W "--interval --batch --once --json --help" -- "$cur")) ;;
	help)
		COMPREPLY=($(compgen -W "run check list stat stop balloon policy top mem dedup largepage
			domain events version" -- "$cur")) ;;
	esac
}
complete -F _vmctl vmctl
