/*
 * Pages about namespaces. There is one LBA format, no metadata and no protection information.
 */
#include "target/identify_namespace.h"

#include <string.h>

#include "base/writer.h"
#include "nvme/identify_namespace.h"
#include "nvme/io_command.h"
#include "target/controller.h"
#include "target/io.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target.h"

static const struct subsystem *subsystem_of(const struct target_request *request)
{
	return request->queue->controller->subsystem;
}

static const struct namespace *namespace_of(const struct target_request *request)
{
	return subsystem_namespace(subsystem_of(request), le32_get(request->base.command.nsid));
}

static uint8_t namespace_attributes(const struct namespace *namespace)
{
	return namespace->store->is_read_only ? NVME_NSATTR_WRITE_PROTECTED : 0;
}

/* Bytes as NPWG and the like have them: blocks, 0-based. */
static le16 granularity(const struct namespace *namespace, uint32_t bytes)
{
	uint32_t block_count = bytes >> namespace->block_shift;

	return le16_of((uint16_t)((block_count > 0x10000 ? 0x10000 : block_count) - 1));
}

void identify_fill_namespace(const struct target_request *request, void *to)
{
	const struct namespace *namespace = namespace_of(request);
	bool has_changed = store_measure(namespace->store); /* that nobody has noticed yet */
	struct nvme_identify_namespace *page = to;
	le64 block_count = le64_of(namespace_block_count(namespace));
	le16 writing = granularity(namespace, namespace->store->preferred_bytes);
	le16 discarding = granularity(namespace, namespace->store->discard_bytes);

	page->nsze = block_count;
	page->ncap = block_count;
	page->nuse = block_count;
	page->nsfeat = NVME_NSFEAT_OPTPERF;
	page->npwg = writing;
	page->npwa = writing;
	page->npdg = discarding;
	page->npda = discarding;
	page->nows = writing;
	page->mssrl = le16_of((uint16_t)io_copy_range_blocks(namespace));
	page->mcl = le32_of(io_copy_blocks(namespace));
	page->msrc = NVME_COPY_RANGES_MAX - 1;
	if (namespace->store->can_discard)
		page->dlfeat = NVME_DLFEAT_READ_ZEROES | NVME_DLFEAT_WRITE_ZEROES;
	page->nmic = NVME_NMIC_SHARED;
	page->nsattr = namespace_attributes(namespace);
	page->lbaf[0].lbads = namespace->block_shift;
	if (has_changed)
		target_note_store(request->queue->target, namespace->store);
}

void identify_fill_namespace_list(const struct target_request *request, void *to)
{
	uint32_t after = le32_get(request->base.command.nsid);
	uint32_t count = subsystem_of(request)->namespace_count;
	struct nvme_nsid_list *page = to;

	for (uint32_t i = 0; i < NVME_NSID_LIST_MAX && after + i < count; i++)
		page->nsid[i] = le32_of(after + i + 1);
}

void identify_fill_descriptors(const struct target_request *request, void *to)
{
	struct writer writer = writer_over(to, NVME_IDENTIFY_BYTES);
	struct nvme_namespace_descriptor uuid = {.nidt = NVME_NIDT_UUID, .nidl = 16};
	struct nvme_namespace_descriptor command_set = {.nidt = NVME_NIDT_CSI, .nidl = 1};

	writer_copy(&writer, &uuid, sizeof(uuid));
	writer_copy(&writer, namespace_of(request)->store->uuid, 16);
	writer_copy(&writer, &command_set, sizeof(command_set));
	writer_u8(&writer, NVME_COMMAND_SET_NVM);
}

/* No protection information: nothing that is not zero. */
void identify_fill_nvm_namespace(const struct target_request *request, void *page)
{
	(void)request;
	(void)page;
}

void identify_fill_independent(const struct target_request *request, void *to)
{
	struct nvme_identify_independent_namespace *page = to;

	page->nmic = NVME_NMIC_SHARED;
	page->nsattr = namespace_attributes(namespace_of(request));
	page->nstat = NVME_NSTAT_READY;
}
