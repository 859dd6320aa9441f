/*
 * Several messages are one array of struct mmsghdr here, of which a single one is the first. When there is
 * no room for all of several, there are fewer: a result that Linux could give, too.
 */
#include "kernel/linux_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/linux_control.h"
#include "kernel/linux_rule.h"
#include "kernel/linux_vector.h"

enum { FD, MESSAGES };

/* A message beside what Linux is given. */
struct message {
	uint64_t address; /* of its struct msghdr in the client */
	struct msghdr given;
	struct linux_vector vector;
	size_t name_room, control_room;
};

/* A call's messages. */
struct batch {
	struct linux_call *call;
	bool is_sending;
	bool is_single;
	bool is_without_control; /* received from a unix socket */
	unsigned count;
	struct mmsghdr *local;
	struct message *messages;
};

static enum call_class class_of(const struct linux_call *call)
{
	return call->row->argument_count > MESSAGES
		? (enum call_class)call->row->arguments[MESSAGES].class
		: CALL_SCALAR;
}

bool linux_message_is_needed(const struct linux_call *call)
{
	enum call_class class = class_of(call);

	return class == CALL_MESSAGE_IN || class == CALL_MESSAGE_OUT || class == CALL_MESSAGES_IN ||
		class == CALL_MESSAGES_OUT;
}

static size_t stride_of(const struct batch *batch)
{
	return batch->is_single ? sizeof(struct msghdr) : sizeof(struct mmsghdr);
}

/* Bringing */

static int bring_name(struct batch *batch, struct message *message, struct msghdr *local)
{
	struct linux_memory *memory = &batch->call->lwp->memory;
	socklen_t bytes = message->given.msg_namelen;
	uint64_t address = (uint64_t)(uintptr_t)message->given.msg_name;

	if (address == 0 || bytes == 0)
		return 0;
	if ((int32_t)bytes < 0)
		return -EINVAL;
	/* As Linux does. */
	if (bytes > CALL_ADDRESS_MAX)
		bytes = CALL_ADDRESS_MAX;
	message->name_room = bytes;
	local->msg_namelen = bytes;
	local->msg_name = batch->is_sending ? linux_memory_copy(memory, address, bytes)
					    : linux_memory_take(memory, bytes);
	if (local->msg_name == NULL)
		return -ENOMEM;
	return batch->is_sending && local->msg_name != LINUX_NOWHERE
		? linux_rule_send(batch->call, local->msg_name, bytes)
		: 0;
}

static int bring_control(struct batch *batch, struct message *message, struct msghdr *local)
{
	struct linux_memory *memory = &batch->call->lwp->memory;
	size_t bytes = message->given.msg_controllen;
	uint64_t address = (uint64_t)(uintptr_t)message->given.msg_control;

	if (bytes == 0 || batch->is_without_control)
		return 0;
	if (batch->is_sending && bytes > CALL_CONTROL_MAX)
		return -ENOBUFS;
	if (address == 0) {
		/* Linux looks for it there when it is sent. */
		local->msg_controllen = batch->is_sending ? bytes : 0;
		return 0;
	}
	if (bytes > CALL_CONTROL_MAX)
		bytes = CALL_CONTROL_MAX;
	message->control_room = bytes;
	local->msg_controllen = bytes;
	local->msg_control = batch->is_sending ? linux_memory_copy(memory, address, bytes)
					       : linux_memory_take(memory, bytes);
	if (local->msg_control == NULL)
		return -ENOMEM;
	return batch->is_sending && local->msg_control != LINUX_NOWHERE ? linux_control_check(local)
									: 0;
}

static int bring_vector(struct batch *batch, struct message *message, struct msghdr *local)
{
	static const struct linux_portion all = {0, LINUX_MESSAGE_BYTES_MAX};
	struct linux_memory *memory = &batch->call->lwp->memory;
	struct linux_vector *vector = &message->vector;
	int error;

	if (message->given.msg_iovlen > CALL_VECTORS_MAX)
		return -EMSGSIZE;
	error = linux_vector_init(vector, memory, (uint64_t)(uintptr_t)message->given.msg_iov,
		message->given.msg_iovlen);
	if (error == 0)
		error = batch->is_sending
			? linux_vector_bring(vector, memory, all)
			: linux_vector_room(vector, memory, all, batch->is_single);
	local->msg_iov = vector->local;
	local->msg_iovlen = vector->count;
	if (error == 0 && vector->given == NULL && message->given.msg_iovlen > 0) {
		local->msg_iov = LINUX_NOWHERE;
		local->msg_iovlen = message->given.msg_iovlen;
	}
	return error;
}

static int bring_one(struct batch *batch, unsigned index, const uint8_t *from)
{
	struct message *message = &batch->messages[index];
	struct msghdr *local = &batch->local[index].msg_hdr;
	int error;

	*message = (struct message){
		.address = batch->call->given[MESSAGES] + index * stride_of(batch)};
	memcpy(&message->given, from + index * stride_of(batch), sizeof(message->given));
	batch->local[index] = (struct mmsghdr){.msg_hdr.msg_flags = message->given.msg_flags};
	error = bring_name(batch, message, local);
	if (error == 0)
		error = bring_control(batch, message, local);
	if (error == 0)
		error = bring_vector(batch, message, local);
	return error;
}

/* @param count of messages, at least 1 */
static int bring_all(struct batch *batch, unsigned count)
{
	struct linux_memory *memory = &batch->call->lwp->memory;
	const uint8_t *from = linux_memory_bring_aligned(memory, batch->call->given[MESSAGES],
		count * stride_of(batch));
	int error = 0;

	batch->local = linux_memory_take(memory, count * sizeof(*batch->local));
	batch->messages = linux_memory_take(memory, count * sizeof(*batch->messages));
	if (from == NULL || batch->local == NULL || batch->messages == NULL)
		return -ENOMEM;
	batch->call->local[MESSAGES] =
		(uint64_t)(uintptr_t)(from == LINUX_NOWHERE ? LINUX_NOWHERE : batch->local);
	if (from == LINUX_NOWHERE)
		return 0;
	while (error == 0 && batch->count < count) {
		error = bring_one(batch, batch->count, from);
		batch->count += error == 0;
	}
	/* Those before the one that cannot be are made, as Linux does it. */
	return batch->count > 0 ? 0 : error;
}

/* Giving back */

static int give_header(struct batch *batch, unsigned index, size_t bytes)
{
	struct message *message = &batch->messages[index];
	struct msghdr *local = &batch->local[index].msg_hdr;
	struct ferry_lwp *handle = batch->call->lwp->memory.handle;
	struct mmsghdr given;
	size_t name_bytes =
		local->msg_namelen < message->name_room ? local->msg_namelen : message->name_room;
	int error = 0;

	/* What lies between its members is the client's. */
	memcpy(&given.msg_hdr, &message->given, sizeof(given.msg_hdr));
	given.msg_len = (unsigned)bytes;
	if (name_bytes > 0)
		error = ferry_copyout(handle, local->msg_name,
			(uint64_t)(uintptr_t)message->given.msg_name, name_bytes);
	if (error == 0 && message->control_room > 0)
		error = ferry_copyout(handle, local->msg_control,
			(uint64_t)(uintptr_t)message->given.msg_control, local->msg_controllen);
	if (message->given.msg_name != NULL)
		given.msg_hdr.msg_namelen = local->msg_namelen;
	given.msg_hdr.msg_controllen = local->msg_controllen;
	given.msg_hdr.msg_flags = local->msg_flags;
	if (error == 0)
		error = ferry_copyout(handle, &given, message->address,
			batch->is_single
				? sizeof(struct msghdr)
				: offsetof(struct mmsghdr, msg_len) + sizeof(given.msg_len));
	local->msg_namelen = (socklen_t)name_bytes; /* for who looks at it here */
	return error;
}

static int give_received(struct batch *batch, unsigned index, size_t bytes)
{
	struct message *message = &batch->messages[index];
	size_t filled = bytes < message->vector.bytes ? bytes : message->vector.bytes;
	int error;

	if (message->control_room > 0)
		linux_control_filter(&batch->local[index].msg_hdr);
	/* First, since it may be placed in the reply. */
	error = linux_vector_give(&message->vector, &batch->call->lwp->memory, filled);
	return error != 0 ? error : give_header(batch, index, bytes);
}

/* What sendmmsg() says of each message. */
static int give_sent(struct batch *batch, unsigned index)
{
	return ferry_copyout(batch->call->lwp->memory.handle, &batch->local[index].msg_len,
		batch->messages[index].address + offsetof(struct mmsghdr, msg_len),
		sizeof(unsigned));
}

static int give_all(struct batch *batch, int64_t value)
{
	unsigned count = batch->is_single ? 1 : (unsigned)value;
	int error = 0;

	for (unsigned i = 0; error == 0 && i < count && i < batch->count; i++) {
		if (!batch->is_sending)
			error = give_received(batch, i,
				batch->is_single ? (size_t)value : batch->local[i].msg_len);
		else if (!batch->is_single)
			error = give_sent(batch, i);
	}
	return error;
}

/* Calls */

static int64_t make(struct batch *batch)
{
	struct linux_call *call = batch->call;
	uint64_t wanted = batch->is_single ? 1 : call->extents[MESSAGES].bytes / stride_of(batch);
	int64_t value;
	int error;

	if (wanted == 0)
		return linux_call_raw(call);
	error = bring_all(batch, (unsigned)wanted);
	if (error != 0)
		return error;
	if (!batch->is_single)
		call->local[MESSAGES + 1] = batch->count > 0 ? batch->count : wanted;
	value = linux_call_raw(call);
	if (value < 0) {
		if (batch->count > 0 && batch->messages[0].vector.room.is_placed)
			error = linux_vector_give(&batch->messages[0].vector, &call->lwp->memory,
				0);
		return error != 0 ? error : value;
	}
	error = give_all(batch, value);
	return error != 0 ? error : value;
}

/* Receive by a descriptor that stays the same file, whose kind decides about control data. */
static int64_t receive(struct batch *batch)
{
	struct linux_call *call = batch->call;
	int held = linux_call_hold(call, (int)call->local[FD]), domain = AF_UNIX;
	socklen_t bytes = sizeof(domain);
	int64_t value;

	if (held < 0)
		return held;
	(void)getsockopt(held, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
	batch->is_without_control = domain == AF_UNIX;
	call->local[FD] = (uint64_t)held;
	value = make(batch);
	(void)close(held);
	return value;
}

int64_t linux_message_make(struct linux_call *call)
{
	enum call_class class = class_of(call);
	struct batch batch = {
		.call = call,
		.is_sending = class == CALL_MESSAGE_IN || class == CALL_MESSAGES_IN,
		.is_single = class == CALL_MESSAGE_IN || class == CALL_MESSAGE_OUT,
	};

	return batch.is_sending ? make(&batch) : receive(&batch);
}
