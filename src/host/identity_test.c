#include "host/identity.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "99999999-2222-3333-4444-555555555555"

static const char *const names[] = {"nvme/hostnqn", "nvme/hostid", "machine-id"};

/* Write texts[i] to names[i]; NULL: no such file. */
static void write_files(const char *root, const char *const texts[3])
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "%s/etc/%s", root, names[i]);
		(void)unlink(path);
		if (texts[i] == NULL)
			continue;
		file = fopen(path, "we");
		assert_non_null(file);
		assert_true(fputs(texts[i], file) >= 0);
		assert_int_equal(fclose(file), 0);
	}
}

static void test_host_identity_takes_the_first_source_when_files_are_there(void **state)
{
	static const struct {
		const char *texts[3];
		const char *nqn; /* NULL: one made of a UUID */
		const char *id;  /* NULL: not asked */
	} rows[] = {
		{{"nqn.x:y\n", UUID_B "\n", "abc\n"}, "nqn.x:y", UUID_B},
		{{NVME_NQN_UUID_PREFIX UUID_A "\n", NULL, "abc\n"}, NVME_NQN_UUID_PREFIX UUID_A,
			UUID_A},
		{{NVME_NQN_UUID_PREFIX UUID_A, "nonsense\n", NULL}, NVME_NQN_UUID_PREFIX UUID_A,
			UUID_A},
		{{"nqn.x:y", NULL, NULL}, "nqn.x:y", NULL},
		{{"\n", UUID_B, "abc\n"}, NULL, NULL},
		{{NULL, UUID_B, "abc\n"}, NULL, NULL},
		{{NULL, NULL, NULL}, NULL, NULL},
	};
	static const uint8_t zero[UUID_BYTES];
	char root[] = "/tmp/ferry-identity-XXXXXX", path[64], text[UUID_TEXT_BYTES];

	(void)state;
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/etc", root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/etc/nvme", root);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_identity identity, again;

		write_files(root, rows[i].texts);
		host_identity_default(root, &identity);
		host_identity_default(root, &again);
		assert_true(nvme_nqn_is_acceptable(identity.nqn));
		assert_memory_not_equal(identity.id, zero, sizeof(zero));
		if (rows[i].nqn != NULL)
			assert_string_equal(identity.nqn, rows[i].nqn);
		else
			assert_true(nvme_nqn_is_standard(identity.nqn));
		uuid_to_text(identity.id, text);
		if (rows[i].id != NULL)
			assert_string_equal(text, rows[i].id);
		/* Only a machine with no name at all gets another one each time. */
		if (i + 1 < ARRAY_LENGTH(rows))
			assert_memory_equal(&identity.id, &again.id, sizeof(again.id));
	}
	write_files(root, (const char *const[]){NULL, NULL, NULL});
	assert_int_equal(rmdir(path), 0);
	(void)snprintf(path, sizeof(path), "%s/etc", root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(root), 0);
}

static void test_host_identity_refuses_when_the_name_is_no_nqn(void **state)
{
	struct host_identity identity;
	char longer[300] = {0};

	(void)state;
	memset(longer, 'n', 224);
	assert_int_equal(host_identity_of_nqn("", &identity), -EINVAL);
	assert_int_equal(host_identity_of_nqn("a\nb", &identity), -EINVAL);
	assert_int_equal(host_identity_of_nqn(longer, &identity), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_identity_takes_the_first_source_when_files_are_there),
		cmocka_unit_test(test_host_identity_refuses_when_the_name_is_no_nqn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
