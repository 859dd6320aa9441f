/*
 * Whether the table is coherent: what one row says about its arguments, and all rows together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/table.h"

static bool is_counted(const struct call_argument *argument)
{
	switch ((enum call_class)argument->class) {
	case CALL_IN:
	case CALL_OUT:
	case CALL_IN_OUT:
	case CALL_VECTOR_IN:
	case CALL_VECTOR_OUT:
	case CALL_MESSAGES_IN:
	case CALL_MESSAGES_OUT:
	case CALL_MESSAGE_IN:
	case CALL_MESSAGE_OUT:
		return true;
	case CALL_SCALAR:
	case CALL_FD:
	case CALL_DIRFD:
	case CALL_PATH:
	case CALL_STRING:
	case CALL_SIZE:
	case CALL_SELECTED:
	case CALL_SIGNALS:
		return false;
	}
	return false;
}

/* @return what is wrong with a counted argument, or NULL. */
static const char *fault_of_count(const struct call_row *row, const struct call_argument *argument)
{
	enum call_class wanted = (argument->flags & CALL_IS_SIZED) != 0 ? CALL_SIZE : CALL_SCALAR;

	if (argument->unit_bytes == 0)
		return "units without bytes";
	if (argument->limit == 0)
		return "no limit";
	if ((uint64_t)argument->limit * argument->unit_bytes > CALL_BYTES_MAX)
		return "a limit beyond all bytes";
	if (argument->length == CALL_FIXED)
		return argument->limit == 1 ? NULL : "one with a limit";
	if (argument->length == CALL_FD_SET)
		return strcmp(row->arguments[0].name, "nfds") == 0 ? NULL : "no nfds";
	if (argument->length >= row->argument_count)
		return "a length beyond the arguments";
	if (row->arguments[argument->length].class != wanted)
		return "a length that is no number";
	if (wanted == CALL_SIZE && argument + 1 != &row->arguments[argument->length])
		return "a size that does not follow";
	return NULL;
}

static const char *fault_of_flags(const struct call_argument *argument)
{
	const unsigned scalar = CALL_IS_HEXADECIMAL | CALL_IS_OCTAL | CALL_IS_SIGNED | CALL_IS_WORD;

	if ((argument->flags & scalar) != 0 && argument->class != CALL_SCALAR)
		return "a pointer that is printed as a number";
	if (argument->names != NULL && (argument->flags & CALL_IS_WORD) == 0)
		return "names of what is no word";
	if ((argument->flags & (CALL_IS_VALUE_LONG | CALL_IS_SIZED)) != 0 &&
		argument->class != CALL_OUT)
		return "what is not written has a length that comes back";
	if ((argument->flags & CALL_IS_FOLLOWED) != 0 && argument->class != CALL_PATH)
		return "no path, but followed";
	return NULL;
}

static const char *fault_of(const struct call_row *row, unsigned index)
{
	const struct call_argument *argument = &row->arguments[index];
	const struct call_argument *before = index > 0 ? argument - 1 : NULL;
	bool is_last = index + 1 == row->argument_count;

	if (argument->name == NULL || argument->name[0] == '\0')
		return "no name";
	if (is_counted(argument) && fault_of_count(row, argument) != NULL)
		return fault_of_count(row, argument);
	if (argument->class == CALL_DIRFD && (is_last || argument[1].class != CALL_PATH))
		return "a directory without a path";
	if (argument->class == CALL_SIZE &&
		(before == NULL ||
			(before->class != CALL_SELECTED && (before->flags & CALL_IS_SIZED) == 0)))
		return "a size of nothing";
	if (argument->class == CALL_STRING && argument->unit_bytes == 0)
		return "a string without a limit";
	if (argument->class == CALL_SELECTED &&
		(argument->length >= index ||
			row->arguments[argument->length].class != CALL_SCALAR))
		return "a code that does not come before";
	return fault_of_flags(argument);
}

static void test_row_is_coherent_when_it_is_in_the_table(void **state)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_true(rows[i].argument_count <= CALL_ARGUMENTS_MAX);
		for (unsigned j = 0; j < rows[i].argument_count; j++) {
			if (fault_of(&rows[i], j) != NULL)
				fail_msg("%s, argument %u: %s", rows[i].name, j,
					fault_of(&rows[i], j));
		}
		for (unsigned j = rows[i].argument_count; j < CALL_ARGUMENTS_MAX; j++)
			assert_null(rows[i].arguments[j].name);
	}
}

static void test_rows_are_in_the_order_of_their_names(void **state)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	(void)state;
	assert_true(count > 100);
	for (size_t i = 1; i < count; i++)
		assert_true(strcmp(rows[i - 1].name, rows[i].name) < 0);
}

static void test_row_is_found_when_number_or_name_is_known(void **state)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_ptr_equal(call_find(rows[i].number), &rows[i]);
		assert_ptr_equal(call_find_name(rows[i].name), &rows[i]);
	}
	assert_string_equal(call_find(SYS_openat)->name, "openat");
	assert_int_equal(call_find_name("pread64")->number, SYS_pread64);
}

static void test_row_is_not_found_when_call_is_not_carried(void **state)
{
	static const char *const names[] = {"", "a", "ope", "openat3", "zzz", "mmap", "execve",
		"clone", "ptrace", "io_uring_setup", "mount", "setns", "bpf", "kill", "prctl"};
	static const uint32_t numbers[] = {SYS_mmap, SYS_execve, SYS_clone, SYS_ptrace, SYS_mount,
		SYS_kill, SYS_prctl, SYS_chroot, SYS_pivot_root, SYS_vmsplice, SYS_memfd_create,
		10000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		assert_null(call_find_name(names[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		assert_null(call_find(numbers[i]));
}

/* A row with a descriptor may not be repeated by a client that lost its server, but it may be made
 * twice: what must never be marked so is a call that takes bytes, makes things or is relative. */
static void test_row_is_not_repeatable_when_it_does_more_each_time(void **state)
{
	static const char *const names[] = {"read", "write", "lseek", "mkdirat", "openat", "dup",
		"sendto", "accept4", "unlinkat", "renameat2", "getdents64", "splice", "umask"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		assert_int_equal(call_find_name(names[i])->flags & CALL_CAN_REPEAT, 0);
	assert_true((call_find_name("newfstatat")->flags & CALL_CAN_REPEAT) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row_is_coherent_when_it_is_in_the_table),
		cmocka_unit_test(test_rows_are_in_the_order_of_their_names),
		cmocka_unit_test(test_row_is_found_when_number_or_name_is_known),
		cmocka_unit_test(test_row_is_not_found_when_call_is_not_carried),
		cmocka_unit_test(test_row_is_not_repeatable_when_it_does_more_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
