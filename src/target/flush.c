/*
 * A store may be done before store_submit() returns: the stepping is a loop that notices, since a
 * recursion would be as deep as there are namespaces.
 */
#include "target/flush.h"

#include "base/list.h"
#include "target/namespace.h"

static void flush_step(struct flush *flush);

static void flush_store_done(struct store_request *request)
{
	struct flush *flush = container_of(request, struct flush, request);

	if (flush->error == 0)
		flush->error = request->error;
	flush->is_waiting = false;
	if (!flush->is_stepping)
		flush_step(flush);
}

static void flush_step(struct flush *flush)
{
	flush->is_stepping = true;
	while (flush->remaining_count > 0) {
		struct store *store = flush->next->store;

		flush->next++;
		flush->remaining_count--;
		flush->request = (struct store_request){
			.done = flush_store_done,
			.opcode = STORE_FLUSH,
		};
		flush->is_waiting = true;
		store_submit(store, flush->loop, &flush->request);
		if (flush->is_waiting) {
			flush->is_stepping = false;
			return;
		}
	}
	flush->is_stepping = false;
	flush->done(flush);
}

void flush_start(struct flush *flush, struct loop *loop, const struct namespace *first,
	uint32_t count, void (*done)(struct flush *flush))
{
	flush->done = done;
	flush->error = 0;
	flush->loop = loop;
	flush->next = first;
	flush->remaining_count = count;
	flush_step(flush);
}
