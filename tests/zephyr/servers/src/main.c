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

#include <wss/zephyr.h>

#include "client.h"

#define WAIT       K_SECONDS(5)
#define OTHER_PORT 8001
#define FURTHER    (CONFIG_WSS_SERVERS - 1)

K_MSGQ_DEFINE(own, sizeof(wss_message), 8, 8);
K_MSGQ_DEFINE(others, sizeof(wss_message), 8, 8);

static wss_queue own_queue;
static wss_queue others_queue;
static SYS_MODULE_OBJ service;
static wss_server servers[FURTHER];

static wss_client expect(struct k_msgq *queue, uint32_t event, int32_t index, const char *data)
{
	wss_message message;
	wss_client client;

	zassert_ok(k_msgq_get(queue, &message, WAIT), "event %u is missing", event);
	zassert_equal(message.event, event, "%u instead of %u", message.event, event);
	zassert_equal(message.clientIndex, index);
	if (data != NULL) {
		zassert_equal(message.datalen, strlen(data));
		zassert_mem_equal(message.data, data, message.datalen);
	}
	client = message.client;
	wss_message_release(&message);
	return client;
}

static int open_client(struct k_msgq *queue, uint16_t port)
{
	int fd = client_connect_at("127.0.0.1", port, "/");

	expect(queue, SYS_WSS_EVENT_CLIENT_CONNECTING, 0, NULL);
	expect(queue, SYS_WSS_EVENT_CLIENT_CONNECTED, 0, NULL);
	return fd;
}

static void close_client(struct k_msgq *queue, int fd)
{
	zsock_close(fd);
	expect(queue, SYS_WSS_EVENT_CLIENT_CLOSING, 0, NULL);
	expect(queue, SYS_WSS_EVENT_CLIENT_CLOSED, 0, NULL);
}

static void *set_up(void)
{
	zassert_equal(wss_server_queue_add(WSS_MASK_ALL, NULL, &others_queue), WSS_INVALID);
	zassert_equal(wss_server_queue_add(0, &others, &others_queue), WSS_INVALID);
	zassert_equal(wss_server_queue_add(WSS_MASK_ALL, &others, &others_queue), WSS_OK);
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &own, &own_queue), WSS_OK);
	return NULL;
}

static void start(void *fixture)
{
	const wss_server_config config = {
		.port = OTHER_PORT, .queues = &others_queue, .queue_count = 1};

	ARG_UNUSED(fixture);
	service = SYS_WSS_Initialize(NULL, NULL, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	zassert_equal(wss_server_start(&config, &servers[0]), WSS_OK);
}

static void end(void *fixture)
{
	ARG_UNUSED(fixture);
	SYS_WSS_Deinitialize(&service);
	zassert_equal(wss_server_stop(servers[0]), WSS_OK);
	k_msgq_purge(&own);
	k_msgq_purge(&others);
}

ZTEST(servers, test_each_has_clients_and_events_of_its_own)
{
	int one = open_client(&own, CONFIG_WSS_PORT);
	int two = open_client(&others, OTHER_PORT);
	wss_client client;

	client_sends(two, "to the other");
	client = expect(&others, SYS_WSS_EVENT_CLIENT_TXT_DATA_RX, 0, "to the other");
	zassert_equal(wss_server_of(client), servers[0]);
	zassert_equal(wss_send(client, true, SYS_WSS_FRAME_TEXT, "b", 1), WSS_OK);
	client_receives(two, "\x81\x01" "b", 3);
	client_sends(one, "to the default");
	client = expect(&own, SYS_WSS_EVENT_CLIENT_TXT_DATA_RX, 0, "to the default");
	zassert_not_equal(wss_server_of(client), servers[0]);
	zassert_equal(wss_send(WSS_ALL_CLIENTS, true, SYS_WSS_FRAME_TEXT, "a", 1), WSS_OK);
	client_receives(one, "\x81\x01" "a", 3);
	close_client(&own, one);
	close_client(&others, two);
	zassert_equal(k_msgq_num_used_get(&own), 0);
	zassert_equal(k_msgq_num_used_get(&others), 0);
}

ZTEST(servers, test_there_are_as_many_as_kconfig_says)
{
	const wss_server_config config = {.port = 0};
	wss_server more;

	for (int i = 1; i < FURTHER; i++) {
		zassert_equal(wss_server_start(&config, &servers[i]), WSS_OK);
	}
	zassert_equal(wss_server_start(&config, &more), WSS_BUSY);
	for (int i = 1; i < FURTHER; i++) {
		zassert_equal(wss_server_stop(servers[i]), WSS_OK);
	}
}

ZTEST(servers, test_one_restarts_while_another_serves)
{
	const wss_server_config config = {
		.port = OTHER_PORT, .queues = &others_queue, .queue_count = 1};
	int one = open_client(&own, CONFIG_WSS_PORT);

	for (int round = 0; round < 5; round++) {
		close_client(&others, open_client(&others, OTHER_PORT));
		zassert_equal(wss_server_stop(servers[0]), WSS_OK);
		client_sends(one, "x");
		expect(&own, SYS_WSS_EVENT_CLIENT_TXT_DATA_RX, 0, "x");
		zassert_equal(wss_server_start(&config, &servers[0]), WSS_OK);
	}
	close_client(&own, one);
}

ZTEST(servers, test_the_network_interface_is_told_to_each_and_all_listen_again)
{
	struct net_if *iface = net_if_get_first_by_type(&NET_L2_GET_NAME(DUMMY));

	zassert_not_null(iface);
	zassert_ok(net_if_down(iface));
	expect(&own, SYS_WSS_EVENT_LL_INTF_DOWN, -1, NULL);
	zassert_equal(expect(&others, SYS_WSS_EVENT_LL_INTF_DOWN, -1, NULL),
		      wss_server_all(servers[0]));
	zassert_ok(net_if_up(iface));
	expect(&own, SYS_WSS_EVENT_LL_INTF_UP, -1, NULL);
	expect(&others, SYS_WSS_EVENT_LL_INTF_UP, -1, NULL);
	/* The WSS threads listen again meanwhile. */
	k_msleep(100);
	close_client(&own, open_client(&own, CONFIG_WSS_PORT));
	close_client(&others, open_client(&others, OTHER_PORT));
}

ZTEST_SUITE(servers, NULL, set_up, start, end, NULL);
