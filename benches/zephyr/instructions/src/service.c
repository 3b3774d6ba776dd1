/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application on the service.
 */
#include <zephyr/kernel.h>

#include <wss/sys_wss.h>

#include "bench.h"
#include "tcp_echo.h"

static void on_event(SYS_WSS_EVENTS event, void *data, int32_t client, void *cookie)
{
	const SYS_WSS_RXDATA *rx = data;

	(void)cookie;
	if (event != SYS_WSS_EVENT_CLIENT_BIN_DATA_RX) {
		return;
	}
	switch (bench_case) {
	case ECHO:
		(void)SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, rx->data, rx->datalen, client);
		break;
	case REPLY:
		(void)SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, bench_reply[0],
					  BENCH_REPLY_SIZE, client);
		break;
	case RECEIVE:
		bench_received(rx->datalen);
		break;
	case BROADCAST:
		(void)SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, rx->data, rx->datalen, -1);
		break;
	default:
		break;
	}
}

#if CONFIG_WSS_QUEUES > 0
static wss_queue queue;

static void consume(void *p1, void *p2, void *p3)
{
	struct wss_event event;

	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	while (wss_queue_get(queue, &event, WSS_FOREVER) == 0) {
		(void)wss_send(event.client, WSS_BINARY, event.data, event.len, WSS_FOREVER);
		wss_event_release(&event);
	}
}

static K_THREAD_STACK_DEFINE(consumer_stack, 4096);
static struct k_thread consumer;

/* There is no callback beside the queue. */
static void start_with_consumer(void)
{
	struct wss_config config = {
		.port = WEBSOCKET_PORT, .queues = &queue, .queue_count = 1};

	if (wss_queue_create(WSS_MASK(WSS_EVENT_BINARY), CONFIG_WSS_QUEUE_DEPTH, &queue) == 0 &&
	    wss_start(wss_default_server(), &config) == 0) {
		k_thread_create(&consumer, consumer_stack, K_THREAD_STACK_SIZEOF(consumer_stack),
				consume, NULL, NULL, NULL, BENCH_QUEUE_PRIORITY, 0, K_NO_WAIT);
	}
}
#endif

/* The queue case has an image of its own, so that an unused queue costs the other cases nothing. */
bool server_has(enum bench_case what)
{
	return (CONFIG_WSS_QUEUES > 0) == (what == QUEUE);
}

void server_start(void)
{
#if CONFIG_WSS_QUEUES > 0
	start_with_consumer();
#else
	SYS_WSS_CONFIG config = {.port = WEBSOCKET_PORT, .isTLSEnabled = IS_ENABLED(CONFIG_WSS_TLS)};

	(void)SYS_WSS_Initialize(&config, on_event, NULL);
#endif
}
