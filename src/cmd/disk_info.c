/*
 * ferry disk info: connects, and says what the target tells of the disk.
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "cmd/disk.h"
#include "cmd/message.h"
#include "cmd/option.h"
#include "ferry/host.h"

#define VERB "disk info"

static enum option_outcome parse(int argc, char **argv, const char **ret_host_nqn,
	struct option_list *ret_arguments)
{
	const struct option_row rows[] = {
		{"host-nqn", "NQN",
			"the name to connect by (default: /etc/nvme/hostnqn, else made of this\n"
			"machine's id)",
			OPTION_TEXT, {.text = ret_host_nqn}, 0, 0},
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

	return option_parse(&table, argc, argv, ret_arguments);
}

static void print_line(const char *name, const char *text)
{
	printf("%-18s%s\n", name, text[0] != '\0' ? text : "-");
}

static void print_size(const char *name, uint64_t bytes)
{
	char size[TEXT_SIZE_MAX];

	text_from_size(bytes, size);
	printf("%-18s%s\n", name, size);
}

static void print_capacity(const struct ferry_host_info *info)
{
	uint64_t bytes = info->block_count * info->block_bytes;
	char size[TEXT_SIZE_MAX];

	text_from_size(bytes, size);
	printf("%-18s%s (%llu bytes, %llu blocks)\n", "size", size, (unsigned long long)bytes,
		(unsigned long long)info->block_count);
	printf("%-18s%u bytes\n", "block size", info->block_bytes);
}

static void print_identity(const struct ferry_host_info *info)
{
	static const uint8_t none[UUID_BYTES];
	char uuid[UUID_TEXT_BYTES] = "";

	if (memcmp(info->uuid, none, sizeof(none)) != 0)
		uuid_to_text(info->uuid, uuid);
	print_line("address", info->address);
	print_line("subsystem", info->nqn);
	printf("%-18s%u\n", "namespace", info->nsid);
	print_line("uuid", uuid);
	print_line("model", info->model);
	print_line("serial", info->serial);
	print_line("firmware", info->firmware);
	printf("%-18s%u.%u.%u\n", "NVMe version", info->version >> 16, info->version >> 8 & 0xff,
		info->version & 0xff);
}

static void print_info(const char *url, const struct ferry_host_info *info)
{
	print_line("url", url);
	print_identity(info);
	print_capacity(info);
	print_line("access", info->is_read_only ? "read-only" : "read and write");
	print_line("write cache",
		info->has_write_cache ? "yes: a write is stable after a flush" : "no");
	printf("%-18s%u\n", "controller", info->cntlid);
	print_size("largest command", info->transfer_bytes);
	print_size("in capsule", info->capsule_bytes);
	printf("%-18s%u of %u entries\n", "I/O queues", info->io_queues, info->queue_entries);
	print_line("connected as", info->host_nqn);
}

int disk_info(int argc, char **argv)
{
	struct ferry_host_options options = {.struct_bytes = sizeof(options)};
	struct ferry_host_info info = {.struct_bytes = sizeof(info)};
	struct option_list arguments = {0};
	char problem[FERRY_HOST_ERROR_MAX];
	struct ferry_host *host;
	const char *url;
	int error;

	switch (parse(argc, argv, &options.host_nqn, &arguments)) {
	case OPTION_HELPED:
		return EXIT_STATUS_OK;
	case OPTION_WRONG:
		return EXIT_STATUS_USAGE;
	case OPTION_PARSED:
		break;
	}
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
		print_info(url, &info);
	else
		complain(VERB, "%s", ferry_host_error(host));
	ferry_host_close(host);
	return error < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
