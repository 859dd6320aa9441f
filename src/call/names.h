/*
 * The names of the bits and values of flag arguments.
 */
#ifndef FERRY_CALL_NAMES_H
#define FERRY_CALL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call_name {
	const char *name;
	uint32_t value;
	uint32_t mask; /* the bits that must be as in value */
};

struct call_names {
	const struct call_name *names; /* those with most bits first */
	size_t count;
};

extern const struct call_names call_names_access, call_names_access_at, call_names_advice,
	call_names_at, call_names_close_range, call_names_clock, call_names_dup,
	call_names_epoll_control, call_names_epoll_create, call_names_event, call_names_eventfd,
	call_names_fallocate, call_names_family, call_names_fcntl_flags, call_names_flock,
	call_names_level, call_names_lock, call_names_message, call_names_open, call_names_pipe,
	call_names_poll, call_names_read_write, call_names_rename, call_names_resolve,
	call_names_seek, call_names_shutdown, call_names_socket, call_names_splice,
	call_names_statx, call_names_sync_range, call_names_timer, call_names_timer_create,
	call_names_xattr;

/** Look @name up. @return whether it is there. */
bool call_names_find(const struct call_names *names, const char *name, uint32_t *ret_value);

#endif
