/*
 * The destination of a slot's data is written in one piece, or, where everything reads as zeros yet,
 * in the runs of pages that are not zeros: holes stay holes.
 */
#include "cmd/transfer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd/message.h"
#include "cmd/progress.h"

#define PAGE_BYTES 4096u

struct slot {
	struct disk_request request;
	struct transfer *transfer;
	uint8_t *data;  /* of the source, with padding */
	uint8_t *other; /* of the destination, for a comparison */
	uint64_t offset;
	size_t bytes;        /* of the source */
	size_t padded_bytes; /* of the destination */
	size_t position;     /* up to here it is written */
	bool is_busy;
};

struct transfer {
	struct transfer_setting setting;
	enum transfer_kind kind;
	struct slot *slots;
	uint64_t next_offset;
	uint64_t settled_bytes;
	unsigned busy_count;
	bool is_interrupted;
	int error; /* the first */
	const struct disk_end *failed_end;
	uint64_t failed_offset; /* where the copy has its first gap; UINT64_MAX: none */
	struct transfer_outcome outcome;
};

static size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

static void fail(struct transfer *transfer, const struct disk_end *end, int error)
{
	if (transfer->error != 0)
		return;
	transfer->error = error;
	transfer->failed_end = end;
}

static bool is_stopped(const struct transfer *transfer)
{
	return transfer->error != 0 || transfer->is_interrupted;
}

static void slot_end(struct slot *slot)
{
	struct transfer *transfer = slot->transfer;

	slot->is_busy = false;
	transfer->busy_count--;
	if (transfer->error == 0)
		transfer->settled_bytes += slot->bytes;
}

static void slot_fail(struct slot *slot, const struct disk_end *end, int error)
{
	struct transfer *transfer = slot->transfer;

	fail(transfer, end, error);
	if (slot->offset < transfer->failed_offset)
		transfer->failed_offset = slot->offset;
	slot_end(slot);
}

static void slot_submit(struct slot *slot, struct disk_end *end)
{
	int error = disk_end_submit(end, &slot->request);

	if (error != 0)
		slot_fail(slot, end, error);
}

/* Compare */

static void slot_compare(struct slot *slot)
{
	struct transfer_outcome *outcome = &slot->transfer->outcome;
	size_t i = 0;

	if (memcmp(slot->data, slot->other, slot->padded_bytes) == 0)
		return;
	while (slot->data[i] == slot->other[i])
		i++;
	if (outcome->has_difference && outcome->difference < slot->offset + i)
		return;
	outcome->has_difference = true;
	outcome->difference = slot->offset + i;
}

static void compare_read(struct disk_request *request, int error)
{
	struct slot *slot = container_of(request, struct slot, request);

	if (error != 0) {
		slot_fail(slot, request->end, error);
		return;
	}
	slot_compare(slot);
	slot_end(slot);
}

static void slot_read_other(struct slot *slot)
{
	slot->request.done = compare_read;
	slot->request.bytes = slot->padded_bytes;
	slot->request.data = slot->other;
	slot_submit(slot, slot->transfer->setting.destination);
}

/* Copy */

static void slot_write(struct slot *slot);

static void copy_written(struct disk_request *request, int error)
{
	struct slot *slot = container_of(request, struct slot, request);

	if (error != 0) {
		slot_fail(slot, request->end, error);
		return;
	}
	slot->position += request->bytes;
	slot_write(slot);
}

static bool is_zero(const uint8_t *data, size_t bytes)
{
	return data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0;
}

/* @return the length of the run of pages at @position that are all zeros, or all not. */
static size_t run_length(const struct slot *slot, size_t position, bool is_of_zeros)
{
	size_t end = position;

	while (end < slot->padded_bytes) {
		size_t bytes = slot->padded_bytes - end;

		if (bytes > PAGE_BYTES)
			bytes = PAGE_BYTES;
		if (is_zero(slot->data + end, bytes) != is_of_zeros)
			break;
		end += bytes;
	}
	return end - position;
}

static void slot_write(struct slot *slot)
{
	struct disk_end *destination = slot->transfer->setting.destination;
	size_t bytes = slot->padded_bytes - slot->position;

	if (destination->is_fresh) {
		slot->position += run_length(slot, slot->position, true);
		bytes = run_length(slot, slot->position, false);
	}
	if (bytes == 0) {
		slot_end(slot);
		return;
	}
	slot->request.done = copy_written;
	slot->request.opcode = DISK_WRITE;
	slot->request.offset = slot->offset + slot->position;
	slot->request.bytes = bytes;
	slot->request.data = slot->data + slot->position;
	slot_submit(slot, destination);
}

/* Both */

static void source_read(struct disk_request *request, int error)
{
	struct slot *slot = container_of(request, struct slot, request);
	struct transfer *transfer = slot->transfer;

	if (error == 0 && transfer->error != 0)
		error = -ECANCELED;
	if (error != 0) {
		slot_fail(slot, request->end, error);
		return;
	}
	memset(slot->data + slot->bytes, 0, slot->padded_bytes - slot->bytes);
	if (transfer->kind == TRANSFER_COPY)
		slot_write(slot);
	else
		slot_read_other(slot);
}

/* @return where the next data are at either end. */
static uint64_t next_data(const struct transfer *transfer)
{
	const struct transfer_setting *setting = &transfer->setting;
	uint64_t data = disk_end_next_data(setting->source, transfer->next_offset);
	uint64_t other;

	if (transfer->kind == TRANSFER_COPY)
		return data;
	other = disk_end_next_data(setting->destination, transfer->next_offset);
	return other < data ? other : data;
}

/* What is a hole at both ends needs no work. */
static void skip_hole(struct transfer *transfer)
{
	const struct transfer_setting *setting = &transfer->setting;
	uint64_t data;

	if (!setting->destination->is_fresh || transfer->next_offset == setting->bytes)
		return;
	data = next_data(transfer);
	if (data < setting->bytes)
		data -= data % PAGE_BYTES;
	else
		data = setting->bytes;
	if (data <= transfer->next_offset)
		return;
	transfer->settled_bytes += data - transfer->next_offset;
	transfer->next_offset = data;
}

static void slot_start(struct slot *slot)
{
	struct transfer *transfer = slot->transfer;
	const struct transfer_setting *setting = &transfer->setting;
	uint64_t rest = setting->bytes - transfer->next_offset;

	slot->offset = transfer->next_offset;
	slot->bytes = rest < setting->request_bytes ? (size_t)rest : setting->request_bytes;
	slot->padded_bytes = round_up(slot->bytes, setting->destination->block_bytes);
	slot->position = 0;
	slot->is_busy = true;
	transfer->busy_count++;
	transfer->next_offset += slot->bytes;
	slot->request.done = source_read;
	slot->request.opcode = DISK_READ;
	slot->request.offset = slot->offset;
	slot->request.bytes = slot->bytes;
	slot->request.data = slot->data;
	slot_submit(slot, setting->source);
}

static void fill_slots(struct transfer *transfer)
{
	const struct transfer_setting *setting = &transfer->setting;

	for (unsigned i = 0; i < setting->request_count; i++) {
		if (is_stopped(transfer) || transfer->outcome.has_difference)
			return;
		if (transfer->slots[i].is_busy)
			continue;
		skip_hole(transfer);
		if (transfer->next_offset == setting->bytes)
			return;
		slot_start(&transfer->slots[i]);
	}
}

static void take_signals(struct transfer *transfer)
{
	struct signalfd_siginfo info;

	while (read(transfer->setting.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (transfer->is_interrupted)
			_exit(EXIT_STATUS_INTERRUPTED);
		transfer->is_interrupted = true;
	}
}

static int sooner(int a_ms, int b_ms)
{
	return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* Wait for either end or a signal, and do what there is to do. @return 0, or -errno: it cannot go on. */
static int turn(struct transfer *transfer)
{
	const struct transfer_setting *setting = &transfer->setting;
	struct disk_end *ends[] = {setting->source, setting->destination};
	struct pollfd polled[3] = {{.fd = setting->signal_fd, .events = POLLIN}};
	int timeout_ms = progress_timeout_ms(setting->progress);

	for (unsigned i = 0; i < ARRAY_LENGTH(ends); i++) {
		timeout_ms = sooner(timeout_ms, disk_end_prepare(ends[i]));
		polled[i + 1] = (struct pollfd){.fd = disk_end_fd(ends[i]), .events = POLLIN};
	}
	if (poll(polled, ARRAY_LENGTH(polled), timeout_ms) < 0 && errno != EINTR) {
		fail(transfer, ends[0], -errno);
		return transfer->error;
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(ends); i++) {
		int error = disk_end_process(ends[i]);

		if (error < 0) {
			fail(transfer, ends[i], error);
			return error;
		}
	}
	take_signals(transfer);
	progress_update(setting->progress, transfer->settled_bytes);
	return 0;
}

/* Until nothing is out. */
static void finish(struct transfer *transfer)
{
	while (transfer->busy_count > 0) {
		if (turn(transfer) < 0)
			return;
	}
}

static void flushed(struct disk_request *request, int error)
{
	struct slot *slot = container_of(request, struct slot, request);

	if (error != 0)
		fail(slot->transfer, request->end, error);
	else
		slot->transfer->outcome.is_flushed = true;
	slot->transfer->busy_count--;
}

/* All slots are idle; one of them carries it. */
static void flush(struct transfer *transfer)
{
	struct disk_end *destination = transfer->setting.destination;
	struct slot *slot = &transfer->slots[0];
	int error;

	slot->request.done = flushed;
	slot->request.opcode = DISK_FLUSH;
	error = disk_end_submit(destination, &slot->request);
	if (error != 0) {
		fail(transfer, destination, error);
		return;
	}
	transfer->busy_count++;
	finish(transfer);
}

static uint64_t front(const struct transfer *transfer)
{
	uint64_t offset = transfer->next_offset;

	if (transfer->failed_offset < offset)
		offset = transfer->failed_offset;
	for (unsigned i = 0; i < transfer->setting.request_count; i++) {
		const struct slot *slot = &transfer->slots[i];

		if (slot->is_busy && slot->offset < offset)
			offset = slot->offset;
	}
	return offset;
}

int transfer_run(struct transfer *transfer, enum transfer_kind kind,
	struct transfer_outcome *ret_outcome)
{
	transfer->kind = kind;
	transfer->next_offset = 0;
	transfer->settled_bytes = 0;
	transfer->failed_offset = UINT64_MAX;
	transfer->outcome = (struct transfer_outcome){0};
	take_signals(transfer);
	do {
		fill_slots(transfer);
	} while (transfer->busy_count > 0 && turn(transfer) == 0);
	if (kind == TRANSFER_COPY && transfer->error == 0)
		flush(transfer);
	transfer->outcome.done_bytes = front(transfer);
	if (transfer->error != 0)
		disk_end_describe(transfer->failed_end, transfer->error, transfer->outcome.problem);
	*ret_outcome = transfer->outcome;
	return transfer->is_interrupted ? -EINTR : transfer->error;
}

int transfer_new(const struct transfer_setting *setting, struct transfer **ret_transfer)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	size_t unit = PAGE_BYTES;

	if (transfer == NULL)
		return -ENOMEM;
	transfer->setting = *setting;
	/* Block sizes are powers of two. */
	if (setting->source->block_bytes > unit)
		unit = setting->source->block_bytes;
	if (setting->destination->block_bytes > unit)
		unit = setting->destination->block_bytes;
	transfer->setting.request_bytes = round_up(setting->request_bytes, unit);
	transfer->slots = calloc(setting->request_count, sizeof(*transfer->slots));
	for (unsigned i = 0; transfer->slots != NULL && i < setting->request_count; i++) {
		struct slot *slot = &transfer->slots[i];

		slot->transfer = transfer;
		slot->data = aligned_alloc(PAGE_BYTES, transfer->setting.request_bytes);
		slot->other = aligned_alloc(PAGE_BYTES, transfer->setting.request_bytes);
		if (slot->data == NULL || slot->other == NULL) {
			transfer_free(transfer);
			return -ENOMEM;
		}
	}
	if (transfer->slots == NULL) {
		transfer_free(transfer);
		return -ENOMEM;
	}
	*ret_transfer = transfer;
	return 0;
}

void transfer_free(struct transfer *transfer)
{
	if (transfer == NULL)
		return;
	for (unsigned i = 0; transfer->slots != NULL && i < transfer->setting.request_count; i++) {
		free(transfer->slots[i].data);
		free(transfer->slots[i].other);
	}
	free(transfer->slots);
	free(transfer);
}
