#include "test/association/model.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

struct write {
	struct model_range range;
	uint64_t start, end; /* end NEVER: it lasts */
	uint32_t era;
	bool is_acknowledged;
	bool is_zeros;
	bool is_lost;
};

/* Write 0 is the zeros that every block begins with. */
struct model {
	uint32_t block_bytes, block_count;
	struct write *writes;
	uint32_t write_count, write_limit;
};

static uint32_t add_write(struct model *model, struct write write)
{
	if (model->write_count == model->write_limit) {
		model->write_limit = model->write_limit * 2 + 64;
		model->writes = realloc(model->writes, model->write_limit * sizeof(write));
		assert(model->writes != NULL);
	}
	model->writes[model->write_count] = write;
	return model->write_count++;
}

struct model *model_new(uint32_t block_bytes, uint32_t block_count)
{
	struct model *model = calloc(1, sizeof(*model));

	assert(model != NULL);
	model->block_bytes = block_bytes;
	model->block_count = block_count;
	(void)add_write(model,
		(struct write){.range = {0, block_count},
			.is_acknowledged = true,
			.is_zeros = true});
	return model;
}

void model_free(struct model *model)
{
	free(model->writes);
	free(model);
}

uint32_t model_block_bytes(const struct model *model)
{
	return model->block_bytes;
}

uint32_t model_block_count(const struct model *model)
{
	return model->block_count;
}

/* Eight bytes that tell the write, the block and their place in it. */
static uint64_t word_of(const struct model *model, uint32_t write, uint32_t block, uint32_t index)
{
	uint64_t word = ((uint64_t)write << 40) ^ ((uint64_t)block << 20) ^ index;

	if (model->writes[write].is_zeros)
		return 0;
	word *= 0x9e3779b97f4a7c15u;
	word ^= word >> 29;
	word *= 0xbf58476d1ce4e5b9u;
	return word ^ word >> 32;
}

uint32_t model_begin_write(struct model *model, uint64_t time, uint32_t era,
	struct model_range range, uint8_t *ret_data)
{
	uint32_t write = add_write(model,
		(struct write){
			.range = range,
			.start = time,
			.end = NEVER,
			.era = era,
			.is_zeros = ret_data == NULL,
		});

	assert(range.count > 0 && range.first + range.count <= model->block_count);
	for (uint32_t i = 0; i < range.count && ret_data != NULL; i++) {
		for (uint32_t j = 0; j < model->block_bytes / 8; j++) {
			uint64_t word = word_of(model, write, range.first + i, j);

			memcpy(ret_data, &word, sizeof(word));
			ret_data += sizeof(word);
		}
	}
	return write;
}

void model_end_write(struct model *model, uint64_t time, uint32_t write, enum model_end end)
{
	struct write *ended = &model->writes[write];

	assert(ended->end == NEVER && !ended->is_lost);
	ended->is_acknowledged = end == MODEL_ACKNOWLEDGED;
	ended->is_lost = end == MODEL_LOST;
	if (!ended->is_lost)
		ended->end = time;
}

void model_end_era(struct model *model, uint64_t time, uint32_t era)
{
	for (uint32_t i = 1; i < model->write_count; i++) {
		struct write *write = &model->writes[i];

		if (write->era == era && write->is_lost && write->end == NEVER)
			write->end = time;
	}
}

static bool has_block(const struct write *write, uint32_t block)
{
	return block - write->range.first < write->range.count;
}

/* Since when a write must have lasted to be found by a read that began at @start. */
static uint64_t needed_end(const struct model *model, uint64_t start, uint32_t block)
{
	uint64_t needed = 0;

	for (uint32_t i = 0; i < model->write_count; i++) {
		const struct write *write = &model->writes[i];

		if (has_block(write, block) && write->is_acknowledged && write->end <= start &&
			write->start > needed)
			needed = write->start;
	}
	return needed;
}

/* Clear @ret_unmatched for each byte of @data that write @index may have put there. */
static void match(const struct model *model, uint32_t index, uint32_t block, const uint8_t *data,
	bool *ret_unmatched)
{
	for (uint32_t i = 0; i < model->block_bytes; i += 8) {
		uint64_t word = word_of(model, index, block, i / 8);
		uint8_t bytes[8];

		memcpy(bytes, &word, sizeof(bytes));
		for (uint32_t j = 0; j < 8; j++)
			if (data[i + j] == bytes[j])
				ret_unmatched[i + j] = false;
	}
}

static bool allows_block(const struct model *model, uint64_t start, uint32_t block,
	const uint8_t *data)
{
	uint64_t needed = needed_end(model, start, block);
	bool unmatched[4096];

	memset(unmatched, true, model->block_bytes);
	for (uint32_t i = model->write_count; i > 0; i--) {
		const struct write *write = &model->writes[i - 1];

		if (!has_block(write, block) || write->end < needed)
			continue;
		match(model, i - 1, block, data, unmatched);
		if (memchr(unmatched, true, model->block_bytes) == NULL)
			return true;
	}
	return false;
}

bool model_allows(const struct model *model, uint64_t start, struct model_range range,
	const uint8_t *data, uint32_t *ret_block)
{
	for (uint32_t i = 0; i < range.count; i++) {
		if (allows_block(model, start, range.first + i,
			    data + (size_t)i * model->block_bytes))
			continue;
		*ret_block = range.first + i;
		return false;
	}
	return true;
}

static bool requires_block(const struct model *model, uint64_t start, uint32_t block,
	const uint8_t *data)
{
	uint64_t needed = needed_end(model, start, block);
	bool unmatched[4096];

	for (uint32_t i = 0; i < model->write_count; i++) {
		const struct write *write = &model->writes[i];

		if (!has_block(write, block) || write->end < needed)
			continue;
		memset(unmatched, true, model->block_bytes);
		match(model, i, block, data, unmatched);
		if (memchr(unmatched, true, model->block_bytes) != NULL)
			return false;
	}
	return true;
}

bool model_requires(const struct model *model, uint64_t start, struct model_range range,
	const uint8_t *data)
{
	for (uint32_t i = 0; i < range.count; i++)
		if (!requires_block(model, start, range.first + i,
			    data + (size_t)i * model->block_bytes))
			return false;
	return true;
}
