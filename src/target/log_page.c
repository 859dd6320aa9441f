/*
 * The table of log pages, and the pages themselves.
 */
#include "target/log_page.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "nvme/log_page.h"
#include "target/admin.h"
#include "target/controller.h"
#include "target/discovery.h"
#include "target/feature.h"
#include "target/io.h"
#include "target/queue_private.h"
#include "target/subsystem.h"
#include "target/target_private.h"
#include "target/window.h"

#define SECONDS_PER_HOUR 3600u

static void write_errors(const struct target_request *request, struct window *window)
{
	struct nvme_log_error entries[ERROR_LOG_ENTRIES];

	(void)error_log_read(&request->queue->controller->errors, entries);
	window_put(window, entries, sizeof(entries));
}

static void put_counter(uint8_t field[16], uint64_t value)
{
	le64 low = le64_of(value);

	memcpy(field, &low, sizeof(low));
}

/* Base 2.0, 5.16.1.3: thousands of 512 bytes, rounded up. */
static uint64_t data_units(uint64_t bytes)
{
	return (bytes + 512 * 1000 - 1) / (512 * 1000);
}

static uint64_t hours_on(const struct target_queue *queue)
{
	uint64_t started_ns =
		atomic_load_explicit(&queue->target->started_ns, memory_order_relaxed);
	uint64_t now_ns = loop_now_ns(queue->loop);

	return now_ns > started_ns ? (now_ns - started_ns) / CLOCK_SECOND_NS / SECONDS_PER_HOUR : 0;
}

static bool has_failed_store(const struct subsystem *subsystem)
{
	for (uint32_t i = 0; i < subsystem->namespace_count; i++) {
		if (atomic_load(&subsystem->namespaces[i].store->failed_flush) != 0)
			return true;
	}
	return false;
}

/* The counters are the subsystem's: its controllers come and go, its health is one. */
static void write_smart(const struct target_request *request, struct window *window)
{
	struct controller *controller = request->queue->controller;
	struct counter_totals totals;
	struct nvme_log_smart page = {
		.critical_warning =
			has_failed_store(controller->subsystem) ? NVME_SMART_DEGRADED : 0,
		.available_spare = 100,
	};

	subsystem_total(controller->subsystem, &totals);
	put_counter(page.data_units_read, data_units(totals.read_bytes));
	put_counter(page.data_units_written, data_units(totals.written_bytes));
	put_counter(page.host_reads, totals.read_count);
	put_counter(page.host_writes, totals.written_count);
	put_counter(page.media_errors, totals.media_error_count);
	put_counter(page.power_cycles, 1);
	put_counter(page.power_on_hours, hours_on(request->queue));
	put_counter(page.error_log_entries, error_log_read(&controller->errors, NULL));
	window_put(window, &page, sizeof(page));
}

static void write_firmware_slot(const struct target_request *request, struct window *window)
{
	struct nvme_log_firmware_slot page = {.afi = 1};

	(void)request;
	text_to_field(page.frs[0], sizeof(page.frs[0]), FERRY_VERSION, ' ');
	window_put(window, &page, sizeof(page));
}

static void write_changed_namespaces(const struct target_request *request, struct window *window)
{
	struct nvme_get_log_page fields = nvme_command_get_log_page(&request->base.command);
	struct controller *controller = request->queue->controller;
	struct nvme_nsid_list page = {0};
	size_t count = 0;

	static_assert(TARGET_NAMESPACES_MAX <= NVME_NSID_LIST_MAX, "all may have changed");
	for (size_t i = 0; i < ARRAY_LENGTH(controller->changed); i++) {
		uint64_t bits = controller_changed(controller, i, fields.is_event_retained);

		for (; bits != 0; bits &= bits - 1)
			page.nsid[count++] =
				le32_of((uint32_t)(64 * i) + (uint32_t)__builtin_ctzll(bits) + 1);
	}
	window_put(window, &page, sizeof(page));
}

static uint32_t with_scope(uint32_t effects, uint32_t scope)
{
	return effects != 0 ? effects | scope : 0;
}

/* No scope is told of I/O commands, as Base 2.0, 5.16.1.6 allows: Linux logs all but "supported" and
 * "changes content" of an I/O command as unusual. */
static void write_effects(const struct target_request *request, struct window *window)
{
	struct nvme_log_effects page = {0};

	(void)request;
	for (unsigned i = 0; i < 256; i++) {
		page.admin[i] = le32_of(
			with_scope(admin_effects((uint8_t)i), NVME_EFFECTS_SCOPE_CONTROLLER));
		page.io[i] = le32_of(io_effects((uint8_t)i));
	}
	window_put(window, &page, sizeof(page));
}

static void write_feature_effects(const struct target_request *request, struct window *window)
{
	struct nvme_log_feature_effects page;

	(void)request;
	for (unsigned i = 0; i < 256; i++)
		page.fid[i] = le32_of(feature_effects((uint8_t)i));
	window_put(window, &page, sizeof(page));
}

/* No management interface: no command of one. */
static void write_nothing(const struct target_request *request, struct window *window)
{
	(void)request;
	(void)window;
}

static void write_supported(const struct target_request *request, struct window *window);

struct log_page {
	void (*write)(const struct target_request *request, struct window *window);
	uint64_t bytes; /* 0: discovery_log_bytes() */
	uint8_t attributes;
	bool is_for_io;
	bool is_for_discovery;
	bool is_of_namespace; /* NSID is looked at */
};

#define MI_EFFECTS_BYTES 4096 /* Base 2.0, 5.16.1.19 */

static const struct log_page log_pages[256] = {
	[NVME_LOG_PAGE_SUPPORTED] = {write_supported, sizeof(struct nvme_log_supported),
		NVME_LPA_SUPPORTED_PAGES, true, false, false},
	[NVME_LOG_PAGE_ERROR] = {write_errors, ERROR_LOG_ENTRIES * sizeof(struct nvme_log_error), 0,
		true, true, false},
	[NVME_LOG_PAGE_SMART] = {write_smart, sizeof(struct nvme_log_smart), 0, true, false, true},
	[NVME_LOG_PAGE_FIRMWARE_SLOT] = {write_firmware_slot, sizeof(struct nvme_log_firmware_slot),
		0, true, false, false},
	[NVME_LOG_PAGE_CHANGED_NAMESPACES] = {write_changed_namespaces,
		sizeof(struct nvme_nsid_list), 0, true, false, false},
	[NVME_LOG_PAGE_EFFECTS] = {write_effects, sizeof(struct nvme_log_effects), NVME_LPA_EFFECTS,
		true, false, false},
	[NVME_LOG_PAGE_FEATURE_EFFECTS] = {write_feature_effects,
		sizeof(struct nvme_log_feature_effects), 0, true, false, false},
	[NVME_LOG_PAGE_MI_EFFECTS] = {write_nothing, MI_EFFECTS_BYTES, 0, true, false, false},
	[NVME_LOG_PAGE_DISCOVERY] = {discovery_log_write, 0, 0, false, true, false},
};

static bool is_offered(const struct log_page *page, const struct controller *controller)
{
	return controller->subsystem->is_discovery ? page->is_for_discovery : page->is_for_io;
}

static void write_supported(const struct target_request *request, struct window *window)
{
	struct nvme_log_supported page = {0};

	for (size_t i = 0; i < ARRAY_LENGTH(log_pages); i++) {
		if (is_offered(&log_pages[i], request->queue->controller))
			page.lid[i] = le32_of(NVME_LID_SUPPORTED);
	}
	window_put(window, &page, sizeof(page));
}

uint8_t log_page_attributes(const struct controller *controller)
{
	uint8_t attributes = NVME_LPA_EXTENDED;

	for (size_t i = 0; i < ARRAY_LENGTH(log_pages); i++) {
		if (is_offered(&log_pages[i], controller))
			attributes |= log_pages[i].attributes;
	}
	return attributes;
}

static bool range_is_legal(const struct target_request *request, const struct log_page *page,
	const struct nvme_get_log_page *fields)
{
	uint32_t nsid = le32_get(request->base.command.nsid);
	uint64_t bytes = page->bytes != 0 ? page->bytes : discovery_log_bytes(request);

	if (page->is_of_namespace && nsid != NVME_NSID_NONE && nsid != NVME_NSID_BROADCAST)
		return false;
	return fields->offset % 4 == 0 && fields->offset <= bytes && !fields->is_offset_index;
}

nvme_status log_page_begin(struct target_request *request)
{
	struct nvme_get_log_page fields = nvme_command_get_log_page(&request->base.command);
	const struct target_queue *queue = request->queue;
	const struct log_page *page = &log_pages[fields.lid];

	if (!is_offered(page, queue->controller)) {
		log_write(queue->target->log, LOG_LEVEL_WARNING, "unsupported log page",
			"%s: unsupported log page %02xh", queue->name, fields.lid);
		return NVME_STATUS_INVALID_LOG_PAGE | NVME_STATUS_DNR;
	}
	if (fields.lid == NVME_LOG_PAGE_DISCOVERY) {
		nvme_status status = discovery_log_open(request, fields.offset);

		if (status != NVME_STATUS_SUCCESS)
			return status;
	}
	if (!range_is_legal(request, page, &fields))
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	if (fields.lid == NVME_LOG_PAGE_EFFECTS && fields.csi != NVME_COMMAND_SET_NVM)
		return NVME_STATUS_INVALID_FIELD | NVME_STATUS_DNR;
	return target_request_expect(request, REQUEST_TO_HOST, fields.length_bytes);
}

nvme_status log_page_execute(struct target_request *request)
{
	struct nvme_get_log_page fields = nvme_command_get_log_page(&request->base.command);
	struct window window =
		window_over(request->base.data, fields.offset, request->base.data_bytes);

	log_pages[fields.lid].write(request, &window);
	if (!fields.is_event_retained)
		async_events_read(&request->queue->controller->events, fields.lid);
	return NVME_STATUS_SUCCESS;
}
