/*
 * blocking_kernel URL: serves the fake kernel for tests from outside. It prints a line "ready URL", then
 * "blocked" when a call waits (call FAKE_BLOCK, 10), and ends with its standard input.
 */
#include <stdio.h>
#include <unistd.h>

#include "ferry/sysproxy.h"
#include "test/sysproxy/fake_kernel.h"

static void say(const char *word, const char *text)
{
	(void)printf("%s%s\n", word, text);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	struct fake_kernel *kernel = fake_kernel_new();
	struct ferry_kernel face = fake_kernel_face(kernel);
	char problem[FERRY_SYSPROXY_ERROR_MAX], byte;
	struct ferry_sysproxy_server *server;

	if (argc != 2 || ferry_sysproxy_server_open(argv[1], &face, NULL, &server, problem) != 0)
		return 1;
	say("ready ", ferry_sysproxy_server_url(server));
	fake_kernel_await_blocked(kernel, 1);
	say("blocked", "");
	while (read(STDIN_FILENO, &byte, 1) > 0) {
	}
	ferry_sysproxy_server_close(server);
	fake_kernel_free(kernel);
	return 0;
}
