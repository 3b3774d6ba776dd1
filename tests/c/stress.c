/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients that come, echo and go, many of them by a reset, at two servers: stress [accepted [threads]].
 * Meanwhile others broadcast, ping, close at random, take from a queue and ask for everything, and do
 * not stop when at last both are ended and started again, over and over. At the end every
 * CONNECTING has had its CLOSING and its CLOSED.
 */
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

/* The default service, and a further server. */
static struct side {
	atomic_uint server;
	atomic_int connecting;
	atomic_int connected;
	atomic_int closing;
	atomic_int closed;
	atomic_int connects;
	/* How far each index is; only the callback has it. */
	int phase[MAX_CLIENTS];
} sides[2];
static atomic_int echoed;
static int wanted;
static atomic_bool over;

static void callback(SYS_WSS_EVENTS event, void *data, int32_t index, void *cookie)
{
	const wss_rxdata *rx = data;
	struct side *side = cookie;
	int *phase = side->phase;

	switch (event) {
	case SYS_WSS_EVENT_CLIENT_CONNECTING:
		CHECK_INT(phase[index], 0);
		phase[index] = 1;
		side->connecting++;
		break;
	case SYS_WSS_EVENT_CLIENT_CONNECTED:
		CHECK_INT(phase[index], 1);
		phase[index] = 2;
		side->connected++;
		break;
	case SYS_WSS_EVENT_CLIENT_TXT_DATA_RX:
	case SYS_WSS_EVENT_CLIENT_BIN_DATA_RX:
		CHECK_INT(phase[index], 2);
		CHECK_INT(wss_client_index(rx->client), index);
		wss_send(rx->client, true,
			 event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX ? SYS_WSS_FRAME_TEXT
								   : SYS_WSS_FRAME_BINARY,
			 rx->rx.data, (size_t)rx->rx.datalen);
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSING:
		CHECK(phase[index] == 1 || phase[index] == 2);
		phase[index] = 3;
		side->closing++;
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSED:
		CHECK_INT(phase[index], 3);
		phase[index] = 0;
		side->closed++;
		break;
	default:
		break;
	}
}

static uint16_t port_of(struct side *side)
{
	return side == &sides[0] ? wss_port() : wss_server_port(side->server);
}

static wss_result stats_of(struct side *side, wss_stats *stats)
{
	return side == &sides[0] ? wss_get_stats(stats) : wss_server_stats(side->server, stats);
}

static void start_other(const wss_limits *limits)
{
	const wss_server_config config = {
		.limits = limits, .callback = callback, .cookie = &sides[1]};
	wss_server server;

	CHECK_INT(wss_server_start(&config, &server), WSS_OK);
	sides[1].server = server;
}

/* Reads up to an echo of `len` bytes: false if the connection ends before. */
static bool read_echo(int fd, struct frame *frame, size_t len)
{
	char byte;

	for (;;) {
		/* A reset in the middle of a frame is no failure here. */
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
		/* The first frame with it; what is sent may find the connection closed already. */
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
	SYS_WSS_HANDSHAKE_CTXT handshake;
	wss_stats stats;
	char text[64];

	(void)given;
	while (!over) {
		int32_t index = (int32_t)(rand_r(&seed) % (MAX_CLIENTS + 2)) - 1;
		wss_server other = sides[1].server;
		wss_client id = rand_r(&seed) % 2 == 0 ? wss_client_at(index)
						       : wss_server_client_at(other, index);

		wss_ping(wss_server_all(other), NULL, 0);
		SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)text, 0, index);
		SYS_WSS_PingClient(NULL, 0, index);
		if (rand_r(&seed) % 4 == 0) {
			wss_close(id, 4000, "meddled", 7);
		}
		wss_client_state(id);
		wss_handshake(id, &handshake);
		wss_request_field(id, WSS_FIELD_PATH, text, sizeof(text));
		wss_get_stats(&stats);
		wss_server_stats(other, &stats);
		SYS_WSS_register_callback(callback, &sides[0]);
		sleep_ms(1);
	}
	return NULL;
}

static void *drain(void *given)
{
	wss_queue queue;
	wss_message message;

	(void)given;
	while (!over) {
		CHECK_INT(wss_queue_create(WSS_MASK_ALL | WSS_MASK(WSS_EVENT_WRITABLE), 8, &queue),
			  WSS_OK);
		for (int i = 0; i < 200 && !over; i++) {
			if (wss_queue_get(queue, &message, 5) == WSS_OK) {
				wss_message_release(&message);
			}
		}
		CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	}
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
		/* Every index may be taken still. */
		served = wire_response(fd, head, sizeof(head)) == 101;
		close(fd);
	} while (!served);
}

static void every_client_had_its_end(struct side *side)
{
	CHECK_INT(side->closing, side->connecting);
	CHECK_INT(side->closed, side->connecting);
}

/* Ends both with clients in every phase, while others call them. */
static void restart(SYS_WSS_CONFIG *config, const wss_limits *limits)
{
	for (int round = 0; round < RESTARTS; round++) {
		SYS_MODULE_OBJ service = SYS_WSS_Initialize(config, callback, &sides[0]);
		int fds[8];

		CHECK(service != SYS_MODULE_OBJ_INVALID);
		start_other(limits);
		for (int i = 0; i < 8; i++) {
			fds[i] = wire_connect(port_of(&sides[i / 4]));
			send(fds[i], REQUEST, strlen(REQUEST) - (i % 4 == 0 ? 9 : 0), MSG_NOSIGNAL);
			if (i % 4 == 1) {
				wire_reset(fds[i]);
			} else if (i % 4 == 2 || round > 0) {
				shutdown(fds[i], SHUT_WR);
			}
			/* In the first round some stay, do not answer the close, and are cut off. */
		}
		sleep_ms(round % 4);
		if (round % 2 == 0) {
			CHECK_INT(wss_server_stop(sides[1].server), WSS_OK);
		}
		SYS_WSS_Deinitialize(&service);
		if (round % 2 != 0) {
			CHECK_INT(wss_server_stop(sides[1].server), WSS_OK);
		}
		/* And nothing is told any more. */
		every_client_had_its_end(&sides[0]);
		every_client_had_its_end(&sides[1]);
		for (int i = 0; i < 8; i++) {
			if (i % 4 != 1) {
				close(fds[i]);
			}
		}
	}
}

/* All clients of a server have come and gone, but those that are still closing. */
static void await_the_last(struct side *side)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	wss_stats stats;

	come_last(side);
	for (;; sleep_ms(10)) {
		CHECK(now_ms() < until);
		CHECK_INT(stats_of(side, &stats), WSS_OK);
		if (stats.accepted == stats.closed) {
			break;
		}
	}
}

/* How many connections a server turned away, once it has no clients. */
static void account(struct side *side, const wss_stats *stats)
{
	int seen = side->connecting + (int)stats->refused_full;

	printf("%d connects: %d connecting, %d connected, %d closing, %d closed, %u refused\n",
	       side->connects, side->connecting, side->connected, side->closing, side->closed,
	       stats->refused_full);
	CHECK_INT(stats->accepted, side->connecting);
	CHECK_INT(stats->accept_errors, 0);
	every_client_had_its_end(side);
	/*
	 * Not every connection gets as far as the service. When more are waiting than the listener's
	 * backlog holds, the kernel drops the last packet of a handshake: connect() has returned by then,
	 * and a client that resets its connection before the packet is repeated was never there.
	 */
	CHECK(seen <= side->connects);
	CHECK(side->connects - seen <= side->connects / 100);
}

int main(int argc, char **argv)
{
	int clients = argc > 2 ? atoi(argv[2]) : MAX_CLIENTS;
	SYS_WSS_CONFIG config = {.port = 0, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;
	pthread_t threads[MAX_CLIENTS + 2];
	wss_limits limits;
	wss_stats stats[2];

	/* At each. */
	wanted = (argc > 1 ? atoi(argv[1]) : 10000) / 2;
	CHECK(clients <= MAX_CLIENTS);
	wss_limits_init(&limits);
	limits.address = "127.0.0.1";
	limits.send_timeout_ms = 1000;
	limits.close_timeout_ms = 1000;
	CHECK_INT(wss_set_limits(&limits), WSS_OK);
	service = SYS_WSS_Initialize(&config, callback, &sides[0]);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	start_other(&limits);
	for (int i = 0; i < clients; i++) {
		CHECK(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)(i + 1)) == 0);
	}
	CHECK(pthread_create(&threads[clients], NULL, meddle, NULL) == 0);
	CHECK(pthread_create(&threads[clients + 1], NULL, drain, NULL) == 0);
	for (int i = 0; i < clients; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 2; i++) {
		await_the_last(&sides[i]);
		CHECK_INT(stats_of(&sides[i], &stats[i]), WSS_OK);
	}
	CHECK_INT(wss_server_stop(sides[1].server), WSS_OK);
	SYS_WSS_Deinitialize(&service);
	for (int i = 0; i < 2; i++) {
		account(&sides[i], &stats[i]);
	}
	CHECK(echoed > 0);
	restart(&config, &limits);
	over = true;
	pthread_join(threads[clients], NULL);
	pthread_join(threads[clients + 1], NULL);
	return 0;
}
