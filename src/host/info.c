/*
 * What a host tells of itself.
 */
#include <errno.h>
#include <string.h>

#include "host/host_private.h"

#define COPY(to, from)                                                            \
	do {                                                                      \
		_Static_assert(sizeof(to) == sizeof(from), "the same in public"); \
		memcpy(to, from, sizeof(to));                                     \
	} while (0)

int ferry_host_get_info(const struct ferry_host *host, struct ferry_host_info *ret_info)
{
	struct ferry_host_info info = {.struct_bytes = ret_info->struct_bytes};
	const struct association_facts *facts;

	if (host->state != HOST_READY)
		return -ENOTCONN;
	facts = association_facts(host->association);
	if (host->address_count > 0)
		address_to_text(&host->addresses[host->address_index].storage, info.address);
	COPY(info.nqn, host->options.nqn);
	COPY(info.host_nqn, host->options.identity.nqn);
	COPY(info.model, facts->model);
	COPY(info.serial, facts->serial);
	COPY(info.firmware, facts->firmware);
	COPY(info.uuid, facts->uuid);
	info.version = facts->version;
	info.cntlid = facts->cntlid;
	info.io_queues = facts->io_queues;
	info.queue_entries = facts->queue_entries;
	info.transfer_bytes = facts->transfer_bytes;
	info.capsule_bytes = facts->capsule_bytes;
	info.nsid = host->options.nsid;
	info.block_bytes = UINT32_C(1) << facts->block_shift;
	info.block_count = facts->block_count;
	info.has_write_cache = facts->has_write_cache;
	info.is_read_only = facts->is_read_only;
	info.header_digest = host->options.has_header_digest;
	info.data_digest = host->options.has_data_digest;
	memcpy(ret_info, &info,
		info.struct_bytes < sizeof(info) ? info.struct_bytes : sizeof(info));
	return 0;
}

const char *ferry_host_error(const struct ferry_host *host)
{
	return host->error_text;
}
