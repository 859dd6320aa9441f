/*
 * The call table: every system call that can be carried to another machine, described once. What a
 * call's arguments are, which memory they are about and how much of it: from this are derived what a
 * client declares (ranges.h), how a kernel checks and makes the call, the filter of what a worker may
 * do, how a call is printed (text.h), and its documentation.
 *
 * The table is of Linux's calls by the numbers and structures of the machine it is compiled for. What
 * has no row is not carried: ENOSYS.
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
	CALL_POINTER,  /* opaque: passed on in epoll data and the like, never followed */
};

/* From where the length of CALL_IN, CALL_OUT and CALL_IN_OUT comes, beside an argument's index. */
enum call_length {
	CALL_FIXED = 8, /* unit_bytes */
	CALL_FD_SET, /* descriptors of select(): as many bits as argument 0 says, in words of 64 */
};

enum {
	CALL_IS_NULLABLE = 1 << 0,
	CALL_IS_CUT = 1 << 1, /* a length beyond the limit is made shorter, not refused */
	/* of CALL_OUT: so many units as the call's value says were written; without it all were */
	CALL_IS_VALUE_LONG = 1 << 2,
	CALL_IS_SIZED = 1 << 3, /* of CALL_OUT and CALL_IN: the next argument is its CALL_SIZE */
	CALL_IS_FOLLOWED =
		1 << 4, /* of CALL_PATH: a symbolic link at its end is followed, unless flags
				    * of the call say otherwise */
	CALL_IS_HEXADECIMAL = 1 << 5, /* as it is printed; of a scalar */
	CALL_IS_OCTAL = 1 << 6,
	CALL_IS_SIGNED = 1 << 7,
};

struct call_names; /* names of a flag argument's bits or values: text.h */

struct call_argument {
	const char *name; /* as in the manual pages: "fd", "pathname" */
	uint8_t class;    /* enum call_class */
	uint8_t length;   /* the index of the argument that counts units, or enum call_length */
	uint16_t flags;   /* CALL_IS_ bits */
	uint32_t
		unit_bytes; /* of IN, OUT, IN_OUT: bytes of what is counted, or of it all if CALL_FIXED */
	const struct call_names *names;
};

enum {
	CALL_MAKES_FD = 1 << 0,   /* its value is a new descriptor */
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

/* One code of a set: a request of ioctl(), a command of fcntl(), an option of a socket. What is not there
 * is refused as Linux refuses what it does not know: ENOTTY, EINVAL, ENOPROTOOPT. */
struct call_code {
	const char *name;
	uint32_t code;
	int32_t level; /* of an option; else 0 */
	uint8_t class; /* what the last argument is: CALL_SCALAR, CALL_IN, CALL_OUT, CALL_IN_OUT,
			       * CALL_FD; of options CALL_IN: may be set, CALL_OUT: got, IN_OUT: both */
	uint8_t flags; /* CALL_MAKES_FD ... */
	uint32_t unit_bytes; /* of what the pointer points at; of an option: most */
};

/** @return the row of a call, or NULL: not carried. */
const struct call_row *call_find(uint32_t number);
const struct call_row *call_find_name(const char *name);

/** All rows, in the order of their names. */
const struct call_row *call_rows(size_t *ret_count);

/** @return the code that CALL_SELECTED @row depends on, given its arguments, or NULL: refused. */
const struct call_code *call_select(const struct call_row *row,
	const uint64_t arguments[CALL_ARGUMENTS_MAX]);

enum call_set {
	CALL_SET_IOCTL,
	CALL_SET_FCNTL,
	CALL_SET_OPTION,
};

/** All codes of a set. */
const struct call_code *call_codes(enum call_set set, size_t *ret_count);

#endif
