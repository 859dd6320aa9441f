/*
 * A table of what a target may say, or be, that a host cannot work with.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "nvme/completion.h"
#include "nvme/property.h"
#include "test/host/host_bench.h"

/* What is wrong with a target. */
struct refusal {
	void (*spoil)(struct fake_controller *controller);
	int error;
	const char *words;
};

static void refuse_host(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_CONNECT_INVALID_HOST;
}

static void refuse_name(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_CONNECT_INVALID_PARAMETERS;
	controller->connect_dw0 = nvme_connect_result_invalid(true, 256);
}

static void refuse_host_name(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_CONNECT_INVALID_PARAMETERS;
	controller->connect_dw0 = nvme_connect_result_invalid(true, 512);
}

static void refuse_size(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_CONNECT_INVALID_PARAMETERS;
	controller->connect_dw0 = nvme_connect_result_invalid(false, 44);
}

static void be_busy(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_CONNECT_CONTROLLER_BUSY;
}

static void want_secret(struct fake_controller *controller)
{
	controller->connect_dw0 = NVME_CONNECT_AUTHREQ_ATR;
}

static void refuse_otherwise(struct fake_controller *controller)
{
	controller->connect_status = NVME_STATUS_INTERNAL_ERROR;
}

static void serve_no_disk(struct fake_controller *controller)
{
	controller->cap = nvme_cap_of(128, 500, NVME_CAP_CSS_NO_IO);
}

static void be_fatal(struct fake_controller *controller)
{
	controller->csts_ready = NVME_CSTS_CFS;
}

static void never_ready(struct fake_controller *controller)
{
	controller->csts_ready = 0;
}

static void change_cntlid(struct fake_controller *controller)
{
	controller->identify.cntlid = le16_of(8);
}

static void have_no_sgls(struct fake_controller *controller)
{
	controller->identify.sgls = le32_of(0);
}

static void have_icdoff(struct fake_controller *controller)
{
	controller->identify.icdoff = le16_of(1);
}

static void have_tiny_capsules(struct fake_controller *controller)
{
	controller->identify.ioccsz = le32_of(3);
}

static void have_tiny_queues(struct fake_controller *controller)
{
	controller->cap = nvme_cap_of(1, 500, NVME_CAP_CSS_NVM);
}

static void have_no_namespace(struct fake_controller *controller)
{
	controller->identify_namespace.nsze = le64_of(0);
}

static void refuse_identify(struct fake_controller *controller)
{
	controller->failing_opcode = NVME_ADMIN_IDENTIFY;
	controller->failing_status = NVME_STATUS_INTERNAL_ERROR;
}

static void refuse_features(struct fake_controller *controller)
{
	controller->failing_opcode = NVME_ADMIN_SET_FEATURES;
	controller->failing_status = NVME_STATUS_INVALID_FIELD;
}

static void have_small_blocks(struct fake_controller *controller)
{
	controller->identify_namespace.lbaf[0].lbads = 8;
}

static void have_huge_blocks(struct fake_controller *controller)
{
	controller->identify_namespace.lbaf[0].lbads = 255;
}

static void be_too_large(struct fake_controller *controller)
{
	controller->identify_namespace.nsze = le64_of(UINT64_MAX);
}

static void have_metadata(struct fake_controller *controller)
{
	controller->identify_namespace.lbaf[0].ms = le16_of(8);
}

static void transfer_little(struct fake_controller *controller)
{
	controller->identify.mdts = 1;
	controller->identify_namespace.lbaf[0].lbads = 14;
}

static void refuse_io_queue(struct fake_controller *controller)
{
	controller->io_connect_status = NVME_STATUS_INTERNAL_ERROR;
}

static void say_nothing(struct fake_controller *controller)
{
	controller->is_silent_to_all = true;
}

static void refuse_connections(struct fake_controller *controller)
{
	controller->addresses_dead = FAKE_ADDRESSES;
}

static void test_connect_says_why_when_the_target_refuses(void **state)
{
	static const struct refusal rows[] = {
		{refuse_host, -EACCES, "--allow-host nqn.2014-08.org.example:host"},
		{refuse_name, -ENOENT, "no subsystem of that name"},
		{refuse_host_name, -EINVAL, "does not accept the host name"},
		{refuse_size, -EINVAL, "size of queue 0"},
		{be_busy, -EBUSY, "no controller left"},
		{want_secret, -EACCES, "authenticate"},
		{refuse_otherwise, -EPROTO, "Internal Error (status 0/06h)"},
		{serve_no_disk, -EPROTO, "serves no disk"},
		{be_fatal, -EIO, "CSTS.CFS"},
		{never_ready, -ETIMEDOUT, "did not become ready in the 1000 ms"},
		{change_cntlid, -EPROTO, "CNTLID"},
		{have_no_sgls, -EPROTO, "SGLS"},
		{have_icdoff, -EPROTO, "ICDOFF"},
		{have_tiny_capsules, -EPROTO, "IOCCSZ"},
		{have_tiny_queues, -EPROTO, "CAP.MQES"},
		{have_no_namespace, -ENXIO, "no namespace 1"},
		{refuse_identify, -EIO, "refuses Identify Controller: Internal Error"},
		{refuse_features, -EINVAL, "Set Features"},
		{have_small_blocks, -EPROTO, "blocks of 2^8"},
		{have_huge_blocks, -EPROTO, "blocks of 2^255"},
		{be_too_large, -EPROTO, "which no disk has"},
		{have_metadata, -EOPNOTSUPP, "8 bytes of metadata"},
		{transfer_little, -EPROTO, "MDTS"},
		{refuse_io_queue, -EPROTO, "refuses to connect queue 1"},
		{say_nothing, -ETIMEDOUT, "did not answer"},
		{refuse_connections, -ECONNREFUSED, "Connection refused"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_bench bench;
		int error;

		host_bench_init(&bench);
		rows[i].spoil(&bench.controller);
		error = host_bench_open(&bench);
		expect_words(bench.error, rows[i].words);
		expect_words(bench.error, "nvme-tcp://127.0.0.1:4420/" FAKE_NQN ": ");
		assert_int_equal(error, rows[i].error);
		assert_null(bench.host);
		host_bench_end(&bench);
	}
}

static void test_connect_tries_the_next_address_when_one_refuses(void **state)
{
	static const struct {
		unsigned dead, resetting;
		int error;
	} rows[] = {{2, 0, 0}, {0, 2, 0}, {1, 3, 0}, {1, 4, -ECONNRESET}, {4, 0, -ECONNREFUSED}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_bench bench;

		host_bench_init(&bench);
		bench.controller.addresses_dead = rows[i].dead;
		bench.controller.addresses_resetting = rows[i].resetting;
		assert_int_equal(host_bench_open(&bench), rows[i].error);
		host_bench_end(&bench);
	}
}

static void test_connect_goes_on_with_flow_control_when_the_target_insists(void **state)
{
	uint8_t data[512];
	struct host_bench bench;

	(void)state;
	host_bench_init(&bench);
	bench.controller.insists_on_flow_control = true;
	bench.options.io_queues = 2;
	assert_int_equal(host_bench_open(&bench), 0);
	assert_int_equal(bench.controller.io_connects, 4);
	assert_int_equal(ferry_host_pread(bench.host, data, sizeof(data), 0), 0);
	host_bench_end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_says_why_when_the_target_refuses),
		cmocka_unit_test(test_connect_tries_the_next_address_when_one_refuses),
		cmocka_unit_test(test_connect_goes_on_with_flow_control_when_the_target_insists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
