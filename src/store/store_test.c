#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define PROBLEM_MAX 256
#define UUID_TEXT   "00112233-4455-6677-8899-aabbccddeeff"

static void test_store_opens_when_the_text_is_right(void **state)
{
	static const struct {
		const char *text;
		const char *name;
		uint64_t size_bytes;
		uint32_t block_bytes;
		bool is_read_only;
	} rows[] = {
		{"ram:64M", "ram:64M", 64u << 20, 512, false},
		{"ram:1536", "ram:1536", 1536, 512, false},
		{"ram:1536k,ro", "ram:1536K", 1536u << 10, 512, true},
		{"ram:1024K,lba=4096", "ram:1M", 1u << 20, 4096, false},
		{"ram:8192,lba=4096,lba=512", "ram:8K", 8192, 512, false},
		{"null:1T,lba=4096,ro", "null:1T", 1ull << 40, 4096, true},
		{"null:7P", "null:7P", 7ull << 50, 512, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char problem[PROBLEM_MAX] = "";
		struct store *store;

		assert_int_equal(store_open(rows[i].text, &store, problem, sizeof(problem)), 0);
		assert_string_equal(store->name, rows[i].name);
		assert_int_equal(atomic_load(&store->size_bytes), rows[i].size_bytes);
		assert_int_equal(store->block_bytes, rows[i].block_bytes);
		assert_int_equal(store->preferred_bytes, 4096);
		assert_true(store->discard_bytes >= store->block_bytes);
		assert_int_equal(store->is_read_only, rows[i].is_read_only);
		assert_true(store->is_volatile && store->is_lending);
		assert_string_equal(problem, "");
		store_free(store);
	}
}

static void test_store_says_what_is_wrong_when_the_text_is(void **state)
{
	static const struct {
		const char *text;
		int error;
		const char *problem; /* a part of it */
	} rows[] = {
		{"", EINVAL, "name of a disk is missing"},
		{",ro", EINVAL, "name of a disk is missing"},
		{"ram:", EINVAL, "ram:: is not a size, such as ram:64M"},
		{"ram:0", EINVAL, "must be a multiple of the block size, 512 bytes, and not 0"},
		{"ram:1000", EINVAL, "must be a multiple of the block size, 512 bytes"},
		{"ram:512,lba=4096", EINVAL, "must be a multiple of the block size, 4096 bytes"},
		{"ram:-1", EINVAL, "is not a size"},
		{"ram:9000P", ERANGE, "is too large for a size"},
		{"ram:4096P", ENOMEM, "ram:4096P: is more memory than there is"},
		{"null:x", EINVAL, "null:x: is not a size, such as null:64M"},
		{"ram:1M,lba=1000", EINVAL, "lba=1000: must be 512 or 4096"},
		{"ram:1M,lba=", EINVAL, "lba=: must be 512 or 4096"},
		{"ram:1M,uuid=7", EINVAL, "uuid=7: is not a UUID"},
		{"ram:1M,rw", EINVAL, "rw: is no option of a disk"},
		{"ram:1M,", EINVAL, "an option is missing after a comma"},
		{"ram:1M,ro,,lba=512", EINVAL, "an option is missing after a comma"},
		{"ram:1M,uuid=" UUID_TEXT UUID_TEXT, EINVAL, "is no option of a disk"},
		{"./no,,such", ENOENT, "./no,such: does not exist"},
		{"/dev/null/x", ENOTDIR, "/dev/null/x: Not a directory"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char problem[PROBLEM_MAX] = "";
		struct store *store = NULL;

		assert_int_equal(store_open(rows[i].text, &store, problem, sizeof(problem)),
			-rows[i].error);
		if (strstr(problem, rows[i].problem) == NULL)
			assert_string_equal(problem, rows[i].problem);
		assert_null(store);
	}
}

static void test_store_cuts_the_sentence_when_there_is_little_room(void **state)
{
	struct store *store = NULL;
	char problem[8];

	(void)state;
	assert_int_equal(store_open("ram:x", &store, problem, sizeof(problem)), -EINVAL);
	assert_string_equal(problem, "ram:x: ");
	assert_int_equal(store_open("ram:x", &store, NULL, 0), -EINVAL);
}

static void test_store_is_refused_when_its_name_is_too_long(void **state)
{
	char text[STORE_NAME_MAX + 1];
	char problem[PROBLEM_MAX];
	struct store *store = NULL;

	(void)state;
	memset(text, 'a', STORE_NAME_MAX);
	text[STORE_NAME_MAX] = '\0';
	assert_int_equal(store_open(text, &store, problem, sizeof(problem)), -ENAMETOOLONG);
	assert_non_null(strstr(problem, "a name has at most 511 bytes"));
}

static void test_store_has_a_random_uuid_when_volatile_and_none_is_given(void **state)
{
	static const char *const kinds[] = {"ram:4K", "null:4K"};
	static const uint8_t given[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
		0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct store *stores[3];
		char problem[PROBLEM_MAX];
		char text[64];

		(void)snprintf(text, sizeof(text), "%s,uuid=" UUID_TEXT, kinds[i]);
		for (int j = 0; j < 3; j++)
			assert_int_equal(store_open(j < 2 ? kinds[i] : text, &stores[j], problem,
						 sizeof(problem)),
				0);
		assert_memory_not_equal(stores[0]->uuid, stores[1]->uuid, sizeof(given));
		assert_memory_equal(stores[2]->uuid, given, sizeof(given));
		for (int j = 0; j < 3; j++)
			store_free(stores[j]);
	}
}

static void test_store_takes_a_comma_into_the_name_when_doubled(void **state)
{
	char folder[] = "/tmp/ferry-store-test.XXXXXX";
	char path[sizeof(folder) + 16], text[sizeof(folder) + 32], problem[PROBLEM_MAX];
	struct store *store = NULL;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/a,b,", folder);
	(void)snprintf(text, sizeof(text), "%s/a,,b,,,ro,lba=4096", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_return_code(fd, errno);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(store_open(text, &store, problem, sizeof(problem)), 0);
	assert_string_equal(store->name, path);
	assert_true(store->is_read_only);
	assert_int_equal(store->block_bytes, 4096);
	assert_false(store->is_volatile || store->is_lending);
	store_free(store);
	(void)close(fd);
	(void)unlink(path);
	(void)rmdir(folder);
}

static void test_store_is_freed_when_there_is_none(void **state)
{
	(void)state;
	store_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store_opens_when_the_text_is_right),
		cmocka_unit_test(test_store_says_what_is_wrong_when_the_text_is),
		cmocka_unit_test(test_store_cuts_the_sentence_when_there_is_little_room),
		cmocka_unit_test(test_store_is_refused_when_its_name_is_too_long),
		cmocka_unit_test(test_store_has_a_random_uuid_when_volatile_and_none_is_given),
		cmocka_unit_test(test_store_takes_a_comma_into_the_name_when_doubled),
		cmocka_unit_test(test_store_is_freed_when_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
