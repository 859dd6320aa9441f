/*
 * What the kernel tells in sysfs of a block device and no ioctl does.
 */
#ifndef FERRY_STORE_DEVICE_LIMITS_H
#define FERRY_STORE_DEVICE_LIMITS_H

#include <stdint.h>
#include <sys/types.h>

#define DEVICE_LIMITS_FOLDER "/sys/dev/block"

struct device_limits {
	/* Bytes that the device zeroes by one command; 0: it cannot, or it is not known */
	uint64_t zero_bytes_max;
	uint64_t discard_bytes; /* that it gives back, in multiples of; 0: none, or not known */
};

/** @param folder DEVICE_LIMITS_FOLDER, or what a test has in its place
 *  @param device the device itself or a partition of it
 *  @return what is known. */
struct device_limits device_limits_read(const char *folder, dev_t device);

#endif
