/* SPDX-License-Identifier: Apache-2.0 */
/* Events on a message queue of the application's own. */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/zephyr.h>

#include "client.h"

#define WAIT K_SECONDS(5)

K_MSGQ_DEFINE(events, sizeof(wss_message), 2, 8);
K_MSGQ_DEFINE(others, sizeof(wss_message) - 1, 2, 1);

static wss_queue queue;

static void expect(uint32_t event, int32_t client, const char *data)
{
	wss_message message;

	zassert_ok(k_msgq_get(&events, &message, WAIT), "event %u is missing", event);
	zassert_equal(message.event, event, "%u instead of %u", message.event, event);
	zassert_equal(message.clientIndex, client);
	zassert_equal(message.datalen, data != NULL ? strlen(data) : 0);
	if (data != NULL) {
		zassert_mem_equal(message.data, data, message.datalen);
		zassert_true(message.first && message.last);
	}
	wss_message_release(&message);
	zassert_is_null(message.data);
}

static SYS_MODULE_OBJ start(void)
{
	return SYS_WSS_Initialize(NULL, NULL, NULL);
}

static void *set_up(void)
{
	zassert_equal(wss_queue_add(WSS_MASK_ALL, NULL, &queue), WSS_INVALID);
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &others, &queue), WSS_INVALID);
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &events, NULL), WSS_INVALID);
	zassert_equal(wss_queue_add(0, &events, &queue), WSS_INVALID);
	zassert_equal(wss_queue_create(WSS_MASK_ALL, 1, &queue), WSS_BUSY, "there is none");
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &events, &queue), WSS_OK);
	return NULL;
}

ZTEST(queue, test_1_a_full_queue_loses_nothing)
{
	SYS_MODULE_OBJ object = start();
	int fd = client_connect("127.0.0.1", "/");

	zassert_not_equal(object, SYS_MODULE_OBJ_INVALID);
	/* There is room for the first two events only. */
	client_sends(fd, "one");
	client_sends(fd, "two");
	client_sends(fd, "three");
	k_msleep(50);
	expect(SYS_WSS_EVENT_CLIENT_CONNECTING, 0, NULL);
	expect(SYS_WSS_EVENT_CLIENT_CONNECTED, 0, NULL);
	expect(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX, 0, "one");
	expect(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX, 0, "two");
	expect(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX, 0, "three");
	zsock_close(fd);
	expect(SYS_WSS_EVENT_CLIENT_CLOSING, 0, NULL);
	expect(SYS_WSS_EVENT_CLIENT_CLOSED, 0, NULL);
	SYS_WSS_Deinitialize(&object);
}

ZTEST(queue, test_2_a_port_in_use_is_told_once_there_is_room)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(CONFIG_WSS_PORT)};
	/* As the service's are: releasing it says that there is room. */
	const wss_message nothing = {.event = SYS_WSS_EVENT_ERR, .clientIndex = -1, .hold = &queue};
	int taken = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	zassert_ok(zsock_bind(taken, (struct sockaddr *)&addr, sizeof(addr)));
	zassert_ok(zsock_listen(taken, 1));
	zassert_ok(k_msgq_put(&events, &nothing, K_NO_WAIT));
	zassert_ok(k_msgq_put(&events, &nothing, K_NO_WAIT));
	zassert_equal(start(), SYS_MODULE_OBJ_INVALID);
	expect(SYS_WSS_EVENT_ERR, -1, NULL);
	expect(SYS_WSS_EVENT_ERR, -1, NULL);
	expect(SYS_WSS_EVENT_SOCK_OPEN_FAILED, -1, NULL);
	zsock_close(taken);
}

ZTEST(queue, test_3_it_can_be_taken_back)
{
	wss_message message;
	SYS_MODULE_OBJ object;
	int fd;

	/* wss_queue_get() is as good. */
	object = start();
	fd = client_connect("127.0.0.1", "/");
	zassert_equal(wss_queue_get(queue, &message, 5000), WSS_OK);
	zassert_equal(message.event, SYS_WSS_EVENT_CLIENT_CONNECTING);
	wss_message_release(&message);
	zassert_equal(wss_queue_destroy(queue), WSS_OK);
	zassert_equal(wss_queue_get(queue, &message, 0), WSS_INVALID);
	zassert_equal(wss_queue_destroy(queue), WSS_INVALID);
	client_sends(fd, "for nobody");
	zsock_close(fd);
	zassert_equal(k_msgq_get(&events, &message, K_MSEC(200)), -EAGAIN);
	SYS_WSS_Deinitialize(&object);
}

ZTEST_SUITE(queue, NULL, set_up, NULL, NULL, NULL);
