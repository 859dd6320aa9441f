/*
 * Any surprise is an abort: the test then fails by that.
 */
#include "test/sysproxy/fake_server.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sysproxy/banner.h"

static void send_all(int fd, const void *bytes, size_t count)
{
	ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);

	/* The client may have hung up: that is for the script to notice. */
	assert(sent < 0 || (size_t)sent == count);
}

void fake_server_send(int fd, struct wire_frame frame, const void *payload, size_t bytes)
{
	uint8_t *all = malloc(WIRE_HEADER_BYTES + bytes);

	assert(all != NULL);
	wire_header_put((struct wire_header *)all, &frame, bytes);
	if (frame.bytes != 0) /* a lie */
		((struct wire_header *)all)->bytes = le64_of(frame.bytes);
	if (bytes > 0)
		memcpy(all + WIRE_HEADER_BYTES, payload, bytes);
	send_all(fd, all, WIRE_HEADER_BYTES + bytes);
	free(all);
}

struct wire_frame fake_server_receive(int fd, uint16_t type, void *ret_payload, size_t bytes)
{
	struct wire_header header;
	struct wire_frame frame;
	uint8_t *payload;

	if (recv(fd, &header, sizeof(header), MSG_WAITALL) != sizeof(header))
		abort();
	frame = wire_frame_of(&header);
	if (frame.type != type || frame.bytes < WIRE_HEADER_BYTES || frame.bytes > WIRE_FRAME_MAX)
		abort();
	frame.bytes -= WIRE_HEADER_BYTES;
	payload = calloc(1, frame.bytes + 1);
	assert(payload != NULL);
	if (frame.bytes > 0 && recv(fd, payload, frame.bytes, MSG_WAITALL) != (ssize_t)frame.bytes)
		abort();
	if (bytes > 0)
		memcpy(ret_payload, payload, bytes < frame.bytes ? bytes : frame.bytes);
	free(payload);
	return frame;
}

void fake_server_answer(int fd, int64_t value)
{
	struct wire_call_reply reply = {.values[0] = le64_of((uint64_t)value)};
	struct wire_header header;
	struct wire_frame frame;

	if (recv(fd, &header, sizeof(header), MSG_PEEK | MSG_WAITALL) != sizeof(header))
		abort();
	frame = fake_server_receive(fd, le16_get(header.type), NULL, 0);
	frame.class = WIRE_RESPONSE;
	frame.bytes = 0;
	frame.aux = 0;
	fake_server_send(fd, frame, &reply, sizeof(reply));
}

bool fake_server_is_hung_up(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, 0) <= 0;
}

static void greet(struct fake_server *server, int fd, bool is_lane)
{
	struct banner banner = {.minor = 4, .os = "Fake-1", .extension = !server->is_plain};
	struct wire_session_reply reply = {.process_id = le64_of(77)};
	struct wire_hello hello = {.version = le32_of(WIRE_VERSION),
		.carried_max = le32_of(WIRE_CARRIED_MAX),
		.ranges_max = le32_of(WIRE_RANGES_MAX),
		.lanes_max = le32_of(8),
		.calls_max = le32_of(8)};
	char line[WIRE_BANNER_MAX + 1];
	struct wire_frame frame;

	banner_machine(banner.machine);
	send_all(fd, line, banner_make(&banner, line));
	if (!server->is_plain) {
		frame = fake_server_receive(fd, WIRE_HELLO, NULL, 0);
		fake_server_send(fd,
			(struct wire_frame){.number = frame.number,
				.class = WIRE_RESPONSE,
				.type = WIRE_HELLO},
			&hello, sizeof(hello));
	}
	frame = fake_server_receive(fd, is_lane ? WIRE_LANE : WIRE_HANDSHAKE, NULL, 0);
	fake_server_send(fd,
		(struct wire_frame){.number = frame.number,
			.class = WIRE_RESPONSE,
			.type = frame.type},
		&reply, is_lane || server->is_plain ? 4 : sizeof(reply));
}

static void *serve(void *context)
{
	struct fake_server *server = context;
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

	server->session = fd;
	greet(server, fd, false);
	if (!server->is_plain) {
		fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		greet(server, fd, true);
	}
	server->script(server, fd);
	if (fd != server->session)
		(void)close(fd);
	(void)close(server->session);
	return NULL;
}

void fake_server_start(struct fake_server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/ferry-fake-XXXXXX";

	if (mkdtemp(directory) == NULL)
		abort();
	(void)snprintf(server->path, sizeof(server->path), "%s/socket", directory);
	(void)snprintf(server->url, sizeof(server->url), "unix://%s", server->path);
	memcpy(address.sun_path, server->path, sizeof(server->path));
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server->listener < 0 ||
		bind(server->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(server->listener, 8) != 0 ||
		pthread_create(&server->thread, NULL, serve, server) != 0)
		abort();
}

void fake_server_stop(struct fake_server *server)
{
	(void)pthread_join(server->thread, NULL);
	(void)close(server->listener);
	(void)unlink(server->path);
	*strrchr(server->path, '/') = '\0';
	(void)rmdir(server->path);
}

void fake_server_result(int fd, uint64_t number)
{
	struct wire_call_reply reply = {0};

	fake_server_send(fd,
		(struct wire_frame){.number = number, .class = WIRE_RESPONSE, .type = WIRE_CALL},
		&reply, sizeof(reply));
}

static void note_signal(void *context, int signal)
{
	((struct fake_scene *)context)->signal = signal;
}

void fake_scene_open(struct fake_scene *scene, void (*script)(struct fake_server *server, int fd),
	bool is_plain)
{
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.signal = note_signal,
		.signal_context = scene};
	char problem[FERRY_SYSPROXY_ERROR_MAX];

	*scene = (struct fake_scene){
		.server = {.script = script, .is_plain = is_plain, .context = scene}};
	fake_server_start(&scene->server);
	if (ferry_sysproxy_open(scene->server.url, &options, &scene->client, problem) != 0)
		abort();
}

void fake_scene_close(struct fake_scene *scene)
{
	fake_server_stop(&scene->server);
	ferry_sysproxy_close(scene->client);
}

int fake_scene_call(struct fake_scene *scene, const struct ferry_sysproxy_range *ranges,
	unsigned range_count, struct ferry_sysproxy_call *ret_call)
{
	static const uint64_t arguments[] = {11, 12, 13};

	*ret_call = (struct ferry_sysproxy_call){.number = 42,
		.arguments = arguments,
		.argument_count = ARRAY_LENGTH(arguments),
		.ranges = ranges,
		.range_count = range_count};
	return ferry_sysproxy_call(scene->client, ret_call);
}
