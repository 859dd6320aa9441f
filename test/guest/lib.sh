# shellcheck shell=bash
# The outside half of a guest test: daemons, the guest, checks and the verdict. A test sources it,
# starts a daemon, hands its steps to the guest, checks what came of it, and ends:
#
#   test_begin attach "$@"
#   daemon_start disk --nqn "$nqn" "$folder/disk.img"
#   guest_steps "$here/attach-steps.sh" 330 nqn="$nqn" port="${daemon_port[disk]}"
#   check daemon-stop daemon_stop disk
#   test_end
#
# A step in the guest may `ask NAME`: the function host_NAME runs here. Everything is in $folder:
# /host in the guest, kept if the test fails; NAME.out and NAME.err are what the daemon NAME wrote.

set -uo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
guest=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
passed=0 failed=0
declare -A daemon_pid=() daemon_port=()

# test_begin NAME FERRY
test_begin() {
	local tool
	test_name=$1
	[ $# = 2 ] || { echo "usage: test/guest/$1 PATH-TO-FERRY" >&2; exit 2; }
	[ -x "$2" ] || { echo "$1: no program $2" >&2; exit 2; }
	ferry=$(realpath "$2")
	for tool in qemu-system-x86_64 apt-get e2fsck tshark; do
		command -v "$tool" >/dev/null && continue
		echo "skipped: $tool not found (tools/setup test)"
		exit 77
	done
	# The images come before the test's time begins to run.
	"$guest/build" "${GUEST_KERNEL:-6.12}" >/dev/null || exit
	folder=$(mktemp -d "${TMPDIR:-/tmp}/ferry-$1.XXXXXX")
	mkdir "$folder/guest"
	trap daemon_discard EXIT
	trap 'exit 1' HUP INT TERM
}

# wait_until SECONDS COMMAND...: until the command succeeds
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

daemon_is_gone() {
	! kill -0 "${daemon_pid[$1]}" 2>/dev/null
}

daemon_is_ready_or_gone() {
	grep -q '^ready ' "$folder/$1.out" || daemon_is_gone "$1"
}

# daemon_start NAME ARGUMENT...: `ferry serve ARGUMENT...`; returns when it accepts connections, sets
# daemon_port[NAME] to the port of its first listener.
daemon_start() {
	local name=$1 scheme address
	shift
	: >"$folder/$name.out"
	"$ferry" serve "$@" >"$folder/$name.out" 2>>"$folder/$name.err" </dev/null &
	daemon_pid[$name]=$!
	wait_until 60 daemon_is_ready_or_gone "$name"
	read -r scheme address < <(grep '^ready ' "$folder/$name.out")
	if [ -z "${address:-}" ]; then
		echo "$test_name: the daemon did not say 'ready': $scheme serve $*" >&2
		return 1
	fi
	address=${address#*://}
	address=${address%%/*}
	# shellcheck disable=SC2034 # used by the tests
	daemon_port[$name]=${address##*:}
}

# daemon_kill NAME: as a power cut does it.
daemon_kill() {
	kill -KILL "${daemon_pid[$1]}" || return
	wait "${daemon_pid[$1]}" 2>/dev/null
	unset "daemon_pid[$1]"
}

# daemon_stop NAME: by SIGTERM. It has to end soon, and with status 0.
daemon_stop() {
	local pid=${daemon_pid[$1]:-} status=0
	[ -n "$pid" ] || { echo "there is no daemon $1"; return 1; }
	if ! kill -TERM "$pid"; then
		wait "$pid" || status=$?
		unset "daemon_pid[$1]"
		echo "the daemon had ended before, with status $status"
		return 1
	fi
	wait_until 15 daemon_is_gone "$1" || { echo "still there 15 s after SIGTERM"; return 1; }
	wait "$pid" || status=$?
	unset "daemon_pid[$1]"
	[ $status = 0 ] || { echo "its exit status is $status"; return 1; }
}

daemon_discard() {
	[ ${#daemon_pid[@]} = 0 ] || kill -KILL "${daemon_pid[@]}" 2>/dev/null
}

# Asked for by the guest: waits until the log of the daemon $1 has a line that matches the regular
# expression of the other words, and prints it.
# shellcheck disable=SC2317
host_logged() {
	local file=$folder/$1.err
	shift
	wait_until 40 grep -qE -- "$*" "$file" || { echo "no line '$*' in: $(tail "$file")"; return 1; }
	grep -E -- "$*" "$file"
}

# The same: KiB that the file $1 of $folder has on this machine.
# shellcheck disable=SC2317
host_allocated() {
	sync "$folder/$1" && stat -c '%b %B' "$folder/$1" | awk '{ print $1 * $2 / 1024 }'
}

# The same: gives the file $1 of $folder a size in MiB.
# shellcheck disable=SC2317
host_resize() {
	truncate -s "$2M" "$folder/$1"
}

# Do what the guest asks for, if it asks: host_NAME, and answer its status and output.
answer_request() {
	local words status=0 output
	[ -e "$folder/guest/request" ] || return 0
	read -ra words <"$folder/guest/request"
	rm "$folder/guest/request"
	# In this shell, for daemon_pid to be known later.
	"host_${words[0]}" "${words[@]:1}" >"$folder/guest/output" 2>&1 || status=$?
	output=$(cat "$folder/guest/output")
	printf '%s\n' "$status" "$output" >"$folder/guest/reply.new"
	mv "$folder/guest/reply.new" "$folder/guest/reply"
}

# guest_steps FILE SECONDS [NAME=VALUE...]: boots the guest, runs the steps of FILE there with these
# variables set, and counts them. GUEST_EXTRAS=0 leaves out the ones called extra.
guest_steps() {
	local file=$1 limit=$2 pair runner printer status=0
	shift 2
	cp "$guest/in-guest.sh" "$file" "$folder/"
	for pair in extras="${GUEST_EXTRAS:-1}" "$@"; do
		printf '%s=%q\n' "${pair%%=*}" "${pair#*=}"
	done >"$folder/variables"
	GUEST_SHARE=$folder GUEST_TIMEOUT=$limit "$guest/run" \
		". /host/in-guest.sh; . /host/variables; . /host/${file##*/}" >"$folder/steps" 2>&1 &
	runner=$!
	# What the guest says, as it says it; the file may not be there yet.
	touch "$folder/steps"
	tail -n +1 -f -s 0.2 --pid=$runner "$folder/steps" &
	printer=$!
	while kill -0 $runner 2>/dev/null; do
		answer_request
		sleep 0.1
	done
	wait $runner || status=$?
	wait $printer
	passed=$((passed + $(grep -ac '^ok ' "$folder/steps")))
	failed=$((failed + $(grep -ac '^not ok ' "$folder/steps")))
	[ $status -lt 124 ] || fail guest "status $status during step $(cat "$folder/guest/step")"
	[ $status = 0 ] || [ $failed -gt 0 ] || fail guest "its steps ended with status $status"
}

pass() {
	echo "ok $1"
	passed=$((passed + 1))
}

# fail NAME REASON
fail() {
	echo "not ok $1: $2"
	failed=$((failed + 1))
}

# check NAME COMMAND...: a step on this side; what the command prints is the reason if it fails
check() {
	local name=$1
	shift
	if "$@" >"$folder/check" 2>&1; then
		pass "$name"
	else
		fail "$name" "$(head -n 20 "$folder/check")"
	fi
}

# capture_read FILE PORT OPTION...: tshark on a capture of NVMe/TCP
capture_read() {
	local file=$1 port=$2
	shift 2
	tshark -n -r "$file" -d "tcp.port==$port,nvme-tcp" -o tcp.check_checksum:FALSE \
		-o nvme-tcp.check_hdgst:TRUE -o nvme-tcp.check_ddgst:TRUE "$@" 2>&1 |
		grep -v '^Running as user'
}

# capture_is_well_formed FILE PORT: no packet of NVMe/TCP or NVMe that tshark calls malformed or
# marks as an error, no connection ended by a termination request, and all of it understood at all.
capture_is_well_formed() {
	local bad commands
	bad=$(capture_read "$1" "$2" -Y "_ws.malformed \
		|| ((nvme || nvme-tcp) && _ws.expert.severity == error) \
		|| nvme-tcp.type == 2 || nvme-tcp.type == 3")
	if [ -n "$bad" ]; then
		echo "in $1: $bad"
		return 1
	fi
	commands=$(capture_read "$1" "$2" -Y 'nvme-tcp.type == 4' | wc -l)
	[ "$commands" -gt 0 ] || { echo "in $1: no command capsule"; return 1; }
}

# capture_has_digests FILE PORT: none is wrong (0) or could not be looked at (2), and there are right
# ones (1) of the headers of capsules and data PDUs, and of the data of both sides. tshark gives lists
# where a packet has several PDUs; a controller's digests of data are all of C2HData, type 7.
capture_has_digests() {
	capture_read "$1" "$2" -T fields -e nvme-tcp.type -e nvme-tcp.hdgst.status \
		-e nvme-tcp.ddgst.status | awk -F '\t' '
		$2 ~ /[02]/ || $3 ~ /[02]/ { print "PDU type, digests: " $0; bad = 1 }
		$2 ~ /1/ { count = split($1, types, ","); for (i = 1; i <= count; i++) header[types[i]]++ }
		$3 ~ /1/ && $1 ~ /7/ { data[7]++ }
		$3 ~ /1/ && $1 == 6 { data[6]++ }
		END {
			for (type = 4; type <= 7; type++)
				if (!header[type] || (type >= 6 && !data[type])) {
					print "PDUs of type " type ": " header[type] + 0 " and " data[type] + 0 " digests"
					bad = 1
				}
			exit bad
		}'
}

# The verdict. After a failure everything stays and the likely reasons are printed.
test_end() {
	local log
	daemon_discard
	if [ $failed -gt 0 ]; then
		for log in "$folder"/*.err; do
			echo "--- what the daemon ${log##*/} said"
			tail -n 40 "$log"
		done
		echo "--- the guest's console"
		[ ! -e "$folder/guest/console.log" ] || tail -n 40 "$folder/guest/console.log"
		echo "--- kept: $folder (log/ has one file a step, guest/dmesg.txt the kernel's log)"
	else
		rm -rf "$folder"
	fi
	echo "$test_name: $passed passed, $failed failed"
	[ $failed = 0 ]
	exit
}
