/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with a long Bearer token, which is kept in the receive buffer. */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/wss.h>

#include "client.h"

#define ACCEPTED "HTTP/1.1 101 Switching Protocols\r\n"
#define TOO_LONG "HTTP/1.1 431 "

/* The token of the next client. */
static char token[8192];
/* The number of calls of the hook. */
static int asked;

static int on_request(struct wss_request *request, void *cookie)
{
	static const char scheme[] = "Bearer ";
	const char *field = wss_request_field(request, "Authorization");

	ARG_UNUSED(cookie);
	asked++;
	zassert_not_null(field);
	zassert_mem_equal(field, scheme, strlen(scheme));
	zassert_str_equal(field + strlen(scheme), token);
	/* It is compared completely. */
	zassert_true(wss_request_is_bearer(request, token));
	token[strlen(token) - 1] ^= 1;
	zassert_false(wss_request_is_bearer(request, token));
	return 0;
}

static void *set_up(void)
{
	static const struct wss_config config = {.port = CONFIG_WSS_PORT,
						 .on_request = on_request,
						 .request_fields = "Authorization"};

	zassert_ok(wss_start(wss_default_server(), &config));
	return NULL;
}

static void tear_down(void *unused)
{
	ARG_UNUSED(unused);
	zassert_ok(wss_stop(wss_default_server()));
}

/* In pieces, because a window is smaller. The server may answer, and close, before the last one. */
static void says(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t count = zsock_send(fd, text, MIN(left, 500), 0);

		if (count <= 0) {
			return;
		}
		text += count;
		left -= (size_t)count;
	}
}

/* Sends a request with a token of this length. */
static int sends(size_t len)
{
	int fd = client_dial("127.0.0.1", CONFIG_WSS_PORT);

	for (size_t i = 0; i < len; i++) {
		token[i] = (char)('a' + i % 26);
	}
	token[len] = 0;
	says(fd, "GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer ");
	says(fd, token);
	says(fd, "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	return fd;
}

/* Sends a request with a token of this length, and expects a response that begins like this. */
static int asks(size_t len, const char *answer)
{
	int fd = sends(len);

	client_receives(fd, answer, strlen(answer));
	return fd;
}

ZTEST(token, test_a_token_of_2_kb_is_read_whole)
{
	static const size_t sizes[] = {1, 2047, 2048, 2500};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		asked = 0;
		zsock_close(asks(sizes[i], ACCEPTED));
		zassert_equal(asked, 1);
		k_msleep(50);
	}
}

ZTEST(token, test_a_token_without_room_gets_431)
{
	/* Over the receive buffer, and over CONFIG_WSS_HANDSHAKE_SIZE, too. */
	static const size_t sizes[] = {CONFIG_WSS_RX_BUFFER_SIZE + 131, CONFIG_WSS_HANDSHAKE_SIZE};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		asked = 0;
		zsock_close(asks(sizes[i], TOO_LONG));
		zassert_equal(asked, 0);
		k_msleep(50);
	}
	/* The slot is free again. */
	zsock_close(asks(2048, ACCEPTED));
	k_msleep(50);
}

/* Zephyr's TCP cannot shut only one side. A client that still sends after the answer is reset, and may lose it. */
ZTEST(token, test_a_client_that_still_sends_after_the_answer_frees_its_slot)
{
	asked = 0;
	zsock_close(sends(sizeof(token) - 1));
	zassert_equal(asked, 0);
	k_msleep(50);
	zsock_close(asks(2048, ACCEPTED));
	k_msleep(50);
}

ZTEST_SUITE(token, NULL, set_up, NULL, NULL, tear_down);
