/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callback starts the service by itself where it does not listen, and nothing else does. (Where it listens: see
 * tests/zephyr/link; all of it on a host: tests/c/boot.c.)
 */
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>
#include <wss/zephyr.h>

K_MSGQ_DEFINE(events, sizeof(struct wss_event), 2, 8);

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	ARG_UNUSED(data);
	ARG_UNUSED(cookie);
	zassert_unreachable("event %d of client %d", event, client);
}

ZTEST(boot, test_initialize_takes_over_what_does_not_listen)
{
	SYS_WSS_CONFIG config = {.port = CONFIG_WSS_PORT + 1, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;
	struct wss_server *server = wss_default_server();
	struct wss_config server_config;
	struct wss_limits limits;
	struct wss_stats stats;
	wss_queue queue;

	wss_limits_init(&limits);
	limits.listens = false;
	zassert_ok(wss_queue_add(WSS_MASK_ALL, &events, &queue));
	server_config = (struct wss_config){.limits = &limits, .queues = &queue, .queue_count = 1};
	zassert_ok(wss_configure(server, &server_config));
	zassert_equal(wss_port(server), -ENOTCONN, "neither a queue nor a configuration starts it");
	zassert_equal(wss_get_stats(server, &stats), -ENOTCONN, "it was never started");
	zassert_equal(SYS_WSS_register_callback(callback, NULL), SYS_WSS_SUCCESS);
	zassert_ok(wss_port(server), "it runs, and does not listen");
	zassert_ok(wss_get_stats(server, &stats));
	zassert_equal(wss_configure(server, NULL), -EBUSY);
	/* The port is ignored. */
	service = SYS_WSS_Initialize(&config, NULL, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	zassert_equal(SYS_WSS_Initialize(NULL, NULL, NULL), SYS_MODULE_OBJ_INVALID,
		      "it was taken over before");
	SYS_WSS_Deinitialize(&service);
	zassert_equal(wss_port(server), -ENOTCONN);
	zassert_ok(wss_queue_destroy(queue));
}

ZTEST_SUITE(boot, NULL, NULL, NULL, NULL, NULL);
