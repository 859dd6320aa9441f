# shellcheck shell=bash disable=SC2154
# The steps of `commands`, run in the guest. Given: nqn, port, size_mb, version.

transport=(-t tcp -a 10.0.2.2 -s "$port")
discovery_nqn=nqn.2014-08.org.nvmexpress.discovery
mount_point=/mnt/disk
mkdir -p $mount_point

connect_makes_a_disk() {
	nvme connect "${transport[@]}" -n "$nqn" --keep-alive-tmo=20
	namespace_of "$nqn"
}

# Its life is longer than several keep alive times by the time discovery_has_persisted() looks.
discovery_is_kept() {
	nvme discover "${transport[@]}" --persistent --keep-alive-tmo=5 -o json >/tmp/discovery
	jq -e --arg nqn "$nqn" '.records[] | select(.subnqn == $nqn)' /tmp/discovery
	controller_of $discovery_nqn
	cut -d . -f 1 /proc/uptime >/tmp/discovery-began
}

discovery_has_persisted() {
	local controller
	controller=$(controller_of $discovery_nqn)
	while [ "$(cut -d . -f 1 /proc/uptime)" -lt $(($(cat /tmp/discovery-began) + 12)) ]; do
		sleep 0.5
	done
	equal state live "$(cat "/sys/class/nvme/$controller/state")"
	! dmesg | grep "$controller: .*reconnect" || fail "it was lost in between"
	nvme discover -d "/dev/$controller" -o json | jq -e --arg nqn "$nqn" '.records[]
		| select(.subnqn == $nqn)'
	nvme disconnect -d "$controller"
}

# fill DEVICE SIZE-MB: random data at the beginning
fill() {
	dd if=/dev/urandom of="$1" bs=1M count="$2" oflag=direct conv=fsync
}

# In blocks of 512 bytes; 8 of them at a time.
commands_do_what_they_say() {
	local device
	device=/dev/$(namespace_of "$nqn")
	equal "block size" 512 "$(blockdev --getss "$device")"
	nvme id-ns "$device" -o json |
		jq -e '.dlfeat == 9 and .mssrl == 2048 and .mcl == 32768 and .msrc == 255'
	# Compare, Write Uncorrectable, Dataset Management, Write Zeroes; Verify, Copy.
	nvme id-ctrl "$device" -o json | jq -e '.oncs % 16 == 15 and (.oncs / 128 | floor) % 4 == 3'
	fill "$device" 1
	dd if="$device" of=/tmp/blocks bs=512 count=8 iflag=direct
	nvme compare "$device" -s 0 -c 7 -z 4096 -d /tmp/blocks
	! nvme compare "$device" -s 8 -c 7 -z 4096 -d /tmp/blocks || fail "compares"
	nvme verify "$device" -s 0 -c 7
	nvme copy "$device" -d 16 -s 0 -b 7
	nvme compare "$device" -s 16 -c 7 -z 4096 -d /tmp/blocks
	truncate -s 4096 /tmp/zeros
	nvme write-zeroes "$device" -s 0 -c 7
	nvme compare "$device" -s 0 -c 7 -z 4096 -d /tmp/zeros
	nvme dsm "$device" -d -s 16 -b 8
	nvme compare "$device" -s 16 -c 7 -z 4096 -d /tmp/zeros
	nvme write "$device" -s 32 -c 7 -z 4096 -d /tmp/blocks
	nvme read "$device" -s 32 -c 7 -z 4096 -d /tmp/read
	cmp /tmp/blocks /tmp/read
	nvme flush "$device"
}

# fallocate(2) on the device itself: Write Zeroes with and without DEAC, which Linux knows since 6.2.
holes_in_the_device_reach_the_image() {
	local device before after
	device=/dev/$(namespace_of "$nqn")
	fill "$device" 17
	before=$(allocated_kib disk.img)
	fallocate --punch-hole --offset 0 --length 8M "$device"
	after=$(allocated_kib disk.img)
	if kernel_is 6.2; then
		[ "$after" -le $((before - 8000)) ] || fail "$after KiB of $before are left"
	else
		equal "KiB that are left" "$before" "$after"
	fi
	fallocate --zero-range --offset 8M --length 8M "$device"
	is_zero "$device" 0 16
	! is_zero "$device" 16 1 || fail "more was made zero than asked for"
}

# feature CONTROLLER FID SELECT [OPTION...]: the value, in decimal
feature() {
	local controller=$1 fid=$2 select=$3
	shift 3
	printf '%d\n' "0x$(nvme get-feature "$controller" -f "$fid" -s "$select" "$@" |
		sed -n 's/.* value: *\(0x\)\?\([0-9a-f]*\)$/\2/p;T;q')"
}

# fails_with STATUS COMMAND...: nvme ends with this NVMe status, DNR included
fails_with() {
	local status=$1
	shift
	! "$@" >/tmp/failure 2>&1 || fail "has not failed: $*"
	grep "($status)" /tmp/failure || fail "no status $status but $(cat /tmp/failure): $*"
}

# Current, default and saved value, and abilities: 4 can be changed, 2 is of a namespace, 1 can be
# saved.
features_are_kept() {
	local controller fid default value options
	controller=/dev/$(controller_of "$nqn")
	while read -r fid default value options; do
		# shellcheck disable=SC2086
		{
			equal "feature $fid" "$default" "$(feature "$controller" "$fid" 0 $options)"
			nvme set-feature "$controller" -f "$fid" -V "$value" $options
			equal "set feature $fid" $((value)) "$(feature "$controller" "$fid" 0 $options)"
			equal "default of $fid" "$default" "$(feature "$controller" "$fid" 1 $options)"
			equal "saved value of $fid" "$default" "$(feature "$controller" "$fid" 2 $options)"
			equal "abilities of $fid" $((${options:+2} + 4)) "$(feature "$controller" "$fid" 3)"
			nvme set-feature "$controller" -f "$fid" -V "$default" $options
		}
	done <<-END
		0x01 7 3
		0x02 0 0x20
		0x04 65535 0x150
		0x05 0 100 --namespace-id=1
		0x06 1 0
		0x0a 0 1
	END
	fails_with 0x410d nvme set-feature "$controller" -f 6 -V 1 --save
	fails_with 0x4002 nvme get-feature "$controller" -f 3
	fails_with 0x4002 nvme set-feature "$controller" -f 2 -V 1
	fails_with 0x410f nvme set-feature "$controller" -f 6 -V 1 -n 1
}

features_of_the_association_are_told() {
	local controller name
	name=$(controller_of "$nqn")
	controller=/dev/$name
	equal "queues, 0-based" $((0x00010001 * ($(cat "/sys/class/nvme/$name/queue_count") - 2))) \
		"$(feature "$controller" 7 0)"
	equal "events the kernel asks for" $((0x100)) "$(feature "$controller" 0x0b 0)"
	equal "keep alive" 20000 "$(feature "$controller" 0x0f 0)"
	nvme set-feature "$controller" -f 0x0f -V 15000
	equal "keep alive" 15000 "$(feature "$controller" 0x0f 0)"
	nvme set-feature "$controller" -f 0x0f -V 20000
	# 4096 ms after 1970.
	printf '\x00\x10\x00\x00\x00\x00\x00\x00' >/tmp/timestamp
	nvme set-feature "$controller" -f 0x0e -l 8 -d /tmp/timestamp
	nvme get-feature "$controller" -f 0x0e -l 8 -b >/tmp/timestamp
	equal "origin of the timestamp" 2 "$(od -An -tu1 -j6 -N1 /tmp/timestamp | tr -d ' ')"
	[ "$(od -An -tu4 -N4 /tmp/timestamp)" -ge 4096 ] || fail "the timestamp runs backwards"
	nvme get-feature "$controller" -f 0x16 -l 512 -b | wc -c | grep -qx 512
	nvme get-feature "$controller" -f 0x81 -l 16 --cdw11=1 -b >/tmp/host-id
	equal "host id" "$(tr -d - </etc/nvme/hostid)" "$(od -An -tx1 /tmp/host-id | tr -d ' \n')"
}

logs_are_there() {
	local controller
	controller=/dev/$(controller_of "$nqn")
	nvme supported-log-pages "$controller" -o json |
		jq -e '[.supported_logs[] | keys[] | rtrimstr(" ")] | sort
			== ["lid_0x0", "lid_0x1", "lid_0x12", "lid_0x13", "lid_0x2", "lid_0x3", "lid_0x4",
				"lid_0x5"]'
	nvme fw-log "$controller" -o json >/tmp/log
	cat /tmp/log
	jq -e --arg version "$version" '.[] | .["Active Firmware Slot (afi)"] == 1
		and (.["Firmware Rev Slot 1"] | contains($version))' /tmp/log
	# Without --csi nvme-cli wants the zoned command set's page too, wherever there can be several.
	nvme effects-log "$controller" --csi=0 | tee /tmp/log
	grep -q 'Identify' /tmp/log
	grep -q 'Compare' /tmp/log
	nvme fid-support-effects-log "$controller" -o json >/tmp/log
	equal "features with effects" '1 2 4 5 6 7 10 11 14 15 22 129' \
		"$(jq -r '[.fid_support[] | keys[] | ltrimstr("fid_")] | join(" ")' /tmp/log)"
	nvme get-log "$controller" -i 0x13 -l 4096 -b | cmp -n 4096 - /dev/zero
	fails_with 0x4109 nvme get-log "$controller" -i 0x0d -l 512
}

# The kernel reads log 04 as soon as it is told, so it is not told.
changed_namespaces_are_listed() {
	local controller device size=$((size_mb * 2))
	controller=/dev/$(controller_of "$nqn")
	device=$(namespace_of "$nqn")
	has_size() {
		[ "$(blockdev --getsize64 "/dev/$device")" = "$1" ]
	}
	# shellcheck disable=SC2317
	lists_one() {
		nvme changed-ns-list-log "$controller" | grep '0x1$'
	}
	nvme changed-ns-list-log "$controller" | grep 'no ns changed'
	nvme set-feature "$controller" -f 0x0b -V 0
	ask resize disk.img "$size"
	wait_until 20 lists_one
	has_size $((size_mb << 20)) || fail "the kernel knows the size without having been told"
	nvme set-feature "$controller" -f 0x0b -V 0x100
	wait_until 20 has_size $((size << 20))
	nvme changed-ns-list-log "$controller" | grep 'no ns changed'
	ask resize disk.img "$size_mb"
	wait_until 20 has_size $((size_mb << 20))
}

# newest_error FILTER: what jq's FILTER says of the newest entry, given the one before as $before
newest_error() {
	nvme error-log "$controller" -e 1 -o json >/tmp/log
	jq -e --argjson before "${before:-0}" ".errors[0] | $1" /tmp/log || fail "it is $(cat /tmp/log)"
}

# The status field is as nvme-cli prints it: 4000h is "do not retry".
error_log_has_what_failed() {
	local controller device before
	controller=/dev/$(controller_of "$nqn")
	device=/dev/$(namespace_of "$nqn")
	head -c 512 /dev/urandom >/tmp/block
	before=$(newest_error .error_count)
	fails_with 0x4080 nvme read "$device" -s 0xffffffffff -c 0 -z 512 -d /tmp/none
	newest_error ".error_count == \$before + 1 and .sqid > 0 and .status_field == $((0x4080))
		and .lba == $((0xffffffffff)) and .nsid == 1 and .trtype == 3"
	fails_with 0x4285 nvme compare "$device" -s 3 -c 0 -z 512 -d /tmp/block
	newest_error ".error_count == \$before + 2 and .status_field == $((0x4285)) and .lba == 3"
	fails_with 0x4109 nvme get-log "$controller" -i 0x0d -l 512
	newest_error ".error_count == \$before + 3 and .sqid == 0 and .status_field == $((0x4109))"
	nvme smart-log "$controller" -o json |
		jq -e --argjson before "$before" '.num_err_log_entries == $before + 3'
}

# Blocks 64 to 71, the ninth 4 KiB.
uncorrectable_blocks_fail_until_written() {
	local controller device errors
	controller=/dev/$(controller_of "$nqn")
	device=/dev/$(namespace_of "$nqn")
	errors=$(nvme smart-log "$controller" -o json | jq .media_errors)
	nvme write-uncor "$device" -s 64 -c 7
	fails_with 0x4281 nvme read "$device" -s 60 -c 7 -z 4096 -d /tmp/none
	newest_error ".status_field == $((0x4281)) and .lba == 64"
	fails_with 0x4281 nvme verify "$device" -s 71 -c 0
	! dd if="$device" of=/dev/null bs=4k skip=8 count=1 iflag=direct || fail "can be read"
	dd if="$device" of=/dev/null bs=4k skip=9 count=1 iflag=direct
	nvme smart-log "$controller" -o json |
		jq -e --argjson errors "$errors" '.media_errors >= $errors + 3'
	dd if=/dev/zero of="$device" bs=4k seek=8 count=1 oflag=direct
	dd if="$device" of=/dev/null bs=4k skip=8 count=1 iflag=direct
	nvme verify "$device" -s 60 -c 15
}

xfs_survives() {
	local device before after
	device=/dev/$(namespace_of "$nqn")
	mkfs.xfs -q -f "$device"
	mount "$device" $mount_point
	dd if=/dev/urandom of=$mount_point/random bs=1M count=16 conv=fsync
	cp --reflink=never $mount_point/random $mount_point/copy
	cp -a /usr/sbin $mount_point/files
	sync -f $mount_point
	before=$(allocated_kib disk.img)
	fallocate --punch-hole -o 0 -l 12M $mount_point/random
	fallocate --zero-range -o 12M -l 2M $mount_point/random
	cmp -n $((14 << 20)) $mount_point/random /dev/zero
	sync -f $mount_point
	fstrim $mount_point
	after=$(allocated_kib disk.img)
	[ "$after" -le $((before - 11000)) ] || fail "$after KiB of $before are left"
	umount $mount_point
	blockdev --flushbufs "$device"
	xfs_repair -n "$device"
	mount "$device" $mount_point
	cmp -i $((14 << 20)) $mount_point/random $mount_point/copy
	diff -r --no-dereference /usr/sbin $mount_point/files
	umount $mount_point
}

disconnect_ends_it() {
	nvme disconnect -n "$nqn" | tee /tmp/disconnect
	grep -q 'disconnected 1 controller' /tmp/disconnect
	wait_until 10 has_no_controllers
}

step discover-persistent 120 discovery_is_kept
step_or_end connect 120 connect_makes_a_disk
step commands 120 commands_do_what_they_say
step fallocate 120 holes_in_the_device_reach_the_image
step features 180 features_are_kept
step features-of-association 120 features_of_the_association_are_told
step logs 120 logs_are_there
step changed-namespaces 120 changed_namespaces_are_listed
step error-log 120 error_log_has_what_failed
step uncorrectable 120 uncorrectable_blocks_fail_until_written
extra_step xfs 240 xfs_survives
step discovery-persisted 120 discovery_has_persisted
step disconnect 120 disconnect_ends_it
step kernel-log 60 kernel_log_is_clean \
	uncorrectable 'nvme|critical medium error|Buffer I/O error'
