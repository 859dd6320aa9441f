/*
 * ferry disk copy: opens both ends, copies, flushes, and compares if that was asked for. Nothing of the
 * destination is touched before all that can be checked has been checked.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cmd/disk.h"
#include "cmd/disk_end.h"
#include "cmd/message.h"
#include "cmd/option.h"
#include "cmd/progress.h"
#include "cmd/transfer.h"
#include "ferry/host.h"

#define VERB "disk copy"

struct copy_options {
	const char *source, *destination;
	const char *host_nqn;
	uint64_t request_count;
	uint64_t request_bytes;
	uint64_t queue_count;
	bool has_header_digest, has_data_digest;
	bool is_verified;
	bool is_progress_off;
};

struct copy {
	struct copy_options options;
	struct disk_end source, destination;
	struct progress progress;
	struct transfer *transfer;
	int signal_fd;
};

static enum option_outcome parse_table(int argc, char **argv, struct copy_options *options,
	struct option_list *ret_arguments)
{
	const struct option_row rows[] = {
		{"verify", NULL,
			"read the destination back and compare; where they first differ is said",
			OPTION_FLAG, {.is_set = &options->is_verified}, 0, 0},
		{"requests", "N", "requests in flight: 1..128 (default 16)", OPTION_NUMBER,
			{.number = &options->request_count}, 1, TRANSFER_REQUESTS_MAX},
		{"request-size", "SIZE",
			"bytes of each: 4K..4M (default 256K), made larger to be whole blocks",
			OPTION_SIZE, {.number = &options->request_bytes},
			TRANSFER_REQUEST_BYTES_MIN, TRANSFER_REQUEST_BYTES_MAX},
		{"queues", "N", "connections for I/O to each URL: 1..64 (default 1)", OPTION_NUMBER,
			{.number = &options->queue_count}, 1, FERRY_HOST_IO_QUEUES_MAX},
		{"host-nqn", "NQN",
			"the name to connect by (default: /etc/nvme/hostnqn, else made of this\n"
			"machine's id)",
			OPTION_TEXT, {.text = &options->host_nqn}, 0, 0},
		{"header-digest", NULL,
			"have checksums of headers; a target that refuses is refused", OPTION_FLAG,
			{.is_set = &options->has_header_digest}, 0, 0},
		{"data-digest", NULL, "have checksums of data, the same way", OPTION_FLAG,
			{.is_set = &options->has_data_digest}, 0, 0},
		{"no-progress", NULL, "draw no progress bar (default: on a terminal)", OPTION_FLAG,
			{.is_set = &options->is_progress_off}, 0, 0},
	};
	const struct option_table table = {
		.verb = VERB,
		.usage = "[OPTIONS] SOURCE DESTINATION",
		.description =
			"Copy a disk. SOURCE and DESTINATION are each a file, a block device, or the URL of a\n"
			"disk that is lent: nvme-tcp://HOST[:PORT]/NQN[/NSID].\n\n"
			"A destination that is a file is made, or overwritten, and is sparse where the source\n"
			"has zeros. Any other destination must be at least as large as the source; what it has\n"
			"beyond that stays as it is. Success means that the destination has been flushed.\n\n"
			"SIGINT and SIGTERM end it in order, with status 130; a second one at once.",
		.footer = "Examples:\n"
			  "  ferry disk copy disk.img nvme-tcp://HOST/NQN\n"
			  "  ferry disk copy --verify nvme-tcp://HOST/NQN backup.img\n"
			  "  ferry disk copy --requests 64 nvme-tcp://A/NQN nvme-tcp://B/NQN/2",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows),
	};

	return option_parse(&table, argc, argv, ret_arguments);
}

static enum option_outcome parse(int argc, char **argv, struct copy_options *ret_options)
{
	struct option_list arguments = {0};
	enum option_outcome outcome;

	*ret_options = (struct copy_options){
		.request_count = TRANSFER_REQUESTS_DEFAULT,
		.request_bytes = TRANSFER_REQUEST_DEFAULT,
		.queue_count = 1,
	};
	outcome = parse_table(argc, argv, ret_options, &arguments);
	if (outcome == OPTION_PARSED && arguments.count == 2) {
		ret_options->source = arguments.items[0];
		ret_options->destination = arguments.items[1];
	} else if (outcome == OPTION_PARSED) {
		(void)complain_usage(VERB, "a source and a destination are needed, %zu given",
			arguments.count);
		outcome = OPTION_WRONG;
	}
	option_list_deinit(&arguments);
	return outcome;
}

/* The source first: a destination is not made for a source that is not there. */
static int open_ends(struct copy *copy)
{
	const struct disk_end_options options = {
		.verb = VERB,
		.host_nqn = copy->options.host_nqn,
		.queue_count = (uint16_t)copy->options.queue_count,
		.has_header_digest = copy->options.has_header_digest,
		.has_data_digest = copy->options.has_data_digest,
	};
	int error = disk_end_open_source(copy->options.source, &options, &copy->source);

	if (error == 0)
		error = disk_end_open_destination(copy->options.destination, &options,
			copy->options.is_verified, &copy->destination);
	return error;
}

static int make_room(struct copy *copy)
{
	char have[TEXT_SIZE_MAX], need[TEXT_SIZE_MAX];
	int error;

	if (disk_end_is_same(&copy->source, &copy->destination)) {
		complain(VERB, "%s and %s are the same", copy->source.name, copy->destination.name);
		return -EINVAL;
	}
	error = disk_end_make_room(&copy->destination, copy->source.size_bytes);
	if (error == -ENOSPC && !copy->destination.is_regular) {
		text_from_size(copy->destination.size_bytes, have);
		text_from_size(copy->source.size_bytes, need);
		complain(VERB,
			"%s: is too small: it has %s (%" PRIu64 " bytes), the source %s (%" PRIu64
			" bytes)",
			copy->destination.name, have, copy->destination.size_bytes, need,
			copy->source.size_bytes);
	} else if (error < 0) {
		complain(VERB, "%s: %s", copy->destination.name, strerror(-error));
	}
	return error;
}

static sigset_t ending_signals(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	return signals;
}

static void unblock_signals(void)
{
	sigset_t signals = ending_signals();

	(void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* From here on signals end the copy in order. */
static int block_signals(struct copy *copy)
{
	sigset_t signals = ending_signals();

	if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
		return -errno;
	copy->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return copy->signal_fd < 0 ? -errno : 0;
}

static int set_up(struct copy *copy)
{
	struct transfer_setting setting = {
		.source = &copy->source,
		.destination = &copy->destination,
		.request_count = (unsigned)copy->options.request_count,
		.request_bytes = (size_t)copy->options.request_bytes,
		.progress = &copy->progress,
	};
	int error = open_ends(copy);

	if (error == 0)
		error = make_room(copy);
	if (error < 0)
		return error;
	error = block_signals(copy);
	if (error == 0) {
		setting.signal_fd = copy->signal_fd;
		setting.bytes = copy->source.size_bytes;
		error = transfer_new(&setting, &copy->transfer);
	}
	if (error < 0)
		complain(VERB, "cannot start: %s", strerror(-error));
	return error;
}

static void say_interrupted(const struct copy *copy, const struct transfer_outcome *outcome,
	const char *done)
{
	char size[TEXT_SIZE_MAX], whole[TEXT_SIZE_MAX];
	bool has_problem = outcome->problem[0] != '\0';

	text_from_size(outcome->done_bytes, size);
	text_from_size(copy->source.size_bytes, whole);
	complain(VERB, "interrupted: the first %s (%" PRIu64 " bytes) of %s are %s%s%s", size,
		outcome->done_bytes, whole, done, has_problem ? "; then: " : "", outcome->problem);
}

static void say_copied(const struct copy *copy, uint64_t elapsed_ns)
{
	const uint64_t bytes = copy->source.size_bytes;
	uint64_t tail = bytes % copy->destination.block_bytes;
	uint64_t padding = tail == 0 ? 0 : copy->destination.block_bytes - tail;
	double seconds = (double)elapsed_ns / CLOCK_SECOND_NS;
	char size[TEXT_SIZE_MAX], speed[TEXT_SIZE_MAX];

	text_from_size(bytes, size);
	text_from_size((uint64_t)((double)bytes / (seconds > 0 ? seconds : 1)), speed);
	printf("Copied %s (%" PRIu64 " bytes) to %s in %.1f s, %s/s\n", size, bytes,
		copy->destination.name, seconds, speed);
	if (padding > 0)
		printf("The last block, of %u bytes, was filled up with %" PRIu64 " zeros\n",
			copy->destination.block_bytes, padding);
	if (copy->destination.size_bytes > bytes + padding) {
		text_from_size(copy->destination.size_bytes - bytes - padding, size);
		printf("The destination is larger: its last %s are as they were\n", size);
	}
}

/* @return an exit status. */
static int copy_all(struct copy *copy)
{
	struct transfer_outcome outcome;
	uint64_t start_ns = clock_monotonic()->now_ns(clock_monotonic());
	int error;

	progress_start(&copy->progress, "copying", copy->source.size_bytes,
		!copy->options.is_progress_off);
	error = transfer_run(copy->transfer, TRANSFER_COPY, &outcome);
	progress_clear(&copy->progress);
	if (error == -EINTR) {
		say_interrupted(copy, &outcome,
			outcome.is_flushed ? "copied" : "copied, but not flushed");
		return EXIT_STATUS_INTERRUPTED;
	}
	if (error < 0) {
		complain(VERB, "%s", outcome.problem);
		return EXIT_STATUS_FAILED;
	}
	say_copied(copy, clock_monotonic()->now_ns(clock_monotonic()) - start_ns);
	return EXIT_STATUS_OK;
}

/* @return an exit status. */
static int verify_all(struct copy *copy)
{
	struct transfer_outcome outcome;
	int error;

	(void)fflush(stdout);
	disk_end_forget_cache(&copy->destination);
	progress_start(&copy->progress, "verifying", copy->source.size_bytes,
		!copy->options.is_progress_off);
	error = transfer_run(copy->transfer, TRANSFER_COMPARE, &outcome);
	progress_clear(&copy->progress);
	if (error == -EINTR) {
		say_interrupted(copy, &outcome, "verified");
		return EXIT_STATUS_INTERRUPTED;
	}
	if (error < 0) {
		complain(VERB, "%s", outcome.problem);
		return EXIT_STATUS_FAILED;
	}
	if (outcome.has_difference) {
		complain(VERB, "%s: differs from %s: the first difference is at byte %" PRIu64,
			copy->destination.name, copy->source.name, outcome.difference);
		return EXIT_STATUS_FAILED;
	}
	printf("Verified: the destination reads back as the source\n");
	return EXIT_STATUS_OK;
}

/* Closing may wait for a target that is gone: from here on a signal ends the program at once. */
static void tear_down(struct copy *copy)
{
	unblock_signals();
	disk_end_close(&copy->source);
	disk_end_close(&copy->destination);
	transfer_free(copy->transfer);
	cleanup_close(&copy->signal_fd);
}

int disk_copy(int argc, char **argv)
{
	struct copy copy = {
		.source = DISK_END_CLOSED,
		.destination = DISK_END_CLOSED,
		.signal_fd = -1,
	};
	enum option_outcome outcome;
	int status = EXIT_STATUS_FAILED;

	outcome = parse(argc, argv, &copy.options);
	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	if (set_up(&copy) == 0)
		status = copy_all(&copy);
	if (status == EXIT_STATUS_OK && copy.options.is_verified)
		status = verify_all(&copy);
	tear_down(&copy);
	return status;
}
