/*
 * What `ferry call` is given: names of system calls and their arguments.
 */
#ifndef FERRY_CMD_HAND_ARGUMENT_H
#define FERRY_CMD_HAND_ARGUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAND_ROOM_MAX (64u << 20) /* bytes of [N] and of @FILE */

enum hand_argument_kind {
	HAND_ARGUMENT_NUMBER, /* passed as it is */
	HAND_ARGUMENT_BYTES,  /* TEXT with its NUL, or @FILE */
	HAND_ARGUMENT_ROOM,   /* [N] */
};

struct hand_argument {
	enum hand_argument_kind kind;
	uint64_t value;  /* what is passed: a number or an address */
	uint8_t *memory; /* owned; NULL for a number */
	size_t bytes;
	size_t count_bytes; /* as a call counts them: without the NUL of TEXT */
	bool is_both;       /* memory that the kernel may read and write; of BYTES and ROOM */
};

/** Parse @text: NUMBER, TEXT, =TEXT, @FILE or [N].
 *  @return 0, or -errno with @ret_problem a constant sentence. */
int hand_argument_init(struct hand_argument *argument, const char *text, const char **ret_problem)
	__attribute__((warn_unused_result));
void hand_argument_deinit(struct hand_argument *argument);

/** Make @argument, which is a number, @bytes zeroed bytes. @return 0 or -ENOMEM. */
int hand_argument_take_memory(struct hand_argument *argument, enum hand_argument_kind kind,
	size_t bytes) __attribute__((warn_unused_result));

/* Whose numbers a kernel goes by. */
enum call_numbering {
	NUMBERING_LINUX,  /* this machine's: a kernel that is spoken to with the extension */
	NUMBERING_NETBSD, /* plain sysproxy 0.4 */
};

/** @return whether @name is a number, or the name of a system call that is known. */
bool call_number_of(const char *name, enum call_numbering numbering, uint32_t *ret_number);

/** @return "ENOENT", or NULL: nobody here knows. */
const char *call_error_name(int error, enum call_numbering numbering);

#endif
