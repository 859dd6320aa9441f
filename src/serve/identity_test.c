#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "serve/identity.h"
#include "store/store.h"

static struct store *open_store(const char *text)
{
	struct store *store;
	char problem[256];

	assert_int_equal(store_open(text, &store, problem, sizeof(problem)), 0);
	return store;
}

static void name(struct store *const *stores, size_t count, unsigned instance,
	char ret_nqn[NVME_NQN_TEXT_MAX])
{
	assert_int_equal(identity_default_nqn(stores, count, instance, ret_nqn), 0);
	assert_true(nvme_nqn_is_standard(ret_nqn));
}

static void test_identity_names_the_same_stores_alike_when_opened_again(void **state)
{
	struct store *stores[2] = {open_store("ram:1M"), open_store("null:1G")};
	char first[NVME_NQN_TEXT_MAX], second[NVME_NQN_TEXT_MAX];

	(void)state;
	name(stores, 2, 0, first);
	store_free(stores[0]);
	stores[0] = open_store("ram:1M");
	name(stores, 2, 0, second);
	assert_string_equal(first, second);
	store_free(stores[0]);
	store_free(stores[1]);
}

static void test_identity_tells_apart_when_stores_or_instance_differ(void **state)
{
	struct store *a = open_store("ram:1M"), *b = open_store("ram:2M");
	struct store *lists[][2] = {{a, b}, {b, a}, {a, a}, {b, b}, {a, b}};
	static const size_t counts[] = {2, 2, 2, 2, 1};
	char names[6][NVME_NQN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		name(lists[i], counts[i], 0, names[i]);
	name(lists[0], 2, 1, names[5]);
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	}
	store_free(a);
	store_free(b);
}

static void test_identity_is_held_once_when_two_ask_for_it(void **state)
{
	const char *nqn = "nqn.2026-01.org.example:held-by-identity-test";
	int first = identity_hold_nqn(nqn), other, again;

	(void)state;
	assert_true(first >= 0);
	assert_int_equal(identity_hold_nqn(nqn), -EADDRINUSE);
	other = identity_hold_nqn("nqn.2026-01.org.example:another-by-identity-test");
	assert_true(other >= 0);
	(void)close(first);
	again = identity_hold_nqn(nqn);
	assert_true(again >= 0);
	(void)close(again);
	(void)close(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_names_the_same_stores_alike_when_opened_again),
		cmocka_unit_test(test_identity_tells_apart_when_stores_or_instance_differ),
		cmocka_unit_test(test_identity_is_held_once_when_two_ask_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
