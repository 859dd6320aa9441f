# shellcheck shell=bash
# The outside half of a guest test: the daemon, the guest, checks and the verdict. A test sources it,
# starts the daemon, hands its steps to the guest, checks what came of it, and ends:
#
#   test_begin attach "$1"
#   daemon_start --nqn "$nqn" "$folder/disk.img"
#   guest_steps "$here/attach-steps.sh" 330 nqn="$nqn" port="$daemon_port"
#   check daemon-stop daemon_stop
#   test_end
#
# A step in the guest may `ask NAME`: the function host_NAME runs here. Everything is in $folder:
# /host in the guest, kept if the test fails.

set -uo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
guest=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
passed=0 failed=0 daemon_pid=

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

daemon_is_ready_or_gone() {
	grep -q '^ready ' "$folder/daemon.out" || ! kill -0 "$daemon_pid" 2>/dev/null
}

# daemon_start ARGUMENT...: `ferry serve ARGUMENT...`; returns when it accepts connections, sets
# daemon_port to the port of its first listener.
daemon_start() {
	local scheme address
	: >"$folder/daemon.out"
	"$ferry" serve "$@" >"$folder/daemon.out" 2>>"$folder/daemon.err" </dev/null &
	daemon_pid=$!
	wait_until 60 daemon_is_ready_or_gone
	read -r scheme address < <(grep '^ready ' "$folder/daemon.out")
	if [ -z "${address:-}" ]; then
		echo "$test_name: the daemon did not say 'ready': $scheme serve $*" >&2
		return 1
	fi
	address=${address#*://}
	address=${address%%/*}
	daemon_port=${address##*:}
}

# As a power cut does it.
daemon_kill() {
	kill -KILL "$daemon_pid" || return
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

daemon_is_gone() {
	! kill -0 "$daemon_pid" 2>/dev/null
}

# By SIGTERM: it has to end soon, and with status 0.
daemon_stop() {
	local status=0
	[ -n "$daemon_pid" ] || { echo "there is no daemon"; return 1; }
	if ! kill -TERM "$daemon_pid"; then
		wait "$daemon_pid" || status=$?
		daemon_pid=
		echo "the daemon had ended before, with status $status"
		return 1
	fi
	wait_until 15 daemon_is_gone || { echo "still there 15 s after SIGTERM"; return 1; }
	wait "$daemon_pid" || status=$?
	daemon_pid=
	[ $status = 0 ] || { echo "its exit status is $status"; return 1; }
}

daemon_discard() {
	[ -z "$daemon_pid" ] || kill -KILL "$daemon_pid" 2>/dev/null
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
# variables set, and counts them.
guest_steps() {
	local file=$1 limit=$2 pair runner printer status=0
	shift 2
	cp "$guest/in-guest.sh" "$file" "$folder/"
	for pair in "$@"; do
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

# capture_is_well_formed FILE PORT: no packet of NVMe/TCP or NVMe that tshark calls malformed or
# marks as an error, no connection ended by a termination request, and all of it understood at all.
capture_is_well_formed() {
	local bad commands
	local -a read=(tshark -n -r "$1" -d "tcp.port==$2,nvme-tcp"
		-o tcp.check_checksum:FALSE -o nvme-tcp.check_hdgst:TRUE -o nvme-tcp.check_ddgst:TRUE)
	bad=$("${read[@]}" -Y "_ws.malformed || ((nvme || nvme-tcp) && _ws.expert.severity == error) \
		|| nvme-tcp.type == 2 || nvme-tcp.type == 3" 2>&1 | grep -v '^Running as user') || true
	if [ -n "$bad" ]; then
		echo "in $1: $bad"
		return 1
	fi
	commands=$("${read[@]}" -Y 'nvme-tcp.type == 4' 2>/dev/null | wc -l)
	[ "$commands" -gt 0 ] || { echo "in $1: no command capsule"; return 1; }
}

# The verdict. After a failure everything stays and the likely reasons are printed.
test_end() {
	daemon_discard
	if [ $failed -gt 0 ]; then
		echo "--- the daemon's stderr"
		tail -n 40 "$folder/daemon.err"
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
