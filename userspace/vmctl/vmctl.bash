# SPDX-License-Identifier: GPL-2.0-only
# bash completion for vmctl

_vmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local cmd=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run check list stat stop version help --help" -- "$cur"))
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
			--debug-port --exit-port --verbose --help" -- "$cur")) ;;
	check)
		COMPREPLY=($(compgen -W "--device --json --help" -- "$cur")) ;;
	list)
		COMPREPLY=($(compgen -W "--json --help" -- "$cur")) ;;
	stat|stop)
		COMPREPLY=($(compgen -W "$([[ $cmd == stat ]] && echo --interval --json) --help
			$(vmctl list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")) ;;
	help)
		COMPREPLY=($(compgen -W "run check list stat stop version" -- "$cur")) ;;
	esac
}
complete -o filenames -F _vmctl vmctl
