/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network interface goes down and comes up: each is an event, and clients can connect again. Also: the
 * service starts by itself, and listens with IPv4 and IPv6.
 */
#include <zephyr/kernel.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

#include "client.h"

#define WAIT K_SECONDS(5)

struct told {
	SYS_WSS_EVENTS event;
	int32_t client;
};

K_MSGQ_DEFINE(told_queue, sizeof(struct told), 32, 4);

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	struct told told = {.event = event, .client = client};

	ARG_UNUSED(data);
	ARG_UNUSED(cookie);
	zassert_ok(k_msgq_put(&told_queue, &told, K_NO_WAIT));
}

static void expect(SYS_WSS_EVENTS event, int32_t client)
{
	struct told told;

	zassert_ok(k_msgq_get(&told_queue, &told, WAIT), "event %d is missing", event);
	zassert_equal(told.event, event, "%d instead of %d", told.event, event);
	zassert_equal(told.client, client);
}

static SYS_MODULE_OBJ service;

static void serves(const char *address)
{
	int fd = client_connect(address, "/");

	expect(SYS_WSS_EVENT_CLIENT_CONNECTING, 0);
	expect(SYS_WSS_EVENT_CLIENT_CONNECTED, 0);
	zsock_close(fd);
	expect(SYS_WSS_EVENT_CLIENT_CLOSING, 0);
	expect(SYS_WSS_EVENT_CLIENT_CLOSED, 0);
}

/* Before anything is registered, so that the interface event at boot does not matter. */
static void *set_up(void)
{
	zassert_equal(wss_port(wss_default_server()), -ENOTCONN, "nothing has started it yet");
	zassert_equal(SYS_WSS_register_callback(callback, NULL), SYS_WSS_SUCCESS);
	zassert_equal(wss_port(wss_default_server()), CONFIG_WSS_PORT, "the first callback starts it");
	return NULL;
}

ZTEST(link, test_1_ipv4_and_ipv6)
{
	serves("127.0.0.1");
	serves("::1");
}

ZTEST(link, test_2_initialize_takes_the_service_over)
{
	SYS_WSS_CONFIG other = {.port = CONFIG_WSS_PORT + 1, .isTLSEnabled = false};

	zassert_equal(SYS_WSS_Initialize(&other, callback, NULL), SYS_MODULE_OBJ_INVALID);
	service = SYS_WSS_Initialize(NULL, NULL, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	zassert_equal(SYS_WSS_Initialize(NULL, NULL, NULL), SYS_MODULE_OBJ_INVALID,
		      "it was taken over before");
	serves("127.0.0.1");
}

ZTEST(link, test_3_down_and_up)
{
	struct net_if *iface = net_if_get_first_by_type(&NET_L2_GET_NAME(DUMMY));

	zassert_not_null(iface);
	for (int round = 0; round < 3; round++) {
		zassert_ok(net_if_down(iface));
		expect(SYS_WSS_EVENT_LL_INTF_DOWN, -1);
		zassert_ok(net_if_up(iface));
		expect(SYS_WSS_EVENT_LL_INTF_UP, -1);
		/* The WSS thread listens again meanwhile. Not with ::1, which Zephyr takes from
		 * its loopback interface as that goes down.
		 */
		k_msleep(100);
		serves("127.0.0.1");
	}
}

ZTEST(link, test_4_an_address_that_comes_after_the_interface)
{
	struct net_if *iface = net_if_get_first_by_type(&NET_L2_GET_NAME(DUMMY));
	struct in_addr address;
	const struct wss_config config = {.address = "192.0.2.2"};

	SYS_WSS_Deinitialize(&service);
	zassert_ok(wss_configure(wss_default_server(), &config));
	zassert_equal(zsock_inet_pton(AF_INET, config.address, &address), 1);
	zassert_not_null(net_if_ipv4_addr_add(iface, &address, NET_ADDR_MANUAL, 0));
	service = SYS_WSS_Initialize(NULL, NULL, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	serves(config.address);
	/* With the interface it goes, but comes only when the service has tried to listen there. */
	zassert_ok(net_if_down(iface));
	expect(SYS_WSS_EVENT_LL_INTF_DOWN, -1);
	(void)net_if_ipv4_addr_rm(iface, &address);
	zassert_ok(net_if_up(iface));
	expect(SYS_WSS_EVENT_LL_INTF_UP, -1);
	k_msleep(2500);
	zassert_not_null(net_if_ipv4_addr_add(iface, &address, NET_ADDR_MANUAL, 0));
	k_msleep(1100);
	serves(config.address);
}

ZTEST_SUITE(link, NULL, set_up, NULL, NULL, NULL);
