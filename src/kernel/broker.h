/*
 * The broker: listens for the clients of lent calls, greets them, and gives each process a worker of its
 * own, which the spawner forks within the walls of what is lent. It makes no call itself, and what it
 * is told by workers it does not believe: a worker that crashes, lies or hangs is one client's error.
 *
 * A client process and its worker are one *guest* (guest.h). The broker keeps them all; a new process
 * gets a new one, a lane goes to the one that its cookie names, a fork's child to the one that waits for
 * it.
 *
 * All of it happens on one loop, its owner's, and waits for nobody.
 */
#ifndef FERRY_KERNEL_BROKER_H
#define FERRY_KERNEL_BROKER_H

#include "ferry/sysproxy.h"
#include "kernel/spawner.h"

struct broker;
struct log;
struct loop;

#define BROKER_URLS_MAX       16u
#define BROKER_GUESTS_DEFAULT 1024u /* processes at one time, children that wait included */
#define BROKER_CHILDREN_MAX   256u  /* of one process, that wait for their client */
#define BROKER_PREFORK_MS     30000u
#define BROKER_END_MS         2000u /* a worker that has been told to end is killed after this */

struct broker_options {
	struct loop *loop;
	struct log *log;             /* may be NULL */
	unsigned guests_max;         /* 1..SPAWNER_WORKERS_MAX; 0: the default */
	unsigned prefork_timeout_ms; /* 0: the default */
	const uid_t *users;          /* who may come beside the user of this process */
	size_t user_count;           /* at most FERRY_SYSPROXY_USERS_MAX */
	/* Given a line for each call that a guest has made. May be NULL. */
	void (*trace)(void *context, const char *line);
	/* Nothing is left after broker_stop(), or the spawner has gone (@is_failed). Once; on the
	 * loop. */
	void (*ended)(void *context, bool is_failed);
	void *context;
};

/** @param options copied; @param spawner taken, it is emptied
 *  @return 0 and a broker, owned by the caller, or -errno: @spawner is the caller's then. */
int broker_new(const struct broker_options *options, struct spawner *spawner,
	struct broker **ret_broker) __attribute__((warn_unused_result));

/** Let clients come by @url, at most BROKER_URLS_MAX times.
 *  @param ret_url where it can be reached; the broker's
 *  @return 0, or -errno with a sentence. */
int broker_listen(struct broker *broker, const char *url, const char **ret_url,
	char ret_error[FERRY_SYSPROXY_ERROR_MAX]) __attribute__((warn_unused_result));

/** @return how many guests there are. */
unsigned broker_guest_count(const struct broker *broker);

/** Let nobody come any more, and end all guests: options.ended tells when that is done, within
 *  twice BROKER_END_MS. */
void broker_stop(struct broker *broker);

/** End at once what is left, and wait until no process of it is there. Not from within a turn of the
 *  loop. NULL is legal. */
void broker_free(struct broker *broker);

#endif
