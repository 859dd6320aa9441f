/*
 * ferry disk info: connects, and says what the target tells of the disk.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "cmd/disk.h"
#include "cmd/message.h"
#include "cmd/option.h"
#include "ferry/host.h"

#define VERB "disk info"

static enum option_outcome parse(int argc, char **argv, struct ferry_host_options *ret_options,
	struct option_list *ret_arguments)
{
	bool has_header_digest = false, has_data_digest = false;
	enum option_outcome outcome;
	const struct option_row rows[] = {
		{"host-nqn", "NQN",
			"the name to connect by (default: /etc/nvme/hostnqn, else made of this\n"
			"machine's id)",
			OPTION_TEXT, {.text = &ret_options->host_nqn}, 0, 0},
		{"header-digest", NULL,
			"have checksums of headers; a target that refuses is refused", OPTION_FLAG,
			{.is_set = &has_header_digest}, 0, 0},
		{"data-digest", NULL, "have checksums of data, the same way", OPTION_FLAG,
			{.is_set = &has_data_digest}, 0, 0},
	};
	const struct option_table table = {
		.verb = VERB,
		.usage = "[OPTIONS] URL",
		.description =
			"Say what the disk at URL is: nvme-tcp://HOST[:PORT]/NQN[/NSID], where "
			"PORT is 4420 and\nNSID is 1 unless said.",
		.footer = "Examples:\n"
			  "  ferry disk info nvme-tcp://127.0.0.1/nqn.2026-01.org.example:disk1\n"
			  "  ferry disk info nvme-tcp://[::1]:4420/nqn.2026-01.org.example:disk1/2",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows),
	};

	outcome = option_parse(&table, argc, argv, ret_arguments);
	ret_options->header_digest = has_header_digest;
	ret_options->data_digest = has_data_digest;
	return outcome;
}

__attribute__((format(printf, 2, 3))) static void say(const char *name, const char *format, ...)
{
	va_list arguments;

	printf("%-18s", name);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void say_size(const char *name, uint64_t bytes)
{
	char size[TEXT_SIZE_MAX];

	text_from_size(bytes, size);
	say(name, "%s", size);
}

static void say_identity(const struct ferry_host_info *info)
{
	static const uint8_t none[UUID_BYTES];
	char uuid[UUID_TEXT_BYTES] = "none";

	if (memcmp(info->uuid, none, sizeof(none)) != 0)
		uuid_to_text(info->uuid, uuid);
	say("address", "%s", info->address);
	say("subsystem", "%s", info->nqn);
	say("namespace", "%u", info->nsid);
	say("uuid", "%s", uuid);
	say("model", "%s", info->model);
	say("serial", "%s", info->serial);
	say("firmware", "%s", info->firmware);
	say("NVMe version", "%u.%u.%u", info->version >> 16, info->version >> 8 & 0xff,
		info->version & 0xff);
}

static void say_capacity(const struct ferry_host_info *info)
{
	uint64_t bytes = info->block_count * info->block_bytes;
	char size[TEXT_SIZE_MAX];

	text_from_size(bytes, size);
	say("size", "%s (%" PRIu64 " bytes, %" PRIu64 " blocks)", size, bytes, info->block_count);
	say("block size", "%u bytes", info->block_bytes);
	say("access", "%s", info->is_read_only ? "read-only" : "read and write");
	say("write cache", "%s",
		info->has_write_cache ? "yes: a write is stable after a flush" : "no");
}

static const char *digests(const struct ferry_host_info *info)
{
	if (info->header_digest)
		return info->data_digest ? "header and data" : "header";
	return info->data_digest ? "data" : "none";
}

static void say_all(const char *url, const struct ferry_host_info *info)
{
	say("url", "%s", url);
	say_identity(info);
	say_capacity(info);
	say("controller", "%u", info->cntlid);
	say_size("largest command", info->transfer_bytes);
	say_size("in capsule", info->capsule_bytes);
	say("I/O queues", "%u of %u entries", info->io_queues, info->queue_entries);
	say("digests", "%s", digests(info));
	say("connected as", "%s", info->host_nqn);
}

int disk_info(int argc, char **argv)
{
	struct ferry_host_options options = {.struct_bytes = sizeof(options)};
	struct ferry_host_info info = {.struct_bytes = sizeof(info)};
	struct option_list arguments = {0};
	char problem[FERRY_HOST_ERROR_MAX];
	struct ferry_host *host;
	enum option_outcome outcome;
	const char *url;
	int error;

	outcome = parse(argc, argv, &options, &arguments);
	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	url = arguments.count == 1 ? arguments.items[0] : NULL;
	option_list_deinit(&arguments);
	if (url == NULL)
		return complain_usage(VERB, "one URL is needed: nvme-tcp://HOST[:PORT]/NQN[/NSID]");
	error = ferry_host_open(url, &options, &host, problem);
	if (error < 0) {
		complain(VERB, "%s", problem);
		return EXIT_STATUS_FAILED;
	}
	error = ferry_host_get_info(host, &info);
	if (error == 0)
		say_all(url, &info);
	else
		complain(VERB, "%s", ferry_host_error(host));
	ferry_host_close(host);
	return error < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
