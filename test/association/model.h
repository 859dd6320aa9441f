/*
 * What the blocks of a namespace may hold, by what was written and acknowledged.
 *
 * Time is a count of events. A write lasts from its submission to its completion, or, when its
 * connection was lost, until the controller's end of that has gone and every request has come
 * back: the end of its era. A read may find a write in a block unless that write had ended before
 * another, acknowledged one began, which had ended before the read began. Writes that last at the
 * same time as the read may be mixed within a block, byte by byte. A copy puts into a block what a
 * read that lasted as long as it may have found in another. A block that is marked bad cannot be read
 * until it is written; marking is a write, too.
 */
#ifndef FERRY_TEST_ASSOCIATION_MODEL_H
#define FERRY_TEST_ASSOCIATION_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct model;

/* Consecutive blocks. */
struct model_range {
	uint32_t first;
	uint32_t count;
};

/* How a write ended. */
enum model_end {
	MODEL_ACKNOWLEDGED, /* it is there */
	MODEL_REFUSED,      /* it is not there, nor was */
	MODEL_FAILED,       /* it may be there, but nothing more will be */
	MODEL_LOST,         /* it may be there, or may yet be until its era ends */
};

#define MODEL_SOURCES 2 /* ranges that a copy is made of */

/** @param block_bytes 512..4096
 *  @param salt 0..255, tells what is written here from what is written elsewhere
 *  @return the model, the caller's. */
struct model *model_new(uint32_t block_bytes, uint32_t block_count, uint32_t salt);

/** NULL is legal. */
void model_free(struct model *model);

uint32_t model_block_bytes(const struct model *model);
uint32_t model_block_count(const struct model *model);

/** A write begins at @time in era @era. @ret_data gets what it writes; NULL: it writes zeros.
 *  @return what names the write. */
uint32_t model_begin_write(struct model *model, uint64_t time, uint32_t era,
	struct model_range range, uint8_t *ret_data);

/** A copy of @sources, one after the other, to the block @to and those that follow begins. Sources may
 *  be empty, but not all. @return what names the write. */
uint32_t model_begin_copy(struct model *model, uint64_t time, uint32_t era, uint32_t to,
	const struct model_range sources[MODEL_SOURCES]);

/** Marking @range bad begins. @return what names it, as a write. */
uint32_t model_begin_mark(struct model *model, uint64_t time, uint32_t era,
	struct model_range range);

void model_end_write(struct model *model, uint64_t time, uint32_t write, enum model_end end);

/** No write of @era that was lost can come any more. */
void model_end_era(struct model *model, uint64_t time, uint32_t era);

/** @return whether a read that began at @start and ended now may have found @data; else
 *  *ret_block is the first wrong block. */
bool model_allows(struct model *model, uint64_t start, struct model_range range,
	const uint8_t *data, uint32_t *ret_block);

/** @return whether a read that began at @start and ended now can have found nothing but @data. */
bool model_requires(struct model *model, uint64_t start, struct model_range range,
	const uint8_t *data);

/** @return whether a read that began at @start and ended now may have found a bad block. */
bool model_may_be_bad(struct model *model, uint64_t start, struct model_range range);

/** @return whether such a read must have found one. */
bool model_must_be_bad(struct model *model, uint64_t start, struct model_range range);

/** Print to stderr what was written to @block, what of it a read that began at @start and ended now
 *  may have found, and how much of each is in @data. */
void model_explain(struct model *model, uint64_t start, uint32_t block, const uint8_t *data);

#endif
