/* SPDX-License-Identifier: Apache-2.0 */
/* The service starts by itself where it does not listen. (Where it does: see tests/zephyr/link.) */
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

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

	wss_limits_init(&limits);
	limits.listens = false;
	zassert_equal(wss_set_limits(&limits), WSS_OK);
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
