#include "test/association/counter.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void counter_fill(uint64_t number, uint8_t *ret_data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i += sizeof(number))
		memcpy(ret_data + i, &number, sizeof(number));
}

const char *counter_look(const struct counter *counter, uint64_t least, const uint8_t *data,
	uint32_t bytes, uint64_t *ret_number)
{
	uint64_t first, number;

	memcpy(&first, data, sizeof(first));
	*ret_number = first;
	for (uint32_t i = 0; i < bytes; i += sizeof(number)) {
		memcpy(&number, data + i, sizeof(number));
		if (number < least)
			return "an update of a counter is lost";
		if (number >= COUNTER_MAX || (number > 0 && counter->tries[number - 1] == 0))
			return "a counter has counted what nobody did";
		if (number == first)
			continue;
		if (!counter->may_be_torn)
			return "the words of a counter differ";
		*ret_number = COUNTER_TORN;
	}
	return NULL;
}

void counter_try(struct counter *counter, uint64_t number)
{
	assert(number < COUNTER_MAX);
	counter->tries[number]++;
}

bool counter_acknowledge(struct counter *counter, uint64_t number)
{
	if (counter->is_acknowledged[number])
		return false;
	counter->is_acknowledged[number] = true;
	if (counter->least <= number)
		counter->least = number + 1;
	return true;
}

bool counter_may_be_taken(const struct counter *counter, uint64_t number)
{
	return counter->tries[number] > 1;
}
