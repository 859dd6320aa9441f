# Completion of ferry(1) for bash. Options that take a value end in '='.

_ferry_options() { # verb
	case $1 in
	serve)
		echo --listen= --nqn= --allow-host= --allow-any-host --discovery-address= \
			--discovery-port= --threads= --log-level= --lend= --calls= --stdio --trace \
			--user= --header-digest= --data-digest= \
			--max-admin-queue= --max-io-queue= --max-io-queues= --in-capsule= \
			--max-h2c-data= --mdts= --max-connections= \
			--max-address-connections= --max-host-controllers= --max-host-queues= \
			--no-flow-control-disable --help
		;;
	'disk list')
		echo --json --host-nqn= --header-digest --data-digest --help
		;;
	'disk info')
		echo --host-nqn= --header-digest --data-digest --help
		;;
	'disk copy')
		echo --verify --requests= --request-size= --queues= --host-nqn= --header-digest \
			--data-digest --no-progress --help
		;;
	call)
		echo --json --raw --trace --plain --connect-timeout= --help
		;;
	disk)
		echo --help
		;;
	*)
		echo --help --version
		;;
	esac
}

_ferry_words() { # verb
	case $1 in
	'') echo serve disk call help ;;
	disk) echo list info copy ;;
	help) echo serve disk call ;;
	esac
}

_ferry_values() { # option
	case $1 in
	--header-digest | --data-digest) echo asked require refuse ;;
	--log-level) echo error warning info debug ;;
	--lend) echo net net=connect: net=bind: path= ;;
	--calls) echo unix:// tcp://127.0.0.1: ;;
	--user) compgen -u ;;
	--listen) echo 127.0.0.1 0.0.0.0 '[::1]' '[::]' ;;
	--allow-host | --host-nqn) cat /etc/nvme/hostnqn 2>/dev/null ;;
	esac
}

_ferry() { # command, word, word before it
	local word=$2 before=$3 verb=${COMP_WORDS[1]-} candidates

	[ "$COMP_CWORD" -gt 1 ] || verb=
	if [ "$verb" = disk ] && [ "$COMP_CWORD" -gt 2 ]; then
		verb="disk ${COMP_WORDS[2]}"
	fi
	# bash takes '=' for a word of its own.
	if [ "$word" = = ]; then
		word=
	elif [ "$before" = = ]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi

	COMPREPLY=()
	case " $(_ferry_options "$verb") " in
	*" $before= "*)
		candidates=$(_ferry_values "$before")
		;;
	*)
		if [ "${word:0:1}" = - ]; then
			candidates=$(_ferry_options "$verb")
		else
			candidates=$(_ferry_words "$verb")
		fi
		case $verb in
		serve | 'disk copy') mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		call)
			[ "${word:0:1}" != @ ] ||
				mapfile -t COMPREPLY < <(compgen -f -P @ -- "${word:1}")
			;;
		esac
		;;
	esac
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$candidates" -- "$word")
	case ${COMPREPLY[0]-} in
	-*=) compopt -o nospace 2>/dev/null ;;
	esac
	[ "${#COMPREPLY[@]}" != 1 ] || [ ! -d "${COMPREPLY[0]}" ] || compopt -o nospace 2>/dev/null
	return 0
}

complete -o filenames -F _ferry ferry
