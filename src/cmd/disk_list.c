/*
 * ferry disk list: asks a target what it lends.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/url.h"
#include "cmd/disk.h"
#include "cmd/message.h"
#include "cmd/option.h"
#include "ferry/host.h"
#include "nvme/discovery.h"

#define VERB "disk list"

struct list_options {
	struct ferry_host_options host;
	bool is_json;
};

static enum option_outcome parse(int argc, char **argv, struct list_options *ret_options,
	struct option_list *ret_arguments)
{
	bool has_header_digest = false, has_data_digest = false;
	enum option_outcome outcome;
	const struct option_row rows[] = {
		{"json", NULL, "print all that is told, as JSON", OPTION_FLAG,
			{.is_set = &ret_options->is_json}, 0, 0},
		{"host-nqn", "NQN",
			"the name to ask by (default: /etc/nvme/hostnqn, else made of this machine's\n"
			"id): a host is shown what it may use",
			OPTION_TEXT, {.text = &ret_options->host.host_nqn}, 0, 0},
		{"header-digest", NULL,
			"have checksums of headers; a target that refuses is refused", OPTION_FLAG,
			{.is_set = &has_header_digest}, 0, 0},
		{"data-digest", NULL, "have checksums of data, the same way", OPTION_FLAG,
			{.is_set = &has_data_digest}, 0, 0},
	};
	const struct option_table table = {
		.verb = VERB,
		.usage = "[OPTIONS] ADDRESS",
		.description =
			"Ask the target at ADDRESS, nvme-tcp://HOST[:PORT], what it lends to this "
			"host. PORT is 8009\nunless said; ferry serve answers at the port of its "
			"disks too.",
		.footer = "Examples:\n"
			  "  ferry disk list nvme-tcp://192.0.2.1\n"
			  "  ferry disk list --json nvme-tcp://[::1]:4420",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows),
	};

	outcome = option_parse(&table, argc, argv, ret_arguments);
	ret_options->host.header_digest = has_header_digest;
	ret_options->host.data_digest = has_data_digest;
	return outcome;
}

/* Words */

static const char *type_name(uint8_t type)
{
	if (type == NVME_SUBTYPE_NVM)
		return "disk";
	return type == NVME_SUBTYPE_REFERRAL ? "referral" : "discovery";
}

static const char *transport_name(uint8_t transport)
{
	switch (transport) {
	case NVME_TRTYPE_RDMA:
		return "rdma";
	case NVME_TRTYPE_FC:
		return "fc";
	case NVME_TRTYPE_TCP:
		return "tcp";
	case NVME_TRTYPE_LOOP:
		return "loop";
	default:
		return "unknown";
	}
}

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NVME_ADRFAM_IPV4:
		return "ipv4";
	case NVME_ADRFAM_IPV6:
		return "ipv6";
	case NVME_ADRFAM_INFINIBAND:
		return "ib";
	case NVME_ADRFAM_FC:
		return "fc";
	case NVME_ADRFAM_LOOP:
		return "loop";
	default:
		return "unknown";
	}
}

static void print_line(const struct ferry_host_record *record)
{
	if (record->url[0] != '\0')
		printf("%-10s %s\n", type_name(record->subsystem_type), record->url);
	else
		printf("%-10s %s (%s, %s %s)\n", type_name(record->subsystem_type), record->nqn,
			transport_name(record->transport), record->address, record->service);
}

/* JSON: texts are UTF-8 without control characters. */

static void print_text(const char *name, const char *text)
{
	printf("\"%s\": \"", name);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void print_record(const struct ferry_host_record *record)
{
	const struct {
		const char *name;
		const char *text;
	} texts[] = {
		{"type", type_name(record->subsystem_type)},
		{"nqn", record->nqn},
		{"transport", transport_name(record->transport)},
		{"address_family", family_name(record->address_family)},
		{"address", record->address},
		{"service", record->service},
	};

	printf("    {");
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		print_text(texts[i].name, texts[i].text);
		printf(", ");
	}
	if (record->url[0] != '\0')
		print_text("url", record->url);
	else
		printf("\"url\": null");
	printf(", \"port_id\": %u, \"cntlid\": %u, \"admin_entries\": %u, \"requirements\": %u, "
	       "\"security\": %u, \"flags\": %u}",
		record->port_id, record->cntlid, record->admin_entries, record->requirements,
		record->security, record->flags);
}

static void print_all(const struct ferry_host_discovery *discovery, bool is_json)
{
	uint32_t count = ferry_host_discovery_count(discovery);

	if (is_json)
		printf("{\n  \"generation\": %" PRIu64 ",\n  \"left_out\": %u,\n  \"records\": [",
			ferry_host_discovery_generation(discovery),
			ferry_host_discovery_left_out(discovery));
	for (uint32_t i = 0; i < count; i++) {
		struct ferry_host_record record = {.struct_bytes = sizeof(record)};

		if (ferry_host_discovery_record(discovery, i, &record) != 0)
			break;
		if (is_json) {
			printf(i > 0 ? ",\n" : "\n");
			print_record(&record);
		} else {
			print_line(&record);
		}
	}
	if (is_json)
		printf("%s]\n}\n", count > 0 ? "\n  " : "");
}

/* Say why, and where else a target may answer. */
static void complain_of(const char *url, int error, const char *problem)
{
	const char *text;
	struct url parsed;

	if (error == -ECONNREFUSED && url_parse(url, &parsed, &text) == 0 &&
		!parsed.address.has_port)
		complain(VERB, "%s; perhaps it answers at the port of its disks: %s:%u", problem,
			url, NVME_TCP_PORT);
	else
		complain(VERB, "%s", problem);
}

int disk_list(int argc, char **argv)
{
	struct list_options options = {.host = {.struct_bytes = sizeof(options.host)}};
	struct option_list arguments = {0};
	char problem[FERRY_HOST_ERROR_MAX];
	struct ferry_host_discovery *discovery;
	enum option_outcome outcome;
	const char *url;
	int error;

	outcome = parse(argc, argv, &options, &arguments);
	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	url = arguments.count == 1 ? arguments.items[0] : NULL;
	option_list_deinit(&arguments);
	if (url == NULL)
		return complain_usage(VERB, "one address is needed: nvme-tcp://HOST[:PORT]");
	error = ferry_host_discover(url, &options.host, &discovery, problem);
	if (error < 0) {
		complain_of(url, error, problem);
		return EXIT_STATUS_FAILED;
	}
	print_all(discovery, options.is_json);
	if (!options.is_json && ferry_host_discovery_left_out(discovery) > 0)
		complain(VERB, "%s: %u records make no sense and are left out", url,
			ferry_host_discovery_left_out(discovery));
	ferry_host_discovery_free(discovery);
	return EXIT_STATUS_OK;
}
