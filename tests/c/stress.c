/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients that connect, send, and disconnect, often by a reset, on two servers: stress [accepted [threads]].
 * Meanwhile other threads broadcast, ping, close at random, read a queue, and call all other functions, also while both
 * servers are finally stopped and started again, repeatedly. At the end every CONNECTING has had its CLOSING and its
 * CLOSED.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <wss/sys_wss.h>

#include "test.h"
#include "wire.h"

#define MAX_CLIENTS 64
#define RESTARTS    20

/* The default server, by the SYS_WSS interface, and a further one, by wss.h. */
static struct side {
	struct wss_server *server;
	atomic_int connecting;
	atomic_int connected;
	atomic_int closing;
	atomic_int closed;
	atomic_int connects;
	/* The state of each index; only the callback uses it. */
	int phase[MAX_CLIENTS];
} sides[2];
static atomic_int echoed;
static int wanted;
static atomic_bool over;

static void count(struct side *side, uint32_t event, int32_t index)
{
	int *phase = side->phase;

	switch (event) {
	case WSS_EVENT_CONNECTING:
		CHECK_INT(phase[index], 0);
		phase[index] = 1;
		side->connecting++;
		break;
	case WSS_EVENT_CONNECTED:
		CHECK_INT(phase[index], 1);
		phase[index] = 2;
		side->connected++;
		break;
	case WSS_EVENT_TEXT:
	case WSS_EVENT_BINARY:
		CHECK_INT(phase[index], 2);
		break;
	case WSS_EVENT_CLOSING:
		CHECK(phase[index] == 1 || phase[index] == 2);
		phase[index] = 3;
		side->closing++;
		break;
	case WSS_EVENT_CLOSED:
		CHECK_INT(phase[index], 3);
		phase[index] = 0;
		side->closed++;
		break;
	default:
		break;
	}
}

static void callback(SYS_WSS_EVENTS event, void *data, int32_t index, void *cookie)
{
	const SYS_WSS_RXDATA *rx = data;

	count(cookie, event, index);
	if (event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX || event == SYS_WSS_EVENT_CLIENT_BIN_DATA_RX) {
		SYS_WSS_FRAME type = event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX
					     ? SYS_WSS_FRAME_TEXT
					     : SYS_WSS_FRAME_BINARY;

		(void)SYS_WSS_sendMessage(true, type, rx->data, (size_t)rx->datalen, index);
	}
}

static void on_event(const struct wss_event *event, void *cookie)
{
	struct side *side = cookie;

	CHECK(event->server == side->server);
	CHECK_INT(wss_client_index(event->client), event->index);
	count(side, event->type, event->index);
	if (event->type == WSS_EVENT_TEXT || event->type == WSS_EVENT_BINARY) {
		(void)wss_send(event->client,
			       event->type == WSS_EVENT_TEXT ? WSS_TEXT : WSS_BINARY, event->data,
			       event->len, 0);
	}
}

static void on_tick(struct wss_server *server, void *cookie)
{
	CHECK(cookie == &sides[1]);
	(void)wss_broadcast(server, 1, WSS_TEXT, "tick", 4);
}

static uint16_t port_of(const struct side *side)
{
	int port = wss_port(side->server);

	CHECK(port > 0);
	return (uint16_t)port;
}

/* For the default server, and for the other one. */
static struct wss_config configs[2];
static struct wss_limits limits;
/* One that the test reads from, and one that it does not. */
static wss_queue own_queues[2];

static wss_queue create_queue(void)
{
	wss_queue queue;

	CHECK_INT(wss_queue_create(WSS_MASK_ALL | WSS_MASK(WSS_EVENT_WRITABLE), 8, &queue), 0);
	return queue;
}

static SYS_MODULE_OBJ start_both(void)
{
	SYS_WSS_CONFIG own = {.port = 0, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;

	CHECK_INT(wss_configure(sides[0].server, &configs[0]), 0);
	service = SYS_WSS_Initialize(&own, callback, &sides[0]);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	CHECK_INT(wss_start(sides[1].server, &configs[1]), 0);
	return service;
}

/* Reads an echo of `len` bytes. Returns false if the connection ends before. */
static bool read_echo(int fd, struct frame *frame, size_t len)
{
	char byte;

	for (;;) {
		/* A reset in the middle of a frame is not a failure here. */
		if (recv(fd, &byte, 1, MSG_PEEK) <= 0 || !wire_read(fd, frame)) {
			return false;
		}
		if (frame->opcode == CLOSE) {
			return false;
		}
		if (frame->opcode == BINARY && frame->len == len) {
			return true;
		}
	}
}

static void *client(void *given)
{
	unsigned int seed = (unsigned int)(uintptr_t)given;
	struct side *side = &sides[seed % 2];
	struct frame *frame = malloc(sizeof(*frame));
	static const char payload[1400];
	uint8_t bytes[1500];

	while (side->connecting < wanted) {
		int fd = wire_connect(port_of(side));
		int way = rand_r(&seed) % 8;
		size_t len = (size_t)rand_r(&seed) % sizeof(payload);
		size_t made;

		side->connects++;
		if (way == 0) {
			/* In the middle of the request. */
			send(fd, REQUEST, (size_t)rand_r(&seed) % strlen(REQUEST), MSG_NOSIGNAL);
			wire_reset(fd);
			continue;
		}
		/* The first frame with it; the connection may be closed already when it is sent. */
		send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL);
		made = wire_make(bytes, true, BINARY, payload, len);
		if (way == 1) {
			made = (size_t)rand_r(&seed) % made;
		}
		send(fd, bytes, made, MSG_NOSIGNAL);
		if (way <= 3) {
			wire_reset(fd);
			continue;
		}
		for (int matched = 0; matched < 4;) {
			char byte;

			if (recv(fd, &byte, 1, 0) != 1) {
				break;
			}
			matched = byte == "\r\n\r\n"[matched] ? matched + 1 : byte == '\r';
		}
		if (read_echo(fd, frame, len)) {
			echoed++;
		}
		if (way >= 6) {
			send(fd, bytes, wire_make(bytes, true, CLOSE, "\x03\xe8", 2), MSG_NOSIGNAL);
		}
		close(fd);
	}
	free(frame);
	return NULL;
}

static void *meddle(void *given)
{
	unsigned int seed = 7;
	const struct wss_config wrong = {.queue_count = SIZE_MAX};
	struct wss_handshake handshake;
	struct wss_stats stats;
	char text[64];

	(void)given;
	while (!over) {
		int32_t index = (int32_t)(rand_r(&seed) % (MAX_CLIENTS + 2)) - 1;
		struct wss_server *server = sides[rand_r(&seed) % 2].server;
		wss_client id = wss_client_at(server, index);

		SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)text, 0, index);
		SYS_WSS_PingClient(NULL, 0, index);
		(void)wss_set_groups(id, (uint32_t)rand_r(&seed));
		(void)wss_broadcast(server, 3, WSS_TEXT, "3", 1);
		(void)wss_send(id, WSS_BINARY | WSS_MORE, "", 0, 1);
		(void)wss_flush(id);
		if (rand_r(&seed) % 4 == 0) {
			(void)wss_close(id, 4000, "meddled");
		}
		WSS_FOR_EACH_CLIENT(server, client) {
			(void)wss_ping(client, NULL, 0);
		}
		(void)wss_set_user_data(id, text);
		(void)wss_user_data(id);
		(void)wss_client_state(id);
		(void)wss_client_handshake(id, &handshake);
		(void)wss_client_text(id, WSS_CLIENT_PATH, text, sizeof(text));
		(void)wss_client_address(id, text, sizeof(text));
		(void)wss_get_stats(server, &stats);
		(void)wss_port(server);
		CHECK(wss_configure(server, &wrong) < 0);
		SYS_WSS_register_callback(callback, &sides[0]);
		sleep_ms(1);
	}
	return NULL;
}

/* Reads a queue of both servers while one of them runs, and again after a restart. */
static void *drain(void *given)
{
	wss_queue queue = *(wss_queue *)given;
	struct wss_event event;
	int taken = 0;

	while (!over) {
		int result = wss_queue_get(queue, &event, 5);

		if (result == 0) {
			CHECK(event.server == sides[0].server || event.server == sides[1].server);
			wss_event_release(&event);
			taken++;
		} else if (result == -EPIPE) {
			sleep_ms(1);
		} else {
			CHECK_INT(result, -EAGAIN);
		}
	}
	CHECK(taken > 0);
	return NULL;
}

/*
 * One more client, served from beginning to end. The kernel hands connections over in their order, so
 * that the service has seen all that came before it.
 */
static void come_last(struct side *side)
{
	bool served;

	do {
		int fd = wire_connect(port_of(side));
		char head[512];

		side->connects++;
		wire_say(fd, REQUEST);
		/* All indexes may still be in use. */
		served = wire_response(fd, head, sizeof(head)) == 101;
		close(fd);
	} while (!served);
}

static void every_client_had_its_end(struct side *side)
{
	CHECK_INT(side->closing, side->connecting);
	CHECK_INT(side->closed, side->connecting);
}

/* Stops both with clients in every phase, while other threads call them. */
static void restart(void)
{
	for (int round = 0; round < RESTARTS; round++) {
		SYS_MODULE_OBJ service;
		int fds[8];

		own_queues[1] = create_queue();
		service = start_both();
		for (int i = 0; i < 8; i++) {
			fds[i] = wire_connect(port_of(&sides[i / 4]));
			send(fds[i], REQUEST, strlen(REQUEST) - (i % 4 == 0 ? 9 : 0), MSG_NOSIGNAL);
			if (i % 4 == 1) {
				wire_reset(fds[i]);
			} else if (i % 4 == 2 || round > 0) {
				shutdown(fds[i], SHUT_WR);
			}
			/* In the first round some stay, do not answer the close, and are aborted. */
		}
		sleep_ms(round % 4);
		CHECK_INT(wss_queue_destroy(own_queues[1]), 0);
		if (round % 2 == 0) {
			CHECK_INT(wss_stop(sides[1].server), 0);
		}
		SYS_WSS_Deinitialize(&service);
		if (round % 2 != 0) {
			CHECK_INT(wss_stop(sides[1].server), 0);
		}
		/* And no further event. */
		every_client_had_its_end(&sides[0]);
		every_client_had_its_end(&sides[1]);
		for (int i = 0; i < 8; i++) {
			if (i % 4 != 1) {
				close(fds[i]);
			}
		}
	}
}

/* All clients of a server have connected and disconnected, except those that are still closing. */
static void await_the_last(struct side *side, struct wss_stats *stats)
{
	int64_t until = now_ms() + PATIENCE * 1000;

	come_last(side);
	for (;; sleep_ms(10)) {
		CHECK(now_ms() < until);
		CHECK_INT(wss_get_stats(side->server, stats), 0);
		if (stats->accepted == stats->closed) {
			break;
		}
	}
}

/* The number of connections that a server rejected, once it has no clients. */
static void account(struct side *side, const struct wss_stats *stats)
{
	int seen = side->connecting + (int)stats->refused_full;

	printf("%d connects: %d connecting, %d connected, %d closing, %d closed, %u refused\n",
	       side->connects, side->connecting, side->connected, side->closing, side->closed,
	       stats->refused_full);
	CHECK_INT(stats->accepted, side->connecting);
	CHECK_INT(stats->accept_errors, 0);
	every_client_had_its_end(side);
	/*
	 * Not every connection gets as far as the server. When more are waiting than the listener's
	 * backlog holds, the kernel drops the last packet of a handshake: connect() has returned by then,
	 * and a client that resets its connection before the packet is repeated was never there.
	 */
	CHECK(seen <= side->connects);
	CHECK(side->connects - seen <= side->connects / 100);
}

int main(int argc, char **argv)
{
	int clients = argc > 2 ? atoi(argv[2]) : MAX_CLIENTS;
	SYS_MODULE_OBJ service;
	pthread_t threads[MAX_CLIENTS + 2];
	struct wss_stats stats[2];

	/* At each. */
	wanted = (argc > 1 ? atoi(argv[1]) : 10000) / 2;
	CHECK(clients <= MAX_CLIENTS);
	wss_limits_init(&limits);
	limits.send_timeout_ms = 1000;
	limits.close_timeout_ms = 1000;
	for (int i = 0; i < 2; i++) {
		own_queues[i] = create_queue();
	}
	for (int i = 0; i < 2; i++) {
		sides[i].server = wss_server_at((size_t)i);
		configs[i].address = "127.0.0.1";
		configs[i].limits = &limits;
		configs[i].queues = own_queues;
		configs[i].queue_count = 2;
	}
	configs[1].on_event = on_event;
	configs[1].on_tick = on_tick;
	configs[1].tick_ms = 1;
	configs[1].cookie = &sides[1];
	service = start_both();
	for (int i = 0; i < clients; i++) {
		CHECK(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)(i + 1)) == 0);
	}
	CHECK(pthread_create(&threads[clients], NULL, meddle, NULL) == 0);
	CHECK(pthread_create(&threads[clients + 1], NULL, drain, &own_queues[0]) == 0);
	/* By then every client waits for room, and continues. */
	sleep_ms(100);
	CHECK_INT(wss_queue_destroy(own_queues[1]), 0);
	for (int i = 0; i < clients; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 2; i++) {
		await_the_last(&sides[i], &stats[i]);
	}
	CHECK_INT(wss_stop(sides[1].server), 0);
	SYS_WSS_Deinitialize(&service);
	for (int i = 0; i < 2; i++) {
		account(&sides[i], &stats[i]);
	}
	CHECK(echoed > 0);
	restart();
	over = true;
	pthread_join(threads[clients], NULL);
	pthread_join(threads[clients + 1], NULL);
	CHECK_INT(wss_queue_destroy(own_queues[0]), 0);
	return 0;
}
