# shellcheck shell=bash
# The guest's half of a guest test: named steps, waiting, the kernel's log, captures, and asking the
# machine outside for something. lib.sh puts it into the guest and sources the test's steps after it.
#
# A step is a function, run in a subshell with -e: it fails where a command fails, or says why with
# `fail`. It prints one line, `ok NAME` or `not ok NAME: reason`, and after a failure the end of
# what the step printed. Steps share no variables; what outlives one is started outside.

mkdir -p /host/log
set -uo pipefail -m

fail() {
	echo "failed: $*" >&2
	exit 1
}

# step NAME SECONDS COMMAND...
# Never in a condition (if, &&, ||): the shell would ignore failures inside the step.
step() {
	local name=$1 limit=$2 log=/host/log/$1.log began=$SECONDS job watchdog status=0 reason
	shift 2
	echo "$name" >/host/guest/step
	echo "<5>step $name" >/dev/kmsg
	(
		set -eEu
		trap 'echo "failed: $BASH_COMMAND (status $?)" >&2' ERR
		"$@"
	) >"$log" 2>&1 </dev/null &
	job=$!
	(sleep "$limit" && kill -KILL -- "-$job") 2>/dev/null &
	watchdog=$!
	wait "$job" 2>/dev/null || status=$?
	kill -- "-$watchdog" 2>/dev/null
	wait "$watchdog" 2>/dev/null
	if [ $status = 0 ]; then
		echo "ok $name # $((SECONDS - began)) s"
		return 0
	fi
	reason=$(grep -a '^failed: ' "$log" | head -n 1)
	[ $status != 137 ] || reason="failed: not finished after $limit s"
	echo "not ok $name: ${reason#failed: }"
	tail -n 30 "$log" | sed 's/^/    /'
	return 1
}

# The same for a step that a short run, with GUEST_EXTRAS=0, does without.
extra_step() {
	# shellcheck disable=SC2154 # lib.sh sets it
	if [ "$extras" = 1 ]; then
		step "$@"
	else
		echo "skipped $1: GUEST_EXTRAS=0"
	fi
}

# The same for a step that all later ones stand on: the test ends if it fails.
step_or_end() {
	step "$@"
	# shellcheck disable=SC2181 # see above
	[ $? = 0 ] && return
	echo "    the kernel's last words:"
	dmesg | tail -n 25 | sed 's/^/    /'
	exit 1
}

# wait_until SECONDS COMMAND...: until the command succeeds
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "waited in vain for: $*"
		sleep 0.1
	done
}

# ask NAME [WORD...]: has the test's function host_NAME run outside and prints what it printed. The
# step fails if the function does.
ask() {
	local reply=/host/guest/reply
	rm -f $reply
	echo "$*" >/host/guest/request.new
	mv /host/guest/request.new /host/guest/request
	wait_until 60 test -e $reply
	sed 1d $reply
	[ "$(head -n 1 $reply)" = 0 ] || fail "outside, '$*' failed: $(sed 1d $reply)"
}

# allocated_kib FILE: what the image has outside
allocated_kib() {
	ask allocated "$1" | tail -n 1
}

# is_zero DEVICE OFFSET-MB SIZE-MB
is_zero() {
	cmp -n $(($3 << 20)) <(dd if="$1" bs=1M skip="$2" count="$3" iflag=direct) /dev/zero
}

# kernel_is VERSION: this one or later
kernel_is() {
	printf '%s\n' "$1" "$(uname -r)" | sort -V -C
}

# equal WHAT EXPECTED FOUND
equal() {
	[ "$2" = "$3" ] || fail "$1 is '$3', expected '$2'"
}

# capture_start NAME PORT: the traffic of a port, to be had outside as NAME.pcap after capture_stop
capture_start() {
	local log=/host/log/capture.log
	# To memory first: the shared folder is too slow for it.
	tcpdump -i eth0 -Z root -s 0 -B 32768 -w "/tmp/$1.pcap" "tcp port $2" >$log 2>&1 &
	capture=$!
	capture_name=$1
	(wait_until 20 grep -q 'listening on' $log)
}

capture_stop() {
	local log=/host/log/capture.log
	kill -INT "$capture"
	wait_until 20 grep -q 'packets dropped by kernel' $log
	grep -q '^0 packets dropped by kernel' $log || fail "the capture has gaps"
	cp "/tmp/$capture_name.pcap" /host/
	rm "/tmp/$capture_name.pcap"
}

# kernel_log_is_clean [STEP PATTERN]...: since the first step the kernel has said nothing that
# speaks of a failure, except that during STEP lines may match PATTERN.
kernel_log_is_clean() {
	dmesg --raw | awk -v allowed="$(printf '%s\n' "$@")" '
		BEGIN {
			words = split(allowed, word, "\n")
			for (i = 1; i < words; i += 2)
				pattern[word[i]] = word[i + 1]
			IGNORECASE = 1
		}
		/^<[0-9]+>\[[^]]*\] step / { step = $NF; next }
		step == "" { next }
		{
			match($0, /[0-9]+/)
			level = substr($0, RSTART, RLENGTH) % 8
			bad = level <= 3 || /I\/O error|unusual|WARNING:|BUG:|Oops|Call Trace|blocked for more than/
			bad = bad || /nvme.*(error|fail|timeout|timed out|invalid|mismatch|unexpected)/
			bad = bad || /EXT4-fs.*(error|warning)/
		}
		bad && !(step in pattern && $0 ~ pattern[step]) { print "during " step ": " $0; found = 1 }
		END { exit found }' || fail "the kernel logged failures"
}

# controller_of NQN: the name of its controller, nvme0 or so
controller_of() {
	local folder
	for folder in /sys/class/nvme/nvme*; do
		[ "$(cat "$folder/subsysnqn" 2>/dev/null)" != "$1" ] || { echo "${folder##*/}" && return; }
	done
	return 1
}

# namespace_of NQN [NSID]: waits for the block device and prints its name, nvme0n1 or so
namespace_of() {
	local folder end=$((SECONDS + 20))
	while [ $SECONDS -lt $end ]; do
		for folder in /sys/block/nvme*; do
			[ "$(cat "$folder/device/subsysnqn" 2>/dev/null)" = "$1" ] || continue
			[ "$(cat "$folder/nsid")" = "${2:-1}" ] || continue
			[ -b "/dev/${folder##*/}" ] && echo "${folder##*/}" && return
		done
		sleep 0.1
	done
	fail "no namespace ${2:-1} of $1 appeared"
}

# is_live CONTROLLER
is_live() {
	[ "$(cat "/sys/class/nvme/$1/state")" = live ]
}

# What a controller has written, by its own path to the namespace: older kernels do not count for
# the device that has all paths.
sectors_written() {
	awk '{ sum += $7 } END { print sum }' /sys/class/nvme/"$1"/nvme*n*/stat
}

# has_written_since CONTROLLER SECTORS: a megabyte more
has_written_since() {
	[ "$(sectors_written "$1")" -gt $(($2 + 2048)) ]
}

# verify DEVICE NAME OFFSET-MB [OPTION...]: random writes and a reading back, compared by checksum
verify() {
	local device=$1 name=$2 offset_mb=$3
	shift 3
	fio --name="$name" --filename="/dev/$device" --offset="${offset_mb}M" \
		--rw=randwrite --verify=crc32c --verify_fatal=1 --do_verify=1 --direct=1 \
		--ioengine=libaio --iodepth=32 --eta=never "$@"
}

has_no_controllers() {
	! compgen -G '/sys/class/nvme/nvme*' >/dev/null
}

modprobe -a nvme-tcp || exit

# A host that has a name, as every installed one does.
[ -s /etc/nvme/hostid ] || echo 8d1f5a5c-5b0f-4d0e-9a5e-3f2b7f6c1a01 >/etc/nvme/hostid
[ -s /etc/nvme/hostnqn ] ||
	echo "nqn.2014-08.org.nvmexpress:uuid:$(cat /etc/nvme/hostid)" >/etc/nvme/hostnqn
