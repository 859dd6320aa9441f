/*
 * Drives a reader by a script and compares it with a model that counts single bytes.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  N, the number of bytes to read from
 *       1     N  those bytes (as many as there are)
 *     N+1     2  an operation (modulo OPERATION_COUNT) and its length; repeated to the end
 */
#include "base/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

enum operation {
	READ_U8,
	READ_LE16,
	READ_LE32,
	READ_LE64,
	READ_SKIP,
	READ_IN_PLACE,
	READ_COPY,
	OPERATION_COUNT,
};

struct model {
	const uint8_t *from;
	size_t position, bytes;
	bool is_failed;
};

/* Whether @bytes more can be read; if so they are at from + position - @bytes. */
static bool model_advance(struct model *model, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (model->position + i >= model->bytes)
			model->is_failed = true;
	if (!model->is_failed)
		model->position += bytes;
	return !model->is_failed;
}

static uint64_t model_number(struct model *model, size_t bytes)
{
	uint64_t value = 0;

	if (!model_advance(model, bytes))
		return 0;
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)model->from[model->position - bytes + i] << (8 * i);
	return value;
}

static void check_in_place(struct reader *reader, struct model *model, size_t bytes)
{
	const uint8_t *got = reader_bytes(reader, bytes);

	if (!model_advance(model, bytes))
		assert(got == NULL);
	else
		assert(got == model->from + model->position - bytes);
}

static void check_copy(struct reader *reader, struct model *model, size_t bytes)
{
	uint8_t got[UINT8_MAX];
	uint8_t expected[UINT8_MAX] = {0};

	memset(got, 0xee, sizeof(got));
	reader_copy(reader, got, bytes);
	if (model_advance(model, bytes))
		memcpy(expected, model->from + model->position - bytes, bytes);
	assert(memcmp(got, expected, bytes) == 0);
	for (size_t i = bytes; i < sizeof(got); i++)
		assert(got[i] == 0xee);
}

static void check_skip(struct reader *reader, struct model *model, size_t bytes)
{
	/* The longest script length stands for one that would overflow a sum. */
	reader_skip(reader, bytes == UINT8_MAX ? SIZE_MAX : bytes);
	if (bytes == UINT8_MAX)
		model->is_failed = true;
	else
		(void)model_advance(model, bytes);
}

static void check_operation(struct reader *reader, struct model *model, enum operation operation,
	size_t bytes)
{
	switch (operation) {
	case READ_U8:
		assert(reader_u8(reader) == model_number(model, 1));
		break;
	case READ_LE16:
		assert(reader_le16(reader) == model_number(model, 2));
		break;
	case READ_LE32:
		assert(reader_le32(reader) == model_number(model, 4));
		break;
	case READ_LE64:
		assert(reader_le64(reader) == model_number(model, 8));
		break;
	case READ_SKIP:
		check_skip(reader, model, bytes);
		break;
	case READ_IN_PLACE:
		check_in_place(reader, model, bytes);
		break;
	case READ_COPY:
		check_copy(reader, model, bytes);
		break;
	case OPERATION_COUNT:
		break;
	}
	assert(reader_is_ok(reader) == !model->is_failed);
	assert(reader_is_finished(reader) ==
		(!model->is_failed && model->position == model->bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	size_t bytes = data_bytes > 0 ? data[0] : 0;
	struct reader reader;
	struct model model;
	uint8_t *from;

	if (data_bytes == 0)
		return 0;
	data++;
	data_bytes--;
	if (bytes > data_bytes)
		bytes = data_bytes;
	/* Exactly sized and apart from the script, so that a sanitizer sees a byte too many. */
	from = malloc(bytes > 0 ? bytes : 1);
	if (from == NULL)
		return 0;
	memcpy(from, data, bytes);
	reader = reader_over(from, bytes);
	model = (struct model){.from = from, .bytes = bytes};
	for (size_t i = bytes; i + 1 < data_bytes; i += 2)
		check_operation(&reader, &model, data[i] % OPERATION_COUNT, data[i + 1]);
	free(from);
	return 0;
}
