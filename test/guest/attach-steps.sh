# shellcheck shell=bash disable=SC2154
# The steps of `attach`, run in the guest. Given: nqn, uuid, port, size_mb.
#
# The device is used in two parts: the filesystem has the first 192 MiB, fio writes behind it.

transport=(-t tcp -a 10.0.2.2 -s "$port")
filesystem_mb=192
mount_point=/mnt/disk
# Tens of megabytes of files large and small, links and folders.
source_folder=/usr/bin
mkdir -p $mount_point

discovery_lists_the_subsystem() {
	local log
	log=$(nvme discover "${transport[@]}" -o json)
	echo "$log"
	jq -e --arg nqn "$nqn" --arg port "$port" '.records[]
		| select(.subnqn == $nqn and .subtype == "nvme subsystem" and .trtype == "tcp"
			and .traddr == "10.0.2.2" and .trsvcid == $port)' <<<"$log" ||
		fail "no record for $nqn at 10.0.2.2:$port"
}

connect_all_connects() {
	nvme connect-all "${transport[@]}"
	namespace_of "$nqn"
	nvme disconnect -n "$nqn"
	wait_until 10 has_no_controllers
}

connect_makes_two_queues() {
	local controller
	nvme connect "${transport[@]}" -n "$nqn" --nr-io-queues=2 --keep-alive-tmo=20 \
		--reconnect-delay=1 --ctrl-loss-tmo=300
	namespace_of "$nqn"
	controller=$(controller_of "$nqn")
	# The admin queue counts.
	equal queue_count 3 "$(cat "/sys/class/nvme/$controller/queue_count")"
	equal state live "$(cat "/sys/class/nvme/$controller/state")"
	equal kato 20 "$(cat "/sys/class/nvme/$controller/kato")"
}

identify_is_plausible() {
	local controller device control namespace
	controller=$(controller_of "$nqn")
	device=$(namespace_of "$nqn")
	nvme list
	nvme list -o json | grep -q "/dev/$device" || fail "nvme list does not list $device"
	nvme id-ctrl "/dev/$controller"
	control=$(nvme id-ctrl "/dev/$controller" -o json)
	equal subnqn "$nqn" "$(jq -r .subnqn <<<"$control")"
	[[ $(jq -r .mn <<<"$control") =~ [[:alnum:]] ]] || fail "no model"
	[[ $(jq -r .sn <<<"$control") =~ [[:alnum:]] ]] || fail "no serial"
	[[ $(jq -r .fr <<<"$control") =~ [[:alnum:]] ]] || fail "no firmware revision"
	jq -e '.cntlid > 0 and .kas > 0 and .nn > 0 and .maxcmd > 0' <<<"$control"
	nvme id-ns "/dev/$device"
	namespace=$(nvme id-ns "/dev/$device" -o json)
	equal "size by id-ns" $((size_mb << 20)) "$(jq '.nsze * pow(2; .lbafs[.flbas % 16].ds)' <<<"$namespace")"
	equal "size by the kernel" $((size_mb << 20)) "$(blockdev --getsize64 "/dev/$device")"
	equal uuid "$uuid" "$(cat "/sys/block/$device/uuid")"
}

files_survive_a_mount() {
	local device
	device=/dev/$(namespace_of "$nqn")
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$device" ${filesystem_mb}M
	mount "$device" $mount_point
	cp -a $source_folder $mount_point/files
	sync -f $mount_point
	du -sh $mount_point
	umount $mount_point
	e2fsck -fn "$device"
	files_are_unchanged
}

files_are_unchanged() {
	local device
	device=/dev/$(namespace_of "$nqn")
	blockdev --flushbufs "$device"
	mount "$device" $mount_point
	diff -r --no-dereference $source_folder $mount_point/files
	umount $mount_point
}

fio_verifies() {
	local device
	device=$(namespace_of "$nqn")
	verify "$device" large 192 --size=64M --bs=64k
	verify "$device" mixed 256 --size=16M --bsrange=4k-256k --ioengine=io_uring
	verify "$device" small 272 --size=6M --bs=4k
}

# The last 32 MiB are used by no other step.
spare_mb=480

# fill_spare: random data on the last 32 MiB of the device
fill_spare() {
	dd if=/dev/urandom of="$1" bs=1M seek=$spare_mb count=32 oflag=direct conv=fsync
}

discards_reach_the_image() {
	local device before after
	device=$(namespace_of "$nqn")
	[ "$(cat "/sys/block/$device/queue/discard_max_bytes")" -gt 0 ] || fail "no discard"
	[ "$(cat "/sys/block/$device/queue/write_zeroes_max_bytes")" -gt 0 ] || fail "no zeroes"
	fill_spare "/dev/$device"
	before=$(allocated_kib disk.img)
	blkdiscard -o $((spare_mb << 20)) -l $((16 << 20)) "/dev/$device"
	after=$(allocated_kib disk.img)
	[ "$after" -le $((before - 15000)) ] || fail "$after KiB of $before are left"
	is_zero "/dev/$device" $spare_mb 16
	! is_zero "/dev/$device" $((spare_mb + 16)) 16 || fail "more was discarded than asked for"
	blkdiscard -z -o $(((spare_mb + 16) << 20)) -l $((16 << 20)) "/dev/$device"
	is_zero "/dev/$device" $((spare_mb + 16)) 16
}

holes_in_a_filesystem_reach_the_image() {
	local device before after
	device=/dev/$(namespace_of "$nqn")
	mount -o discard "$device" $mount_point
	dd if=/dev/urandom of=$mount_point/hole bs=1M count=16 conv=fsync
	before=$(allocated_kib disk.img)
	fallocate --punch-hole -o 0 -l 16M $mount_point/hole
	sync -f $mount_point
	fstrim $mount_point
	after=$(allocated_kib disk.img)
	[ "$after" -le $((before - 15000)) ] || fail "$after KiB of $before are left"
	cmp -n $((16 << 20)) $mount_point/hole /dev/zero
	rm $mount_point/hole
	umount $mount_point
	e2fsck -fn "$device"
}

smart_log_counts() {
	local log
	nvme smart-log "/dev/$(controller_of "$nqn")"
	log=$(nvme smart-log "/dev/$(controller_of "$nqn")" -o json)
	# More than 60 MiB were written by now; the unit is 512000 bytes.
	jq -e '.critical_warning == 0 and .media_errors == 0 and .data_units_written > 120
		and .data_units_read > 120 and .host_write_commands > 1000' <<<"$log" ||
		fail "counters do not fit what was done: $log"
}

writes_outlive_the_daemon() {
	local controller device before fio
	controller=$(controller_of "$nqn")
	device=$(namespace_of "$nqn")
	before=$(sectors_written "$controller")
	# The kernel sends without MSG_NOSIGNAL: the signal of a closed connection can meet the program.
	(trap '' PIPE && verify "$device" restart 320 --size=96M --bs=16k) &
	fio=$!
	wait_until 120 has_written_since "$controller" "$before"
	ask restart_daemon
	kill -0 $fio || fail "fio had ended before the daemon was back: nothing is shown"
	wait $fio
	equal state live "$(cat "/sys/class/nvme/$controller/state")"
	dmesg | grep "nvme $controller: Successfully reconnected" || fail "no reconnect happened"
}

has_size() {
	[ "$(blockdev --getsize64 "/dev/$(namespace_of "$nqn")")" = "$1" ]
}

# The kernel is told, reads log 04h and Identify, and nobody has to connect anew.
size_follows_the_image() {
	local size
	for size in $((size_mb * 2)) $((size_mb + 64)) $size_mb; do
		ask resize disk.img "$size"
		wait_until 10 has_size $((size << 20))
	done
	dmesg | grep "capacity change from" || fail "the kernel has not said so"
}

reset_keeps_the_disk() {
	local controller
	controller=$(controller_of "$nqn")
	nvme reset "/dev/$controller"
	equal state live "$(cat "/sys/class/nvme/$controller/state")"
	dd if="/dev/$(namespace_of "$nqn")" of=/dev/null bs=1M count=4 iflag=direct
	files_are_unchanged
}

disconnect_ends_it() {
	nvme disconnect -n "$nqn" | tee /tmp/disconnect
	grep -q 'disconnected 1 controller' /tmp/disconnect
	wait_until 10 has_no_controllers
}

capture_start attach "$port" || exit
# The limits only end what hangs: a loaded machine is several times as slow as an idle one.
step discover 180 discovery_lists_the_subsystem
step connect-all 160 connect_all_connects
step_or_end connect 160 connect_makes_two_queues
step identify 160 identify_is_plausible
step_or_end filesystem 480 files_survive_a_mount
step capture-stop 180 capture_stop
step fio 480 fio_verifies
step discard 180 discards_reach_the_image
step holes 180 holes_in_a_filesystem_reach_the_image
step smart-log 180 smart_log_counts
step restart 480 writes_outlive_the_daemon
step filesystem-again 240 files_are_unchanged
step resize 180 size_follows_the_image
step reset 240 reset_keeps_the_disk
step disconnect 180 disconnect_ends_it
step kernel-log 180 kernel_log_is_clean \
	restart 'nvme.*(failed to connect socket|error recovery|failed reconnect|receive failed|queue [0-9]+.*(recv|send|failed)|failed to send request)'
