/*
 * Which store a text names, and its options.
 */
#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "store/file_store.h"
#include "store/identity.h"
#include "store/memory_store.h"
#include "store/null_store.h"
#include "store/store_private.h"

#define BLOCK_BYTES_DEFAULT  512
#define PREFERRED_PAGE_BYTES 4096
#define OPTION_MAX           64 /* of one option's text, with NUL */

/* The kinds whose name is a size. */
static const struct sized_kind {
	const char *name;
	int (*make)(uint64_t size_bytes, const struct store_options *options,
		struct store **ret_store);
} sized_kinds[] = {
	{"ram", memory_store_new},
	{"null", null_store_new},
};

int store_problem_say(const struct store_problem *problem, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(problem->text, problem->bytes, format, arguments);
	va_end(arguments);
	return error;
}

void store_init_volatile(struct store *store, const char *kind, uint64_t size_bytes,
	const struct store_options *options)
{
	static const char suffixes[] = "KMGTP";
	uint64_t count = size_bytes;
	size_t power = 0;

	atomic_init(&store->size_bytes, size_bytes);
	atomic_init(&store->failed_flush, 0);
	store->block_bytes = options->block_bytes;
	if (store->block_bytes == 0)
		store->block_bytes = BLOCK_BYTES_DEFAULT;
	store->preferred_bytes = PREFERRED_PAGE_BYTES;
	store->discard_bytes = PREFERRED_PAGE_BYTES;
	store->is_read_only = options->is_read_only;
	store->is_lending = true;
	store->is_volatile = true;
	store->can_discard = !options->is_read_only;
	if (options->has_uuid)
		memcpy(store->uuid, options->uuid, UUID_BYTES);
	else
		identity_random(store->uuid);
	for (; count != 0 && count % 1024 == 0 && suffixes[power] != '\0'; power++)
		count /= 1024;
	(void)snprintf(store->name, sizeof(store->name), "%s:%llu%.*s", kind,
		(unsigned long long)count, power > 0 ? 1 : 0,
		power > 0 ? &suffixes[power - 1] : "");
}

/* @return the value of the option @text if it is named @name ("lba="), else NULL. */
static const char *option_value(const char *text, const char *name)
{
	size_t bytes = strlen(name);

	return strncmp(text, name, bytes) == 0 ? text + bytes : NULL;
}

static int parse_option(const char *text, struct store_options *options,
	const struct store_problem *problem)
{
	const char *value;

	if (strcmp(text, "ro") == 0) {
		options->is_read_only = true;
		return 0;
	}
	value = option_value(text, "lba=");
	if (value != NULL) {
		if (strcmp(value, "512") != 0 && strcmp(value, "4096") != 0)
			return store_problem_say(problem, -EINVAL, "%s: must be 512 or 4096", text);
		options->block_bytes = strcmp(value, "512") == 0 ? 512 : 4096;
		return 0;
	}
	value = option_value(text, "uuid=");
	if (value != NULL) {
		if (uuid_from_text(value, options->uuid) != 0)
			return store_problem_say(problem, -EINVAL, "%s: is not a UUID", text);
		options->has_uuid = true;
		return 0;
	}
	return store_problem_say(problem, -EINVAL,
		"%s: is no option of a disk; there are ro, lba=512|4096 and uuid=UUID", text);
}

/* @text: what follows the name, "" or beginning with a comma. */
static int parse_options(const char *text, struct store_options *options,
	const struct store_problem *problem)
{
	while (*text == ',') {
		size_t bytes = strcspn(text + 1, ",");
		char option[OPTION_MAX];
		int error;

		if (bytes == 0)
			return store_problem_say(problem, -EINVAL,
				"an option is missing after a comma; a comma of a name is doubled");
		if (bytes >= sizeof(option))
			return store_problem_say(problem, -EINVAL,
				"%.*s...: is no option of a disk", OPTION_MAX / 2, text + 1);
		memcpy(option, text + 1, bytes);
		option[bytes] = '\0';
		error = parse_option(option, options, problem);
		if (error != 0)
			return error;
		text += 1 + bytes;
	}
	return 0;
}

/* Copy the name before the options, doubled commas made single. @return what follows it, or NULL:
 * it is too long. */
static const char *take_name(const char *text, char ret_name[STORE_NAME_MAX])
{
	size_t bytes = 0;

	while (*text != '\0' && (*text != ',' || text[1] == ',')) {
		if (bytes == STORE_NAME_MAX - 1)
			return NULL;
		ret_name[bytes++] = *text;
		text += *text == ',' ? 2 : 1;
	}
	ret_name[bytes] = '\0';
	return text;
}

static int open_sized(const struct sized_kind *kind, const char *size_text,
	const struct store_options *options, const struct store_problem *problem,
	struct store **ret_store)
{
	uint32_t block_bytes =
		options->block_bytes == 0 ? BLOCK_BYTES_DEFAULT : options->block_bytes;
	uint64_t size_bytes;
	int error = text_parse_size(size_text, &size_bytes);

	if (error != 0)
		return store_problem_say(problem, error, "%s:%s: %s, such as %s:64M", kind->name,
			size_text, error == -ERANGE ? "is too large for a size" : "is not a size",
			kind->name);
	if (size_bytes == 0 || size_bytes % block_bytes != 0)
		return store_problem_say(problem, -EINVAL,
			"%s:%s: must be a multiple of the block size, %u bytes, and not 0",
			kind->name, size_text, block_bytes);
	error = kind->make(size_bytes, options, ret_store);
	if (error != 0)
		return store_problem_say(problem, error, "%s:%s: %s", kind->name, size_text,
			error == -ENOMEM ? "is more memory than there is" : strerror(-error));
	return 0;
}

int store_open(const char *text, struct store **ret_store, char *ret_problem, size_t problem_bytes)
{
	const struct store_problem problem = {ret_problem, problem_bytes};
	struct store_options options = {0};
	char name[STORE_NAME_MAX];
	const char *rest = take_name(text, name);
	int error;

	if (rest == NULL)
		return store_problem_say(&problem, -ENAMETOOLONG,
			"%.32s...: a name has at most %d bytes", text, STORE_NAME_MAX - 1);
	if (name[0] == '\0')
		return store_problem_say(&problem, -EINVAL, "the name of a disk is missing");
	error = parse_options(rest, &options, &problem);
	if (error != 0)
		return error;
	for (size_t i = 0; i < ARRAY_LENGTH(sized_kinds); i++) {
		const struct sized_kind *kind = &sized_kinds[i];
		size_t bytes = strlen(kind->name);

		if (strncmp(name, kind->name, bytes) == 0 && name[bytes] == ':')
			return open_sized(kind, name + bytes + 1, &options, &problem, ret_store);
	}
	return file_store_open(name, &options, &problem, ret_store);
}

bool store_measure(struct store *store)
{
	uint64_t bytes;

	if (store->operations->measure == NULL || store->operations->measure(store, &bytes) != 0)
		return false;
	bytes -= bytes % store->block_bytes;
	return atomic_exchange(&store->size_bytes, bytes) != bytes;
}

void store_free(struct store *store)
{
	if (store != NULL)
		store->operations->free(store);
}
