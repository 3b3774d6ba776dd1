/* SPDX-License-Identifier: Apache-2.0 */
/* Limits against abuse: the address of a connection, and limits that are 0 in Kconfig. */
#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

#include "client.h"

#define REFUSED "HTTP/1.1 429 "

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	ARG_UNUSED(event);
	ARG_UNUSED(data);
	ARG_UNUSED(client);
	ARG_UNUSED(cookie);
}

/* One more would be refused. There is room for it again once the service has noticed the close. */
static void closes(int fd, uint32_t closed)
{
	struct wss_stats stats;

	zsock_close(fd);
	do {
		k_msleep(1);
		zassert_equal(wss_get_stats(wss_default_server(), &stats), 0);
	} while (stats.closed < closed);
}

static int configure(const struct wss_limits *limits)
{
	const struct wss_config config = {.limits = limits};

	return wss_configure(wss_default_server(), &config);
}

ZTEST(limits, test_1_limits_that_kconfig_has_at_0_are_refused)
{
	struct wss_limits limits;

	wss_limits_init(&limits);
	zassert_equal(limits.clients_per_address, 1);
	zassert_equal(limits.handshakes_per_second, 0);
	zassert_equal(limits.control_frames_per_second, 0);
	zassert_equal(limits.fragments_per_message, 0);
	limits.clients_per_address = 2;
	zassert_ok(configure(&limits));
	limits.handshakes_per_second = 1;
	zassert_equal(configure(&limits), -EINVAL);
	wss_limits_init(&limits);
	limits.control_frames_per_second = 1;
	zassert_equal(configure(&limits), -EINVAL);
	wss_limits_init(&limits);
	limits.fragments_per_message = 1;
	zassert_equal(configure(&limits), -EINVAL);
	/* Sizes other than those of Kconfig are rejected, too. */
	wss_limits_init(&limits);
	limits.rx_buffer_size++;
	zassert_equal(configure(&limits), -EINVAL);
	wss_limits_init(&limits);
	limits.max_clients++;
	zassert_equal(configure(&limits), -EINVAL);
	wss_limits_init(&limits);
	zassert_ok(configure(&limits));
	zassert_ok(configure(NULL));
}

static void on_tick(struct wss_server *server, void *cookie)
{
	ARG_UNUSED(server);
	ARG_UNUSED(cookie);
}

ZTEST(limits, test_1_a_tick_that_is_not_built_is_refused)
{
	struct wss_config config = {.on_tick = on_tick, .tick_ms = 1};

	BUILD_ASSERT(!IS_ENABLED(CONFIG_WSS_TICK));
	zassert_equal(wss_configure(wss_default_server(), &config), -ENOTSUP);
	zassert_equal(wss_start(wss_default_server(), &config), -ENOTSUP);
	config.on_tick = NULL;
	zassert_ok(wss_configure(wss_default_server(), &config));
	zassert_ok(wss_configure(wss_default_server(), NULL));
}

ZTEST(limits, test_2_each_address_has_as_many_clients_as_it_may)
{
	static const char *const addresses[] = {
		"127.0.0.1",
		"192.0.2.1",
#if defined(CONFIG_NET_IPV6)
		"::1",
#endif
	};
	SYS_MODULE_OBJ object = SYS_WSS_Initialize(NULL, callback, NULL);
	int fds[ARRAY_SIZE(addresses)];
	struct wss_stats stats;

	zassert_not_equal(object, SYS_MODULE_OBJ_INVALID);
	/* Over loopback, a connection comes from the address that it connects to. */
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		fds[i] = client_connect(addresses[i], "/");
		for (size_t j = 0; j <= i; j++) {
			client_is_refused(addresses[j], REFUSED);
		}
	}
	zassert_equal(wss_get_stats(wss_default_server(), &stats), 0);
	zassert_equal(stats.accepted, ARRAY_SIZE(addresses));
	zassert_equal(stats.refused_full, 0);
	zassert_equal(stats.refused_address, ARRAY_SIZE(addresses) * (ARRAY_SIZE(addresses) + 1) / 2);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		closes(fds[i], 2 * i + 1);
		closes(client_connect(addresses[i], "/"), 2 * i + 2);
	}
	SYS_WSS_Deinitialize(&object);
}

ZTEST_SUITE(limits, NULL, NULL, NULL, NULL, NULL);
