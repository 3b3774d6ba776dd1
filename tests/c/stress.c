/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients that come, echo and go, many of them by a reset: stress [accepted [threads]].
 * Meanwhile others broadcast, ping, close at random, take from a queue and ask for everything, and do
 * not stop when at last the service is ended and started again, over and over. At the end every
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

static atomic_int connecting;
static atomic_int connected;
static atomic_int closing;
static atomic_int closed;
static atomic_int echoed;
static atomic_int connects;
static int wanted;
static atomic_bool over;
/* How far each index is; only the callback has it. */
static int phase[MAX_CLIENTS];

static void callback(SYS_WSS_EVENTS event, void *data, int32_t index, void *cookie)
{
	const wss_rxdata *rx = data;

	(void)cookie;
	switch (event) {
	case SYS_WSS_EVENT_CLIENT_CONNECTING:
		CHECK_INT(phase[index], 0);
		phase[index] = 1;
		connecting++;
		break;
	case SYS_WSS_EVENT_CLIENT_CONNECTED:
		CHECK_INT(phase[index], 1);
		phase[index] = 2;
		connected++;
		break;
	case SYS_WSS_EVENT_CLIENT_TXT_DATA_RX:
	case SYS_WSS_EVENT_CLIENT_BIN_DATA_RX:
		CHECK_INT(phase[index], 2);
		SYS_WSS_sendMessage(true, (SYS_WSS_FRAME)(event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX
								 ? SYS_WSS_FRAME_TEXT
								 : SYS_WSS_FRAME_BINARY),
				    rx->rx.data, (size_t)rx->rx.datalen, index);
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSING:
		CHECK(phase[index] == 1 || phase[index] == 2);
		phase[index] = 3;
		closing++;
		break;
	case SYS_WSS_EVENT_CLIENT_CLOSED:
		CHECK_INT(phase[index], 3);
		phase[index] = 0;
		closed++;
		break;
	default:
		break;
	}
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
	struct frame *frame = malloc(sizeof(*frame));
	static const char payload[1400];
	uint8_t bytes[1500];

	while (connecting < wanted) {
		int fd = wire_connect(wss_port());
		int way = rand_r(&seed) % 8;
		size_t len = (size_t)rand_r(&seed) % sizeof(payload);
		size_t made;

		connects++;
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
		wss_client id = wss_client_at(index);

		SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)text, 0, index);
		SYS_WSS_PingClient(NULL, 0, index);
		if (rand_r(&seed) % 4 == 0) {
			wss_close(id, 4000, "meddled", 7);
		}
		wss_client_state(id);
		wss_handshake(id, &handshake);
		wss_request_field(id, WSS_FIELD_PATH, text, sizeof(text));
		wss_get_stats(&stats);
		SYS_WSS_register_callback(callback, NULL);
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
static void come_last(void)
{
	bool served;

	do {
		int fd = wire_connect(wss_port());
		char head[512];

		connects++;
		wire_say(fd, REQUEST);
		/* Every index may be taken still. */
		served = wire_response(fd, head, sizeof(head)) == 101;
		close(fd);
	} while (!served);
}

static void every_client_had_its_end(void)
{
	CHECK_INT(closing, connecting);
	CHECK_INT(closed, connecting);
}

/* Ends the service with clients in every phase, while others call it. */
static void restart(SYS_WSS_CONFIG *config)
{
	for (int round = 0; round < RESTARTS; round++) {
		SYS_MODULE_OBJ service = SYS_WSS_Initialize(config, callback, NULL);
		int fds[8];

		CHECK(service != SYS_MODULE_OBJ_INVALID);
		for (int i = 0; i < 8; i++) {
			fds[i] = wire_connect(wss_port());
			send(fds[i], REQUEST, strlen(REQUEST) - (i % 4 == 0 ? 9 : 0), MSG_NOSIGNAL);
			if (i % 4 == 1) {
				wire_reset(fds[i]);
			} else if (i % 4 == 2 || round > 0) {
				shutdown(fds[i], SHUT_WR);
			}
			/* In the first round some stay, do not answer the close, and are cut off. */
		}
		sleep_ms(round % 4);
		SYS_WSS_Deinitialize(&service);
		/* And nothing is told any more. */
		every_client_had_its_end();
		for (int i = 0; i < 8; i++) {
			if (i % 4 != 1) {
				close(fds[i]);
			}
		}
	}
}

int main(int argc, char **argv)
{
	int clients = argc > 2 ? atoi(argv[2]) : MAX_CLIENTS;
	SYS_WSS_CONFIG config = {.port = 0, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;
	pthread_t threads[MAX_CLIENTS + 2];
	wss_limits limits;
	wss_stats stats;
	int seen;

	wanted = argc > 1 ? atoi(argv[1]) : 10000;
	CHECK(clients <= MAX_CLIENTS);
	wss_limits_init(&limits);
	limits.address = "127.0.0.1";
	limits.send_timeout_ms = 1000;
	limits.close_timeout_ms = 1000;
	CHECK_INT(wss_set_limits(&limits), WSS_OK);
	service = SYS_WSS_Initialize(&config, callback, NULL);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	for (int i = 0; i < clients; i++) {
		CHECK(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)(i + 1)) == 0);
	}
	CHECK(pthread_create(&threads[clients], NULL, meddle, NULL) == 0);
	CHECK(pthread_create(&threads[clients + 1], NULL, drain, NULL) == 0);
	for (int i = 0; i < clients; i++) {
		pthread_join(threads[i], NULL);
	}
	come_last();
	/* Those that are still closing. */
	for (int64_t until = now_ms() + PATIENCE * 1000;; sleep_ms(10)) {
		CHECK(now_ms() < until);
		CHECK_INT(wss_get_stats(&stats), WSS_OK);
		if (stats.accepted == stats.closed) {
			break;
		}
	}
	SYS_WSS_Deinitialize(&service);
	printf("%d connects: %d connecting, %d connected, %d closing, %d closed, %d echoed, %u refused\n",
	       connects, connecting, connected, closing, closed, echoed, stats.refused_full);
	CHECK_INT(stats.accepted, connecting);
	CHECK_INT(stats.accept_errors, 0);
	every_client_had_its_end();
	/*
	 * Not every connection gets as far as the service. When more are waiting than the listener's
	 * backlog holds, the kernel drops the last packet of a handshake: connect() has returned by then,
	 * and a client that resets its connection before the packet is repeated was never there.
	 */
	seen = connecting + (int)stats.refused_full;
	CHECK(seen <= connects);
	CHECK(connects - seen <= connects / 100);
	CHECK(echoed > 0);
	restart(&config);
	over = true;
	pthread_join(threads[clients], NULL);
	pthread_join(threads[clients + 1], NULL);
	return 0;
}
