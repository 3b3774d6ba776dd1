/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several servers, as Zephyr has them: CONFIG_WSS_SERVERS, events on message queues of the application's
 * own, and the network interface. tests/c/servers.c has the rest of the interface.
 */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>
#include <wss/zephyr.h>

#include "client.h"

#define WAIT       K_SECONDS(5)
#define OTHER_PORT 8001

K_MSGQ_DEFINE(own, sizeof(struct wss_event), 8, 8);
K_MSGQ_DEFINE(others, sizeof(struct wss_event), 8, 8);

static wss_queue own_queue;
static wss_queue others_queue;
static SYS_MODULE_OBJ service;
static struct wss_server *other;

static struct wss_event expect(struct k_msgq *queue, uint32_t type, int32_t index, const char *data)
{
	struct wss_event event;

	zassert_ok(k_msgq_get(queue, &event, WAIT), "event %u is missing", type);
	zassert_equal(event.type, type, "%u instead of %u", event.type, type);
	zassert_equal(event.index, index);
	zassert_equal(event.server, queue == &own ? wss_default_server() : other);
	zassert_equal(event.client, wss_client_at(event.server, index));
	if (data != NULL) {
		zassert_equal(event.len, strlen(data));
		zassert_mem_equal(event.data, data, event.len);
	}
	wss_event_release(&event);
	return event;
}

/* An event of a client that may have disconnected. */
static void expect_last(struct k_msgq *queue, uint32_t type)
{
	struct wss_event event;

	zassert_ok(k_msgq_get(queue, &event, WAIT), "event %u is missing", type);
	zassert_equal(event.type, type, "%u instead of %u", event.type, type);
	zassert_equal(event.server, queue == &own ? wss_default_server() : other);
	wss_event_release(&event);
}

static int open_client(struct k_msgq *queue, uint16_t port)
{
	int fd = client_connect_at("127.0.0.1", port, "/");

	expect(queue, WSS_EVENT_CONNECTING, 0, NULL);
	expect(queue, WSS_EVENT_CONNECTED, 0, NULL);
	return fd;
}

static void close_client(struct k_msgq *queue, int fd)
{
	zsock_close(fd);
	expect_last(queue, WSS_EVENT_CLOSING);
	expect_last(queue, WSS_EVENT_CLOSED);
}

static void *set_up(void)
{
	zassert_ok(wss_queue_add(WSS_MASK_ALL, &others, &others_queue));
	zassert_ok(wss_queue_add(WSS_MASK_ALL, &own, &own_queue));
	other = wss_server_at(1);
	zassert_not_null(other);
	return NULL;
}

static int start_other(void)
{
	const struct wss_config config = {
		.port = OTHER_PORT, .queues = &others_queue, .queue_count = 1};

	return wss_start(other, &config);
}

static void start(void *fixture)
{
	const struct wss_config config = {.queues = &own_queue, .queue_count = 1};

	ARG_UNUSED(fixture);
	zassert_ok(wss_configure(wss_default_server(), &config));
	service = SYS_WSS_Initialize(NULL, NULL, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	zassert_ok(start_other());
}

static void end(void *fixture)
{
	ARG_UNUSED(fixture);
	SYS_WSS_Deinitialize(&service);
	zassert_ok(wss_stop(other));
	k_msgq_purge(&own);
	k_msgq_purge(&others);
}

ZTEST(servers, test_each_has_clients_and_events_of_its_own)
{
	int one = open_client(&own, CONFIG_WSS_PORT);
	int two = open_client(&others, OTHER_PORT);
	struct wss_event event;

	client_sends(two, "to the other");
	event = expect(&others, WSS_EVENT_TEXT, 0, "to the other");
	zassert_equal(wss_client_server(event.client), other);
	zassert_ok(wss_send_text(event.client, "b", 0));
	client_receives(two, "\x81\x01" "b", 3);
	client_sends(one, "to the default");
	event = expect(&own, WSS_EVENT_TEXT, 0, "to the default");
	zassert_equal(wss_client_server(event.client), wss_default_server());
	zassert_equal(wss_broadcast(wss_default_server(), 0, WSS_TEXT, "a", 1), 1);
	client_receives(one, "\x81\x01" "a", 3);
	close_client(&own, one);
	close_client(&others, two);
	zassert_equal(k_msgq_num_used_get(&own), 0);
	zassert_equal(k_msgq_num_used_get(&others), 0);
}

ZTEST(servers, test_there_are_as_many_as_kconfig_says)
{
	const struct wss_config config = {.port = 0};

	for (size_t i = 2; i < CONFIG_WSS_SERVERS; i++) {
		zassert_ok(wss_start(wss_server_at(i), &config));
	}
	zassert_is_null(wss_server_at(CONFIG_WSS_SERVERS));
	for (size_t i = 2; i < CONFIG_WSS_SERVERS; i++) {
		zassert_ok(wss_stop(wss_server_at(i)));
	}
}

ZTEST(servers, test_one_restarts_while_another_serves)
{
	int one = open_client(&own, CONFIG_WSS_PORT);

	for (int round = 0; round < 5; round++) {
		close_client(&others, open_client(&others, OTHER_PORT));
		zassert_ok(wss_stop(other));
		client_sends(one, "x");
		expect(&own, WSS_EVENT_TEXT, 0, "x");
		zassert_ok(start_other());
	}
	close_client(&own, one);
}

ZTEST(servers, test_each_gets_the_events_of_the_network_interface_and_listens_again)
{
	struct net_if *iface = net_if_get_first_by_type(&NET_L2_GET_NAME(DUMMY));

	zassert_not_null(iface);
	zassert_ok(net_if_down(iface));
	expect(&own, WSS_EVENT_LINK_DOWN, -1, NULL);
	expect(&others, WSS_EVENT_LINK_DOWN, -1, NULL);
	zassert_ok(net_if_up(iface));
	expect(&own, WSS_EVENT_LINK_UP, -1, NULL);
	expect(&others, WSS_EVENT_LINK_UP, -1, NULL);
	/* Meanwhile the WSS threads listen again. */
	k_msleep(100);
	close_client(&own, open_client(&own, CONFIG_WSS_PORT));
	close_client(&others, open_client(&others, OTHER_PORT));
}

ZTEST_SUITE(servers, NULL, set_up, start, end, NULL);
