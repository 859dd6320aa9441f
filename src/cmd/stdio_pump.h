/*
 * Standard input and output as one socket: what ssh(1) gives a program may be two pipes, but a client
 * comes by a socket. Two threads move bytes between them and a socket of the pump's.
 *
 * The end of input is passed on; when the socket's other end is closed, output gets what is left.
 */
#ifndef FERRY_CMD_STDIO_PUMP_H
#define FERRY_CMD_STDIO_PUMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define STDIO_PUMP_BUFFER (64u << 10) /* bytes */

/* One direction. */
struct stdio_pump_way {
	pthread_t thread;
	bool has_thread;
	int from, to;
	int socket; /* which of them is the socket */
	const struct stdio_pump *pump;
	uint8_t buffer[STDIO_PUMP_BUFFER];
};

struct stdio_pump {
	struct stdio_pump_way in, out;
	int socket; /* the pump's end */
	/* The other end has been closed, or nobody takes the output. From a thread of the pump. */
	void (*ended)(void *context);
	void *context;
};

/** Begin to move bytes. SIGPIPE is ignored by the program. pump->ended and pump->context have been set.
 *  @param input, output stay the caller's
 *  @param ret_fd the other end of the socket, the caller's
 *  @return 0 or -errno. */
int stdio_pump_start(struct stdio_pump *pump, int input, int output, int *ret_fd)
	__attribute__((warn_unused_result));

/** Stop: input is read no more; output is given what the other end, which is closed, has left, if that is
 *  taken within a second. One that has not been started is legal if it is zeroed. */
void stdio_pump_stop(struct stdio_pump *pump);

#endif
