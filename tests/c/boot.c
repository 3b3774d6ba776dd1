/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What starts the default server by itself, with CONFIG_WSS_START_AT_BOOT, and what does not. It does so
 * once in a program, so tests/c/run runs each case in a program of its own.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name

static atomic_int asked;

static int refuse(struct wss_request *request, void *given)
{
	(void)request;
	CHECK(given == &cookie);
	asked++;
	return 401;
}

/* The default server does not run, and never has. */
static void expect_idle(void)
{
	struct wss_stats stats;

	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
	CHECK_INT(wss_get_stats(wss_default_server(), &stats), -ENOTCONN);
}

static void expect_refused(void)
{
	char head[512];
	int before = asked;
	int fd = wire_connect(default_port());

	wire_say(fd, REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 401);
	CHECK_INT(asked, before + 1);
	close(fd);
}

/* As it runs already, only its own port will do. */
static SYS_MODULE_OBJ take_over(SYS_WSS_CALLBACK with)
{
	SYS_WSS_CONFIG config = {.port = default_port(), .isTLSEnabled = false};
	SYS_MODULE_OBJ service = SYS_WSS_Initialize(&config, with, &cookie);

	CHECK(service != SYS_MODULE_OBJ_INVALID);
	return service;
}

static struct wss_config refusing(void)
{
	struct wss_config config = config_for_tests(NULL);

	config.on_request = refuse;
	return config;
}

static void a_configuration_queues_and_other_servers_start_nothing(void)
{
	struct wss_config config = refusing();
	struct wss_config other = {.port = 0};
	wss_queue queue;

	expect_idle();
	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 8, &queue), 0);
	config.queues = &queue;
	config.queue_count = 1;
	CHECK_INT(wss_configure(wss_default_server(), &config), 0);
	CHECK_INT(wss_start(wss_server_at(1), &other), 0);
	CHECK_INT(SYS_WSS_register_callback(NULL, NULL), SYS_WSS_SUCCESS);
	expect_idle();
	CHECK_INT(wss_stop(wss_server_at(1)), 0);
	CHECK_INT(wss_configure(wss_default_server(), NULL), 0);
	CHECK_INT(wss_queue_destroy(queue), 0);
}

static void a_server_with_a_hook_never_serves_without_it(void)
{
	struct wss_config config = refusing();
	struct wss_config other = config_for_tests(NULL);
	SYS_MODULE_OBJ service;

	CHECK_INT(wss_configure(wss_default_server(), &config), 0);
	expect_idle();
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	expect_refused();
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect_closing(0);
	/* The hook cannot be taken away while it runs. */
	CHECK_INT(wss_configure(wss_default_server(), &other), -EBUSY);
	service = take_over(NULL);
	wait_for_slots();
	expect_refused();
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect_closing(0);
	end(&service);
}

static void initialize_without_a_callback_starts_it_with_its_configuration(void)
{
	SYS_WSS_CONFIG own = {.port = 0, .isTLSEnabled = false};
	struct wss_config config = refusing();
	SYS_MODULE_OBJ service;

	CHECK_INT(wss_configure(wss_default_server(), &config), 0);
	service = SYS_WSS_Initialize(&own, NULL, NULL);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	expect_refused();
	/* To on_event() of the configuration. */
	expect(WSS_EVENT_CONNECTING, 0);
	expect_closing(0);
	end(&service);
}

static void the_first_callback_starts_it_and_initialize_takes_it_over(void)
{
	SYS_WSS_CONFIG other;
	SYS_MODULE_OBJ service;

	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	close(open_client(0));
	expect_closing(0);
	other.port = default_port() == 65535 ? 65534 : default_port() + 1u;
	other.isTLSEnabled = false;
	CHECK(SYS_WSS_Initialize(&other, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	service = take_over(NULL);
	CHECK(SYS_WSS_Initialize(&other, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	close(open_client(0));
	expect_closing(0);
	end(&service);
	/* An application that has ended it does not want it. */
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
}

static void a_server_that_was_started_is_not_started_again_by_a_callback(void)
{
	serve(NULL);
	stop_serving();
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
}

/* Of the stand-in for the port: the last line of the log. */
void port_last_line(char *line, size_t size);

static void the_first_configuration_is_logged_if_it_is_not_valid(void)
{
	struct wss_config config = config_for_tests(NULL);
	char line[128];

	config.request_fields = "X-Nowhere";
	CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	port_last_line(line, sizeof(line));
	CHECK(strcmp(line, "CONFIG_WSS_REQUEST_FIELDS lacks X-Nowhere: add it") == 0);
}

#define SUITE boot
#define CASES(CASE)                                                                                \
	CASE(the_first_configuration_is_logged_if_it_is_not_valid)                                 \
	CASE(a_configuration_queues_and_other_servers_start_nothing)                               \
	CASE(a_server_with_a_hook_never_serves_without_it)                                         \
	CASE(initialize_without_a_callback_starts_it_with_its_configuration)                       \
	CASE(the_first_callback_starts_it_and_initialize_takes_it_over)                            \
	CASE(a_server_that_was_started_is_not_started_again_by_a_callback)

TEST_PROGRAM(CASES)
