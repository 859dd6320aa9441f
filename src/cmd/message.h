/*
 * What a command says to its user: complaints on standard error, and exit statuses.
 */
#ifndef FERRY_CMD_MESSAGE_H
#define FERRY_CMD_MESSAGE_H

enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_FAILED = 1, /* the work could not be done; a line says why */
	EXIT_STATUS_USAGE = 2,  /* the command line is wrong; a line says where */
	/* by a signal, in order; a line says how far it got; the number as shells have it */
	EXIT_STATUS_INTERRUPTED = 130,
};

/** Print "ferry VERB: ..." on standard error. @verb may be NULL. */
void complain(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** As complain(), with a second line that points to --help. @return EXIT_STATUS_USAGE. */
int complain_usage(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
