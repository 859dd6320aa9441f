/*
 * What the files of a greeting share. greeting.c: its life, receiving, HELLO. greeting_place.c: what
 * becomes of a connection that has said what it is to be.
 *
 * States:
 *   reading    HELLO, then the frame that says what the connection is to be
 *   waiting    the steward is making its process; nothing is read, the timer rests
 *   lingering  refused and told so; what comes is dropped until the peer hangs up or the time is over
 */
#ifndef FERRY_SYSPROXY_GREETING_PRIVATE_H
#define FERRY_SYSPROXY_GREETING_PRIVATE_H

#include "loop/timer.h"
#include "sysproxy/greeting.h"

/* The longest payload: a program's name, or a HELLO with fields of later versions. */
#define GREETING_PAYLOAD_MAX WIRE_NAME_MAX

enum greeting_state {
	GREETING_READING,
	GREETING_WAITING,
	GREETING_LINGERING,
};

struct greeting {
	struct list link; /* in the server's */
	struct ferry_sysproxy_server *server;
	struct loop_watch watch;
	struct timer timer;
	struct loop_task drop; /* what comes to one that lingers */
	enum greeting_state state;
	struct handover handover;      /* what it has said, so far */
	struct ferry_process *process; /* that is being made */
	size_t got_bytes;              /* of the frame */
	struct wire_frame frame;
	union {
		struct wire_header header;
		uint8_t header_bytes[WIRE_HEADER_BYTES];
	};
	uint8_t payload[GREETING_PAYLOAD_MAX + 1];
};

/** The descriptor is another's now, or closed, and is not watched: free the greeting. */
void greeting_release(struct greeting *greeting);

/** Close the connection and free the greeting. */
void greeting_free(struct greeting *greeting);

/** Send an error, and drop what comes until the peer has seen it. @param why for the log */
void greeting_refuse(struct greeting *greeting, enum wire_error code, const char *why);

/** It has said what it is to be, in greeting->handover. */
void greeting_place(struct greeting *greeting);

#endif
