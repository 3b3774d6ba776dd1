/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callback starts the service by itself where it does not listen, and nothing else does. (Where it listens: see
 * tests/zephyr/link; all of it on a host: tests/c/boot.c.)
 */
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

#include <wss/zephyr.h>

K_MSGQ_DEFINE(events, sizeof(wss_message), 2, 8);

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
	wss_limits limits;
	wss_stats stats;
	wss_queue queue;

	wss_limits_init(&limits);
	limits.listens = false;
	zassert_equal(wss_set_limits(&limits), WSS_OK);
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &events, &queue), WSS_OK);
	zassert_equal(wss_get_stats(&stats), WSS_NOT_CONNECTED, "a queue does not start it");
	zassert_equal(SYS_WSS_register_callback(callback, NULL), SYS_WSS_SUCCESS);
	zassert_equal(wss_get_stats(&stats), WSS_OK, "it runs");
	zassert_equal(wss_port(), 0);
	/* The port is of no meaning. */
	service = SYS_WSS_Initialize(&config, NULL, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	zassert_equal(SYS_WSS_Initialize(NULL, NULL, NULL), SYS_MODULE_OBJ_INVALID,
		      "it was taken over before");
	SYS_WSS_Deinitialize(&service);
	zassert_equal(wss_get_stats(&stats), WSS_NOT_CONNECTED);
}

ZTEST_SUITE(boot, NULL, NULL, NULL, NULL, NULL);
