/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that do not finish what they have begun delay no other client, and their slots are freed. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

/* Much longer than another client waits. */
#define TIMEOUT_MS 10000
/* The maximum time that another client waits, also on a busy machine. */
#define BOUND_MS   2000

static atomic_int closed;

static void echo(SYS_WSS_EVENTS event, void *data, int32_t client, void *unused)
{
	const SYS_WSS_RXDATA *rx = data;

	(void)unused;
	if (event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX) {
		/* A client that does not read has no room for this in the end. */
		(void)SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, rx->data, (size_t)rx->datalen,
					  client);
	}
	closed += event == SYS_WSS_EVENT_CLIENT_CLOSED;
}

/* Sends messages until there is no more room in transit. */
static void flood(int fd)
{
	static uint8_t messages[10 * 1008];
	static size_t len;
	static size_t at;
	ssize_t sent;

	while (len < sizeof(messages)) {
		static const uint8_t payload[1000];

		len += wire_make(messages + len, true, TEXT, payload, sizeof(payload));
	}
	do {
		sent = send(fd, messages + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		at = sent > 0 ? (at + (size_t)sent) % len : at;
	} while (sent > 0);
}

/* A broadcast and an echo must reach this client in time. Returns whether the broadcast reached all clients. */
static bool served(int fd)
{
	static uint8_t data[100];
	int64_t start_ms = now_ms();
	SYS_WSS_RESULT result =
		SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, data, sizeof(data), -1);

	wire_expect(fd, true, BINARY, data, sizeof(data));
	wire_text(fd, "echo");
	wire_expect_text(fd, "echo");
	CHECK(now_ms() - start_ms < BOUND_MS);
	return result == SYS_WSS_SUCCESS;
}

static void clients_that_stall_delay_no_other_and_their_slots_come_back(void)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};
	struct wss_limits limits = limits_for_tests();
	struct wss_config server = config_for_tests(&limits);
	SYS_MODULE_OBJ service;
	int fds[MAX_CLIENTS];
	int64_t until;
	int refused = 0;

	limits.handshake_timeout_ms = TIMEOUT_MS;
	limits.send_timeout_ms = TIMEOUT_MS;
	limits.client_timeout_ms = TIMEOUT_MS;
	limits.ping_interval_ms = 0;
	CHECK_INT(wss_configure(wss_default_server(), &server), 0);
	service = SYS_WSS_Initialize(&config, echo, NULL);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	until = now_ms() + TIMEOUT_MS;
	/* One that does not read what it is sent, one that does not finish its handshake, and one that
	 * has sent half a frame.
	 */
	fds[0] = wire_connect_narrow(default_port());
	wire_upgrade(fds[0]);
	fds[1] = wire_connect(default_port());
	wire_say(fds[1], "GET / HTTP/1.1\r\nX: ");
	fds[2] = wire_open(default_port());
	wire_write(fds[2], "\x81\x85\1\2\3\4x", 7);
	fds[3] = wire_open(default_port());
	while (now_ms() < until) {
		CHECK_INT(closed, 0);
		flood(fds[0]);
		CHECK(send(fds[1], "x", 1, MSG_NOSIGNAL) == 1);
		refused += !served(fds[3]);
		sleep_ms(100);
	}
	CHECK(refused > 0);
	while (closed < 3) {
		/* Sending a byte from time to time does not keep a slot. */
		(void)send(fds[1], "x", 1, MSG_NOSIGNAL);
		(void)served(fds[3]);
		CHECK(now_ms() < until + PATIENCE * 1000);
		sleep_ms(100);
	}
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
	}
	do {
		sleep_ms(1);
	} while (stats_of(wss_default_server()).closed < 3);
	for (int i = 0; i < 3; i++) {
		fds[i] = wire_open(default_port());
	}
	(void)served(fds[3]);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		close(fds[i]);
	}
	SYS_WSS_Deinitialize(&service);
	CHECK_INT(SYS_WSS_register_callback(NULL, NULL), SYS_WSS_SUCCESS);
}

#define SUITE slow
#define CASES(CASE) CASE(clients_that_stall_delay_no_other_and_their_slots_come_back)

TEST_PROGRAM(CASES)
