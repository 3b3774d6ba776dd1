/* SPDX-License-Identifier: Apache-2.0 */
/* The only network interface goes down, and its address changes. */
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include "client.h"
#include "interfaces.h"
#include "service.h"
#include "wire.h"

static struct wire *const wire = &wires[0];

static void *set_up(void)
{
	echo_on();
	return NULL;
}

static void tear_down(void *fixture)
{
	ARG_UNUSED(fixture);
	service_stop();
	wire_restore(wire);
	k_msleep(100);
}

/* What a link that is down must not do, however long it is. */
static void is_quiet(void)
{
	service_told(SYS_WSS_EVENT_ERR, 0);
	service_told(SYS_WSS_EVENT_SOCK_OPEN_FAILED, 0);
	zassert_equal(accept_errors(), 0);
	/* One poll for the listener that reports the link, and the next one. */
	zassert_true(atomic_get(&service_polls) <= 2, "%ld wake-ups", atomic_get(&service_polls));
}

ZTEST(one_interface, test_down_for_a_minute)
{
	int fd;

	service_start(NULL, 0);
	fd = connects(wire->peer4);
	service_reset();
	zassert_ok(net_if_down(wire->iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_CLIENT_CLOSING, 1);
	service_told(SYS_WSS_EVENT_CLIENT_CLOSED, 1);
	zsock_close(fd);

	(void)atomic_clear(&service_polls);
	k_sleep(K_SECONDS(60));
	is_quiet();
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 0);

	zassert_ok(net_if_up(wire->iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 1);
	serves(wire->peer4);
}

ZTEST(one_interface, test_down_and_up_at_once)
{
	service_start(NULL, 0);
	for (int round = 1; round <= 5; round++) {
		zassert_ok(net_if_down(wire->iface));
		zassert_ok(net_if_up(wire->iface));
		k_msleep(20);
		service_told(SYS_WSS_EVENT_LL_INTF_DOWN, round);
		service_told(SYS_WSS_EVENT_LL_INTF_UP, round);
		serves(wire->peer4);
	}
	service_told(SYS_WSS_EVENT_ERR, 0);
}

ZTEST(one_interface, test_started_while_down)
{
	zassert_ok(net_if_down(wire->iface));
	k_msleep(100);
	service_start(NULL, 0);
	k_sleep(K_SECONDS(10));
	is_quiet();
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 0);
	zassert_ok(net_if_up(wire->iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 1);
	serves(wire->peer4);
}

ZTEST(one_interface, test_another_address_for_all_addresses)
{
	service_start(NULL, 0);
	serves(wire->peer4);
	service_reset();
	wire_remove(wire, wire->own4);
	k_sleep(K_SECONDS(10));
	wire_add(wire, "192.0.2.7");
	serves(wire->peer4);
	wire_remove(wire, "192.0.2.7");
	wire_add(wire, wire->own4);
	serves(wire->peer4);
	/* The link was up all the time. */
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 0);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 0);
	service_told(SYS_WSS_EVENT_ERR, 0);
}

ZTEST(one_interface, test_the_address_goes_and_returns)
{
	service_start(wire->own4, 0);
	serves(wire->peer4);
	service_reset();
	wire_remove(wire, wire->own4);
	/* In its place. */
	wire_add(wire, "192.0.2.7");
	k_sleep(K_SECONDS(60));
	is_quiet();
	wire_add(wire, wire->own4);
	wire_remove(wire, "192.0.2.7");
	k_msleep(100);
	serves(wire->peer4);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 0);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 0);
}

ZTEST(one_interface, test_the_address_comes_after_the_link)
{
	service_start(wire->own4, 0);
	serves(wire->peer4);
	service_reset();
	/* As DHCP does it. */
	wire_remove(wire, wire->own4);
	zassert_ok(net_if_down(wire->iface));
	k_msleep(100);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	(void)atomic_clear(&service_polls);
	k_sleep(K_SECONDS(60));
	is_quiet();
	zassert_ok(net_if_up(wire->iface));
	k_sleep(K_SECONDS(60));
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 1);
	/* It tried again as the link came up. */
	zassert_true(atomic_get(&service_polls) <= 4, "%ld wake-ups", atomic_get(&service_polls));
	wire_add(wire, wire->own4);
	k_msleep(100);
	serves(wire->peer4);
	service_told(SYS_WSS_EVENT_LL_INTF_DOWN, 1);
	service_told(SYS_WSS_EVENT_LL_INTF_UP, 1);
	service_told(SYS_WSS_EVENT_ERR, 0);
	zassert_equal(accept_errors(), 0);
}

static void take_long(const char *data, size_t len, int32_t client)
{
	ARG_UNUSED(data);
	ARG_UNUSED(len);
	ARG_UNUSED(client);
	k_sleep(K_SECONDS(20));
}

/* The service stops without it, but still delivers the client's CLOSED. */
ZTEST(one_interface, test_a_callback_outlasts_the_end)
{
	int fd;

	service_start(NULL, 0);
	fd = connects(wire->peer4);
	service_on_message = take_long;
	client_sends(fd, "wait");
	k_msleep(100);
	service_stop();
	echo_on();
	service_told(SYS_WSS_EVENT_CLIENT_CLOSED, 0);
	k_sleep(K_SECONDS(30));
	service_told(SYS_WSS_EVENT_CLIENT_CLOSING, 1);
	service_told(SYS_WSS_EVENT_CLIENT_CLOSED, 1);
	zsock_close(fd);
	/* It can start again. */
	service_start(NULL, 0);
	serves(wire->peer4);
}

ZTEST_SUITE(one_interface, NULL, set_up, NULL, tear_down, NULL);
