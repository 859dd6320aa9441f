/*
 * Numbers are parsed here and not by strtoull(), which takes blanks, signs and other bases.
 */
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* @return where the digits at @text end, NULL if there are none; @ret_is_over says that their value
 * is more than 64 bits hold. */
static const char *parse_digits(const char *text, uint64_t *ret_value, bool *ret_is_over)
{
	const char *cursor = text;
	uint64_t value = 0;
	bool is_over = false;

	for (; *cursor >= '0' && *cursor <= '9'; cursor++) {
		unsigned digit = (unsigned)(*cursor - '0');

		is_over |= value > (UINT64_MAX - digit) / 10;
		value = is_over ? UINT64_MAX : value * 10 + digit;
	}
	if (cursor == text)
		return NULL;
	*ret_value = value;
	*ret_is_over = is_over;
	return cursor;
}

int text_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
	uint64_t value;
	bool is_over;
	const char *end = parse_digits(text, &value, &is_over);

	if (end == NULL || *end != '\0')
		return -EINVAL;
	if (is_over || value < minimum || value > maximum)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* @return the power of 1024 that a size's suffix stands for, or -EINVAL. */
static int parse_suffix(const char *suffix)
{
	static const char known[] = "kmgtp";
	const char *unit;

	if (*suffix == '\0')
		return 0;
	unit = strchr(known, *suffix | 0x20);
	if (unit == NULL)
		return -EINVAL;
	suffix++;
	if (*suffix != '\0' && strcasecmp(suffix, "b") != 0 && strcasecmp(suffix, "ib") != 0)
		return -EINVAL;
	return (int)(unit - known) + 1;
}

int text_parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t value;
	bool is_over;
	const char *suffix = parse_digits(text, &value, &is_over);
	int power;

	if (suffix == NULL)
		return -EINVAL;
	power = parse_suffix(suffix);
	if (power < 0)
		return power;
	if (is_over || value > (uint64_t)INT64_MAX >> 10 * power)
		return -ERANGE;
	*ret_bytes = value << 10 * power;
	return 0;
}

void text_from_size(uint64_t bytes, char ret_text[TEXT_SIZE_MAX])
{
	static const char units[] = "KMGTPE";
	unsigned power = 0, tenths;
	uint64_t whole, rest;

	while (power < sizeof(units) - 1 && bytes >> 10 * (power + 1) != 0)
		power++;
	whole = bytes >> 10 * power;
	rest = bytes - (whole << 10 * power);
	tenths = (unsigned)(rest * 10 >> 10 * power);
	if (power == 0)
		snprintf(ret_text, TEXT_SIZE_MAX, "%u B", (unsigned)whole);
	else if (tenths == 0)
		snprintf(ret_text, TEXT_SIZE_MAX, "%u %ciB", (unsigned)whole, units[power - 1]);
	else
		snprintf(ret_text, TEXT_SIZE_MAX, "%u.%u %ciB", (unsigned)whole, tenths,
			units[power - 1]);
}

void text_to_field(void *ret_field, size_t bytes, const char *text, char pad)
{
	size_t text_bytes = strnlen(text, bytes);

	memcpy(ret_field, text, text_bytes);
	memset((char *)ret_field + text_bytes, pad, bytes - text_bytes);
}

void text_from_field(char *ret_text, const void *field, size_t bytes)
{
	const char *from = field;

	while (bytes > 0 && (from[bytes - 1] == '\0' || from[bytes - 1] == ' '))
		bytes--;
	for (size_t i = 0; i < bytes; i++)
		ret_text[i] = (char)(from[i] >= ' ' && from[i] <= '~' ? from[i] : '?');
	ret_text[bytes] = '\0';
}

bool text_copy(char *ret_to, size_t bytes, const char *text)
{
	size_t text_bytes = strlen(text);

	if (bytes == 0)
		return false;
	if (text_bytes >= bytes) {
		ret_to[0] = '\0';
		return false;
	}
	memcpy(ret_to, text, text_bytes + 1);
	return true;
}
