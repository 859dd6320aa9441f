/*
 * The target's Identify data, judged: what a host of ours cannot work with is refused with words
 * before a block is read.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "host/association_private.h"
#include "nvme/identify_namespace.h"
#include "nvme/property.h"

#define COMMAND_UNITS   (sizeof(struct nvme_command) / NVME_CAPSULE_UNIT_BYTES)
#define BLOCK_SHIFT_MAX 16 /* 64 KiB */

static uint32_t transfer_bytes(const struct association *association, uint8_t mdts)
{
	unsigned shift = mdts + nvme_cap_page_shift(association->facts.cap);

	if (mdts == 0 || shift >= 31 || (1u << shift) > ASSOCIATION_TRANSFER_MAX)
		return ASSOCIATION_TRANSFER_MAX;
	return 1u << shift;
}

static int refuse(struct association *association, const char *what)
{
	association_say(association, "the target's controller is of no use: %s", what);
	return -EPROTO;
}

static uint16_t fewer(uint16_t wanted, uint32_t limit)
{
	return limit < wanted ? (uint16_t)limit : wanted;
}

int association_take_controller(struct association *association)
{
	struct association_facts *facts = &association->facts;
	struct nvme_identify_controller controller;
	uint32_t ioccsz;

	memcpy(&controller, association->page, sizeof(controller));
	if (le16_get(controller.cntlid) != facts->cntlid)
		return refuse(association, "it names another controller than Connect did (CNTLID)");
	if ((le32_get(controller.sgls) & NVME_SGLS_MASK) == 0)
		return refuse(association, "it has no SGLs (SGLS)");
	if (le16_get(controller.icdoff) != 0)
		return refuse(association, "it wants a gap before in-capsule data (ICDOFF)");
	ioccsz = le32_get(controller.ioccsz);
	if (ioccsz < COMMAND_UNITS || le32_get(controller.iorcsz) < 1)
		return refuse(association, "a capsule cannot hold a command (IOCCSZ, IORCSZ)");
	ioccsz -= (uint32_t)COMMAND_UNITS;
	/* More than a command's data is of no use. */
	facts->capsule_bytes = ioccsz > ASSOCIATION_TRANSFER_MAX / NVME_CAPSULE_UNIT_BYTES
		? ASSOCIATION_TRANSFER_MAX
		: ioccsz * NVME_CAPSULE_UNIT_BYTES;
	facts->transfer_bytes = transfer_bytes(association, controller.mdts);
	facts->has_write_cache = (controller.vwc & NVME_VWC_PRESENT) != 0;
	facts->is_keep_alive_supported = le16_get(controller.kas) != 0;
	facts->is_keep_alive_by_traffic = (le32_get(controller.ctratt) & NVME_CTRATT_TBKAS) != 0;
	facts->queue_entries =
		fewer(association->options.queue_entries, nvme_cap_queue_entries(facts->cap));
	if (le16_get(controller.maxcmd) >= 2)
		facts->queue_entries = fewer(facts->queue_entries, le16_get(controller.maxcmd));
	if (facts->queue_entries < 2)
		return refuse(association, "its queues have less than 2 entries (CAP.MQES)");
	text_from_field(facts->model, controller.mn, sizeof(controller.mn));
	text_from_field(facts->serial, controller.sn, sizeof(controller.sn));
	text_from_field(facts->firmware, controller.fr, sizeof(controller.fr));
	return 0;
}

int association_take_discovery_controller(struct association *association)
{
	struct association_facts *facts = &association->facts;
	struct nvme_identify_controller controller;

	memcpy(&controller, association->page, sizeof(controller));
	if (le16_get(controller.cntlid) != facts->cntlid)
		return refuse(association, "it names another controller than Connect did (CNTLID)");
	facts->transfer_bytes = transfer_bytes(association, controller.mdts);
	return 0;
}

int association_take_namespace(struct association *association)
{
	struct association_facts *facts = &association->facts;
	uint32_t nsid = association->options.nsid;
	struct nvme_identify_namespace ns;
	struct nvme_lba_format format;

	memcpy(&ns, association->page, sizeof(ns));
	format = ns.lbaf[nvme_identify_namespace_format(&ns)];
	facts->block_count = le64_get(ns.nsze);
	facts->block_shift = format.lbads;
	facts->is_read_only = (ns.nsattr & NVME_NSATTR_WRITE_PROTECTED) != 0;
	if (facts->block_count == 0) {
		association_say(association, "the subsystem has no namespace %u", nsid);
		return -ENXIO;
	}
	if (format.lbads < NVME_LBADS_MIN || format.lbads > BLOCK_SHIFT_MAX ||
		facts->block_count > (uint64_t)INT64_MAX >> format.lbads) {
		association_say(association,
			"namespace %u has blocks of 2^%u bytes, %llu of them, which no disk has",
			nsid, format.lbads, (unsigned long long)facts->block_count);
		return -EPROTO;
	}
	if (le16_get(format.ms) != 0) {
		association_say(association,
			"the blocks of namespace %u carry %u bytes of metadata, which is not "
			"supported: format it without",
			nsid, le16_get(format.ms));
		return -EOPNOTSUPP;
	}
	if (facts->transfer_bytes >> format.lbads == 0)
		return refuse(association, "it transfers less than a block at a time (MDTS)");
	return 0;
}

void association_take_descriptors(struct association *association)
{
	const uint8_t *page = association->page;
	struct nvme_namespace_descriptor descriptor;
	size_t at = 0;

	while (at + sizeof(descriptor) <= NVME_IDENTIFY_BYTES) {
		memcpy(&descriptor, page + at, sizeof(descriptor));
		at += sizeof(descriptor);
		if (descriptor.nidl == 0 || descriptor.nidl > NVME_IDENTIFY_BYTES - at)
			return;
		if (descriptor.nidt == NVME_NIDT_UUID && descriptor.nidl == UUID_BYTES)
			memcpy(association->facts.uuid, page + at, UUID_BYTES);
		at += descriptor.nidl;
	}
}
