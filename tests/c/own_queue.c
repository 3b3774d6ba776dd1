/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message queue of the application's own, as wss_queue_add() of Zephyr takes it, read without
 * wss_queue_get(). (With a k_msgq: see tests/zephyr/queue.)
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../zephyr/port.h"
#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name

/* What wss_queue_add() calls. */
wss_result wss_queue_adopt(uint32_t mask, void *messages, wss_queue *queue);

static void *own;

/* As k_msgq_get() does. */
static wss_message take(uint32_t event)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	wss_message message;

	while (!wss_port_queue_get(own, &message)) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	CHECK_INT(message.event, event);
	CHECK(message.hold != NULL);
	return message;
}

static void expect_own(uint32_t event, const char *data)
{
	wss_message message = take(event);

	CHECK_INT(message.datalen, strlen(data));
	CHECK_BYTES(message.data, message.datalen, data, strlen(data));
	wss_message_release(&message);
	CHECK(message.data == NULL);
}

static wss_queue add(uint32_t mask)
{
	wss_queue queue;

	own = wss_port_queue_new(2, sizeof(wss_message));
	CHECK(own != NULL);
	CHECK_INT(wss_queue_adopt(mask, own, &queue), WSS_OK);
	return queue;
}

static void a_full_queue_that_is_read_directly_loses_nothing(void)
{
	wss_queue queue = add(WSS_MASK_ALL);
	SYS_MODULE_OBJ service = start(NULL);
	int fd = wire_open(wss_port());
	char text[16];

	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		wire_text(fd, text);
	}
	expect_own(EVENT(CLIENT_CONNECTING), "");
	expect_own(EVENT(CLIENT_CONNECTED), "");
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		expect_own(EVENT(CLIENT_TXT_DATA_RX), text);
	}
	close(fd);
	expect_own(EVENT(CLIENT_CLOSING), "");
	expect_own(EVENT(CLIENT_CLOSED), "");
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	end_and_drop(&service);
}

static void a_client_is_held_until_what_was_read_directly_is_released(void)
{
	wss_queue queue = add(WSS_MASK(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX));
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	wss_message message;
	wss_message other;

	wire_text(fd, "one");
	message = take(EVENT(CLIENT_TXT_DATA_RX));
	wire_text(fd, "two");
	sleep_ms(100);
	CHECK(!wss_port_queue_get(own, &other));
	CHECK_BYTES(message.data, message.datalen, "one", 3);
	wss_message_release(&message);
	/* By wss_queue_get() it is taken as well. */
	CHECK_INT(wss_queue_get(queue, &message, PATIENCE * 1000), WSS_OK);
	CHECK_BYTES(message.data, message.datalen, "two", 3);
	wss_message_release(&message);
	/* What is left on it is released. */
	wire_text(fd, "three");
	wire_text(fd, "four");
	for (int i = 0; i < 3; i++) {
		(void)next_event();
	}
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "four", 4);
	close(fd);
	expect_closing(0);
	end(&service);
}

#define SUITE own_queue
#define CASES(CASE)                                                                                \
	CASE(a_full_queue_that_is_read_directly_loses_nothing)                                     \
	CASE(a_client_is_held_until_what_was_read_directly_is_released)

TEST_PROGRAM(CASES)
