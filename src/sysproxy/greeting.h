/*
 * A greeting: a new connection until it is the session of a process, a lane of one, or refused. It
 * sends the banner and reads frames exactly, so that no byte of what follows is taken from whoever has
 * the connection next. All of that must be over within the handshake's time.
 * Such a one has a struct handover: another server may have greeted it, or may have it next.
 *
 * One that is refused is told why, and stays for a moment so that it can read it.
 */
#ifndef FERRY_SYSPROXY_GREETING_H
#define FERRY_SYSPROXY_GREETING_H

#include "sysproxy/handover.h"
#include "sysproxy/server.h"

struct greeting;

/** Greet the connected socket @fd, which is taken.
 *  @param refusal not WIRE_ERROR_NONE: greet and refuse it, with @why for the log */
void greeting_begin(struct ferry_sysproxy_server *server, int fd, enum wire_error refusal,
	const char *why);

/** The same for one that was greeted already, as @handover says: it gets what it has asked for, or
 *  is refused with @refusal.
 *  @param handover of which handover_check() is true */
void greeting_adopt(struct ferry_sysproxy_server *server, int fd, const struct handover *handover,
	enum wire_error refusal, const char *why);

/** Have room for one more, by hanging up one that was refused and only lingers.
 *  @return whether there is. */
bool greeting_make_room(struct ferry_sysproxy_server *server) __attribute__((warn_unused_result));

/** Hang up all that there are. */
void greeting_free_all(struct ferry_sysproxy_server *server);

/** The process that was asked for is there, and is given the connection as its session; or, with an
 *  @error of the kernel's, is not. */
void greeting_process_begun(struct greeting *greeting, struct ferry_process *process, int error);

#endif
