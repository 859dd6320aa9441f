/*
 * The identity of a store's contents, as a UUID. Two disks must never share one: a host would take
 * them for two paths to the same disk.
 */
#ifndef FERRY_STORE_IDENTITY_H
#define FERRY_STORE_IDENTITY_H

#include <stdint.h>

#include "base/uuid.h"

/** A random identity (RFC 4122, version 4). */
void identity_random(uint8_t ret_uuid[UUID_BYTES]);

/** The identity of what lies at @path, absolute and without links, on this machine: its machine id
 *  (the host name where there is none) and the path. A file that is moved becomes another disk and
 *  a copy is not mistaken for the original; neither holds for inode numbers. */
void identity_of_path(const char *path, uint8_t ret_uuid[UUID_BYTES]);

#endif
