/*
 * The service manager's notification protocol (sd_notify(3)): a datagram to the socket that
 * NOTIFY_SOCKET names.
 */
#ifndef FERRY_CMD_NOTIFY_H
#define FERRY_CMD_NOTIFY_H

/** Send @state ("READY=1"). Without a service manager, or if it does not listen, nothing happens. */
void notify_manager(const char *state);

#endif
