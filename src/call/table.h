/*
 * The call table: every system call that can be carried to another machine, described once. What a
 * call's arguments are, which memory they are about and how much of it: from this are derived what a
 * client declares (ranges.h), how a kernel checks and makes the call, the filter of what a worker may
 * do, how a call is printed (text.h), and its documentation.
 *
 * The table is of Linux's calls by the numbers and structures of the machine it is compiled for. What
 * has no row is not carried: ENOSYS. The rows stand in rows.inc, the codes of ioctl() and its like in
 * codes.c, the names of flags in names.c.
 */
#ifndef FERRY_CALL_TABLE_H
#define FERRY_CALL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_ARGUMENTS_MAX 6

/* Elements and bytes that one argument may be about; more is EINVAL, or is cut where a shorter result is
 * an ordinary one (CALL_IS_CUT). */
#define CALL_VECTORS_MAX  1024u       /* elements of an iovec, as Linux's UIO_MAXIOV */
#define CALL_MESSAGES_MAX 1024u       /* of recvmmsg() and sendmmsg() */
#define CALL_CONTROL_MAX  (64u << 10) /* bytes of control data of a message */
#define CALL_VALUE_MAX    (64u << 10) /* bytes of a socket option or an extended attribute */
#define CALL_BYTES_MAX    0x7ffff000u /* of read(), write() and their kin, as Linux */
#define CALL_POLLED_MAX \
	(64u << 10)           /* descriptors of poll(), bits of select(), events of epoll_wait() */
#define CALL_ADDRESS_MAX 128u /* bytes of a socket's address, as Linux */

enum call_group {
	CALL_GROUP_FILE, /* descriptors of files, and their bytes */
	CALL_GROUP_PATH, /* what is found by a path */
	CALL_GROUP_SOCKET,
	CALL_GROUP_PIPE,
	CALL_GROUP_WAIT,    /* poll, select, epoll, timers, events */
	CALL_GROUP_PROCESS, /* ids, umask, the working directory, the machine's name */
};

/* What an argument is. All but SCALAR, FD and DIRFD are addresses in the caller's memory; 0 is legal for
 * those with CALL_IS_NULLABLE only, else the call is made with it all the same, for Linux to refuse. */
enum call_class {
	CALL_SCALAR, /* a number, passed on */
	CALL_FD,     /* a descriptor */
	CALL_DIRFD,  /* a descriptor or AT_FDCWD, for the path that is the next argument */
	CALL_PATH,   /* a string of at most PATH_MAX bytes with NUL that names a file */
	CALL_STRING, /* another string, of at most unit_bytes bytes with NUL */
	CALL_IN,     /* bytes that the call reads; how many: see enum call_length */
	CALL_OUT,    /* ...that it writes */
	CALL_IN_OUT,
	CALL_SIZE, /* a uint32_t (socklen_t), read and written: room for the argument before it, then
			    * the true length, which may be more than the room */
	CALL_VECTOR_IN, /* struct iovec, of CALL_IN bytes each; as many as argument `length` says */
	CALL_VECTOR_OUT,
	CALL_MESSAGE_IN,  /* struct msghdr, which is sent */
	CALL_MESSAGE_OUT, /* ...received: read and written */
	CALL_MESSAGES_IN, /* struct mmsghdr, as many as argument `length` says */
	CALL_MESSAGES_OUT,
	CALL_SELECTED, /* what it is depends on the argument `length`, a code of one of the sets
			    * (struct call_code): ioctl, fcntl, options of a socket */
	CALL_SIGNALS,  /* a set of signals to block for as long as the call takes. Signals are the
			* client's own concern: not carried, the call is made with 0 in its place */
};

/* From where the length of CALL_IN, CALL_OUT and CALL_IN_OUT comes, beside an argument's index. */
enum call_length {
	CALL_FIXED = 8, /* unit_bytes */
	CALL_FD_SET, /* descriptors of select(): as many bits as argument 0 says, in words of 64 */
};

enum {
	CALL_IS_NULLABLE = 1 << 0,
	/* a length beyond the limit is made shorter, not refused */
	CALL_IS_CUT = 1 << 1,
	/* of CALL_OUT: so many units as the call's value says were written; without it all were */
	CALL_IS_VALUE_LONG = 1 << 2,
	/* of CALL_OUT: the next argument is its CALL_SIZE */
	CALL_IS_SIZED = 1 << 3,
	/* of CALL_PATH: a symbolic link at its end is followed, unless flags of the call say otherwise */
	CALL_IS_FOLLOWED = 1 << 4,
	/* as it is printed; of a scalar */
	CALL_IS_HEXADECIMAL = 1 << 5,
	CALL_IS_OCTAL = 1 << 6,
	CALL_IS_SIGNED = 1 << 7,
	/* a C int: Linux looks at the lower 32 bits only; of a scalar */
	CALL_IS_WORD = 1 << 8,
	/* a length beyond the limit is E2BIG, not EINVAL */
	CALL_IS_TOO_BIG = 1 << 9,
};

/* What the bytes of an argument are, for those who look into them. */
enum call_format {
	CALL_FORMAT_BYTES, /* nobody knows */
	CALL_FORMAT_ADDRESS,
	CALL_FORMAT_TIMESPEC, /* of CALL_IN_OUT, CALL_IN: one; utimensat() has two */
	CALL_FORMAT_TIMEVAL,  /* likewise */
	CALL_FORMAT_ITIMERSPEC,
	CALL_FORMAT_STAT,
	CALL_FORMAT_STATX,
	CALL_FORMAT_POLL,   /* struct pollfd: holds descriptors */
	CALL_FORMAT_EVENT,  /* struct epoll_event */
	CALL_FORMAT_EVENTS, /* as many as there are */
	CALL_FORMAT_FDS,    /* two new descriptors */
	CALL_FORMAT_FD_SET, /* bits of descriptors */
	CALL_FORMAT_LOCK,   /* struct flock */
	CALL_FORMAT_OPEN_HOW,
	CALL_FORMAT_INT,  /* int or unsigned int */
	CALL_FORMAT_LONG, /* 64 bits */
	CALL_FORMAT_UTSNAME,
	CALL_FORMAT_TEXT, /* a string in its room, with or without NUL */
};

struct call_names; /* names of a flag argument's bits or values: names.h */

struct call_argument {
	const char *name; /* as in the manual pages: "fd", "pathname" */
	uint8_t class;    /* enum call_class */
	uint8_t length; /* the index of the argument that counts units, or enum call_length; of SIZED
			   * the index of its CALL_SIZE */
	uint16_t flags; /* CALL_IS_ bits */
	uint8_t format; /* enum call_format */
	/* Of IN, OUT, IN_OUT: bytes of what is counted, or of it all if CALL_FIXED. Of STRING: the most
	 * bytes with NUL. Of SELECTED: enum call_set. */
	uint32_t unit_bytes;
	uint32_t limit;                 /* most units; more is refused, unless CALL_IS_CUT */
	const struct call_names *names; /* of a scalar, or NULL */
};

enum {
	/* its value is a new descriptor, or an argument is CALL_FORMAT_FDS */
	CALL_MAKES_FD = 1 << 0,
	CALL_MAY_BLOCK = 1 << 1,  /* without end, until something happens */
	CALL_CAN_REPEAT = 1 << 2, /* made twice it does no more than once */
	CALL_IS_CHUNKED = 1 << 3, /* bytes beyond what a frame carries are moved in pieces */
};

struct call_row {
	const char *name;
	uint32_t number;
	uint8_t group; /* enum call_group */
	uint8_t flags; /* CALL_MAKES_FD ... */
	uint8_t argument_count;
	struct call_argument arguments[CALL_ARGUMENTS_MAX];
};

/** @return the row of a call, or NULL: not carried. */
const struct call_row *call_find(uint32_t number);
const struct call_row *call_find_name(const char *name);

/** All rows, in the order of their names. */
const struct call_row *call_rows(size_t *ret_count);

#endif
