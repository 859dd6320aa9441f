/*
 * A target that a host speaks to over a stream in memory: arbitrary bytes from a state that has
 * been reached rightly. Whatever comes, the target is idle again when the host has gone. Deepest: on a
 * live I/O queue data went both ways, by R2T and by C2HData, and commands have succeeded.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  state (modulo 4): 0 fresh, 1 after IC, 2 an admin queue is live, 3 an I/O queue is;
 *                16 small pieces, 32 a small window, 64 flow control is off, 128 reset at the end
 *       1     1  seed of the pieces
 *       2     -  what the host sends
 */
#include "serve/connection.h"

#include <assert.h>

#include "nvme/command.h"
#include "target/subsystem.h"
#include "test/serve/memory_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define BYTES_MAX 16384

enum {
	STATE_MASK = 3,
	SMALL_PIECES = 16,
	SMALL_WINDOW = 32,
	FLOW_CONTROL_OFF = 64,
	RESET = 128,
};

enum state { FRESH, INITIALIZED, ADMIN_LIVE, IO_LIVE };

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

static void put_connect(struct memory_host *host, uint16_t qid, uint16_t cntlid, uint8_t set)
{
	struct nvme_connect_data data;
	struct nvme_connect_command connect = memory_target_connect_of(qid, cntlid, &data);

	if ((set & FLOW_CONTROL_OFF) != 0)
		connect.cattr = NVME_CATTR_DISABLE_SQFC;
	memory_host_put_capsule(host, &connect, &data, sizeof(data));
}

/* Reach the state. @return the host that goes on with the input. */
static struct memory_host *reach(struct memory_target *target, uint8_t set)
{
	const struct memory_stream_faults faults = {
		.random = &target->random,
		.delivery_max_bytes = (set & SMALL_PIECES) != 0 ? 64 : 0,
		.window_bytes = (set & SMALL_WINDOW) != 0 ? 2048 : 0,
	};
	enum state state = set & STATE_MASK;
	struct memory_host *host =
		memory_target_connect(target, 0, state == IO_LIVE ? NULL : &faults);
	uint16_t cntlid;
	bool is_heard;

	if (state == FRESH)
		return host;
	memory_host_put_ic(host, 0);
	if (state == INITIALIZED)
		return host;
	put_connect(host, 0, NVME_CNTLID_DYNAMIC, set);
	is_heard = memory_target_await(target, host, 1);
	assert(is_heard && host->success_count == 1 && target->established_count == 1);
	cntlid = nvme_connect_result_cntlid(le32_get(host->completion.dw0));
	memory_host_put_enable(host);
	is_heard = memory_target_await(target, host, 2);
	assert(is_heard && host->success_count == 2);
	if (state == ADMIN_LIVE)
		return host;
	host = memory_target_connect(target, 1, &faults);
	memory_host_put_ic(host, 0);
	put_connect(host, 1, cntlid, set);
	is_heard = memory_target_await(target, host, 1);
	assert(is_heard && host->success_count == 1 && target->established_count == 2);
	return host;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct memory_target target;
	struct memory_host *host;

	is_deep = false;
	if (data_bytes < 2 || data_bytes > BYTES_MAX)
		return 0;
	memory_target_init(&target, data[1]);
	subsystem_allow_any_host(target.subsystem);
	target_publish(target.target);
	host = reach(&target, data[0]);
	if (data_bytes > 2)
		stream_lend(host->stream, data + 2, data_bytes - 2, NULL);
	memory_target_turn(&target, 100);
	is_deep = (data[0] & STATE_MASK) == IO_LIVE && host->data_count > 0 &&
		host->r2t_count > 0 && host->success_count >= 3;
	memory_target_deinit(&target, (data[0] & RESET) != 0);
	return 0;
}
