/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What starts the default service by itself, with CONFIG_WSS_START_AT_BOOT, and what does not. It does so
 * once in a program, so tests/c/run runs each case in a program of its own.
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name

static atomic_int asked;

static uint16_t refuse(wss_client client, const wss_request *request, const char **subprotocol,
		       void *given)
{
	(void)client;
	(void)request;
	(void)subprotocol;
	(void)given;
	asked++;
	return 401;
}

static void expect_idle(void)
{
	wss_stats stats;

	CHECK_INT(wss_port(), 0);
	CHECK_INT(wss_get_stats(&stats), WSS_NOT_CONNECTED);
}

static void expect_refused(void)
{
	char head[512];
	int before = asked;
	int fd = wire_connect(wss_port());

	wire_say(fd, REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 401);
	CHECK_INT(asked, before + 1);
	close(fd);
}

/* As the service runs already, only its own port will do. */
static SYS_MODULE_OBJ take_over(SYS_WSS_CALLBACK with)
{
	SYS_WSS_CONFIG config = {.port = wss_port(), .isTLSEnabled = false};
	SYS_MODULE_OBJ service = SYS_WSS_Initialize(&config, with, &cookie);

	CHECK(service != SYS_MODULE_OBJ_INVALID);
	return service;
}

static void a_server_with_a_hook_never_serves_without_it(void)
{
	SYS_MODULE_OBJ service;
	wss_queue queue;

	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 8, &queue), WSS_OK);
	expect_idle();
	wss_set_accept_hook(refuse, NULL);
	expect_idle();
	service = take_over(NULL);
	expect_refused();
	SYS_WSS_Deinitialize(&service);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
}

static void queues_limits_a_hook_and_other_servers_start_nothing(void)
{
	wss_server_config config = {.port = 0};
	wss_limits limits = limits_for_tests();
	wss_server server;
	wss_queue queues[2];

	CHECK_INT(wss_set_limits(&limits), WSS_OK);
	wss_set_accept_hook(refuse, NULL);
	wss_set_accept_hook(NULL, NULL);
	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 8, &queues[0]), WSS_OK);
	CHECK_INT(wss_server_queue_create(WSS_MASK_ALL, 8, &queues[1]), WSS_OK);
	CHECK_INT(wss_server_start(&config, &server), WSS_OK);
	CHECK_INT(SYS_WSS_register_callback(NULL, NULL), SYS_WSS_SUCCESS);
	expect_idle();
	CHECK_INT(wss_server_stop(server), WSS_OK);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(wss_queue_destroy(queues[i]), WSS_OK);
	}
}

static void the_first_callback_starts_it_and_initialize_takes_it_over(void)
{
	SYS_WSS_CONFIG other;
	SYS_MODULE_OBJ service;

	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	CHECK(wss_port() != 0);
	close(open_client(0));
	expect_closing(0);
	other.port = wss_port() == 65535 ? 65534 : wss_port() + 1u;
	other.isTLSEnabled = false;
	CHECK(SYS_WSS_Initialize(&other, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	service = take_over(NULL);
	CHECK(SYS_WSS_Initialize(&other, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	close(open_client(0));
	expect_closing(0);
	end(&service);
	/* An application that has ended it does not want it. */
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	expect_idle();
}

static void a_hook_set_before_the_callback_is_asked_from_the_start(void)
{
	SYS_MODULE_OBJ service;

	wss_set_accept_hook(refuse, NULL);
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	expect_refused();
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect_closing(0);
	service = take_over(NULL);
	end(&service);
}

static void a_hook_that_comes_late_ends_the_clients_that_it_was_not_asked_about(void)
{
	SYS_MODULE_OBJ service;
	int early;

	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	early = open_client(0);
	wss_set_accept_hook(refuse, NULL);
	wire_expect_close(early, 1008, "");
	close(early);
	expect_closing(0);
	service = take_over(NULL);
	wait_for_slots();
	expect_refused();
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect_closing(0);
	/* From then on it is for the clients to come. */
	wss_set_accept_hook(NULL, NULL);
	early = open_client(0);
	wss_set_accept_hook(refuse, NULL);
	wire_text(early, "still here");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "still here", 10);
	close(early);
	expect_closing(0);
	end(&service);
}

#define SUITE boot
#define CASES(CASE)                                                                                \
	CASE(a_server_with_a_hook_never_serves_without_it)                                         \
	CASE(queues_limits_a_hook_and_other_servers_start_nothing)                                 \
	CASE(the_first_callback_starts_it_and_initialize_takes_it_over)                            \
	CASE(a_hook_set_before_the_callback_is_asked_from_the_start)                               \
	CASE(a_hook_that_comes_late_ends_the_clients_that_it_was_not_asked_about)

TEST_PROGRAM(CASES)
