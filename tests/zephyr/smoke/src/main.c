/* SPDX-License-Identifier: Apache-2.0 */
/* A minimal server test, small enough for 64 KB of RAM: client and server over loopback. */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

#include "client.h"

#if defined(CONFIG_WSS_COMPACT)
#define PHRASE "Refused"
#else
#define PHRASE "Method Not Allowed"
#endif

K_MSGQ_DEFINE(told, sizeof(SYS_WSS_EVENTS), 16, 4);

static void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	const SYS_WSS_RXDATA *rx = data;

	ARG_UNUSED(cookie);
	if (event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX || event == SYS_WSS_EVENT_CLIENT_BIN_DATA_RX) {
		SYS_WSS_FRAME type = event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX ? SYS_WSS_FRAME_TEXT
									      : SYS_WSS_FRAME_BINARY;

		zassert_equal(SYS_WSS_sendMessage(true, type, rx->data, (size_t)rx->datalen, client),
			      SYS_WSS_SUCCESS);
	}
	zassert_ok(k_msgq_put(&told, &event, K_NO_WAIT));
}

static void expect(SYS_WSS_EVENTS event)
{
	SYS_WSS_EVENTS got;

	zassert_ok(k_msgq_get(&told, &got, K_SECONDS(10)), "event %d is missing", event);
	zassert_equal(got, event, "%d instead of %d", got, event);
}

static int open_client(void)
{
	int fd = client_connect("127.0.0.1", "/");

	expect(SYS_WSS_EVENT_CLIENT_CONNECTING);
	expect(SYS_WSS_EVENT_CLIENT_CONNECTED);
	return fd;
}

static void expect_closed(void)
{
	expect(SYS_WSS_EVENT_CLIENT_CLOSING);
	expect(SYS_WSS_EVENT_CLIENT_CLOSED);
	/* The slot is free after that event was delivered. */
	k_msleep(10);
}

static SYS_MODULE_OBJ service;

static void *set_up(void)
{
	service = SYS_WSS_Initialize(NULL, callback, NULL);
	zassert_not_equal(service, SYS_MODULE_OBJ_INVALID);
	return NULL;
}

static void tear_down(void *unused)
{
	ARG_UNUSED(unused);
	SYS_WSS_Deinitialize(&service);
}

ZTEST(smoke, test_text_and_binary_are_echoed)
{
	int fd = open_client();

	client_sends_frame(fd, 0x1, "h\xc3\xa9llo", 6);
	client_receives(fd, "\x81\x06h\xc3\xa9llo", 8);
	expect(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX);
	client_sends_frame(fd, 0x2, "\0\xff", 2);
	client_receives(fd, "\x82\x02\0\xff", 4);
	expect(SYS_WSS_EVENT_CLIENT_BIN_DATA_RX);
	zsock_close(fd);
	expect_closed();
}

ZTEST(smoke, test_a_ping_is_answered)
{
	int fd = open_client();

	client_sends_frame(fd, 0x9, "abc", 3);
	client_receives(fd, "\x8a\x03" "abc", 5);
	expect(SYS_WSS_EVENT_CLIENT_PING_RX);
	zsock_close(fd);
	expect_closed();
}

ZTEST(smoke, test_the_client_closes)
{
	int fd = open_client();

	client_sends_frame(fd, 0x8, "\x03\xe8" "bye", 5);
	client_receives(fd, "\x88\x02\x03\xe8", 4);
	client_ends(fd);
	expect(SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX);
	expect_closed();
}

ZTEST(smoke, test_the_server_closes)
{
	int fd = open_client();

	zassert_equal(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_GOING_AWAY, NULL, 0, 0),
		      SYS_WSS_SUCCESS);
	client_receives(fd, "\x88\x02\x03\xe9", 4);
	expect(SYS_WSS_EVENT_CLIENT_CLOSING);
	client_sends_frame(fd, 0x8, "\x03\xe9", 2);
	client_ends(fd);
	expect(SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX);
	expect(SYS_WSS_EVENT_CLIENT_CLOSED);
	k_msleep(10);
}

ZTEST(smoke, test_a_wrong_request_is_refused)
{
	static const char answer[] = "HTTP/1.1 405 " PHRASE "\r\nContent-Length: 0\r\nAllow: GET\r\n";
	int fd = client_dial("127.0.0.1", CONFIG_WSS_PORT);

	client_says(fd, "POST / HTTP/1.1\r\nHost: h\r\n\r\n");
	client_receives(fd, answer, strlen(answer));
	expect(SYS_WSS_EVENT_CLIENT_CONNECTING);
	expect_closed();
	zsock_close(fd);
}

ZTEST(smoke, test_a_frame_that_is_not_masked_is_closed_with_1002)
{
	int fd = open_client();

	client_says(fd, "\x81\x01x");
	client_receives(fd, "\x88\x02\x03\xea", 4);
	client_ends(fd);
	expect(SYS_WSS_EVENT_ERR_INVALID_FRAME);
	expect_closed();
}

ZTEST_SUITE(smoke, NULL, set_up, NULL, NULL, tear_down);
