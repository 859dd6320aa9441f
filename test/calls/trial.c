/*
 * After a call that may have changed the world the next one gets a new one.
 */
#include "test/calls/trial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "call/extent.h"
#include "test/calls/mask.h"
#include "test/calls/word.h"
#include "test/calls/world.h"

#define PAGE_BYTES 4096u

void trial_place(const struct trial *trial, uint64_t ret_arguments[CALL_ARGUMENTS_MAX])
{
	arena_reset(trial->side->arena);
	memset(ret_arguments, 0, CALL_ARGUMENTS_MAX * sizeof(*ret_arguments));
	for (unsigned i = 0; i < trial->row->argument_count; i++)
		ret_arguments[i] = word_place(trial->side, i, trial->subject->words[i]);
}

/* Changes */

/* @return where @bytes bytes end with the memory, or 0: there are not so many. */
static uint64_t end_of(const struct side *side, unsigned index, uint64_t bytes)
{
	if (bytes <= ARENA_SLOT_BYTES)
		return SIDE_AT(arena_end(side->arena, index) - bytes);
	if (bytes <= ARENA_LARGE_BYTES)
		return SIDE_AT(side->arena->large + ARENA_LARGE_BYTES - bytes);
	return 0;
}

/* Put the argument so that it ends @beyond bytes after the end of memory. */
static void move_to_end(const struct trial *trial, uint64_t *arguments, unsigned index,
	uint64_t beyond)
{
	const uint8_t *slot = trial->side->arena->slots[index];
	struct call_extent extent;
	uint64_t to;

	if (arguments[index] != SIDE_AT(slot) ||
		call_extent(trial->row, arguments, index, &extent) != 0)
		return;
	if (extent.is_sized)
		memcpy(&extent.bytes, trial->side->arena->slots[extent.size_index],
			sizeof(uint32_t));
	to = end_of(trial->side, index, extent.bytes);
	if (to == 0)
		return;
	if (extent.bytes <= ARENA_SLOT_BYTES)
		memmove((void *)(uintptr_t)to, slot, (size_t)extent.bytes);
	arguments[index] = to + (beyond < extent.bytes ? beyond : extent.bytes);
}

/* Move all that argument @index counts. */
static void move_counted(const struct trial *trial, uint64_t *arguments, unsigned index,
	uint64_t beyond)
{
	for (unsigned i = 0; i < trial->row->argument_count; i++) {
		const struct call_argument *argument = &trial->row->arguments[i];
		enum call_class class = (enum call_class)argument->class;

		if ((class == CALL_IN || class == CALL_OUT || class == CALL_IN_OUT) &&
			argument->length == index && i != index)
			move_to_end(trial, arguments, i, beyond);
	}
}

static void put_string(const struct trial *trial, uint64_t *arguments, const struct change *change)
{
	size_t bytes = strlen(change->text) + (change->kind == CHANGE_STRING);
	uint8_t *at = arena_end(trial->side->arena, change->index) - bytes;

	memcpy(at, change->text, bytes);
	arguments[change->index] = SIDE_AT(at);
}

static void put_repeated(const struct trial *trial, uint64_t *arguments,
	const struct change *change)
{
	size_t bytes = (size_t)change->value, period = strlen(change->text);
	uint8_t *at = arena_end(trial->side->arena, change->index) - bytes - 1;

	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)change->text[i % period];
	at[bytes] = 0;
	arguments[change->index] = SIDE_AT(at);
}

static void put_field(const struct trial *trial, unsigned slot, const struct change *change)
{
	memcpy(trial->side->arena->slots[slot] + change->offset, &change->value, change->bytes);
}

static void put_astride(const struct trial *trial, uint64_t *arguments, unsigned index)
{
	uint8_t *slot = trial->side->arena->slots[index];
	uint8_t *to = slot + PAGE_BYTES - 1;

	memmove(to, slot, ARENA_SLOT_BYTES - PAGE_BYTES);
	arguments[index] = SIDE_AT(to);
}

static void apply(const struct trial *trial, uint64_t *arguments, const struct change *change)
{
	switch (change->kind) {
	case CHANGE_NOTHING:
		return;
	case CHANGE_VALUE:
	case CHANGE_MANY:
		arguments[change->index] = change->value;
		return;
	case CHANGE_COUNT:
	case CHANGE_SHORT:
		arguments[change->index] = change->value;
		move_counted(trial, arguments, change->index, change->kind == CHANGE_SHORT);
		return;
	case CHANGE_EDGE:
	case CHANGE_BEYOND:
		move_to_end(trial, arguments, change->index, change->kind == CHANGE_BEYOND);
		return;
	case CHANGE_ASTRIDE:
		put_astride(trial, arguments, change->index);
		return;
	case CHANGE_STRING:
	case CHANGE_UNENDED:
		put_string(trial, arguments, change);
		return;
	case CHANGE_REPEATED:
		put_repeated(trial, arguments, change);
		return;
	case CHANGE_FIELD:
		put_field(trial, change->index, change);
		return;
	case CHANGE_ASIDE:
		put_field(trial, WORD_ASIDE, change);
		return;
	}
}

/* The account */

static void write_label(const struct trial *trial, const struct change *change, char *label,
	size_t bytes)
{
	static const char *const kinds[] = {
		[CHANGE_NOTHING] = "as it is",
		[CHANGE_VALUE] = "",
		[CHANGE_MANY] = ", more than there is",
		[CHANGE_COUNT] = ", which fit",
		[CHANGE_SHORT] = ", one more than fit",
		[CHANGE_EDGE] = "at the edge",
		[CHANGE_BEYOND] = "beyond the edge",
		[CHANGE_ASTRIDE] = "astride",
		[CHANGE_STRING] = "",
		[CHANGE_UNENDED] = " without end",
		[CHANGE_REPEATED] = " bytes",
		[CHANGE_FIELD] = " in memory",
		[CHANGE_ASIDE] = " aside",
	};
	size_t used = (size_t)snprintf(label, bytes, "%s(", trial->row->name);

	for (unsigned i = 0; i < trial->row->argument_count && used < bytes; i++)
		used += (size_t)snprintf(label + used, bytes - used, "%s%s", i > 0 ? ", " : "",
			trial->subject->words[i]);
	if (used >= bytes)
		used = bytes - 1;
	used += (size_t)snprintf(label + used, bytes - used, ") ");
	if (used >= bytes)
		return;
	if (change->kind == CHANGE_NOTHING || change->kind == CHANGE_EDGE ||
		change->kind == CHANGE_BEYOND || change->kind == CHANGE_ASTRIDE)
		(void)snprintf(label + used, bytes - used, "[%u] %s", change->index,
			kinds[change->kind]);
	else if (change->name != NULL || change->text != NULL)
		(void)snprintf(label + used, bytes - used, "[%u]=%s%s", change->index,
			change->name != NULL ? change->name : change->text, kinds[change->kind]);
	else
		(void)snprintf(label + used, bytes - used, "[%u]=%lld%s", change->index,
			(long long)change->value, kinds[change->kind]);
}

static struct account_line *next_line(struct side *side)
{
	struct account *account = side->account;

	if (account->count == ACCOUNT_LINES_MAX)
		side_fail(side, "the account is full");
	return &account->lines[account->count++];
}

static void write_rest(struct trial *trial, struct account_line *line)
{
	size_t used = arena_describe(trial->side->arena, line->text, sizeof(line->text));

	if (line->value >= 0)
		used += world_describe(trial->side, line->text + used, sizeof(line->text) - used);
	if (*trial->side->signal_count > 0)
		(void)snprintf(line->text + used, sizeof(line->text) - used, " %d signals",
			(int)*trial->side->signal_count);
	*trial->side->signal_count = 0;
}

/* @return whether the call cannot have changed the world: one that takes what has come may have taken it
 * before it failed. */
static bool is_harmless(const struct call_row *row, int64_t value)
{
	if (value == -EBADF)
		return true;
	return value < 0 && value != -EFAULT && (row->flags & CALL_MAY_BLOCK) == 0;
}

void trial_run(struct trial *trial, const struct change *change)
{
	struct account_line *line;
	uint64_t arguments[CALL_ARGUMENTS_MAX];

	if (trial->is_sampled && trial->number++ % TRIAL_SAMPLE != 0)
		return;
	line = next_line(trial->side);
	write_label(trial, change, line->label, sizeof(line->label));
	if (!trial->is_world_made)
		world_make(trial->side);
	trial_place(trial, arguments);
	apply(trial, arguments, change);
	arena_remember(trial->side->arena);
	line->value = side_call(trial->side, trial->row->number, arguments);
	mask_memory(trial->side, trial->row, arguments, line->value);
	trial->is_world_made = is_harmless(trial->row, line->value);
	write_rest(trial, line);
	line->value = mask_value(trial->row, line->value);
	line->is_done = 1;
}
