/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the interface that the original lacks: each case is named after its rule. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name
#define TEXTS       WSS_MASK(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX)

static SYS_WSS_RESULT send_text(const char *text, int32_t client)
{
	return SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)(uintptr_t)text,
				   strlen(text), client);
}

static wss_result say(wss_client client, const char *text)
{
	return wss_send(client, true, SYS_WSS_FRAME_TEXT, text, strlen(text));
}

/* Clients. */

static void a_client_kept_too_long_reaches_nobody(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	wss_client old = wss_client_at(0);
	wss_client new;

	CHECK(old != WSS_NO_CLIENT && old != WSS_ALL_CLIENTS);
	CHECK_INT(wss_client_index(old), 0);
	CHECK_INT(say(old, "x"), WSS_OK);
	wire_expect_text(fd, "x");
	close(fd);
	expect_closing(0);
	for (int round = 0; round < 2; round++) {
		fd = open_client(0);
		new = wss_client_at(0);
		CHECK(new != old);
		CHECK_INT(say(old, "wrong"), WSS_NOT_CONNECTED);
		CHECK_INT(wss_ping(old, NULL, 0), WSS_NOT_CONNECTED);
		CHECK_INT(wss_close(old, 1000, NULL, 0), WSS_NOT_CONNECTED);
		CHECK_INT(wss_flush(old), WSS_NOT_CONNECTED);
		CHECK_INT(wss_client_state(old), SYS_WSS_STATE_CLOSED);
		CHECK_INT(say(new, "right"), WSS_OK);
		wire_expect_text(fd, "right");
		close(fd);
		expect_closing(0);
		/* Not even in another service. */
		end(&service);
		service = start(NULL);
	}
	end(&service);
	CHECK(wss_client_at(-1) == WSS_NO_CLIENT);
	CHECK(wss_client_at(INT32_MAX) == WSS_NO_CLIENT);
	CHECK_INT(wss_client_index(WSS_NO_CLIENT), -1);
	CHECK_INT(wss_client_index(WSS_ALL_CLIENTS), -1);
}

static void sending_has_a_result_for_each_outcome(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	wss_client client = wss_client_at(0);

	CHECK_INT(wss_send(client, true, SYS_WSS_FRAME_TEXT, NULL, 1), WSS_INVALID);
	CHECK_INT(wss_send(client, true, SYS_WSS_FRAME_BINARY, "", SIZE_MAX), WSS_INVALID);
	CHECK_INT(wss_send(client, true, SYS_WSS_FRAME_PING, NULL, 0), WSS_INVALID_FRAME);
	CHECK_INT(say(client, "\xff"), WSS_INVALID_FRAME);
	CHECK_INT(say(WSS_NO_CLIENT, "x"), WSS_NOT_CONNECTED);
	CHECK_INT(wss_ping(client, "", 126), WSS_INVALID_FRAME);
	CHECK_INT(wss_close(client, 1005, NULL, 0), WSS_INVALID_FRAME);
	CHECK_INT(wss_close(client, 1000, "\xff", 1), WSS_INVALID_FRAME);
	CHECK_INT(wss_close(client, 1000, NULL, 1), WSS_INVALID);
	CHECK_INT(wss_send_more(client, SYS_WSS_FRAME_CONTINUATION, "", 0), WSS_INVALID_FRAME);
	CHECK_INT(wss_send_more(client, SYS_WSS_FRAME_TEXT, "a", 1), WSS_OK);
	CHECK_INT(wss_send_more(client, SYS_WSS_FRAME_BINARY, "b", 1), WSS_OK);
	CHECK_INT(wss_flush(client), WSS_OK);
	CHECK_INT(wss_ping(client, "p", 1), WSS_OK);
	CHECK_INT(say(WSS_ALL_CLIENTS, "all"), WSS_OK);
	CHECK_INT(wss_close(client, 4999, "own", 3), WSS_OK);
	wire_expect_text(fd, "a");
	wire_expect(fd, true, BINARY, "b", 1);
	wire_expect(fd, true, PING, "p", 1);
	wire_expect_text(fd, "all");
	wire_expect_close(fd, 4999, "own");
	CHECK_INT(say(client, "late"), WSS_NOT_CONNECTED);
	close(fd);
	expect_closing(0);
	end(&service);
	for (int result = WSS_OK; result <= WSS_FAILED + 1; result++) {
		CHECK(strlen(wss_result_text((wss_result)result)) > 0);
	}
	CHECK(strlen(wss_version()) > 0);
}

static void a_frame_that_is_cut_off_is_aborted(void)
{
	wss_limits limits = limits_for_tests();
	static uint8_t large[8 * 1024 * 1024];
	SYS_MODULE_OBJ service;
	int fd;

	limits.send_timeout_ms = 300;
	service = start(&limits);
	fd = wire_connect_narrow(wss_port());
	wire_upgrade(fd);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	/* This thread may wait, but not longer than the send time-out. */
	CHECK_INT(wss_send(wss_client_at(0), true, SYS_WSS_FRAME_BINARY, large, sizeof(large)),
		  WSS_ABORTED);
	expect_closing(0);
	close(fd);
	end(&service);
}

/* Opening requests. */

static struct {
	pthread_mutex_t lock;
	uint16_t status;
	const char *choose;
	int calls;
} hook_says = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void let_hook_say(uint16_t status, const char *choose)
{
	pthread_mutex_lock(&hook_says.lock);
	hook_says.status = status;
	hook_says.choose = choose;
	pthread_mutex_unlock(&hook_says.lock);
}

static uint16_t hook(wss_client client, const wss_request *request, const char **subprotocol,
		     void *given)
{
	uint16_t status;

	CHECK(given == &hook_says);
	CHECK_INT(wss_client_state(client), SYS_WSS_STATE_CONNECTING);
	CHECK(strcmp(request->path, "/chat") == 0);
	CHECK(strcmp(request->query, "a=b") == 0);
	CHECK(strcmp(request->host, "localhost") == 0);
	CHECK(strcmp(request->origin, "http://example.com") == 0);
	CHECK_INT(request->subprotocol_count, 2);
	CHECK(strcmp(request->subprotocols[0], "superchat") == 0);
	CHECK(strcmp(request->subprotocols[1], "chat") == 0);
	/* Any function may be called here. */
	CHECK_INT(send_text("connecting", wss_client_index(client)), SYS_WSS_FAILURE);
	pthread_mutex_lock(&hook_says.lock);
	*subprotocol = hook_says.choose;
	hook_says.calls++;
	status = hook_says.status;
	pthread_mutex_unlock(&hook_says.lock);
	return status;
}

#define FULL_REQUEST                                                                               \
	REQUEST_TO("/chat?a=b",                                                                    \
		   "Origin: http://example.com\r\nSec-WebSocket-Protocol: superchat, chat\r\n")

static int ask(int status, const char *field)
{
	char head[512];
	int fd;

	wait_for_slots();
	fd = wire_connect(wss_port());
	wire_say(fd, FULL_REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), status);
	CHECK(strstr(head, field) != NULL);
	expect(EVENT(CLIENT_CONNECTING), 0);
	if (status == 101) {
		expect(EVENT(CLIENT_CONNECTED), 0);
	} else {
		close(fd);
		expect_closing(0);
	}
	return fd;
}

static void the_accept_hook_refuses_or_chooses_a_subprotocol(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	wss_client client;
	char text[16];
	int fd;

	wss_set_accept_hook(hook, &hook_says);
	let_hook_say(401, NULL);
	ask(401, "");
	/* No status of a refusal. */
	let_hook_say(200, NULL);
	ask(500, "");
	let_hook_say(0, "not offered");
	ask(500, "");
	let_hook_say(0, "chat");
	fd = ask(101, "\r\nSec-WebSocket-Protocol: chat\r\n");
	client = wss_client_at(0);
	CHECK_INT(wss_request_field(client, WSS_FIELD_SUBPROTOCOL, text, sizeof(text)), WSS_OK);
	CHECK(strcmp(text, "chat") == 0);
	close(fd);
	expect_closing(0);
	let_hook_say(0, NULL);
	close(ask(101, ""));
	expect_closing(0);
	wss_set_accept_hook(NULL, NULL);
	close(ask(101, ""));
	expect_closing(0);
	end(&service);
	CHECK_INT(hook_says.calls, 5);
}

/* A hook that decides later. What it was asked last is for the thread that decides. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	wss_client client;
	/* In the receive buffer of the client. */
	const char *path;
	const char *offered;
} question = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static uint16_t hook_later(wss_client client, const wss_request *request, const char **subprotocol,
			   void *given)
{
	CHECK(given == NULL && *subprotocol == NULL);
	/* What is decided here is the return value. */
	CHECK_INT(wss_accept(client, NULL), WSS_NOT_CONNECTED);
	pthread_mutex_lock(&question.lock);
	question.client = client;
	question.path = request->path;
	question.offered = request->subprotocols[1];
	pthread_cond_signal(&question.changed);
	pthread_mutex_unlock(&question.lock);
	return WSS_LATER;
}

/* A client that has asked, and the first frame with its request. */
static int ask_later(wss_client *client)
{
	char request[512];
	int fd = wire_connect(wss_port());
	size_t len = strlen(FULL_REQUEST);

	memcpy(request, FULL_REQUEST, len);
	len += wire_make(request + len, true, TEXT, "early", 5);
	pthread_mutex_lock(&question.lock);
	question.client = WSS_NO_CLIENT;
	wire_write(fd, request, len);
	while (question.client == WSS_NO_CLIENT) {
		pthread_cond_wait(&question.changed, &question.lock);
	}
	*client = question.client;
	pthread_mutex_unlock(&question.lock);
	expect(EVENT(CLIENT_CONNECTING), 0);
	return fd;
}

static void the_accept_hook_may_answer_later(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	wss_client client;
	char head[512];
	char text[32];
	int fd;

	wss_set_accept_hook(hook_later, NULL);
	fd = ask_later(&client);
	CHECK_INT(wss_client_state(client), SYS_WSS_STATE_CONNECTING);
	CHECK_INT(say(client, "too early"), WSS_NOT_CONNECTED);
	CHECK_INT(wss_accept(client, "not offered"), WSS_INVALID);
	CHECK_INT(wss_accept(client, "\xff"), WSS_INVALID);
	CHECK_INT(wss_refuse(client, 200), WSS_INVALID);
	CHECK_INT(wss_accept(WSS_NO_CLIENT, NULL), WSS_NOT_CONNECTED);
	CHECK_INT(wss_refuse(WSS_ALL_CLIENTS, 403), WSS_NOT_CONNECTED);
	/* Since it has asked, what it asked for is there, and where the hook saw it. */
	CHECK(strcmp(question.path, "/chat") == 0);
	CHECK(strcmp(question.offered, "chat") == 0);
	CHECK_INT(wss_request_field(client, WSS_FIELD_QUERY, text, sizeof(text)), WSS_OK);
	CHECK(strcmp(text, "a=b") == 0);
	CHECK_INT(wss_request_field(client, WSS_FIELD_SUBPROTOCOL, text, sizeof(text)), WSS_NONE);
	CHECK_INT(wss_accept(client, question.offered), WSS_OK);
	CHECK_INT(wss_request_field(client, WSS_FIELD_SUBPROTOCOL, text, sizeof(text)), WSS_OK);
	CHECK(strcmp(text, "chat") == 0);
	CHECK_INT(say(client, "at once"), WSS_OK);
	CHECK_INT(wss_accept(client, "superchat"), WSS_NOT_CONNECTED);
	CHECK_INT(wss_refuse(client, 403), WSS_NOT_CONNECTED);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	CHECK(strstr(head, "\r\nSec-WebSocket-Protocol: chat\r\n") != NULL);
	wire_expect_text(fd, "at once");
	expect(EVENT(CLIENT_CONNECTED), 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "early", 5);
	CHECK_INT(wss_request_field(client, WSS_FIELD_SUBPROTOCOL, text, sizeof(text)), WSS_OK);
	CHECK(strcmp(text, "chat") == 0);
	close(fd);
	expect_closing(0);
	wait_for_slots();
	fd = ask_later(&client);
	CHECK_INT(wss_refuse(client, 404), WSS_OK);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 404);
	CHECK_INT(wss_accept(client, NULL), WSS_NOT_CONNECTED);
	close(fd);
	expect_closing(0);
	wait_for_slots();
	/* One that does not wait for it. */
	fd = ask_later(&client);
	close(fd);
	expect_closing(0);
	CHECK_INT(wss_accept(client, NULL), WSS_NOT_CONNECTED);
	wss_set_accept_hook(NULL, NULL);
	end(&service);
	CHECK_INT(wss_accept(client, NULL), WSS_NOT_CONNECTED);
	CHECK_INT(wss_refuse(client, 403), WSS_NOT_CONNECTED);
}

static void the_handshake_deadline_goes_on_while_the_answer_is_awaited(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	wss_client client;
	int fd;

	limits.handshake_timeout_ms = 300;
	service = start(&limits);
	wss_set_accept_hook(hook_later, NULL);
	fd = ask_later(&client);
	expect(EVENT(CLIENT_TIMEOUT), 0);
	expect_closing(0);
	wire_expect_end(fd);
	CHECK_INT(wss_accept(client, NULL), WSS_NOT_CONNECTED);
	close(fd);
	wss_set_accept_hook(NULL, NULL);
	end(&service);
}

static void what_the_handshake_said_can_be_asked_for(void)
{
	static const char *const texts[] = {"/chat", "a=b", "localhost", "http://example.com"};
	SYS_MODULE_OBJ service = start(NULL);
	SYS_WSS_HANDSHAKE_CTXT handshake;
	wss_client client;
	char text[32];
	int fd = ask(101, "");

	client = wss_client_at(0);
	memset(&handshake, 0xff, sizeof(handshake));
	CHECK_INT(wss_handshake(client, &handshake), WSS_OK);
	CHECK_INT(handshake.http_version, SYS_WSS_HTTP_VERSION_1_1);
	CHECK_INT(handshake.ws_version, 13);
	CHECK(handshake.upgradeWebSocket && handshake.connectionUpgrade);
	CHECK(handshake.origin && handshake.iskey);
	CHECK(strcmp(handshake.clientKey, KEY) == 0);
	CHECK(strcmp(handshake.serverKey, ACCEPT) == 0);
	for (int field = WSS_FIELD_PATH; field <= WSS_FIELD_ORIGIN; field++) {
		CHECK_INT(wss_request_field(client, (wss_field)field, text, sizeof(text)), WSS_OK);
		CHECK(strcmp(text, texts[field]) == 0);
	}
	strcpy(text, "as it was");
	CHECK_INT(wss_request_field(client, WSS_FIELD_SUBPROTOCOL, text, sizeof(text)), WSS_NONE);
	CHECK(strcmp(text, "as it was") == 0);
	CHECK_INT(wss_request_field(client, WSS_FIELD_HOST, text, 5), WSS_TOO_LONG);
	CHECK(strcmp(text, "loca") == 0);
	CHECK_INT(wss_request_field(client, WSS_FIELD_HOST, NULL, 0), WSS_TOO_LONG);
	CHECK_INT(wss_request_field(client, WSS_FIELD_HOST, NULL, 1), WSS_INVALID);
	CHECK_INT(wss_request_field(client, (wss_field)5, text, sizeof(text)), WSS_INVALID);
	CHECK_INT(wss_request_field(WSS_NO_CLIENT, WSS_FIELD_HOST, text, 5), WSS_NOT_CONNECTED);
	CHECK_INT(wss_handshake(client, NULL), WSS_INVALID);
	close(fd);
	expect_closing(0);
	/* The next one is another. */
	fd = open_client(0);
	CHECK_INT(wss_handshake(client, &handshake), WSS_NOT_CONNECTED);
	CHECK_INT(wss_handshake(wss_client_at(0), &handshake), WSS_OK);
	CHECK(!handshake.origin);
	CHECK_INT(wss_request_field(wss_client_at(0), WSS_FIELD_QUERY, text, 5), WSS_NONE);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void a_later_http_1_is_told_as_1_1(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	SYS_WSS_HANDSHAKE_CTXT handshake;
	char head[512];
	int fd = wire_connect(wss_port());

	wire_say(fd, "GET / HTTP/1.2\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n");
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	CHECK_INT(wss_handshake(wss_client_at(0), &handshake), WSS_OK);
	CHECK_INT(handshake.http_version, SYS_WSS_HTTP_VERSION_1_1);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void only_allowed_origins_may_connect(void)
{
	static const char *const others[] = {"http://other", "https://another"};
	static const char *const allowed[] = {"http://other", "HTTP://EXAMPLE.com"};
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;

	limits.origins = others;
	limits.origin_count = 2;
	service = start(&limits);
	ask(403, "");
	end(&service);
	limits.origins = allowed;
	service = start(&limits);
	close(ask(101, ""));
	expect_closing(0);
	end(&service);
}

/* Streaming, limits, statistics. */

static void streaming_gives_pieces_with_first_and_last(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	static char large[6000];
	size_t total = 0;
	bool last = false;
	int fd;

	limits.rx_buffer_size = rx_buffer_size(256);
	limits.streaming = true;
	service = start(&limits);
	fd = open_client(0);
	memset(large, 'x', sizeof(large));
	wire_frame(fd, true, TEXT, large, sizeof(large));
	while (!last) {
		struct record record = next_event();

		CHECK_INT(record.event, EVENT(CLIENT_TXT_DATA_RX));
		CHECK(record.first == (total == 0));
		CHECK(record.len <= limits.rx_buffer_size);
		total += record.len;
		last = record.last;
	}
	CHECK_INT(total, sizeof(large));
	close(fd);
	expect_closing(0);
	end(&service);
}

static void the_defaults_are_those_of_the_contract(void)
{
	wss_limits limits;

	memset(&limits, 0xff, sizeof(limits));
	wss_limits_init(&limits);
	CHECK(limits.address == NULL);
	CHECK(limits.origins == NULL);
	CHECK_INT(limits.origin_count, 0);
	CHECK_INT(limits.rx_buffer_size, 1400);
	CHECK_INT(limits.max_clients, 64);
	CHECK_INT(limits.tx_blocks, 0);
	CHECK_INT(limits.handshake_size, 4096);
	CHECK(!limits.streaming);
	CHECK_INT(limits.handshake_timeout_ms, 10000);
	CHECK_INT(limits.client_timeout_ms, 30000);
	CHECK_INT(limits.ping_interval_ms, 30000 / 2);
	CHECK_INT(limits.send_timeout_ms, 10000);
	CHECK_INT(limits.close_timeout_ms, 5000);
	CHECK_INT(limits.hold_timeout_ms, 30000);
	CHECK_INT(limits.clients_per_address, 0);
	CHECK_INT(limits.handshakes_per_second, 0);
	CHECK_INT(limits.control_frames_per_second, 0);
	CHECK_INT(limits.fragments_per_message, 0);
}

static void limits_are_checked(void)
{
	wss_limits limits = limits_for_tests();
	static const char *const no_text[] = {NULL};

	CHECK_INT(wss_set_limits(NULL), WSS_INVALID);
	wss_limits_init(NULL);
#define WRONG(field, value)                                                                        \
	limits = limits_for_tests();                                                               \
	limits.field = value;                                                                      \
	CHECK_INT(wss_set_limits(&limits), WSS_INVALID)
	WRONG(address, "\xff");
	WRONG(origin_count, 1);
	WRONG(max_clients, 0);
	WRONG(rx_buffer_size, 3);
	WRONG(rx_buffer_size, SIZE_MAX);
	WRONG(handshake_size, 0);
	WRONG(client_timeout_ms, 1);
	WRONG(client_timeout_ms, 99);
	WRONG(client_timeout_ms, 65536);
	WRONG(close_timeout_ms, 0);
	limits = limits_for_tests();
	limits.origins = no_text;
	limits.origin_count = 1;
	CHECK_INT(wss_set_limits(&limits), WSS_INVALID);
#define RIGHT(field, value)                                                                        \
	limits = limits_for_tests();                                                               \
	limits.field = value;                                                                      \
	CHECK_INT(wss_set_limits(&limits), WSS_OK)
	RIGHT(client_timeout_ms, 0);
	RIGHT(client_timeout_ms, 100);
	RIGHT(client_timeout_ms, 65535);
}

static void limits_wait_for_the_service_to_end(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service = start(&limits);

	CHECK_INT(wss_set_limits(&limits), WSS_BUSY);
	end(&service);
	/* At every address, as by default. */
	limits.address = NULL;
	service = start(&limits);
	close(open_client(0));
	expect_closing(0);
	end(&service);
}

static void an_address_that_is_none_is_refused(void)
{
	static const char *const none[] = {"nowhere", ""};
	wss_limits limits = limits_for_tests();

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		limits.address = none[i];
		/* Now, or where it is found out by listening there, then. */
		if (wss_set_limits(&limits) != WSS_INVALID) {
			CHECK(SYS_WSS_Initialize(NULL, callback, &cookie) ==
			      SYS_MODULE_OBJ_INVALID);
			expect(EVENT(SOCK_OPEN_FAILED), -1);
		}
	}
}

static void sizes_may_be_as_small_as_a_frame(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	int fd;

	limits.max_clients = 1;
	limits.rx_buffer_size = 4;
	limits.tx_blocks = 1;
	service = start(&limits);
	fd = open_client(0);
	wire_text(fd, "four");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "four", 4);
	close(fd);
	expect_closing(0);
	end(&service);
}

/* Waits until a counter has a value: a client may know of what happened before it is counted. */
#define WAIT_FOR_COUNTER(counter, value)                                                           \
	while (CHECK_INT(wss_get_stats(&stats), WSS_OK), stats.counter != (value)) {               \
		sleep_ms(1);                                                                       \
	}

static void an_address_with_too_many_clients_gets_429_and_no_event(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	wss_stats stats;
	char head[512];
	int first, late;

	limits.clients_per_address = 1;
	service = start(&limits);
	first = open_client(0);
	late = wire_connect(wss_port());
	wire_say(late, REQUEST);
	CHECK_INT(wire_response(late, head, sizeof(head)), 429);
	wire_expect_end(late);
	close(late);
	expect_no_event();
	WAIT_FOR_COUNTER(refused_address, 1);
	CHECK_INT(stats.refused_full, 0);
	/* The place is that of the next one. */
	close(first);
	expect_closing(0);
	wait_for_slots();
	close(open_client(0));
	expect_closing(0);
	end(&service);
}

static void connections_over_the_handshakes_per_second_are_served_later(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	wss_stats stats;
	int fds[3];

	limits.handshakes_per_second = 1;
	service = start(&limits);
	for (int i = 0; i < 3; i++) {
		fds[i] = wire_connect(wss_port());
		wire_say(fds[i], REQUEST);
	}
	for (int i = 0; i < 3; i++) {
		expect(EVENT(CLIENT_CONNECTING), i);
		expect(EVENT(CLIENT_CONNECTED), i);
	}
	CHECK_INT(wss_get_stats(&stats), WSS_OK);
	CHECK(stats.accept_pauses > 0);
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
		expect_closing(i);
	}
	end(&service);
}

static void too_many_control_frames_or_fragments_are_closed_with_1008(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	wss_stats stats;
	int fd;

	limits.control_frames_per_second = 2;
	limits.fragments_per_message = 2;
	service = start(&limits);
	fd = open_client(0);
	wire_write(fd, "\x89\x80----\x8a\x80----\x89\x80----", 18);
	expect_data(EVENT(CLIENT_PING_RX), 0, "", 0);
	expect_data(EVENT(CLIENT_PONG_RX), 0, "", 0);
	/* RFC 6455 was not broken: that is no ERR_INVALID_FRAME. */
	expect(EVENT(CLIENT_CLOSING), 0);
	wire_expect(fd, true, PONG, "", 0);
	wire_expect_close(fd, 1008, "");
	close(fd);
	expect(EVENT(CLIENT_CLOSED), 0);
	wait_for_slots();
	fd = open_client(0);
	wire_frame(fd, false, TEXT, "two", 3);
	wire_frame(fd, true, CONTINUATION, "", 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "two", 3);
	wire_frame(fd, false, TEXT, "", 0);
	wire_frame(fd, false, CONTINUATION, "", 0);
	wire_frame(fd, false, CONTINUATION, "", 0);
	expect(EVENT(CLIENT_CLOSING), 0);
	wire_expect_close(fd, 1008, "");
	close(fd);
	expect(EVENT(CLIENT_CLOSED), 0);
	WAIT_FOR_COUNTER(policy_violations, 2);
	CHECK_INT(stats.protocol_errors, 0);
	end(&service);
}

static void statistics_count(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	wss_stats stats;
	int fd = open_client(0);

	wire_text(fd, "four");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "four", 4);
	CHECK_INT(send_text("seven..", 0), SYS_WSS_SUCCESS);
	wire_write(fd, "\x81\x01x", 3);
	expect(EVENT(ERR_INVALID_FRAME), 0);
	close(fd);
	expect_closing(0);
	CHECK_INT(wss_get_stats(NULL), WSS_INVALID);
	/* The slot is given back after CLOSED was delivered. */
	wait_for_slots();
	CHECK_INT(wss_get_stats(&stats), WSS_OK);
	CHECK_INT(stats.accepted, 1);
	CHECK_INT(stats.connected, 1);
	CHECK_INT(stats.closed, 1);
	CHECK_INT(stats.most_clients, 1);
	CHECK_INT(stats.messages_received, 1);
	CHECK_INT(stats.bytes_received, 4);
	CHECK_INT(stats.messages_sent, 1);
	CHECK_INT(stats.bytes_sent, 7);
	CHECK_INT(stats.protocol_errors, 1);
	end(&service);
}

static int lines;

static void log_line(wss_log_level level, const char *text, void *given)
{
	CHECK(given == &lines);
	CHECK_INT(level, WSS_LOG_ERR);
	CHECK(strstr(text, "TLS") != NULL);
	lines++;
}

static void what_fails_is_logged(void)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = true};

	CHECK(SYS_WSS_Initialize(&config, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	wss_set_log(WSS_LOG_WRN, log_line, &lines);
	CHECK(SYS_WSS_Initialize(&config, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	wss_set_log(WSS_LOG_OFF, log_line, &lines);
	CHECK(SYS_WSS_Initialize(&config, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	wss_set_log(WSS_LOG_DBG, NULL, NULL);
	CHECK(SYS_WSS_Initialize(&config, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	CHECK_INT(lines, 1);
}

/* Queues. */

static wss_message take(wss_queue queue, int event, int32_t index)
{
	wss_message message;

	CHECK_INT(wss_queue_get(queue, &message, PATIENCE * 1000), WSS_OK);
	CHECK_INT(message.event, event);
	CHECK_INT(message.clientIndex, index);
	return message;
}

static void a_queue_gets_what_its_mask_asks_for_beside_the_callback(void)
{
	SYS_MODULE_OBJ service;
	wss_queue texts;
	wss_queue all;
	wss_message message;
	int fd;

	CHECK_INT(wss_queue_create(TEXTS, 4, &texts), WSS_OK);
	CHECK(texts != 0);
	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 8, &all), WSS_OK);
	service = start(NULL);
	fd = open_client(0);
	message = take(all, EVENT(CLIENT_CONNECTING), 0);
	CHECK(message.data == NULL);
	wss_message_release(&message);
	message = take(all, EVENT(CLIENT_CONNECTED), 0);
	wss_message_release(&message);
	wire_frame(fd, true, BINARY, "b", 1);
	message = take(all, EVENT(CLIENT_BIN_DATA_RX), 0);
	wss_message_release(&message);
	expect_data(EVENT(CLIENT_BIN_DATA_RX), 0, "b", 1);
	wire_text(fd, "t");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "t", 1);
	message = take(texts, EVENT(CLIENT_TXT_DATA_RX), 0);
	CHECK_BYTES(message.data, message.datalen, "t", 1);
	CHECK(message.first && message.last);
	CHECK(message.client == wss_client_at(0));
	wss_message_release(&message);
	CHECK(message.data == NULL);
	/* Once is enough. */
	wss_message_release(&message);
	wss_message_release(NULL);
	/* The last one of those who have it releases it. */
	wire_text(fd, "u");
	CHECK_INT(wss_queue_get(texts, &message, 50), WSS_NONE);
	message = take(all, EVENT(CLIENT_TXT_DATA_RX), 0);
	wss_message_release(&message);
	message = take(texts, EVENT(CLIENT_TXT_DATA_RX), 0);
	CHECK_BYTES(message.data, message.datalen, "u", 1);
	wss_message_release(&message);
	message = take(all, EVENT(CLIENT_TXT_DATA_RX), 0);
	wss_message_release(&message);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "u", 1);
	close(fd);
	message = take(all, EVENT(CLIENT_CLOSING), 0);
	wss_message_release(&message);
	message = take(all, EVENT(CLIENT_CLOSED), 0);
	wss_message_release(&message);
	expect_closing(0);
	CHECK_INT(wss_queue_get(texts, &message, 0), WSS_NONE);
	end(&service);
	CHECK_INT(wss_queue_destroy(texts), WSS_OK);
	CHECK_INT(wss_queue_destroy(all), WSS_OK);
}

static void a_held_message_holds_back_its_client_and_no_other(void)
{
	SYS_MODULE_OBJ service;
	wss_message first;
	wss_message second;
	wss_queue queue;
	int one;
	int two;

	CHECK_INT(wss_queue_create(TEXTS, 4, &queue), WSS_OK);
	service = start(NULL);
	one = open_client(0);
	two = open_client(1);
	wire_text(one, "first");
	first = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "first", 5);
	wire_text(one, "second");
	CHECK_INT(wss_queue_get(queue, &second, 100), WSS_NONE);
	expect_no_event();
	wire_text(two, "other");
	second = take(queue, EVENT(CLIENT_TXT_DATA_RX), 1);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 1, "other", 5);
	wss_message_release(&second);
	CHECK_BYTES(first.data, first.datalen, "first", 5);
	wss_message_release(&first);
	second = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);
	wss_message_release(&second);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "second", 6);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	close(one);
	expect_closing(0);
	close(two);
	expect_closing(1);
	end(&service);
}

static void a_full_queue_loses_nothing(void)
{
	SYS_MODULE_OBJ service;
	wss_message last;
	wss_queue queue;
	char text[16];
	int fd;

	CHECK_INT(wss_queue_create(TEXTS | WSS_MASK(SYS_WSS_EVENT_CLIENT_CLOSED), 1, &queue), WSS_OK);
	service = start(NULL);
	fd = open_client(0);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		wire_text(fd, text);
	}
	close(fd);
	for (int i = 0; i < 50; i++) {
		wss_message message = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);

		snprintf(text, sizeof(text), "%d", i);
		CHECK_BYTES(message.data, message.datalen, text, strlen(text));
		wss_message_release(&message);
		expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, text, strlen(text));
	}
	last = take(queue, EVENT(CLIENT_CLOSED), 0);
	wss_message_release(&last);
	expect_closing(0);
	end(&service);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
}

static void a_message_outlives_its_client_its_queue_and_the_service(void)
{
	SYS_MODULE_OBJ service;
	wss_message message;
	wss_message next;
	wss_queue queue;
	int fd;

	CHECK_INT(wss_queue_create(TEXTS, 4, &queue), WSS_OK);
	service = start(NULL);
	fd = open_client(0);
	wire_text(fd, "kept");
	message = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	end_and_drop(&service);
	close(fd);
	service = start(NULL);
	CHECK_INT(wss_queue_create(TEXTS, 4, &queue), WSS_OK);
	fd = open_client(0);
	wire_text(fd, "held");
	next = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);
	CHECK_BYTES(message.data, message.datalen, "kept", 4);
	/* Not that of the client with the same index in another service. */
	wss_message_release(&message);
	wire_text(fd, "later");
	CHECK_INT(wss_queue_get(queue, &message, 100), WSS_NONE);
	wss_message_release(&next);
	next = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);
	wss_message_release(&next);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	forget_events();
	close(fd);
	expect_closing(0);
	end(&service);
}

static void *wait_for_ever(void *given)
{
	wss_message message;

	CHECK_INT(wss_queue_get(*(wss_queue *)given, &message, WSS_FOREVER), WSS_NONE);
	return NULL;
}

static void destroying_a_queue_wakes_its_readers_and_lets_clients_go_on(void)
{
	SYS_MODULE_OBJ service;
	wss_message message;
	wss_queue queue;
	pthread_t thread;
	int fd;

	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 1, &queue), WSS_OK);
	CHECK(pthread_create(&thread, NULL, wait_for_ever, &queue) == 0);
	sleep_ms(50);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	pthread_join(thread, NULL);
	CHECK_INT(wss_queue_destroy(queue), WSS_INVALID);
	CHECK_INT(wss_queue_get(queue, &message, 0), WSS_INVALID);
	/* Full, and the client waits. */
	CHECK_INT(wss_queue_create(TEXTS, 1, &queue), WSS_OK);
	service = start(NULL);
	fd = open_client(0);
	wire_text(fd, "one");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "one", 3);
	wire_text(fd, "two");
	sleep_ms(50);
	expect_no_event();
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "two", 3);
	close(fd);
	expect_closing(0);
	end(&service);
}

/* On native_sim nobody is interrupted just there, and time stands still meanwhile. */
#if defined(__ZEPHYR__)
#define DESTROYED 0
#else
#define DESTROYED 10000
#endif

static struct {
	_Atomic(wss_queue) queue;
	atomic_bool done;
	/* How often wss_queue_get() has returned. */
	atomic_uint returned;
} reading;

static void *keep_reading(void *unused)
{
	wss_message message;

	while (!reading.done) {
		wss_result result = wss_queue_get(reading.queue, &message, WSS_FOREVER);

		CHECK(result == WSS_NONE || result == WSS_INVALID);
		reading.returned++;
	}
	return unused;
}

static void nobody_who_is_about_to_wait_misses_that_a_queue_is_destroyed(void)
{
	wss_queue queue;
	pthread_t thread;

	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 1, &queue), WSS_OK);
	reading.queue = queue;
	CHECK(pthread_create(&thread, NULL, keep_reading, NULL) == 0);
	for (int round = 0; round < DESTROYED; round++) {
		int64_t until = now_ms() + 5000;
		unsigned int returned = reading.returned;

		CHECK_INT(wss_queue_destroy(queue), WSS_OK);
		for (int turn = 0; reading.returned == returned; turn++) {
			CHECK(now_ms() < until);
			if (turn > 1000) {
				sleep_ms(1);
			}
		}
		CHECK_INT(wss_queue_create(WSS_MASK_ALL, 1, &queue), WSS_OK);
		reading.queue = queue;
	}
	reading.done = true;
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	pthread_join(thread, NULL);
}

static void queues_check_every_argument(void)
{
	wss_queue queues[WSS_MAX_QUEUES];
	wss_message message;
	wss_queue more;

	CHECK_INT(wss_queue_create(0, 1, &more), WSS_INVALID);
	CHECK_INT(wss_queue_create((uint32_t)1 << 17, 1, &more), WSS_INVALID);
	CHECK_INT(wss_queue_create(TEXTS, 0, &more), WSS_INVALID);
	CHECK_INT(wss_queue_create(TEXTS, 1, NULL), WSS_INVALID);
	for (int i = 0; i < WSS_MAX_QUEUES; i++) {
		CHECK_INT(wss_queue_create(TEXTS, 8, &queues[i]), WSS_OK);
	}
	CHECK_INT(wss_queue_create(TEXTS, 1, &more), WSS_BUSY);
	CHECK_INT(wss_queue_get(0, &message, 0), WSS_INVALID);
	CHECK_INT(wss_queue_get(UINT32_MAX, &message, 0), WSS_INVALID);
	CHECK_INT(wss_queue_get(queues[0], NULL, 0), WSS_INVALID);
	CHECK_INT(wss_queue_get(queues[0], &message, 0), WSS_NONE);
	CHECK_INT(wss_queue_destroy(0), WSS_INVALID);
	for (int i = 0; i < WSS_MAX_QUEUES; i++) {
		CHECK_INT(wss_queue_destroy(queues[i]), WSS_OK);
	}
}

static void a_queue_kept_too_long_is_no_queue(void)
{
	wss_message message;
	wss_queue queue;
	wss_queue old;

	CHECK_INT(wss_queue_create(TEXTS, 1, &old), WSS_OK);
	CHECK_INT(wss_queue_destroy(old), WSS_OK);
	for (int i = 0; i < 70000; i++) {
		CHECK_INT(wss_queue_create(TEXTS, 1, &queue), WSS_OK);
		CHECK(queue != old);
		CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	}
	CHECK_INT(wss_queue_get(old, &message, 0), WSS_INVALID);
	CHECK_INT(wss_queue_destroy(old), WSS_INVALID);
}

static void a_queue_may_be_of_any_depth(void)
{
	wss_queue queue;

	CHECK_INT(wss_queue_create(TEXTS, SIZE_MAX, &queue), WSS_OK);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
}

static void a_full_queue_is_told_of_a_failed_start_once_there_is_room(void)
{
	SYS_WSS_CONFIG config = {.port = 70000, .isTLSEnabled = false};
	wss_message message;
	wss_queue queue;

	CHECK_INT(wss_queue_create(WSS_MASK(SYS_WSS_EVENT_SOCK_OPEN_FAILED), 1, &queue), WSS_OK);
	for (int i = 0; i < 2; i++) {
		CHECK(SYS_WSS_Initialize(&config, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	}
	for (int i = 0; i < 2; i++) {
		message = take(queue, EVENT(SOCK_OPEN_FAILED), -1);
		wss_message_release(&message);
	}
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
}

static void a_queue_gets_no_more_errors_than_it_has_room_for(void)
{
	struct sockaddr_in address;
	SYS_MODULE_OBJ service;
	wss_message message;
	wss_queue queue;
	int errors = 0;

	CHECK_INT(wss_queue_create(WSS_MASK(EVENT(ERR)), 1, &queue), WSS_OK);
	service = start(NULL);
	address = wire_address(wss_port());
	for (int round = 0; round < 3; round++) {
		int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

		use_up_descriptors();
		CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
		/* It is tried again ten times a second, and said once. */
		sleep_ms(350);
		give_descriptors_back();
		expect(EVENT(ERR), -1);
		expect(EVENT(CLIENT_CONNECTING), 0);
		close(fd);
		expect_closing(0);
		wait_for_slots();
	}
	while (wss_queue_get(queue, &message, 300) == WSS_OK) {
		CHECK_INT(message.event, EVENT(ERR));
		wss_message_release(&message);
		errors++;
	}
	/* One more waited for room. */
	CHECK_INT(errors, 2);
	end(&service);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
}

static void a_connection_that_takes_the_last_descriptor_is_no_error(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct sockaddr_in address = wire_address(wss_port());
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	int last = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	wss_stats stats;

	use_up_descriptors();
	close(last);
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	expect(EVENT(CLIENT_CONNECTING), 0);
	sleep_ms(300);
	CHECK_INT(wss_get_stats(&stats), WSS_OK);
	CHECK_INT(stats.accept_errors, 0);
	give_descriptors_back();
	close(fd);
	expect_closing(0);
	end(&service);
}

static wss_queue own_queue;

static void take_inside(const struct record *record, SYS_WSS_RXDATA *data)
{
	wss_message message;

	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		CHECK_INT(wss_queue_get(own_queue, &message, WSS_FOREVER), WSS_NONE);
	}
}

static void a_queue_is_not_waited_for_inside_the_callback(void)
{
	SYS_MODULE_OBJ service;
	int fd;

	CHECK_INT(wss_queue_create(WSS_MASK(SYS_WSS_EVENT_ERR), 1, &own_queue), WSS_OK);
	act = take_inside;
	service = start(NULL);
	fd = open_client(0);
	wire_text(fd, "x");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "x", 1);
	close(fd);
	expect_closing(0);
	end(&service);
	CHECK_INT(wss_queue_destroy(own_queue), WSS_OK);
}

static void a_message_held_for_too_long_fails_its_client_with_1011(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	wss_message message;
	wss_queue queue;
	int fd;

	limits.hold_timeout_ms = 300;
	CHECK_INT(wss_queue_create(TEXTS, 4, &queue), WSS_OK);
	service = start(&limits);
	fd = open_client(0);
	wire_text(fd, "held");
	message = take(queue, EVENT(CLIENT_TXT_DATA_RX), 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "held", 4);
	wire_expect_close(fd, 1011, "");
	expect(EVENT(CLIENT_CLOSING), 0);
	CHECK_BYTES(message.data, message.datalen, "held", 4);
	wss_message_release(&message);
	close(fd);
	expect(EVENT(CLIENT_CLOSED), 0);
	end(&service);
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
}

/* Adopting. */

static void a_connection_of_the_application_is_adopted_with_what_it_has_received(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	wss_client client;
	char received[512];
	char head[512];
	size_t len = strlen(REQUEST);
	int theirs;
	int fd = wire_accepted(&theirs);

	memcpy(received, REQUEST, len);
	len += wire_make(received + len, true, TEXT, "early", 5);
	CHECK_INT(wss_adopt(fd, received, len, false, &client), WSS_OK);
	CHECK(client == wss_client_at(0));
	CHECK_INT(wire_response(theirs, head, sizeof(head)), 101);
	CHECK(strstr(head, ACCEPT) != NULL);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "early", 5);
	CHECK_INT(wss_request_field(client, WSS_FIELD_PATH, head, sizeof(head)), WSS_OK);
	CHECK_INT(say(client, "hello"), WSS_OK);
	wire_expect_text(theirs, "hello");
	wire_close_frame(theirs, 1000, "");
	wire_expect_close(theirs, 1000, "");
	/* It is the library that closes it. */
	wire_expect_end(theirs);
	close(theirs);
	expect_data(EVENT(CLIENT_CLOSE_FRAME_RX), 0, "\x03\xe8", 2);
	expect_closing(0);
	end(&service);
}

static void a_connection_that_was_upgraded_is_adopted_at_its_frames(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	wss_client client;
	char frame[32];
	size_t len = wire_make(frame, true, TEXT, "in two", 6);
	int theirs;
	int fd = wire_accepted(&theirs);

	CHECK_INT(wss_adopt(fd, frame, 5, true, &client), WSS_OK);
	CHECK_INT(say(client, "at once"), WSS_OK);
	wire_expect_text(theirs, "at once");
	wire_write(theirs, frame + 5, len - 5);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "in two", 6);
	CHECK_INT(wss_request_field(client, WSS_FIELD_PATH, frame, sizeof(frame)),
		  WSS_NOT_CONNECTED);
	close(theirs);
	expect_closing(0);
	end(&service);
}

static void a_connection_that_is_not_adopted_stays_the_applications(void)
{
	static uint8_t much[16384];
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service = start(NULL);
	int clients[64];
	char byte;
	int theirs;
	int fd = wire_accepted(&theirs);

	CHECK_INT(wss_adopt(-1, NULL, 0, true, NULL), WSS_INVALID);
	CHECK_INT(wss_adopt(fd, NULL, 1, true, NULL), WSS_INVALID);
	CHECK_INT(wss_adopt(10000, NULL, 0, true, NULL), WSS_FAILED);
	CHECK_INT(wss_adopt(fd, much, sizeof(much), true, NULL), WSS_TOO_LONG);
	for (int32_t index = 0; index < limits.max_clients; index++) {
		clients[index] = open_client(index);
	}
	CHECK_INT(wss_adopt(fd, NULL, 0, true, NULL), WSS_BUSY);
	for (int32_t index = 0; index < limits.max_clients; index++) {
		close(clients[index]);
		expect_closing(index);
	}
	end(&service);
	CHECK_INT(wss_adopt(fd, NULL, 0, true, NULL), WSS_NOT_CONNECTED);
	expect_no_event();
	/* It is as it was. */
	wire_say(fd, "x");
	CHECK(read(theirs, &byte, 1) == 1 && byte == 'x');
	close(fd);
	close(theirs);
}

static void a_service_that_does_not_listen_has_the_clients_it_adopts(void)
{
	wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	int theirs;

	limits.listens = false;
	service = start(&limits);
	CHECK_INT(wss_port(), 0);
	/* Nobody wants to know which client it is. */
	CHECK_INT(wss_adopt(wire_accepted(&theirs), NULL, 0, false, NULL), WSS_OK);
	wire_upgrade(theirs);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	close(theirs);
	expect_closing(0);
	end(&service);
}

#define SUITE extension
#define CASES(CASE)                                                                                \
	CASE(a_client_kept_too_long_reaches_nobody)                                                \
	CASE(sending_has_a_result_for_each_outcome)                                                \
	CASE(a_frame_that_is_cut_off_is_aborted)                                                   \
	CASE(the_accept_hook_refuses_or_chooses_a_subprotocol)                                     \
	CASE(the_accept_hook_may_answer_later)                                                     \
	CASE(the_handshake_deadline_goes_on_while_the_answer_is_awaited)                           \
	CASE(what_the_handshake_said_can_be_asked_for)                                             \
	CASE(a_later_http_1_is_told_as_1_1)                                                        \
	CASE(only_allowed_origins_may_connect)                                                     \
	CASE(streaming_gives_pieces_with_first_and_last)                                           \
	CASE(the_defaults_are_those_of_the_contract)                                               \
	CASE(limits_are_checked)                                                                   \
	CASE(limits_wait_for_the_service_to_end)                                                   \
	CASE(an_address_that_is_none_is_refused)                                                   \
	CASE(sizes_may_be_as_small_as_a_frame)                                                     \
	CASE(an_address_with_too_many_clients_gets_429_and_no_event)                               \
	CASE(connections_over_the_handshakes_per_second_are_served_later)                          \
	CASE(too_many_control_frames_or_fragments_are_closed_with_1008)                            \
	CASE(statistics_count)                                                                     \
	CASE(what_fails_is_logged)                                                                 \
	CASE(a_queue_gets_what_its_mask_asks_for_beside_the_callback)                              \
	CASE(a_held_message_holds_back_its_client_and_no_other)                                    \
	CASE(a_full_queue_loses_nothing)                                                           \
	CASE(a_message_outlives_its_client_its_queue_and_the_service)                              \
	CASE(destroying_a_queue_wakes_its_readers_and_lets_clients_go_on)                          \
	CASE(nobody_who_is_about_to_wait_misses_that_a_queue_is_destroyed)                         \
	CASE(queues_check_every_argument)                                                          \
	CASE(a_queue_kept_too_long_is_no_queue)                                                    \
	CASE(a_queue_may_be_of_any_depth)                                                          \
	CASE(a_full_queue_is_told_of_a_failed_start_once_there_is_room)                            \
	CASE(a_queue_gets_no_more_errors_than_it_has_room_for)                                     \
	CASE(a_connection_that_takes_the_last_descriptor_is_no_error)                              \
	CASE(a_queue_is_not_waited_for_inside_the_callback)                                        \
	CASE(a_message_held_for_too_long_fails_its_client_with_1011)                               \
	CASE(a_connection_of_the_application_is_adopted_with_what_it_has_received)                 \
	CASE(a_connection_that_was_upgraded_is_adopted_at_its_frames)                              \
	CASE(a_connection_that_is_not_adopted_stays_the_applications)                              \
	CASE(a_service_that_does_not_listen_has_the_clients_it_adopts)

TEST_PROGRAM(CASES)
