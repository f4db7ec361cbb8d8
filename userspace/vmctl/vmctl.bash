# SPDX-License-Identifier: GPL-2.0-only
# bash completion for vmctl

_vmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local cmd=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run check list stat stop balloon policy top mem dedup largepage
			domain events version help --help" -- "$cur"))
		return
	fi
	case $prev in
	--device|-d|--kernel|-k|--initrd|-i)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--mem-backend)
		COMPREPLY=($(compgen -W "emys anon" -- "$cur"))
		return ;;
	esac
	case $cmd in
	run)
		COMPREPLY=($(compgen -W "--device --cpus --memory --kernel --initrd --cmdline
			--mem-backend --mergeable --name --timeout --json --no-console --no-balloon --no-sandbox
			--balloon-min --shares
			--debug-port --exit-port --verbose --help" -- "$cur")) ;;
	check)
		COMPREPLY=($(compgen -W "--device --json --help" -- "$cur")) ;;
	list)
		COMPREPLY=($(compgen -W "--json --help" -- "$cur")) ;;
	stat|stop)
		COMPREPLY=($(compgen -W "$([[ $cmd == stat ]] && echo --interval --json) --help
			$(vmctl list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")) ;;
	balloon)
		COMPREPLY=($(compgen -W "--wait --json --help max
			$(vmctl list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")) ;;
	policy)
		COMPREPLY=($(compgen -W "--budget --min --tax --interval --dry-run --once
			--release --json --help" -- "$cur")) ;;
	top)
		COMPREPLY=($(compgen -W "--interval --batch --once --json --help" -- "$cur")) ;;
	help)
		COMPREPLY=($(compgen -W "run check list stat stop balloon policy top mem dedup largepage
			domain events version" -- "$cur")) ;;
	esac
}
complete -o filenames -F _vmctl vmctl
