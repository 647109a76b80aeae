# SPDX-License-Identifier: BSD-2-Clause
# bash completion for tenon: `tenon --complete` knows what fits; this shows it.

_tenon() {
	local IFS=$'\n' word words=() before at candidate
	# bash breaks words at : and =, which belong to ours: put them together again.
	for ((at = 1; at <= COMP_CWORD; at++)); do
		word=${COMP_WORDS[at]}
		if [ ${#words[@]} -gt 0 ] && [[ $word == [:=]* || ${COMP_WORDS[at - 1]} == [:=] ]]; then
			words[${#words[@]} - 1]+=$word
		else
			words+=("$word")
		fi
	done
	word=${words[${#words[@]} - 1]}
	# What stands before the last : or = is not bash's to replace.
	before=
	[[ $word == *[:=]* && $COMP_WORDBREAKS == *:* ]] && before=${word%"${word##*[:=]}"}
	COMPREPLY=()
	while read -r candidate; do
		case $candidate in
		:files)
			compopt -o filenames 2>/dev/null
			COMPREPLY+=($(compgen -f -- "$word"))
			;;
		:directories)
			compopt -o filenames 2>/dev/null
			COMPREPLY+=($(compgen -d -- "$word"))
			;;
		:nospace) compopt -o nospace 2>/dev/null ;;
		*) COMPREPLY+=("${candidate%%$'\t'*}") ;;
		esac
	done < <("${COMP_WORDS[0]/#\~/$HOME}" --complete "${words[@]}" 2>/dev/null </dev/null)
	[ -z "$before" ] || COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _tenon tenon
