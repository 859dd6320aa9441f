# shellcheck shell=bash disable=SC2154
# The steps of `hosts`, run in the guest. Given: nqn, port, discovery_port, strict_nqn, strict_port,
# and the hosts that nqn lets in: host_nqn with a number 1..host_count behind.

transport=(-t tcp -a 10.0.2.2 -s "$port")
strict_transport=(-t tcp -a 10.0.2.2 -s "$strict_port")

host_id() {
	printf '8d1f5a5c-5b0f-4d0e-9a5e-3f2b7f6c2a%02d\n' "$1"
}

# connect_host NUMBER [OPTION...]
connect_host() {
	local number=$1
	shift
	nvme connect "${transport[@]}" -n "$nqn" --hostnqn "$host_nqn$number" \
		--hostid "$(host_id "$number")" "$@"
}

disconnect() {
	nvme disconnect -n "$1" | tee /tmp/disconnect
	grep "disconnected $2 controller" /tmp/disconnect
}

# Port 8009 of the guest itself stands for the one that discovery has where it is served by default.
connect_all_finds_the_default_port() {
	local relay
	socat TCP-LISTEN:8009,fork,reuseaddr "TCP:10.0.2.2:$discovery_port" &
	relay=$!
	(wait_until 20 socat /dev/null TCP:127.0.0.1:8009)
	nvme discover -t tcp -a 127.0.0.1 --hostnqn "${host_nqn}1" --hostid "$(host_id 1)" -o json |
		jq -e --arg nqn "$nqn" --arg port "$port" '.records[]
			| select(.subnqn == $nqn and .traddr == "10.0.2.2" and .trsvcid == $port)'
	nvme connect-all -t tcp -a 127.0.0.1 --hostnqn "${host_nqn}1" --hostid "$(host_id 1)"
	kill $relay
	namespace_of "$nqn"
	disconnect "$nqn" 1
	wait_until 10 has_no_controllers
}

# One that is not let in is not told of the subsystem either.
strangers_are_refused() {
	! nvme connect "${transport[@]}" -n "$nqn" || fail "a stranger is let in"
	ask logged disk "refused $(cat /etc/nvme/hostnqn) as queue 0 of $nqn: Connect Invalid Host"
	dmesg | grep "$nqn is not allowed, hostnqn: $(cat /etc/nvme/hostnqn)"
	nvme discover "${transport[@]}" -o json >/tmp/log
	jq -e --arg nqn "$nqn" '[.records[] | select(.subnqn == $nqn)] == []' /tmp/log
	! nvme connect "${transport[@]}" -n nqn.2026-01.io.ferry:unknown || fail "no such subsystem"
	ask logged disk "refused .* as queue 0 of nqn.2026-01.io.ferry:unknown"
	has_no_controllers
}

# The daemon insists on both digests: whoever does not ask for both is sent away.
digests_can_be_required() {
	local options
	for options in '' --hdr-digest --data-digest; do
		# shellcheck disable=SC2086
		! nvme connect "${strict_transport[@]}" -n "$strict_nqn" $options ||
			fail "connects with '$options' alone"
	done
	has_no_controllers
	ask logged strict 'does not ask for header digests, which are required'
	ask logged strict 'does not ask for data digests, which are required'
}

digests_keep_data() {
	local device
	nvme connect "${strict_transport[@]}" -n "$strict_nqn" --hdr-digest --data-digest
	device=$(namespace_of "$strict_nqn")
	verify "$device" large 0 --size=8M --bs=64k
	verify "$device" mixed 8 --size=4M --bsrange=4k-256k --ioengine=io_uring
	verify "$device" small 12 --size=1M --bsrange=512-16k
}

digests_can_be_asked_for() {
	connect_host 1 --hdr-digest --data-digest
	verify "$(namespace_of "$nqn")" both 0 --size=8M --bs=64k
	disconnect "$nqn" 1
	connect_host 1 --hdr-digest
	verify "$(namespace_of "$nqn")" header 0 --size=4M --bs=64k
	disconnect "$nqn" 1
	connect_host 1 --data-digest
	verify "$(namespace_of "$nqn")" data 0 --size=4M --bs=64k
	disconnect "$nqn" 1
}

# Without flow control a C2HData may stand for its completion; short queues turn over quickly.
queues_of_every_kind_work() {
	local device
	connect_host 1 --disable-sqflow --queue-size=16 --nr-io-queues=1 --nr-write-queues=1 \
		--nr-poll-queues=1
	device=$(namespace_of "$nqn")
	equal queue_count 4 "$(cat "/sys/class/nvme/$(controller_of "$nqn")/queue_count")"
	verify "$device" queues 0 --size=2M --bs=16k
	fio --name=polled --filename="/dev/$device" --size=1M --bs=16k --rw=randread --verify=crc32c \
		--verify_fatal=1 --direct=1 --ioengine=pvsync2 --hipri --eta=never
	disconnect "$nqn" 1
}

# Two daemons are two subsystems and two disks.
daemons_are_apart() {
	local first second
	connect_host 1
	first=$(namespace_of "$nqn")
	second=$(namespace_of "$strict_nqn")
	nvme list-subsys -o json >/tmp/log
	cat /tmp/log
	jq -e --arg first "$nqn" --arg second "$strict_nqn" '[.[].Subsystems[]
		| select(.Paths | length == 1 and .[0].State == "live" and .[0].Transport == "tcp")
		| .NQN] | sort == [$first, $second]' /tmp/log
	[ "$(cat "/sys/block/$first/uuid")" != "$(cat "/sys/block/$second/uuid")" ] || fail "one uuid"
	dd if=/dev/urandom of=/tmp/random bs=1M count=1
	dd if=/tmp/random of="/dev/$first" bs=1M oflag=direct
	dd if=/dev/zero of="/dev/$second" bs=1M count=1 oflag=direct
	cmp <(dd if="/dev/$first" bs=1M count=1 iflag=direct) /tmp/random
	disconnect "$strict_nqn" 1
	cmp <(dd if="/dev/$first" bs=1M count=1 iflag=direct) /tmp/random
	equal state live "$(cat "/sys/class/nvme/$(controller_of "$nqn")/state")"
	disconnect "$nqn" 1
	wait_until 10 has_no_controllers
}

connect_one() {
	connect_host 1 --keep-alive-tmo=5 --reconnect-delay=1 --ctrl-loss-tmo=300
	namespace_of "$nqn"
}

writes_outlive_resets() {
	local controller device before fio reset
	controller=$(controller_of "$nqn")
	device=$(namespace_of "$nqn")
	# The kernel sends without MSG_NOSIGNAL: the signal of a closed connection can meet the program.
	(trap '' PIPE && verify "$device" reset 0 --size=40M --bs=16k) &
	fio=$!
	for reset in 1 2 3; do
		before=$(sectors_written "$controller")
		wait_until 120 has_written_since "$controller" "$before"
		kill -0 $fio || fail "fio had ended before reset $reset: nothing is shown"
		nvme reset "/dev/$controller"
		is_live "$controller"
	done
	wait $fio
}

# Without the network neither side hears of the other; the connections stay. The daemon has to come
# to its conclusion while that lasts, and the kernel back when it is over.
silence_ends_the_association() {
	local controller
	controller=$(controller_of "$nqn")
	trap 'ip link set eth0 up' EXIT
	ip link set eth0 down
	ask logged disk "${host_nqn}1: controller [0-9]+ of $nqn ends: keep alive timeout"
	ask logged disk "${host_nqn}1: controller [0-9]+ of $nqn is gone"
	ip link set eth0 up
	# shellcheck disable=SC2317
	is_reconnected() {
		dmesg | grep "nvme $controller: Successfully reconnected" && is_live "$controller"
	}
	wait_until 90 is_reconnected
	verify "$(namespace_of "$nqn")" after-silence 0 --size=2M --bs=64k
}

disconnect_ends_it() {
	disconnect "$nqn" 1
	wait_until 10 has_no_controllers
}

# Without multipath each host's namespace is a disk of its own.
hosts_are_told_apart() {
	modprobe -r nvme-tcp nvme-fabrics nvme-core
	modprobe nvme-core multipath=N
	modprobe nvme-tcp
	equal multipath N "$(cat /sys/module/nvme_core/parameters/multipath)"
}

# What fio does for the hosts, beside its direction.
checked=(--size=2M --bs=16k --verify=crc32c --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=8
	--eta=never)

# device_of_host NUMBER
device_of_host() {
	local folder
	for folder in /sys/block/nvme*; do
		[ "$(cat "$folder/device/hostnqn" 2>/dev/null)" != "$host_nqn$1" ] || { echo "${folder##*/}" && return; }
	done
	return 1
}

# Each writes its own 2 MiB, all at once; then each reads what the next has written.
hosts_work_at_once() {
	local number device writers=() readers=()
	for ((number = 1; number <= host_count; number++)); do
		connect_host "$number" --nr-io-queues=1 --keep-alive-tmo=20
		wait_until 20 device_of_host "$number"
		device=/dev/$(device_of_host "$number")
		writers+=(--name="writer$number" --filename="$device" --offset="$((2 * number))M")
		readers+=(--name="reader$number" --filename="$device"
			--offset="$((2 * (number % host_count + 1)))M")
	done
	equal "controller ids" "$host_count" "$(cat /sys/class/nvme/nvme*/cntlid | sort -u | wc -l)"
	fio --rw=randwrite --do_verify=1 "${checked[@]}" "${writers[@]}"
	fio --rw=read "${checked[@]}" "${readers[@]}"
	disconnect "$nqn" "$host_count"
	wait_until 20 has_no_controllers
	for ((number = 1; number <= host_count; number++)); do
		ask logged disk "$host_nqn$number: controller [0-9]+ of $nqn is gone"
	done
}

step connect-all 120 connect_all_finds_the_default_port
step strangers 120 strangers_are_refused
step digests-required 120 digests_can_be_required
capture_start digests "$strict_port" || exit
step_or_end digests-keep-data 240 digests_keep_data
step two-daemons 120 daemons_are_apart
step capture-stop 120 capture_stop
extra_step digests-asked 240 digests_can_be_asked_for
extra_step queues 120 queues_of_every_kind_work
step_or_end connect 120 connect_one
step reset-under-io 480 writes_outlive_resets
extra_step silence 180 silence_ends_the_association
step disconnect 120 disconnect_ends_it
step without-multipath 60 hosts_are_told_apart
step eight-hosts 480 hosts_work_at_once
step kernel-log 60 kernel_log_is_clean \
	strangers 'nvme.*(is not allowed, hostnqn|Connect Invalid Data Parameter|failed to connect queue: 0)' \
	digests-required 'nvme.*(queue 0: bad type returned 3|failed to connect queue: 0)' \
	reset-under-io 'nvme.*failed to send request' \
	silence 'nvme.*(timeout|error recovery|keep_alive_end_io error|failed to connect socket|failed reconnect)'
