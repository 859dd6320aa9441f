/*
 * The table of CNS values, and the pages about controllers.
 */
#include "target/identify.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "nvme/identify.h"
#include "nvme/identify_namespace.h"
#include "target/abort.h"
#include "target/admin.h"
#include "target/async_event.h"
#include "target/controller.h"
#include "target/feature.h"
#include "target/identify_namespace.h"
#include "target/io.h"
#include "target/log_page.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

/* What only a controller with namespaces has. */
static void fill_io_controller(const struct controller *controller,
	struct nvme_identify_controller *page)
{
	const struct subsystem *subsystem = controller->subsystem;
	const struct target_limits *limits = &subsystem->target->limits;
	bool has_ports = target_count_addresses(subsystem->target) > 1;

	page->cmic = NVME_CMIC_MULTI_CONTROLLER | (has_ports ? NVME_CMIC_MULTI_PORT : 0);
	page->cntrltype = NVME_CONTROLLER_IO;
	page->oacs = le16_of(admin_oacs());
	page->acl = ABORT_COMMANDS_MAX - 1;
	page->frmw = NVME_FRMW_SLOT1_READ_ONLY | 1U << NVME_FRMW_SLOTS_SHIFT;
	page->sqes = NVME_SQES_ALL;
	page->cqes = NVME_CQES_ALL;
	page->nn = le32_of(subsystem->namespace_count);
	page->mnan = le32_of(subsystem->namespace_count);
	page->oncs = le16_of(io_oncs() | NVME_ONCS_FEATURE_SELECT | NVME_ONCS_TIMESTAMP);
	page->fuses = le16_of(io_fuses());
	page->acwu = le16_of(FUSED_BLOCKS_MAX - 1);
	page->ocfs = le16_of(NVME_OCFS_FORMAT_0);
	page->vwc = NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL;
	page->ioccsz = le32_of((uint32_t)(sizeof(struct nvme_command) + limits->capsule_bytes) /
		NVME_CAPSULE_UNIT_BYTES);
	page->iorcsz = le32_of(1); /* a completion */
	page->ofcs = le16_of(NVME_OFCS_DISCONNECT);
}

static void fill_controller(const struct target_request *request, void *to)
{
	const struct controller *controller = request->queue->controller;
	const struct subsystem *subsystem = controller->subsystem;
	const struct target_limits *limits = &subsystem->target->limits;
	struct nvme_identify_controller *page = to;

	text_to_field(page->sn, sizeof(page->sn), subsystem->serial, ' ');
	text_to_field(page->mn, sizeof(page->mn), "Ferry", ' ');
	text_to_field(page->fr, sizeof(page->fr), FERRY_VERSION, ' ');
	page->mdts = limits->mdts;
	page->cntlid = le16_of(controller->cntlid);
	page->ver = le32_of(TARGET_VERSION);
	page->oaes = le32_of(controller_notices(controller));
	page->ctratt = le32_of(NVME_CTRATT_HOSTID_128 | NVME_CTRATT_TBKAS);
	page->cntrltype = NVME_CONTROLLER_DISCOVERY;
	page->aerl = ASYNC_EVENT_REQUESTS_MAX - 1;
	page->lpa = log_page_attributes(controller);
	page->elpe = ERROR_LOG_ENTRIES - 1;
	page->kas = le16_of(CONTROLLER_KEEP_ALIVE_UNIT_MS / 100);
	page->maxcmd = le16_of(limits->io_entries_max);
	page->sgls = le32_of(NVME_SGLS_BYTE_ALIGNED | NVME_SGLS_OFFSET | NVME_SGLS_TRANSPORT);
	page->msdbd = 1;
	nvme_nqn_to_field(page->subnqn, subsystem->nqn);
	if (!subsystem->is_discovery)
		fill_io_controller(controller, page);
}

/* CNS 06h: Write Zeroes and Dataset Management have no limit but those of their fields. */
static void fill_nvm_controller(const struct target_request *request, void *to)
{
	struct nvme_identify_nvm_controller *page = to;

	page->vsl = request->queue->target->limits.mdts;
}

static void fill_command_sets(const struct target_request *request, void *to)
{
	struct nvme_command_set_combinations *page = to;

	(void)request;
	page->combination[0] = le64_of(UINT64_C(1) << NVME_COMMAND_SET_NVM);
}

/* Which namespace a CNS is about. */
enum identify_nsid {
	NSID_UNUSED,
	NSID_ONE,   /* one that is active */
	NSID_AFTER, /* the list begins after this one */
};

struct identify_page {
	void (*fill)(const struct target_request *request, void *page); /* the page is zero */
	enum identify_nsid nsid;
	bool is_of_command_set; /* CSI is looked at */
	bool is_for_discovery;
};

static const struct identify_page identify_pages[] = {
	[NVME_CNS_NAMESPACE] = {identify_fill_namespace, NSID_ONE, false, false},
	[NVME_CNS_CONTROLLER] = {fill_controller, NSID_UNUSED, false, true},
	[NVME_CNS_ACTIVE_NAMESPACES] = {identify_fill_namespace_list, NSID_AFTER, false, false},
	[NVME_CNS_NAMESPACE_DESCRIPTORS] = {identify_fill_descriptors, NSID_ONE, false, false},
	[NVME_CNS_IOCS_NAMESPACE] = {identify_fill_nvm_namespace, NSID_ONE, true, false},
	[NVME_CNS_IOCS_CONTROLLER] = {fill_nvm_controller, NSID_UNUSED, true, false},
	[NVME_CNS_IOCS_ACTIVE_NAMESPACES] = {identify_fill_namespace_list, NSID_AFTER, true, false},
	[NVME_CNS_INDEPENDENT_NAMESPACE] = {identify_fill_independent, NSID_ONE, false, false},
	[NVME_CNS_IO_COMMAND_SETS] = {fill_command_sets, NSID_UNUSED, false, false},
};

static const struct identify_page *find_page(const struct target_request *request)
{
	uint8_t cns = nvme_command_cns(&request->base.command);
	const struct identify_page *page;

	if (cns >= ARRAY_LENGTH(identify_pages))
		return NULL;
	page = &identify_pages[cns];
	if (request->queue->controller->subsystem->is_discovery && !page->is_for_discovery)
		return NULL;
	return page->fill != NULL ? page : NULL;
}

static bool nsid_is_legal(const struct target_request *request, enum identify_nsid use)
{
	uint32_t nsid = le32_get(request->base.command.nsid);

	switch (use) {
	case NSID_UNUSED:
		return true;
	case NSID_ONE:
		return subsystem_namespace(request->queue->controller->subsystem, nsid) != NULL;
	case NSID_AFTER:
		return nsid < NVME_NSID_BROADCAST - 1;
	}
	return false;
}

nvme_status identify_begin(struct target_request *request)
{
	const struct nvme_command *command = &request->base.command;
	const struct target_queue *queue = request->queue;
	const struct identify_page *page = find_page(request);

	if (page == NULL ||
		(page->is_of_command_set &&
			nvme_command_identify_csi(command) != NVME_COMMAND_SET_NVM)) {
		log_write(queue->target->log, LOG_LEVEL_WARNING, "unsupported identify",
			"%s: unsupported Identify CNS %02xh CSI %02xh", queue->name,
			nvme_command_cns(command), nvme_command_identify_csi(command));
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (!nsid_is_legal(request, page->nsid))
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT | NVME_STATUS_DNR;
	return target_request_expect(request, REQUEST_TO_HOST, NVME_IDENTIFY_BYTES);
}

nvme_status identify_execute(struct target_request *request)
{
	memset(request->base.data, 0, NVME_IDENTIFY_BYTES);
	find_page(request)->fill(request, request->base.data);
	return NVME_STATUS_SUCCESS;
}
