/*
 * One line a complaint, so that scripts and logs keep it whole.
 */
#include "cmd/message.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 0))) __attribute__((format(printf, 2, 0))) static void print_line(
	const char *verb, const char *format, va_list arguments)
{
	(void)fprintf(stderr, verb != NULL ? "ferry %s: " : "ferry: ", verb);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
}

void complain(const char *verb, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(verb, format, arguments);
	va_end(arguments);
}

int complain_usage(const char *verb, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(verb, format, arguments);
	va_end(arguments);
	if (verb != NULL)
		(void)fprintf(stderr, "Try 'ferry %s --help'.\n", verb);
	else
		(void)fprintf(stderr, "Try 'ferry --help'.\n");
	return EXIT_STATUS_USAGE;
}
