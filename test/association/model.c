/*
 * Each block has a list of the writes of it in the order in which they began. What a read may find in a
 * block are origins: writes of data or zeros, each with the block it was made for. A copy is none
 * itself: it leads to those of the block it was made of, for as long as it lasted, which were not bad
 * then. A mark is an origin that nothing can be read of.
 */
#include "test/association/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER           UINT64_MAX
#define BLOCK_BYTES_MAX 4096
#define WORD_STEP       0x9e3779b97f4a7c15u

enum content { CONTENT_ZEROS, CONTENT_DATA, CONTENT_COPY, CONTENT_MARK };

struct write {
	enum content content;
	struct model_range range;
	struct model_range sources[MODEL_SOURCES]; /* of a copy */
	uint64_t start, end;                       /* end NEVER: it lasts */
	uint32_t era;
	bool is_acknowledged;
	bool is_lost;
	bool is_refused;
};

/* What write @write puts into @block. */
struct origin {
	uint32_t write;
	uint32_t block;
};

/* Numbers of writes. */
struct numbers {
	uint32_t *items;
	uint32_t count, limit;
};

/* Write 0 is the zeros that every block begins with. */
struct model {
	uint32_t block_bytes, block_count, salt;
	struct write *writes;
	uint32_t write_count, write_limit;
	struct numbers *blocks;
	struct numbers lost; /* and not yet over */
	struct origin *origins;
	uint32_t origin_count, origin_limit;
};

/* @return @items with room for one more than @count. */
static void *grown(void *items, uint32_t count, uint32_t *limit, size_t item_bytes)
{
	if (count < *limit)
		return items;
	*limit = *limit * 2 + 16;
	items = realloc(items, *limit * item_bytes);
	assert(items != NULL);
	return items;
}

static void add_number(struct numbers *numbers, uint32_t number)
{
	numbers->items =
		grown(numbers->items, numbers->count, &numbers->limit, sizeof(*numbers->items));
	numbers->items[numbers->count++] = number;
}

static uint32_t add_write(struct model *model, const struct write *write)
{
	struct model_range range = write->range;

	assert(range.count > 0 && range.first + range.count <= model->block_count);
	model->writes =
		grown(model->writes, model->write_count, &model->write_limit, sizeof(*write));
	model->writes[model->write_count] = *write;
	for (uint32_t i = 0; i < range.count; i++)
		add_number(&model->blocks[range.first + i], model->write_count);
	return model->write_count++;
}

struct model *model_new(uint32_t block_bytes, uint32_t block_count, uint32_t salt)
{
	struct model *model = calloc(1, sizeof(*model));

	assert(model != NULL && block_bytes <= BLOCK_BYTES_MAX);
	model->block_bytes = block_bytes;
	model->block_count = block_count;
	model->salt = salt;
	model->blocks = calloc(block_count, sizeof(*model->blocks));
	assert(model->blocks != NULL);
	(void)add_write(model, &(struct write){.range = {0, block_count}, .is_acknowledged = true});
	return model;
}

void model_free(struct model *model)
{
	if (model == NULL)
		return;
	for (uint32_t i = 0; i < model->block_count; i++)
		free(model->blocks[i].items);
	free(model->blocks);
	free(model->lost.items);
	free(model->origins);
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

/* The first eight bytes that an origin of data puts into its block. Each eight that follow are
 * larger by WORD_STEP: so they tell the write, the block and their place in it. */
static uint64_t first_word(const struct model *model, struct origin origin)
{
	uint64_t word =
		((uint64_t)model->salt << 56) ^ ((uint64_t)origin.write << 24) ^ origin.block;

	word = (word + 1) * WORD_STEP;
	word = (word ^ word >> 29) * 0xbf58476d1ce4e5b9u;
	return word ^ word >> 32;
}

static uint64_t word_step(const struct model *model, struct origin origin, uint64_t *ret_first)
{
	bool is_data = model->writes[origin.write].content == CONTENT_DATA;

	*ret_first = is_data ? first_word(model, origin) : 0;
	return is_data ? WORD_STEP : 0;
}

static void fill(const struct model *model, struct origin origin, uint8_t *data)
{
	uint64_t word;
	uint64_t step = word_step(model, origin, &word);

	for (uint32_t i = 0; i < model->block_bytes; i += sizeof(word), word += step)
		memcpy(data + i, &word, sizeof(word));
}

uint32_t model_begin_write(struct model *model, uint64_t time, uint32_t era,
	struct model_range range, uint8_t *ret_data)
{
	uint32_t write = add_write(model,
		&(struct write){
			.content = ret_data == NULL ? CONTENT_ZEROS : CONTENT_DATA,
			.range = range,
			.start = time,
			.end = NEVER,
			.era = era,
		});

	for (uint32_t i = 0; i < range.count && ret_data != NULL; i++)
		fill(model, (struct origin){write, range.first + i},
			ret_data + (size_t)i * model->block_bytes);
	return write;
}

uint32_t model_begin_copy(struct model *model, uint64_t time, uint32_t era, uint32_t to,
	const struct model_range sources[MODEL_SOURCES])
{
	struct write write = {
		.content = CONTENT_COPY,
		.range = {to, 0},
		.start = time,
		.end = NEVER,
		.era = era,
	};

	for (unsigned i = 0; i < MODEL_SOURCES; i++) {
		write.sources[i] = sources[i];
		write.range.count += sources[i].count;
	}
	return add_write(model, &write);
}

uint32_t model_begin_mark(struct model *model, uint64_t time, uint32_t era,
	struct model_range range)
{
	return add_write(model,
		&(struct write){
			.content = CONTENT_MARK,
			.range = range,
			.start = time,
			.end = NEVER,
			.era = era,
		});
}

void model_end_write(struct model *model, uint64_t time, uint32_t write, enum model_end end)
{
	struct write *ended = &model->writes[write];

	assert(ended->end == NEVER && !ended->is_lost);
	ended->is_acknowledged = end == MODEL_ACKNOWLEDGED;
	ended->is_refused = end == MODEL_REFUSED;
	ended->is_lost = end == MODEL_LOST;
	if (ended->is_lost)
		add_number(&model->lost, write);
	else
		ended->end = time;
}

void model_end_era(struct model *model, uint64_t time, uint32_t era)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < model->lost.count; i++) {
		struct write *write = &model->writes[model->lost.items[i]];

		if (write->era == era)
			write->end = time;
		else
			model->lost.items[kept++] = model->lost.items[i];
	}
	model->lost.count = kept;
}

static void add_origin(struct model *model, struct origin origin)
{
	for (uint32_t i = 0; i < model->origin_count; i++)
		if (model->origins[i].write == origin.write &&
			model->origins[i].block == origin.block)
			return;
	model->origins =
		grown(model->origins, model->origin_count, &model->origin_limit, sizeof(origin));
	model->origins[model->origin_count++] = origin;
}

/* What a read from @start to @end may have found in @block. A write must have lasted until the
 * beginning of the last one that was acknowledged by @start. */
static void add_origins(struct model *model, uint64_t start, uint64_t end, uint32_t block)
{
	const struct numbers *numbers = &model->blocks[block];
	uint64_t needed_end = 0;

	for (uint32_t i = numbers->count; i > 0; i--) {
		const struct write *write = &model->writes[numbers->items[i - 1]];

		if (write->start > end || write->end < needed_end || write->is_refused)
			continue;
		if (needed_end == 0 && write->is_acknowledged && write->end <= start)
			needed_end = write->start;
		add_origin(model, (struct origin){numbers->items[i - 1], block});
	}
}

static uint32_t source_of(const struct write *copy, uint32_t block)
{
	uint32_t index = block - copy->range.first;
	unsigned i = 0;

	for (; index >= copy->sources[i].count; i++)
		index -= copy->sources[i].count;
	return copy->sources[i].first + index;
}

static void find_origins(struct model *model, uint64_t start, uint32_t block)
{
	model->origin_count = 0;
	add_origins(model, start, NEVER, block);
	for (uint32_t i = 0; i < model->origin_count; i++) {
		const struct origin origin = model->origins[i];
		const struct write *write = &model->writes[origin.write];

		if (write->content == CONTENT_COPY)
			add_origins(model, write->start, write->end,
				source_of(write, origin.block));
	}
}

static bool has_data(const struct model *model, struct origin origin)
{
	enum content content = model->writes[origin.write].content;

	return content == CONTENT_DATA || content == CONTENT_ZEROS;
}

static bool is_whole(const struct model *model, struct origin origin, const uint8_t *data)
{
	uint64_t word, found;
	uint64_t step = word_step(model, origin, &word);

	for (uint32_t i = 0; i < model->block_bytes; i += sizeof(word), word += step) {
		memcpy(&found, data + i, sizeof(found));
		if (found != word)
			return false;
	}
	return true;
}

/* Each byte is of some origin. */
static bool is_mixture(const struct model *model, const uint8_t *data)
{
	bool is_matched[BLOCK_BYTES_MAX] = {false};
	uint8_t expected[BLOCK_BYTES_MAX];

	for (uint32_t i = 0; i < model->origin_count; i++) {
		if (!has_data(model, model->origins[i]))
			continue;
		fill(model, model->origins[i], expected);
		for (uint32_t j = 0; j < model->block_bytes; j++)
			is_matched[j] = is_matched[j] || data[j] == expected[j];
	}
	return memchr(is_matched, false, model->block_bytes) == NULL;
}

static bool allows_block(struct model *model, uint64_t start, uint32_t block, const uint8_t *data)
{
	find_origins(model, start, block);
	for (uint32_t i = 0; i < model->origin_count; i++)
		if (has_data(model, model->origins[i]) && is_whole(model, model->origins[i], data))
			return true;
	return is_mixture(model, data);
}

bool model_allows(struct model *model, uint64_t start, struct model_range range,
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

static bool requires_block(struct model *model, uint64_t start, uint32_t block, const uint8_t *data)
{
	find_origins(model, start, block);
	for (uint32_t i = 0; i < model->origin_count; i++)
		if (has_data(model, model->origins[i]) && !is_whole(model, model->origins[i], data))
			return false;
	return true;
}

bool model_requires(struct model *model, uint64_t start, struct model_range range,
	const uint8_t *data)
{
	for (uint32_t i = 0; i < range.count; i++)
		if (!requires_block(model, start, range.first + i,
			    data + (size_t)i * model->block_bytes))
			return false;
	return true;
}

/* How many of the origins of @block that are its own are marks. */
static uint32_t count_marks(struct model *model, uint64_t start, uint32_t block)
{
	uint32_t count = 0;

	model->origin_count = 0;
	add_origins(model, start, NEVER, block);
	for (uint32_t i = 0; i < model->origin_count; i++)
		count += model->writes[model->origins[i].write].content == CONTENT_MARK;
	return count;
}

bool model_may_be_bad(struct model *model, uint64_t start, struct model_range range)
{
	for (uint32_t i = 0; i < range.count; i++)
		if (count_marks(model, start, range.first + i) > 0)
			return true;
	return false;
}

bool model_must_be_bad(struct model *model, uint64_t start, struct model_range range)
{
	for (uint32_t i = 0; i < range.count; i++)
		if (count_marks(model, start, range.first + i) == model->origin_count)
			return true;
	return false;
}

static void explain_origin(const struct model *model, struct origin origin, const uint8_t *data)
{
	static const char *const contents[] = {"zeros", "data", "a copy", "a mark"};
	const struct write *write = &model->writes[origin.write];
	uint8_t expected[BLOCK_BYTES_MAX];
	uint32_t count = 0;

	fill(model, origin, expected);
	for (uint32_t i = 0; i < model->block_bytes; i++)
		count += data[i] == expected[i];
	fprintf(stderr, "  %" PRIu64 "..%" PRId64 ": %s of block %" PRIu32 "%s%s%s", write->start,
		(int64_t)write->end, contents[write->content], origin.block,
		write->is_acknowledged ? ", acknowledged" : "", write->is_lost ? ", lost" : "",
		write->is_refused ? ", refused" : "");
	if (has_data(model, origin))
		fprintf(stderr, ", %" PRIu32 " bytes are like it", count);
	fprintf(stderr, "\n");
}

void model_explain(struct model *model, uint64_t start, uint32_t block, const uint8_t *data)
{
	const struct numbers *numbers = &model->blocks[block];

	fprintf(stderr, "block %" PRIu32 " has seen, by the model's time:\n", block);
	for (uint32_t i = 0; i < numbers->count; i++)
		explain_origin(model, (struct origin){numbers->items[i], block}, data);
	find_origins(model, start, block);
	fprintf(stderr, "a read from %" PRIu64 " on may find, perhaps by way of copies:\n", start);
	for (uint32_t i = 0; i < model->origin_count; i++)
		explain_origin(model, model->origins[i], data);
}
