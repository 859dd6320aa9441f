/*
 * The steps on the admin queue, in the order of NVMe Base 2.0, 3.5.1 and 3.6.1, and the words for a
 * Connect that was refused.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "host/association_private.h"
#include "host/failure.h"
#include "nvme/feature.h"
#include "nvme/property.h"

#define READY_MS_MIN 500 /* where CAP.TO says 0 */

/* Connect */

void association_prepare_connect(struct association *association, struct tcp_host_command *command,
	uint16_t qid, uint16_t entries, bool is_flow_control_off)
{
	struct nvme_connect_command connect = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = NVME_FABRICS_CONNECT,
		.qid = le16_of(qid),
		.sqsize = le16_of((uint16_t)(entries - 1)),
		.cattr = is_flow_control_off ? NVME_CATTR_DISABLE_SQFC : 0,
		.kato = le32_of(qid == NVME_QID_ADMIN ? association->options.kato_ms : 0),
	};

	*command = (struct tcp_host_command){
		.command = nvme_command_of_fabrics(&connect),
		.transfer = TCP_HOST_WRITE,
		.data = &association->connect_data,
		.data_bytes = sizeof(association->connect_data),
	};
}

/* Which field of the Connect was not liked: Base 2.0, 6.3. */
static int refuse_parameter(struct association *association, uint32_t dw0, uint16_t qid)
{
	const struct association_options *options = &association->options;
	bool is_in_data = (dw0 & NVME_CONNECT_IATTR_DATA) != 0;
	uint16_t ipo = (uint16_t)dw0;

	if (is_in_data && ipo == offsetof(struct nvme_connect_data, subnqn)) {
		association_say(association,
			"the target has no subsystem of that name, or does not show it to %s: "
			"compare with what `ferry serve` printed, or start it with --allow-host %s",
			options->identity.nqn, options->identity.nqn);
		return -ENOENT;
	}
	if (is_in_data && ipo == offsetof(struct nvme_connect_data, hostnqn)) {
		association_say(association, "the target does not accept the host name %s",
			options->identity.nqn);
		return -EINVAL;
	}
	if (is_in_data && ipo == offsetof(struct nvme_connect_data, cntlid)) {
		association_say(association, "the target has dropped the controller meanwhile");
		return -ECONNRESET;
	}
	if (!is_in_data && ipo == offsetof(struct nvme_connect_command, sqsize)) {
		association_say(association,
			"the target refuses the size of queue %u: ask for fewer entries", qid);
		return -EINVAL;
	}
	association_say(association,
		"the target refuses byte %u of the %s of the Connect of queue %u", ipo,
		is_in_data ? "data" : "command", qid);
	return -EPROTO;
}

int association_refuse_connect(struct association *association,
	const struct nvme_completion *completion, uint16_t qid)
{
	nvme_status status = nvme_completion_status(completion);
	const char *host_nqn = association->options.identity.nqn;
	nvme_status code = nvme_status_code(status);
	char text[FAILURE_TEXT_MAX];

	if (code == NVME_STATUS_CONNECT_INVALID_HOST) {
		association_say(association,
			"the target does not allow host %s: start `ferry serve` with --allow-host %s",
			host_nqn, host_nqn);
		return -EACCES;
	}
	if (code == NVME_STATUS_CONNECT_INVALID_PARAMETERS)
		return refuse_parameter(association, le32_get(completion->dw0), qid);
	if (code == NVME_STATUS_CONNECT_CONTROLLER_BUSY) {
		association_say(association,
			"the target has no controller left: end another host's connection first");
		return -EBUSY;
	}
	if (code == NVME_STATUS_AUTHENTICATION_REQUIRED) {
		association_say(association,
			"the target wants hosts to authenticate, which is not supported");
		return -EACCES;
	}
	failure_text(status, text);
	association_say(association, "the target refuses to connect queue %u: %s", qid, text);
	return -EPROTO;
}

static void prepare_connect(struct association *association, struct tcp_host_command *command)
{
	struct nvme_connect_data *data = &association->connect_data;

	memcpy(data->hostid, association->options.identity.id, sizeof(data->hostid));
	data->cntlid = le16_of(NVME_CNTLID_DYNAMIC);
	nvme_nqn_to_field(data->subnqn, association->options.nqn);
	nvme_nqn_to_field(data->hostnqn, association->options.identity.nqn);
	association_prepare_connect(association, command, NVME_QID_ADMIN, ASSOCIATION_ADMIN_ENTRIES,
		false);
}

static int take_connect(struct association *association, const struct nvme_completion *completion)
{
	uint32_t dw0 = le32_get(completion->dw0);

	if ((dw0 & (NVME_CONNECT_AUTHREQ_ATR | NVME_CONNECT_AUTHREQ_ASCR)) != 0) {
		association_say(association,
			"the target wants this host to authenticate, which is not supported");
		return -EACCES;
	}
	association->facts.cntlid = nvme_connect_result_cntlid(dw0);
	association->connect_data.cntlid = le16_of(association->facts.cntlid);
	return 0;
}

static int take_connect_failure(struct association *association,
	const struct nvme_completion *completion)
{
	return association_refuse_connect(association, completion, NVME_QID_ADMIN);
}

/* Properties */

static void prepare_property(struct tcp_host_command *command, enum nvme_fabrics_type type,
	enum nvme_property property, uint64_t value)
{
	struct nvme_property_command fabrics = {
		.opcode = NVME_ADMIN_FABRICS,
		.fctype = (uint8_t)type,
		.attrib = property == NVME_PROPERTY_CAP ? NVME_ATTRIB_SIZE_8 : NVME_ATTRIB_SIZE_4,
		.ofst = le32_of(property),
		.value = le64_of(value),
	};

	*command = (struct tcp_host_command){.command = nvme_command_of_fabrics(&fabrics)};
}

static void prepare_cap(struct association *association, struct tcp_host_command *command)
{
	(void)association;
	prepare_property(command, NVME_FABRICS_PROPERTY_GET, NVME_PROPERTY_CAP, 0);
}

static int take_cap(struct association *association, const struct nvme_completion *completion)
{
	association->facts.cap = nvme_completion_result(completion);
	if ((association->facts.cap & NVME_CAP_CSS_NVM) != 0)
		return 0;
	association_say(association, "the target's controller serves no disk (CAP.CSS)");
	return -EPROTO;
}

static int take_discovery_cap(struct association *association,
	const struct nvme_completion *completion)
{
	association->facts.cap = nvme_completion_result(completion);
	return 0;
}

static void prepare_version(struct association *association, struct tcp_host_command *command)
{
	(void)association;
	prepare_property(command, NVME_FABRICS_PROPERTY_GET, NVME_PROPERTY_VS, 0);
}

static int take_version(struct association *association, const struct nvme_completion *completion)
{
	association->facts.version = le32_get(completion->dw0);
	return 0;
}

static void prepare_enable(struct association *association, struct tcp_host_command *command)
{
	association->cc = nvme_cc_of_enabled(NVME_CC_CSS_NVM);
	prepare_property(command, NVME_FABRICS_PROPERTY_SET, NVME_PROPERTY_CC, association->cc);
}

/* 3.5.1: RDY comes within CAP.TO; that time is the target's, not the program's. */
static int take_enable(struct association *association, const struct nvme_completion *completion)
{
	uint64_t wait_ms = nvme_cap_timeout_ms(association->facts.cap);

	(void)completion;
	if (wait_ms < READY_MS_MIN)
		wait_ms = READY_MS_MIN;
	association->ready_deadline_ns = loop_now_ns(association->loop) + wait_ms * CLOCK_MS_NS;
	timer_arm(&association->deadline,
		association->deadline.deadline_ns + wait_ms * CLOCK_MS_NS);
	return 0;
}

static void prepare_status(struct association *association, struct tcp_host_command *command)
{
	(void)association;
	prepare_property(command, NVME_FABRICS_PROPERTY_GET, NVME_PROPERTY_CSTS, 0);
}

static int take_ready(struct association *association, const struct nvme_completion *completion)
{
	uint32_t csts = le32_get(completion->dw0);

	if ((csts & NVME_CSTS_CFS) != 0) {
		association_say(association, "the target's controller failed (CSTS.CFS)");
		return -EIO;
	}
	if ((csts & NVME_CSTS_RDY) != 0)
		return 0;
	if (loop_now_ns(association->loop) < association->ready_deadline_ns)
		return STEP_AGAIN;
	association_say(association,
		"the target's controller did not become ready in the %u ms it asked for (CAP.TO)",
		nvme_cap_timeout_ms(association->facts.cap));
	return -ETIMEDOUT;
}

static void prepare_shutdown(struct association *association, struct tcp_host_command *command)
{
	prepare_property(command, NVME_FABRICS_PROPERTY_SET, NVME_PROPERTY_CC,
		nvme_cc_with_shn(association->cc, NVME_CC_SHN_NORMAL));
}

static int take_nothing(struct association *association, const struct nvme_completion *completion)
{
	(void)association;
	(void)completion;
	return 0;
}

static int take_shutdown(struct association *association, const struct nvme_completion *completion)
{
	uint32_t csts = le32_get(completion->dw0);

	(void)association;
	return nvme_csts_shst(csts) == NVME_CSTS_SHST_COMPLETE ? 0 : STEP_AGAIN;
}

/* Identify and features */

static void prepare_identify(struct association *association, struct tcp_host_command *command,
	enum nvme_cns cns, uint32_t nsid)
{
	*command = (struct tcp_host_command){
		.command = {.opcode = NVME_ADMIN_IDENTIFY, .nsid = le32_of(nsid)},
		.transfer = TCP_HOST_READ,
		.data = association->page,
		.data_bytes = sizeof(association->page),
	};
	nvme_command_set_identify(&command->command, (uint8_t)cns, 0, NVME_COMMAND_SET_NVM);
}

static void prepare_controller(struct association *association, struct tcp_host_command *command)
{
	prepare_identify(association, command, NVME_CNS_CONTROLLER, 0);
}

static int take_controller(struct association *association,
	const struct nvme_completion *completion)
{
	(void)completion;
	return association_take_controller(association);
}

static int take_discovery_controller(struct association *association,
	const struct nvme_completion *completion)
{
	(void)completion;
	return association_take_discovery_controller(association);
}

static void prepare_namespace(struct association *association, struct tcp_host_command *command)
{
	prepare_identify(association, command, NVME_CNS_NAMESPACE, association->options.nsid);
}

static int take_namespace(struct association *association, const struct nvme_completion *completion)
{
	(void)completion;
	return association_take_namespace(association);
}

static int take_namespace_failure(struct association *association,
	const struct nvme_completion *completion)
{
	nvme_status status = nvme_completion_status(completion);
	char text[FAILURE_TEXT_MAX];

	failure_text(status, text);
	association_say(association, "the subsystem has no namespace %u for this host: %s",
		association->options.nsid, text);
	return -ENXIO;
}

static void prepare_descriptors(struct association *association, struct tcp_host_command *command)
{
	prepare_identify(association, command, NVME_CNS_NAMESPACE_DESCRIPTORS,
		association->options.nsid);
}

static int take_descriptors(struct association *association,
	const struct nvme_completion *completion)
{
	(void)completion;
	association_take_descriptors(association);
	return 0;
}

static void prepare_queues(struct association *association, struct tcp_host_command *command)
{
	*command = (struct tcp_host_command){.command = {.opcode = NVME_ADMIN_SET_FEATURES}};
	nvme_command_set_feature(&command->command, NVME_FEATURE_QUEUES,
		nvme_queues_of(association->options.io_queues));
}

static int take_queues(struct association *association, const struct nvme_completion *completion)
{
	uint32_t value = le32_get(completion->dw0);
	uint32_t granted = nvme_queues_submission(value);

	if (nvme_queues_completion(value) < granted)
		granted = nvme_queues_completion(value);
	association->facts.io_queues = granted < association->options.io_queues
		? (uint16_t)granted
		: association->options.io_queues;
	return 0;
}

const struct association_step association_connect_steps[] = {
	{"Connect", prepare_connect, take_connect, take_connect_failure},
	{"Property Get of CAP", prepare_cap, take_cap, NULL},
	{"Property Get of VS", prepare_version, take_version, NULL},
	{"Property Set of CC", prepare_enable, take_enable, NULL},
	{"Property Get of CSTS", prepare_status, take_ready, NULL},
	{"Identify Controller", prepare_controller, take_controller, NULL},
	{"Identify Namespace", prepare_namespace, take_namespace, take_namespace_failure},
	/* Older than 1.3: no descriptors, so no UUID. */
	{"Identify of descriptors", prepare_descriptors, take_descriptors, take_nothing},
	{"Set Features of Number of Queues", prepare_queues, take_queues, NULL},
	{NULL, NULL, NULL, NULL},
};

const struct association_step association_discovery_steps[] = {
	{"Connect", prepare_connect, take_connect, take_connect_failure},
	{"Property Get of CAP", prepare_cap, take_discovery_cap, NULL},
	{"Property Get of VS", prepare_version, take_version, NULL},
	{"Property Set of CC", prepare_enable, take_enable, NULL},
	{"Property Get of CSTS", prepare_status, take_ready, NULL},
	{"Identify Controller", prepare_controller, take_discovery_controller, NULL},
	{NULL, NULL, NULL, NULL},
};

const struct association_step association_shutdown_steps[] = {
	{"Property Set of CC", prepare_shutdown, take_nothing, NULL},
	{"Property Get of CSTS", prepare_status, take_shutdown, NULL},
	{NULL, NULL, NULL, NULL},
};
