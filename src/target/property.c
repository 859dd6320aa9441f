/*
 * The table of properties. What a change of CC does is the controller's: controller_set_cc().
 */
#include "target/property.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "target/controller.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"

static uint64_t get_cap(const struct controller *controller)
{
	/* A discovery controller has no I/O command sets to select from. */
	uint64_t sets = controller->subsystem->is_discovery ? NVME_CAP_CSS_NVM
							    : NVME_CAP_CSS_NVM | NVME_CAP_CSS_IOCS;

	return nvme_cap_of(controller->subsystem->target->limits.io_entries_max, TARGET_READY_MS,
		sets | NVME_CAP_CRMS_MEDIA);
}

static uint64_t get_version(const struct controller *controller)
{
	(void)controller;
	return TARGET_VERSION;
}

static uint64_t get_cc(const struct controller *controller)
{
	return controller->cc;
}

static uint64_t get_csts(const struct controller *controller)
{
	return controller->csts;
}

static uint64_t get_crto(const struct controller *controller)
{
	(void)controller;
	return nvme_crto_of(TARGET_READY_MS, 0);
}

struct property {
	enum nvme_property offset;
	uint8_t attrib; /* NVME_ATTRIB_SIZE_ */
	uint64_t (*get)(const struct controller *controller);
	nvme_status (*set)(struct controller *controller, uint32_t value); /* NULL: read only */
};

static const struct property properties[] = {
	{NVME_PROPERTY_CAP, NVME_ATTRIB_SIZE_8, get_cap, NULL},
	{NVME_PROPERTY_VS, NVME_ATTRIB_SIZE_4, get_version, NULL},
	{NVME_PROPERTY_CC, NVME_ATTRIB_SIZE_4, get_cc, controller_set_cc},
	{NVME_PROPERTY_CSTS, NVME_ATTRIB_SIZE_4, get_csts, NULL},
	{NVME_PROPERTY_CRTO, NVME_ATTRIB_SIZE_4, get_crto, NULL},
};

/* @return the property that @request means, NULL if there is none of that place and size. */
static const struct property *find_property(const struct target_request *request)
{
	struct nvme_property_command command = nvme_command_as_property(&request->base.command);

	for (size_t i = 0; i < ARRAY_LENGTH(properties); i++) {
		if (properties[i].offset == le32_get(command.ofst) &&
			properties[i].attrib == (command.attrib & NVME_ATTRIB_SIZE_MASK))
			return &properties[i];
	}
	return NULL;
}

static nvme_status property_refuse(const struct target_request *request, const char *what)
{
	struct nvme_property_command command = nvme_command_as_property(&request->base.command);
	const struct target_queue *queue = request->queue;

	log_write(queue->target->log, LOG_LEVEL_WARNING, "property refused",
		"%s: refused to %s property %02xh, size %u", queue->name, what,
		(unsigned)le32_get(command.ofst), command.attrib & NVME_ATTRIB_SIZE_MASK);
	return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
}

nvme_status property_get_begin(struct target_request *request)
{
	if (find_property(request) == NULL)
		return property_refuse(request, "get");
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

nvme_status property_get_execute(struct target_request *request)
{
	request->base.result = find_property(request)->get(request->queue->controller);
	return NVME_STATUS_SUCCESS;
}

nvme_status property_set_begin(struct target_request *request)
{
	const struct property *property = find_property(request);

	if (property == NULL || property->set == NULL)
		return property_refuse(request, "set");
	return target_request_expect(request, REQUEST_NO_DATA, 0);
}

nvme_status property_set_execute(struct target_request *request)
{
	struct nvme_property_command command = nvme_command_as_property(&request->base.command);
	nvme_status status = find_property(request)->set(request->queue->controller,
		(uint32_t)le64_get(command.value));

	return status == NVME_STATUS_SUCCESS ? status : property_refuse(request, "set");
}
