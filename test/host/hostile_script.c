#include "test/host/hostile_script.h"

#include <string.h>

#define WAITS_MAX    40 /* of 1 ms, for a command */
#define WAIT_UNIT_MS 20

enum step {
	STEP_ANSWER,
	STEP_CHANGE,
	STEP_DATA,
	STEP_COMPLETE,
	STEP_R2T,
	STEP_AUTO,
	STEP_ASK,
	STEP_WAIT,
	STEP_END,
	STEP_RAW,
	STEP_PDU,
};

static bool is_of_a_command(const struct hostile_script *script)
{
	uint8_t kind = script->step & 15;

	if (kind == STEP_WAIT)
		return script->reader.left_bytes > 0 && *script->reader.cursor == 0;
	return kind == STEP_ANSWER || kind == STEP_DATA || kind == STEP_COMPLETE ||
		kind == STEP_R2T || kind > STEP_PDU;
}

static void change(struct hostile_script *script)
{
	struct hostile_changes *changes = &script->target->changes;
	uint8_t how = reader_u8(&script->reader);
	uint16_t offset = reader_le16(&script->reader);
	uint8_t value = reader_u8(&script->reader);

	changes->skip = how & 3;
	changes->is_header_spoilt |= (how & 4) != 0;
	changes->is_data_spoilt |= (how & 8) != 0;
	if (changes->count == HOSTILE_CHANGES_MAX || (how & 12) != 0)
		return;
	changes->changes[changes->count].offset = offset;
	changes->changes[changes->count++].value = value;
}

static void do_command_step(struct hostile_script *script, uint8_t kind,
	struct hostile_command *command)
{
	struct reader *reader = &script->reader;
	uint16_t offset, bytes;
	uint8_t flags;

	if (kind == STEP_DATA) {
		flags = reader_u8(reader) & (PDU_FLAG_LAST | PDU_FLAG_SUCCESS);
		offset = reader_le16(reader);
		bytes = reader_le16(reader);
		hostile_target_send_data(command, flags, offset, bytes);
	} else if (kind == STEP_COMPLETE) {
		hostile_target_send_response(command, 0, reader_le16(reader) & 0x7fff);
	} else if (kind == STEP_R2T) {
		offset = reader_le16(reader);
		bytes = reader_le16(reader);
		hostile_target_send_r2t(command, offset, bytes);
	} else if (kind == STEP_WAIT) {
		reader_skip(reader, 1);
	} else {
		hostile_target_answer(command);
	}
}

static struct hostile_connection *connection_of(struct hostile_script *script, uint8_t index)
{
	struct hostile_target *target = script->target;

	return target->connection_count > 0 ? &target->connections[index % target->connection_count]
					    : NULL;
}

static void end_connection(struct hostile_script *script, uint8_t index)
{
	struct hostile_connection *connection = connection_of(script, index & 7);

	if (connection == NULL || connection->stream == NULL)
		return;
	if (index > 7)
		memory_stream_reset(connection->stream);
	else
		stream_finish(connection->stream);
}

static void send_bytes(struct hostile_script *script, uint8_t index, bool is_pdu)
{
	struct hostile_connection *connection = connection_of(script, index);
	uint8_t count = reader_u8(&script->reader);
	const uint8_t *bytes = reader_bytes(&script->reader, count);
	uint8_t header[PDU_HEADER_MAX] = {0};

	if (connection == NULL || bytes == NULL || count == 0)
		return;
	if (!is_pdu) {
		hostile_target_send_raw(connection, bytes, count);
		return;
	}
	if (count > sizeof(header) - sizeof(struct pdu_common) + 1)
		count = sizeof(header) - sizeof(struct pdu_common) + 1;
	header[0] = bytes[0];
	memcpy(header + sizeof(struct pdu_common), bytes + 1, count - 1u);
	header[offsetof(struct pdu_common, hlen)] =
		(uint8_t)(sizeof(struct pdu_common) + count - 1);
	hostile_target_send(connection, header, NULL, 0, NULL);
}

static void wait(struct hostile_script *script)
{
	uint8_t length = reader_u8(&script->reader);

	if (length < 128)
		script->turns_left = length;
	else
		timer_arm_after(&script->timer, (length - 127u) * WAIT_UNIT_MS);
}

static void do_step(struct hostile_script *script)
{
	uint8_t kind = script->step & 15, index = script->step >> 4;

	switch ((enum step)kind) {
	case STEP_CHANGE:
		change(script);
		break;
	case STEP_AUTO:
		script->target->auto_count += reader_u8(&script->reader);
		break;
	case STEP_ASK:
		script->ask(script->context, reader_u8(&script->reader));
		break;
	case STEP_WAIT:
		wait(script);
		break;
	case STEP_END:
		end_connection(script, index);
		break;
	case STEP_RAW:
		send_bytes(script, index, false);
		break;
	case STEP_PDU:
		send_bytes(script, index, true);
		break;
	case STEP_ANSWER:
	case STEP_DATA:
	case STEP_COMPLETE:
	case STEP_R2T:
		break;
	}
}

/* @return false when it must wait for a command. */
static bool take_step(struct hostile_script *script)
{
	uint8_t kind = script->step & 15;
	struct hostile_command *command;

	if (!is_of_a_command(script)) {
		do_step(script);
		return true;
	}
	command = hostile_target_pending(script->target, script->step >> 4);
	if (command == NULL && script->waited++ < WAITS_MAX)
		return false;
	if (command != NULL)
		do_command_step(script, kind, command);
	else if (kind == STEP_WAIT)
		reader_skip(&script->reader, 1);
	return true;
}

static void fired(struct timer *timer)
{
	struct hostile_script *script = container_of(timer, struct hostile_script, timer);

	timer_arm_after(timer, 0);
	if (script->turns_left > 0) {
		script->turns_left--;
		return;
	}
	if (!script->is_waiting && script->reader.left_bytes == 0) {
		hostile_script_stop(script);
		script->ended(script->context);
		return;
	}
	if (!script->is_waiting) {
		script->step = reader_u8(&script->reader);
		script->waited = 0;
	}
	script->is_waiting = !take_step(script);
	if (script->is_waiting)
		timer_arm_after(timer, 1);
}

void hostile_script_start(struct hostile_script *script, struct loop *loop)
{
	timer_init(&script->timer, loop, fired);
	timer_arm_after(&script->timer, 0);
}

void hostile_script_stop(struct hostile_script *script)
{
	script->is_ended = true;
	timer_disarm(&script->timer);
}
