/*
 * A host that reads a discovery log: each answer is a right one, changed by the input. Whatever it
 * says, the reading ends, and what it gives is text that can be printed and URLs that lead to where
 * the record says. Deepest: a log of several pieces that is complete after it has changed.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  KiB the controller transfers at once, less 1
 *       1     -  for each answer: 0 Discover Restart; else 1 + a count of changes (modulo 8), then for
 *                each change its offset (2 bytes, little-endian), its length and its bytes
 *
 * When the input has ended answers are right ones.
 */
#include "host/discovery.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/reader.h"
#include "base/text.h"
#include "host/url.h"
#include "nvme/nqn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define NQN         "nqn.2024-01.org.example:disk"
#define CHANGES_MAX 7
/* The longest log in the smallest pieces, each try. */
#define ANSWERS_MAX ((FERRY_HOST_RECORDS_MAX + 2u) * (DISCOVERY_TRIES_MAX + 1u))

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

/* What the fuzzer changes: a log of 20 records. */
static void make_page(const struct nvme_get_log_page *fields, uint8_t page[DISCOVERY_PIECE_MAX])
{
	struct nvme_discovery_log header = {.genctr = le64_of(1), .numrec = le64_of(20)};
	struct nvme_discovery_record record = {
		.trtype = NVME_TRTYPE_TCP,
		.adrfam = NVME_ADRFAM_IPV4,
		.subtype = NVME_SUBTYPE_NVM,
		.cntlid = le16_of(NVME_CNTLID_DYNAMIC),
	};

	text_to_field(record.traddr, sizeof(record.traddr), "192.0.2.1", ' ');
	text_to_field(record.trsvcid, sizeof(record.trsvcid), "4420", ' ');
	nvme_nqn_to_field(record.subnqn, NQN);
	if (fields->offset == 0)
		memcpy(page, &header, sizeof(header));
	for (size_t at = 0; fields->offset > 0 && at < fields->length_bytes; at += sizeof(record))
		memcpy(page + at, &record, sizeof(record));
}

static void change_page(struct reader *reader, uint8_t count, uint8_t *page, size_t page_bytes)
{
	for (uint8_t i = 0; i < count; i++) {
		size_t offset = reader_le16(reader) % page_bytes;
		size_t bytes = reader_u8(reader);
		const uint8_t *from;

		if (bytes > page_bytes - offset)
			bytes = page_bytes - offset;
		from = reader_bytes(reader, bytes);
		if (from != NULL)
			memcpy(page + offset, from, bytes);
	}
}

static int answer(struct discovery *discovery, struct reader *reader)
{
	static uint8_t page[DISCOVERY_PIECE_MAX];
	struct nvme_get_log_page fields;
	uint8_t kind = reader->left_bytes > 0 ? reader_u8(reader) : 1;

	discovery_next(discovery, &fields);
	assert(fields.length_bytes > 0 && fields.length_bytes <= DISCOVERY_PIECE_MAX);
	if (kind == 0)
		return discovery_restart(discovery);
	make_page(&fields, page);
	change_page(reader, (kind - 1) & CHANGES_MAX, page, (size_t)fields.length_bytes);
	return discovery_take(discovery, page);
}

static void check_text(const char *text, size_t bytes_max)
{
	size_t bytes = strnlen(text, bytes_max);

	assert(bytes < bytes_max);
	for (size_t i = 0; i < bytes; i++)
		assert((uint8_t)text[i] >= ' ' && text[i] != 0x7f);
}

static void check_record(const struct ferry_host_record *record)
{
	struct host_url url;
	const char *problem;
	int error;

	check_text(record->nqn, sizeof(record->nqn));
	check_text(record->address, sizeof(record->address));
	check_text(record->service, sizeof(record->service));
	check_text(record->url, sizeof(record->url));
	assert(record->nqn[0] != '\0');
	if (record->url[0] == '\0')
		return;
	assert(record->transport == NVME_TRTYPE_TCP);
	if (record->subsystem_type == NVME_SUBTYPE_NVM) {
		error = host_url_parse(record->url, &url, &problem);
		assert(error == 0 && strcmp(url.nqn, record->nqn) == 0);
	} else {
		error = host_url_parse_discovery(record->url, &url, &problem);
		assert(error == 0);
	}
	assert(strcmp(url.address.host, record->address) == 0 && url.address.port != 0);
}

static void check_log(const struct discovery *discovery)
{
	assert(discovery->record_count + discovery->left_out_count == discovery->announced_count);
	for (uint32_t i = 0; i < discovery->record_count; i++)
		check_record(&discovery->records[i]);
	is_deep = discovery->tries > 1 && discovery->announced_count > 16 &&
		discovery->left_out_count > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct reader reader = reader_over(data, data_bytes);
	struct discovery discovery;
	unsigned answers = 0;
	int error = 0;

	is_deep = false;
	discovery_init(&discovery, (reader_u8(&reader) + 1u) * 1024);
	while (error == 0 && discovery.state != DISCOVERY_COMPLETE) {
		error = answer(&discovery, &reader);
		answers++;
		assert(answers < ANSWERS_MAX);
	}
	if (error == 0)
		check_log(&discovery);
	else
		assert(error < 0 && (discovery.problem[0] != '\0'));
	discovery_deinit(&discovery);
	return 0;
}
