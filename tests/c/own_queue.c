/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message queue of the application's own, as wss_queue_add() of Zephyr takes it, read without
 * wss_queue_get(). (With a k_msgq: see tests/zephyr/queue.)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../zephyr/port.h"
#include "service.h"
#include "wire.h"

/* Called by wss_queue_add(). */
int wss_queue_adopt(uint32_t mask, void *messages, wss_queue *queue);

static void *own;

/* Like k_msgq_get(). */
static struct wss_event take(uint32_t type)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	struct wss_event event;

	while (!wss_port_queue_get(own, &event)) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	CHECK_INT(event.type, type);
	CHECK(event.server == wss_default_server());
	CHECK(event.hold != NULL);
	return event;
}

static void expect_own(uint32_t type, const char *data)
{
	struct wss_event event = take(type);

	CHECK_BYTES(event.data, event.len, data, strlen(data));
	if (type == WSS_EVENT_TEXT) {
		/* No other subscriber gets it. */
		CHECK_INT(((char *)event.data)[event.len], 0);
		memset(event.data, '#', event.len + 1);
	}
	wss_event_release(&event);
	CHECK(event.data == NULL);
}

/* A queue of two events. */
static wss_queue add(uint32_t mask)
{
	wss_queue queue;

	own = wss_port_queue_new(2, sizeof(struct wss_event));
	CHECK(own != NULL);
	CHECK_INT(wss_queue_adopt(mask, own, &queue), 0);
	return queue;
}

/* Besides the callback, which gets these events. */
static void serve_queue(const wss_queue *queue, uint32_t events)
{
	struct wss_config config = config_for_tests(NULL);

	config.events = events;
	config.queues = queue;
	config.queue_count = 1;
	serve(&config);
}

static void a_full_queue_that_is_read_directly_loses_nothing(void)
{
	wss_queue queue = add(WSS_MASK_ALL);
	struct wss_event event;
	char text[16];
	int fd;

	/* Only the queue gets the texts. */
	serve_queue(&queue, WSS_MASK_ALL & ~WSS_MASK(WSS_EVENT_TEXT));
	fd = wire_open(default_port());
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		wire_text(fd, text);
	}
	expect_own(WSS_EVENT_CONNECTING, "");
	expect_own(WSS_EVENT_CONNECTED, "");
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		expect_own(WSS_EVENT_TEXT, text);
	}
	close(fd);
	expect_own(WSS_EVENT_CLOSING, "");
	expect_own(WSS_EVENT_CLOSED, "");
	CHECK_INT(wss_queue_get(queue, &event, 0), -EAGAIN);
	stop_and_drop();
	/* Its end is that of the server, too. */
	CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
	CHECK_INT(wss_queue_destroy(queue), 0);
}

static void a_client_is_held_until_what_was_read_directly_is_released(void)
{
	wss_queue queue = add(WSS_MASK(WSS_EVENT_TEXT));
	struct wss_event event;
	struct wss_event other;
	int fd;

	serve_queue(&queue, WSS_MASK_ALL);
	fd = open_client(0);
	wire_text(fd, "one");
	event = take(WSS_EVENT_TEXT);
	CHECK(event.client == wss_client_at(wss_default_server(), 0));
	wire_text(fd, "two");
	sleep_ms(100);
	CHECK(!wss_port_queue_get(own, &other));
	CHECK_BYTES(event.data, event.len, "one", 3);
	wss_event_release(&event);
	/* By wss_queue_get() it is taken as well. */
	CHECK_INT(wss_queue_get(queue, &event, PATIENCE * 1000), 0);
	CHECK_BYTES(event.data, event.len, "two", 3);
	wss_event_release(&event);
	/* The remaining events are released. */
	wire_text(fd, "three");
	wire_text(fd, "four");
	for (int i = 0; i < 3; i++) {
		(void)next_event();
	}
	CHECK_INT(wss_queue_destroy(queue), 0);
	expect_data(WSS_EVENT_TEXT, 0, "four", 4);
	close(fd);
	expect_closing(0);
	stop_serving();
}

#define SUITE own_queue
#define CASES(CASE)                                                                                \
	CASE(a_full_queue_that_is_read_directly_loses_nothing)                                     \
	CASE(a_client_is_held_until_what_was_read_directly_is_released)

TEST_PROGRAM(CASES)
