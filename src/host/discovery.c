/*
 * Text of a record is made printable as it is taken, so that nothing a target says reaches a terminal
 * as it came. A URL is made only of what reads back as the same address and the same name.
 */
#include "host/discovery.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "host/url.h"
#include "nvme/nqn.h"

static_assert(sizeof(((struct ferry_host_record *)0)->nqn) == NVME_NQN_TEXT_MAX, "public");
static_assert(sizeof(((struct ferry_host_record *)0)->address) == NVME_TRADDR_BYTES + 1, "public");
static_assert(sizeof(((struct ferry_host_record *)0)->service) == NVME_TRSVCID_BYTES + 1, "public");
static_assert(DISCOVERY_PIECE_MAX % sizeof(struct nvme_discovery_record) == 0, "whole records");

__attribute__((format(printf, 3, 4))) static int fail(struct discovery *discovery, int error,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(discovery->problem, sizeof(discovery->problem), format, arguments);
	va_end(arguments);
	return error;
}

/* Records */

/* @return whether the address is a numeric one of the family that the record says. */
static bool take_address(const struct ferry_host_record *record, struct url_address *ret_address)
{
	struct url_address address = {.has_port = true};
	uint8_t binary[16];
	uint64_t port;
	int family;

	if (record->transport != NVME_TRTYPE_TCP)
		return false;
	if (record->address_family == NVME_ADRFAM_IPV4)
		family = AF_INET;
	else if (record->address_family == NVME_ADRFAM_IPV6)
		family = AF_INET6;
	else
		return false;
	if (inet_pton(family, record->address, binary) != 1)
		return false;
	if (text_parse_number(record->service, 1, UINT16_MAX, &port) != 0)
		return false;
	if (!text_copy(address.host, sizeof(address.host), record->address))
		return false;
	address.port = (uint16_t)port;
	*ret_address = address;
	return true;
}

static bool means_the_same(const struct ferry_host_record *record,
	const struct url_address *address)
{
	struct host_url parsed;
	const char *problem;

	return host_url_parse(record->url, &parsed, &problem) == 0 &&
		strcmp(parsed.nqn, record->nqn) == 0 && parsed.nsid == HOST_URL_NSID_DEFAULT &&
		strcmp(parsed.address.host, address->host) == 0 &&
		parsed.address.port == address->port;
}

/* Set the URL, or "" if there is none that leads there. */
static void make_url(struct ferry_host_record *record)
{
	char text[URL_ADDRESS_TEXT_MAX];
	struct url_address address;
	int length;

	record->url[0] = '\0';
	if (!take_address(record, &address))
		return;
	url_address_to_text(&address, text);
	if (record->subsystem_type != NVME_SUBTYPE_NVM) {
		(void)snprintf(record->url, sizeof(record->url), HOST_URL_SCHEME "://%s", text);
		return;
	}
	length = snprintf(record->url, sizeof(record->url), HOST_URL_SCHEME "://%s/%s", text,
		record->nqn);
	/* A name that ends in a number as an NSID would. */
	if (!means_the_same(record, &address) && length > 0 &&
		(size_t)length + sizeof("/1") <= sizeof(record->url))
		memcpy(record->url + length, "/1", sizeof("/1"));
	if (!means_the_same(record, &address))
		record->url[0] = '\0';
}

int discovery_record_of(const struct nvme_discovery_record *from,
	struct ferry_host_record *ret_record)
{
	struct ferry_host_record record = {
		.struct_bytes = sizeof(record),
		.transport = from->trtype,
		.address_family = from->adrfam,
		.subsystem_type = from->subtype,
		.requirements = from->treq,
		.security = from->trtype == NVME_TRTYPE_TCP ? from->sectype : 0,
		.port_id = le16_get(from->portid),
		.cntlid = le16_get(from->cntlid),
		.admin_entries = le16_get(from->asqsz),
		.flags = le16_get(from->eflags),
	};

	if (from->subtype < NVME_SUBTYPE_REFERRAL || from->subtype > NVME_SUBTYPE_CURRENT)
		return -EINVAL;
	if (nvme_nqn_from_field(from->subnqn, record.nqn) != 0)
		return -EINVAL;
	text_from_field(record.address, from->traddr, sizeof(from->traddr));
	text_from_field(record.service, from->trsvcid, sizeof(from->trsvcid));
	make_url(&record);
	*ret_record = record;
	return 0;
}

/* The log */

void discovery_init(struct discovery *discovery, uint32_t piece_bytes)
{
	assert(piece_bytes >= sizeof(struct nvme_discovery_record));
	if (piece_bytes > DISCOVERY_PIECE_MAX)
		piece_bytes = DISCOVERY_PIECE_MAX;
	*discovery = (struct discovery){
		.state = DISCOVERY_HEADER,
		.piece_bytes =
			piece_bytes - piece_bytes % (uint32_t)sizeof(struct nvme_discovery_record),
		.tries = 1,
	};
}

void discovery_deinit(struct discovery *discovery)
{
	free(discovery->records);
	discovery->records = NULL;
	discovery->record_count = 0;
}

static uint32_t piece_records(const struct discovery *discovery)
{
	uint32_t most = discovery->piece_bytes / (uint32_t)sizeof(struct nvme_discovery_record);
	uint32_t left = discovery->announced_count - discovery->seen_count;

	return left < most ? left : most;
}

void discovery_next(const struct discovery *discovery, struct nvme_get_log_page *ret_fields)
{
	struct nvme_get_log_page fields = {
		.lid = NVME_LOG_PAGE_DISCOVERY,
		.is_event_retained = true,
		.length_bytes = sizeof(struct nvme_discovery_log),
	};

	assert(discovery->state != DISCOVERY_COMPLETE);
	if (discovery->state == DISCOVERY_RECORDS) {
		fields.offset = sizeof(struct nvme_discovery_log) +
			(uint64_t)discovery->seen_count * sizeof(struct nvme_discovery_record);
		fields.length_bytes =
			(uint64_t)piece_records(discovery) * sizeof(struct nvme_discovery_record);
	}
	*ret_fields = fields;
}

static int begin_records(struct discovery *discovery, const struct nvme_discovery_log *header)
{
	uint64_t count = le64_get(header->numrec);

	if (le16_get(header->recfmt) != 0)
		return fail(discovery, -EPROTO,
			"the target's discovery log has records of format %u, which is not known",
			le16_get(header->recfmt));
	if (count > FERRY_HOST_RECORDS_MAX)
		return fail(discovery, -EMSGSIZE,
			"the target's discovery log has %llu records: more than %u are not read",
			(unsigned long long)count, FERRY_HOST_RECORDS_MAX);
	discovery_deinit(discovery);
	discovery->generation = le64_get(header->genctr);
	discovery->announced_count = (uint32_t)count;
	discovery->seen_count = 0;
	discovery->left_out_count = 0;
	discovery->state = count > 0 ? DISCOVERY_RECORDS : DISCOVERY_COMPLETE;
	if (count == 0)
		return 0;
	discovery->records = calloc(count, sizeof(*discovery->records));
	return discovery->records != NULL ? 0 : fail(discovery, -ENOMEM, "out of memory");
}

static int count_try(struct discovery *discovery)
{
	if (discovery->tries == DISCOVERY_TRIES_MAX)
		return fail(discovery, -EAGAIN,
			"the target's discovery log changed each time it was read, %u times",
			DISCOVERY_TRIES_MAX);
	discovery->tries++;
	return 0;
}

static int take_header(struct discovery *discovery, const uint8_t *page)
{
	struct nvme_discovery_log header;
	int error;

	memcpy(&header, page, sizeof(header));
	if (discovery->state == DISCOVERY_AGAIN) {
		if (le64_get(header.genctr) == discovery->generation &&
			le64_get(header.numrec) == discovery->announced_count) {
			discovery->state = DISCOVERY_COMPLETE;
			return 0;
		}
		error = count_try(discovery);
		if (error != 0)
			return error;
	}
	return begin_records(discovery, &header);
}

static void take_records(struct discovery *discovery, const uint8_t *page)
{
	uint32_t count = piece_records(discovery);

	for (uint32_t i = 0; i < count; i++) {
		struct nvme_discovery_record record;

		memcpy(&record, page + i * sizeof(record), sizeof(record));
		if (discovery_record_of(&record, &discovery->records[discovery->record_count]) == 0)
			discovery->record_count++;
		else
			discovery->left_out_count++;
	}
	discovery->seen_count += count;
	if (discovery->seen_count == discovery->announced_count)
		discovery->state = DISCOVERY_AGAIN;
}

int discovery_take(struct discovery *discovery, const uint8_t *page)
{
	assert(discovery->state != DISCOVERY_COMPLETE);
	if (discovery->state != DISCOVERY_RECORDS)
		return take_header(discovery, page);
	take_records(discovery, page);
	return 0;
}

int discovery_restart(struct discovery *discovery)
{
	assert(discovery->state != DISCOVERY_COMPLETE);
	discovery->state = DISCOVERY_HEADER;
	return count_try(discovery);
}
