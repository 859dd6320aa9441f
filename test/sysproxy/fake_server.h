/*
 * A sysproxy server without a kernel: a thread that follows a script, to show a client what a server may
 * say and what it may not.
 */
#ifndef FERRY_TEST_SYSPROXY_FAKE_SERVER_H
#define FERRY_TEST_SYSPROXY_FAKE_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ferry/sysproxy.h"
#include "sysproxy/wire.h"

struct fake_server {
	char url[128];
	char path[108];
	bool is_plain;
	/* After the greetings: speaks to the client on @fd, a lane, or the session if is_plain. */
	void (*script)(struct fake_server *server, int fd);
	void *context; /* the test's */
	int listener, session;
	pthread_t thread;
};

/** Start a server at a unix socket; @server->is_plain, script and context are set. */
void fake_server_start(struct fake_server *server);

/** Wait for the script to end, and clean up. The client may still be open. */
void fake_server_stop(struct fake_server *server);

/** Send a frame. @param number of the frame */
void fake_server_send(int fd, struct wire_frame frame, const void *payload, size_t bytes);

/** Receive a frame, which must be of @type, and at most @bytes bytes of its payload.
 *  @return its header; the payload's bytes in frame.bytes */
struct wire_frame fake_server_receive(int fd, uint16_t type, void *ret_payload, size_t bytes);

/** Answer the CALL @number with success and nothing else. */
void fake_server_result(int fd, uint64_t number);

/** Receive a CALL or SYSCALL and answer it with a result without data. */
void fake_server_answer(int fd, int64_t value);

/** @return whether the client has hung up. */
bool fake_server_is_hung_up(int fd);

/* A server and its client. */
struct fake_scene {
	struct fake_server server;
	struct ferry_sysproxy *client;
	int signal; /* raised last */
};

void fake_scene_open(struct fake_scene *scene, void (*script)(struct fake_server *server, int fd),
	bool is_plain);
void fake_scene_close(struct fake_scene *scene);

/** Call number 42 with the arguments 11, 12, 13. @return as ferry_sysproxy_call(). */
int fake_scene_call(struct fake_scene *scene, const struct ferry_sysproxy_range *ranges,
	unsigned range_count, struct ferry_sysproxy_call *ret_call);

#endif
