/*
 * A block that hosts count with, by fused Compare and Write: one more each time, from what a read has
 * found. No update may be lost and none may come twice, so each number is left once and by one who
 * has tried to. All words of the block hold the number.
 */
#ifndef FERRY_TEST_ASSOCIATION_COUNTER_H
#define FERRY_TEST_ASSOCIATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

#define COUNTER_MAX 2048 /* more than a run can count */

/* Begins as zeros. */
struct counter {
	bool may_be_torn;
	uint64_t least;                    /* what a read that begins now must find at least */
	uint16_t tries[COUNTER_MAX];       /* to leave the number */
	bool is_acknowledged[COUNTER_MAX]; /* one of them */
};

void counter_fill(uint64_t number, uint8_t *ret_data, uint32_t bytes);

/* A read of memory that is lent may find some words older than others. */
#define COUNTER_TORN UINT64_MAX

/** @param least counter->least when the read of @data began
 *  @return NULL and the number, or COUNTER_TORN, in *ret_number; or what is wrong. */
const char *counter_look(const struct counter *counter, uint64_t least, const uint8_t *data,
	uint32_t bytes, uint64_t *ret_number);

/** Somebody tries to leave @number. */
void counter_try(struct counter *counter, uint64_t number);

/** He hears that he has. @return whether that can be. */
bool counter_acknowledge(struct counter *counter, uint64_t number);

/** @return whether somebody who has tried to leave @number may find that another has. */
bool counter_may_be_taken(const struct counter *counter, uint64_t number);

#endif
