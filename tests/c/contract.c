/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of the original interface, row by row: each case is named after its rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name

/* The original's functions take non-const bytes. */
static uint8_t *bytes(const void *data)
{
	return (uint8_t *)(uintptr_t)data;
}

static SYS_WSS_RESULT send_text(const char *text, int32_t client)
{
	return SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, bytes(text), strlen(text), client);
}

/* Sends a text back and forth, so that everything before it is finished. */
static void settle(int fd, int32_t client)
{
	wire_text(fd, "settled?");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), client, "settled?", 8);
}

/* Values that a compiler cannot compare. See values.c for the others. */

static void the_guid_is_that_of_the_rfc(void)
{
	CHECK(strcmp(SYS_WSS_GUID, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11") == 0);
}

static void a_frame_header_is_laid_out_as_on_the_wire(void)
{
	uint8_t frame[256 + 14] = {0};
	const SYS_WSS_FRAME_HEADER *header = (const void *)frame;

	/* Reserved bits 1 and 3. */
	wire_make(frame, true, PONG, "", 0);
	frame[0] |= 0x50;
	CHECK_INT(header->opcode, SYS_WSS_FRAME_PONG);
	CHECK_INT(header->fin, 1);
	CHECK_INT(header->resvd, 5);
	CHECK_INT(header->mask, 1);
	CHECK_INT(header->payloadLen, 0);
	wire_make(frame, false, TEXT, frame, 256);
	frame[1] &= 0x7f;
	CHECK_INT(header->opcode, SYS_WSS_FRAME_TEXT);
	CHECK_INT(header->fin, 0);
	CHECK_INT(header->resvd, 0);
	CHECK_INT(header->mask, 0);
	CHECK_INT(header->payloadLen, 126);
	CHECK_INT(header->extPayloadLen[0] << 8 | header->extPayloadLen[1], 256);
}

/* Events: order and data. */

static void an_open_handshake_tells_connecting_then_connected(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = wire_open(default_port());
	struct record connecting = next_event();
	struct record connected = next_event();

	CHECK_INT(connecting.event, EVENT(CLIENT_CONNECTING));
	CHECK_INT(connecting.client, 0);
	CHECK(!connecting.has_data);
	CHECK_INT(connecting.state, SYS_WSS_STATE_CONNECTING);
	CHECK_INT(connected.event, EVENT(CLIENT_CONNECTED));
	CHECK_INT(connected.client, 0);
	CHECK(!connected.has_data);
	CHECK_INT(connected.state, SYS_WSS_STATE_CONNECTED);
	CHECK(connected.id == connecting.id);
	CHECK_INT(wss_client_state(connected.id), SYS_WSS_STATE_CONNECTED);
	close(fd);
	expect_closing(0);
	CHECK_INT(wss_client_state(connected.id), SYS_WSS_STATE_CLOSED);
	end(&service);
}

static void greet(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_CONNECTING)) {
		CHECK_INT(send_text("too early", record->client), SYS_WSS_FAILURE);
	} else if (record->event == EVENT(CLIENT_CONNECTED)) {
		CHECK_INT(send_text("welcome", record->client), SYS_WSS_SUCCESS);
	}
}

static void connected_is_told_once_the_101_was_sent(void)
{
	SYS_MODULE_OBJ service;
	int fd;

	act = greet;
	service = start(NULL);
	fd = open_client(0);
	wire_expect_text(fd, "welcome");
	close(fd);
	expect_closing(0);
	end(&service);
}

static void refused(const char *request, int status, const char *field)
{
	char head[512];
	int fd;

	wait_for_slots();
	fd = wire_connect(default_port());
	wire_say(fd, request);
	CHECK_INT(wire_response(fd, head, sizeof(head)), status);
	CHECK(strstr(head, field) != NULL);
	wire_expect_end(fd);
	close(fd);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect_closing(0);
}

static void a_refused_handshake_tells_connecting_closing_closed(void)
{
	SYS_MODULE_OBJ service = start(NULL);

	refused("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "\r\nAllow: GET\r\n");
	refused("nonsense\r\n\r\n", 400, "");
	/* Only 1.1, or a later 1.x, may upgrade. */
#define REFUSE_HTTP(version, status)                                                               \
	refused("GET / HTTP/" version "\r\nHost: a\r\nUpgrade: websocket\r\n"                    \
		"Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"                            \
		"Sec-WebSocket-Version: 13\r\n\r\n",                                               \
		status, "")
	REFUSE_HTTP("0.9", 400);
	REFUSE_HTTP("1.0", 426);
	REFUSE_HTTP("2.1", 505);
	refused("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
		400, "");
	refused("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 8\r\n\r\n",
		426, "\r\nSec-WebSocket-Version: 13\r\n");
	end(&service);
}

static void connection_and_upgrade_are_token_lists(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	char head[512];
	int fd = wire_connect(default_port());

	wire_say(fd, "GET / HTTP/1.2\r\nHost: a\r\nUPGRADE: h2c, WebSocket\r\n"
		     "Connection: keep-alive, upgrade\r\nSec-WebSocket-Key: " KEY
		     "\r\nSec-WebSocket-Version: 13\r\n\r\n");
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void a_request_over_the_limit_gets_431(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	char request[1024];

	limits.handshake_size = 512;
	service = start(&limits);
	strcpy(request, "GET / HTTP/1.1\r\nX: ");
	memset(request + strlen(request), 'x', 600);
	strcpy(request + 600, "\r\n\r\n");
	refused(request, 431, "");
	end(&service);
}

static void one_client_too_many_gets_503_and_no_event(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	char head[512];
	int fds[MAX_CLIENTS];
	int more;

	for (int i = 0; i < MAX_CLIENTS; i++) {
		fds[i] = open_client(i);
	}
	more = wire_connect(default_port());
	CHECK_INT(wire_response(more, head, sizeof(head)), 503);
	close(more);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		settle(fds[i], i);
	}
	for (int i = 0; i < MAX_CLIENTS; i++) {
		close(fds[i]);
		expect_closing(i);
	}
	end(&service);
}

static void text_and_binary_bring_their_bytes(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	char large[1400];

	memset(large, 'b', sizeof(large));
	wire_text(fd, "h\xc3\xa9llo");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "h\xc3\xa9llo", 6);
	wire_frame(fd, true, BINARY, "\0\xff\1", 3);
	expect_data(EVENT(CLIENT_BIN_DATA_RX), 0, "\0\xff\1", 3);
	wire_text(fd, "");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "", 0);
	/* The largest message that is delivered whole. */
	wire_frame(fd, true, BINARY, large, sizeof(large));
	expect_data(EVENT(CLIENT_BIN_DATA_RX), 0, large, sizeof(large));
	close(fd);
	expect_closing(0);
	end(&service);
}

static void fragments_are_one_message_with_control_frames_between(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int one = open_client(0);
	int two = open_client(1);

	wire_frame(one, false, TEXT, "a\xc3", 2);
	/* Each client has its own fragments. */
	wire_frame(two, false, BINARY, "x", 1);
	wire_frame(one, true, PING, "p", 1);
	expect_data(EVENT(CLIENT_PING_RX), 0, "p", 1);
	wire_frame(one, false, CONTINUATION, "\xa4", 1);
	wire_frame(one, true, CONTINUATION, "b", 1);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "a\xc3\xa4" "b", 4);
	wire_frame(two, true, CONTINUATION, "y", 1);
	expect_data(EVENT(CLIENT_BIN_DATA_RX), 1, "xy", 2);
	wire_expect(one, true, PONG, "p", 1);
	end_and_drop(&service);
	close(one);
	close(two);
}

static void any_split_of_the_bytes_gives_the_same_events(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = wire_connect(default_port());
	char stream[1024];
	char head[512];
	size_t len = strlen(REQUEST);

	memcpy(stream, REQUEST, len);
	len += wire_make(stream + len, true, TEXT, "one", 3);
	len += wire_make(stream + len, true, PING, "two", 3);
	len += wire_make(stream + len, true, BINARY, "three", 5);
	for (size_t i = 0; i < len; i++) {
		wire_write(fd, stream + i, 1);
	}
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	for (int round = 0; round < 2; round++) {
		expect(EVENT(CLIENT_CONNECTING), round);
		expect(EVENT(CLIENT_CONNECTED), round);
		expect_data(EVENT(CLIENT_TXT_DATA_RX), round, "one", 3);
		expect_data(EVENT(CLIENT_PING_RX), round, "two", 3);
		expect_data(EVENT(CLIENT_BIN_DATA_RX), round, "three", 5);
		if (round == 0) {
			/* And all at once: the first frames arrive with the request. */
			wire_write(wire_connect(default_port()), stream, len);
		}
	}
	end_and_drop(&service);
	close(fd);
}

static void a_ping_is_told_and_answered_by_the_service(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);

	wire_frame(fd, true, PING, "abc", 3);
	wire_expect(fd, true, PONG, "abc", 3);
	expect_data(EVENT(CLIENT_PING_RX), 0, "abc", 3);
	wire_frame(fd, true, PING, "", 0);
	wire_expect(fd, true, PONG, "", 0);
	expect_data(EVENT(CLIENT_PING_RX), 0, "", 0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void a_pong_is_told(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);

	CHECK_INT(SYS_WSS_PingClient(bytes("pi"), 2, 0), SYS_WSS_SUCCESS);
	wire_expect(fd, true, PING, "pi", 2);
	wire_frame(fd, true, PONG, "pi", 2);
	expect_data(EVENT(CLIENT_PONG_RX), 0, "pi", 2);
	/* An unsolicited one is an event, too. */
	wire_frame(fd, true, PONG, "", 0);
	expect_data(EVENT(CLIENT_PONG_RX), 0, "", 0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void an_idle_client_that_answers_pings_stays_without_an_event(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	struct frame ping;
	int fd;

	limits.client_timeout_ms = 1500;
	limits.ping_interval_ms = 200;
	service = start(&limits);
	fd = open_client(0);
	for (int64_t until = now_ms() + 2000; now_ms() < until;) {
		CHECK(wire_read(fd, &ping));
		CHECK_INT(ping.opcode, PING);
		wire_frame(fd, true, PONG, ping.data, ping.len);
	}
	/* No pong was an event. */
	settle(fd, 0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void a_close_from_the_client_is_told_and_its_code_echoed(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);

	wire_close_frame(fd, 3001, "bye");
	wire_expect_close(fd, 3001, "");
	wire_expect_end(fd);
	close(fd);
	expect_data(EVENT(CLIENT_CLOSE_FRAME_RX), 0, "\x0b\xb9" "bye", 5);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	/* One without a code is valid, and gets the same answer. */
	fd = open_client(0);
	wire_frame(fd, true, CLOSE, "", 0);
	wire_expect(fd, true, CLOSE, "", 0);
	wire_expect_end(fd);
	close(fd);
	expect_data(EVENT(CLIENT_CLOSE_FRAME_RX), 0, "", 0);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	end(&service);
}

static void a_close_from_the_server_tells_closing_the_answer_and_closed(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	wss_client id = wss_client_at(wss_default_server(), 0);

	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_POLICY_VIOLATION, bytes("no"), 2, 0),
		  SYS_WSS_SUCCESS);
	wire_expect_close(fd, 1008, "no");
	expect(EVENT(CLIENT_CLOSING), 0);
	CHECK_INT(wss_client_state(id), SYS_WSS_STATE_CLOSING);
	/* Nothing is sent after a close frame, not even another one. */
	CHECK_INT(send_text("late", 0), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, 0),
		  SYS_WSS_FAILURE);
	wire_close_frame(fd, 1008, "");
	wire_expect_end(fd);
	close(fd);
	expect_data(EVENT(CLIENT_CLOSE_FRAME_RX), 0, "\x03\xf0", 2);
	expect(EVENT(CLIENT_CLOSED), 0);
	end(&service);
}

static void a_closing_handshake_times_out(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);

	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, 0),
		  SYS_WSS_SUCCESS);
	expect(EVENT(CLIENT_CLOSING), 0);
	/* No answer. */
	expect(EVENT(CLIENT_CLOSED), 0);
	close(fd);
	/* The slot is free again. */
	close(open_client(0));
	expect_closing(0);
	end(&service);
}

static void an_end_and_a_reset_tell_closing_and_closed(void)
{
	SYS_MODULE_OBJ service = start(NULL);

	close(open_client(0));
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	wire_reset(open_client(0));
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	/* Also before the handshake. */
	wait_for_slots();
	wire_reset(wire_connect(default_port()));
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	end(&service);
}

static void a_silent_client_times_out_and_is_closed_with_1000(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	int64_t start_ms;
	int fd;

	limits.client_timeout_ms = 500;
	limits.ping_interval_ms = 0;
	service = start(&limits);
	fd = open_client(0);
	start_ms = now_ms();
	expect(EVENT(CLIENT_TIMEOUT), 0);
	CHECK(now_ms() - start_ms >= 450);
	/* Without waiting for its answer. */
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	wire_expect_close(fd, 1000, "");
	wire_expect_end(fd);
	close(fd);
	end(&service);
}

static void without_a_client_timeout_a_silent_client_stays(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	struct frame ping;
	int fd;

	limits.client_timeout_ms = 0;
	limits.ping_interval_ms = 0;
	service = start(&limits);
	fd = open_client(0);
	sleep_ms(500);
	expect_no_event();
	wire_text(fd, "still here");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "still here", 10);
	close(fd);
	expect_closing(0);
	end(&service);
	/* Without pings, a client does not time out either. */
	limits.ping_interval_ms = 100;
	service = start(&limits);
	fd = open_client(0);
	for (int i = 0; i < 3; i++) {
		CHECK(wire_read(fd, &ping));
		CHECK_INT(ping.opcode, PING);
	}
	expect_no_event();
	close(fd);
	expect_closing(0);
	end(&service);
}

static void a_handshake_that_is_not_finished_times_out(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	int fd;

	limits.handshake_timeout_ms = 300;
	service = start(&limits);
	fd = wire_connect(default_port());
	wire_say(fd, "GET / HTTP/1.1\r\n");
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_TIMEOUT), 0);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	wire_expect_end(fd);
	close(fd);
	end(&service);
}

static void broken(const void *data, size_t len, int code)
{
	int fd = open_client(0);

	wire_write(fd, data, len);
	wire_expect_close(fd, code, "");
	wire_expect_end(fd);
	close(fd);
	expect(EVENT(ERR_INVALID_FRAME), 0);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
}

static void a_frame_that_breaks_the_rfc_is_told_and_closed_with_its_code(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	char frame[16];

	broken("\x81\x01x", 3, 1002);                            /* not masked */
	broken("\xc1\x80\1\2\3\4", 6, 1002);                     /* reserved bit */
	broken("\x83\x80\1\2\3\4", 6, 1002);                     /* reserved opcode */
	broken("\x80\x80\1\2\3\4", 6, 1002);                     /* nothing to continue */
	broken("\x09\x80\1\2\3\4", 6, 1002);                     /* a fragmented ping */
	broken("\x89\xfe\0\x7e\1\2\3\4", 8, 1002);               /* a long ping */
	broken("\x81\xfe\0\1\1\2\3\4", 8, 1002);                 /* length not minimal */
	broken("\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4", 14, 1002); /* top bit of the length */
	broken("\x82\xfe\x05\x79\1\2\3\4", 8, 1009);            /* 1401 bytes */
	broken(frame, wire_make(frame, true, CLOSE, "x", 1), 1002);
	broken(frame, wire_make(frame, true, CLOSE, "\x03\xed", 2), 1002);
	broken(frame, wire_make(frame, true, CLOSE, "\x03\xe8\xff", 3), 1007);
	broken(frame, wire_make(frame, true, TEXT, "\xff", 1), 1007);
	end(&service);
}

static void a_message_is_delivered_before_what_breaks_after_it(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	char frames[64];
	size_t len = wire_make(frames, true, TEXT, "good", 4);

	memcpy(frames + len, "\x81\x01x", 3);
	wire_write(fd, frames, len + 3);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "good", 4);
	expect(EVENT(ERR_INVALID_FRAME), 0);
	wire_expect_close(fd, 1002, "");
	close(fd);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	end(&service);
}

static atomic_int inside_callback;

static void stay_a_while(const struct record *record, const void *data)
{
	/* One at a time. */
	CHECK_INT(atomic_fetch_add(&inside_callback, 1), 0);
	sleep_ms(5);
	if (data != NULL) {
		/* More has arrived meanwhile, and has not touched it. */
		CHECK_BYTES(data, record->len, record->data, record->len);
	}
	CHECK_INT(atomic_fetch_sub(&inside_callback, 1), 1);
}

static void events_come_one_at_a_time_and_data_is_valid_until_the_callback_returns(void)
{
	SYS_MODULE_OBJ service;
	char text[1000];
	int fds[2];

	act = stay_a_while;
	service = start(NULL);
	for (int i = 0; i < 2; i++) {
		fds[i] = open_client(i);
	}
	for (int i = 0; i < 20; i++) {
		memset(text, 'a' + i, sizeof(text));
		wire_frame(fds[i % 2], true, BINARY, text, sizeof(text));
	}
	for (int i = 0; i < 20; i++) {
		CHECK_INT(next_event().event, EVENT(CLIENT_BIN_DATA_RX));
	}
	close(fds[0]);
	expect_closing(0);
	close(fds[1]);
	expect_closing(1);
	end(&service);
}

static sem_t release_closed;

static void wait_in_closed(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_CLOSED)) {
		CHECK(sem_wait(&release_closed) == 0);
	}
}

static void a_slot_is_used_again_only_after_closed_was_delivered(void)
{
	SYS_MODULE_OBJ service;
	int fds[MAX_CLIENTS];
	char head[512];
	int fd;

	CHECK(sem_init(&release_closed, 0, 0) == 0);
	act = wait_in_closed;
	service = start(NULL);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		fds[i] = open_client(i);
	}
	close(fds[0]);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	/* The callback is still running: without a work queue no client is accepted, with one there is no slot. */
	fd = wire_connect(default_port());
	wire_say(fd, REQUEST);
	sleep_ms(200);
	expect_no_event();
	for (int i = 0; i <= MAX_CLIENTS; i++) {
		CHECK(sem_post(&release_closed) == 0);
	}
	while (wire_response(fd, head, sizeof(head)) != 101) {
		close(fd);
		fd = wire_connect(default_port());
		wire_say(fd, REQUEST);
	}
	fds[0] = fd;
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		close(fds[i]);
		expect_closing(i);
	}
	end(&service);
	sem_destroy(&release_closed);
}

static void a_connection_for_which_there_is_no_descriptor_is_an_error(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct sockaddr_in address = wire_address(default_port());
	struct wss_stats stats;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	use_up_descriptors();
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	expect(EVENT(ERR), -1);
	give_descriptors_back();
	close(fd);
	/* It is accepted as soon as possible (not under valgrind), and the error may be emitted again. */
	do {
		sleep_ms(300);
		stats = stats_of(wss_default_server());
	} while (stats.accepted != stats.closed);
	CHECK(stats.accept_errors > 0);
	forget_events();
	close(open_client(0));
	expect_closing(0);
	end(&service);
}

/* Initialize and Deinitialize. */

static void deinitialize_closes_every_client_with_1001(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	SYS_MODULE_OBJ copy = service;
	int one = open_client(0);
	int two = open_client(1);
	int64_t start_ms = now_ms();

	/* One has answered; the other one never does, and holds it up for a limited time. */
	wire_close_frame(one, 1001, "");
	expect_data(EVENT(CLIENT_CLOSE_FRAME_RX), 0, "\x03\xe9", 2);
	expect(EVENT(CLIENT_CLOSING), 0);
	SYS_WSS_Deinitialize(&service);
	CHECK(service == SYS_MODULE_OBJ_INVALID);
	CHECK(now_ms() - start_ms < 4000);
	wire_expect_close(one, 1001, "");
	wire_expect_close(two, 1001, "");
	/* No client can connect any more, and no event follows. */
	CHECK_INT(send_text("late", -1), SYS_WSS_FAILURE);
	close(one);
	close(two);
	/* Stopping again, and stopping nothing, have no effect. */
	SYS_WSS_Deinitialize(&service);
	SYS_WSS_Deinitialize(&copy);
	SYS_WSS_Deinitialize(NULL);
	CHECK(copy == SYS_MODULE_OBJ_INVALID);
	forget_events();
	sleep_ms(200);
	expect_no_event();
}

/* Answers the close of the server. */
static void *answer_close(void *given)
{
	int fd = *(int *)given;

	wire_expect_close(fd, 1001, "");
	wire_close_frame(fd, 1001, "");
	wire_expect_end(fd);
	close(fd);
	return NULL;
}

static void deinitialize_tells_closing_and_closed(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fds[2] = {open_client(0), open_client(1)};
	int seen[2][3] = {{0}};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		CHECK(pthread_create(&threads[i], NULL, answer_close, &fds[i]) == 0);
	}
	SYS_WSS_Deinitialize(&service);
	for (int i = 0; i < 6; i++) {
		struct record record = next_event();

		CHECK(record.client == 0 || record.client == 1);
		switch (record.event) {
		case EVENT(CLIENT_CLOSING):
			seen[record.client][0]++;
			break;
		case EVENT(CLIENT_CLOSE_FRAME_RX):
			CHECK_INT(seen[record.client][0], 1);
			seen[record.client][1]++;
			break;
		default:
			CHECK_INT(record.event, EVENT(CLIENT_CLOSED));
			CHECK_INT(seen[record.client][1], 1);
			seen[record.client][2]++;
		}
	}
	CHECK_INT(seen[0][2], 1);
	CHECK_INT(seen[1][2], 1);
	expect_no_event();
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
}

static void deinitialize_tells_closed_of_a_client_that_does_not_answer(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);

	SYS_WSS_Deinitialize(&service);
	expect(EVENT(CLIENT_CLOSING), 0);
	expect(EVENT(CLIENT_CLOSED), 0);
	expect_no_event();
	close(fd);
}

static void the_service_can_be_initialized_again(void)
{
	for (int round = 0; round < 3; round++) {
		SYS_MODULE_OBJ service = start(NULL);
		int fd = open_client(0);

		wire_text(fd, "again");
		expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "again", 5);
		close(fd);
		expect_closing(0);
		end(&service);
	}
}

static void the_same_port_can_be_opened_again(void)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};
	struct wss_config server = config_for_tests(NULL);

	CHECK_INT(wss_configure(wss_default_server(), &server), 0);
	for (int round = 0; round < 3; round++) {
		SYS_MODULE_OBJ service = SYS_WSS_Initialize(&config, callback, &cookie);
		int fd;

		CHECK(service != SYS_MODULE_OBJ_INVALID);
		CHECK(config.port == 0 || config.port == default_port());
		config.port = default_port();
		fd = open_client(0);
		/* The server closes first, which leaves its socket in TIME_WAIT. */
		CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, 0),
			  SYS_WSS_SUCCESS);
		wire_expect_close(fd, 1000, "");
		wire_close_frame(fd, 1000, "");
		wire_expect_end(fd);
		close(fd);
		expect_closing(0);
		end(&service);
	}
}

static void deinitialize_leaves_no_descriptor_and_no_thread(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int descriptors;
	int threads;
	int64_t until;
	int connecting;
	int open;

	/* Threads that the first service starts for all of them. */
	end(&service);
	descriptors = open_descriptors();
	threads = running_threads();
	service = start(NULL);
	open = open_client(0);
	connecting = wire_connect(default_port());
	expect(EVENT(CLIENT_CONNECTING), 1);
	CHECK(open_descriptors() > descriptors);
	CHECK(running_threads() > threads);
	end_and_drop(&service);
	close(open);
	close(connecting);
	CHECK_INT(open_descriptors(), descriptors);
	/* A joined thread may still exist for a moment. */
	until = now_ms() + PATIENCE * 1000;
	while (running_threads() != threads) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
}

static void an_old_object_does_not_end_a_new_service(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	SYS_MODULE_OBJ old = service;
	int fd;

	end(&service);
	service = start(NULL);
	SYS_WSS_Deinitialize(&old);
	fd = open_client(0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static SYS_MODULE_OBJ inside;
static SYS_MODULE_OBJ inside_again;

static void deinitialize_inside(const struct record *record, const void *data)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};

	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		SYS_WSS_Deinitialize(&inside);
		CHECK(inside == SYS_MODULE_OBJ_INVALID);
		/* It is stopping. */
		inside_again = SYS_WSS_Initialize(&config, NULL, NULL);
	}
}

static void deinitialize_inside_the_callback_ends_after_it(void)
{
	struct wss_config config = config_for_tests(NULL);

	for (int round = 0; round < 3; round++) {
		SYS_MODULE_OBJ copy;
		int fd;

		inside_again = 0;
		act = deinitialize_inside;
		inside = start(NULL);
		copy = inside;
		fd = open_client(0);
		wire_text(fd, "end");
		expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "end", 3);
		wire_expect_close(fd, 1001, "");
		wire_close_frame(fd, 1001, "");
		wire_expect_end(fd);
		close(fd);
		expect_closing(0);
		if (round > 0) {
			/* Outside of a callback, it waits for the end. */
			SYS_WSS_Deinitialize(&copy);
		}
		for (int64_t until = now_ms() + PATIENCE * 1000;
		     wss_configure(wss_default_server(), &config) != 0;) {
			CHECK(round == 0 && now_ms() < until);
			sleep_ms(1);
		}
		CHECK(inside_again == SYS_MODULE_OBJ_INVALID);
		act = NULL;
	}
	expect_no_event();
}

static SYS_MODULE_OBJ of_service;

static void *deinitialize_elsewhere(void *given)
{
	SYS_MODULE_OBJ copy = of_service;

	(void)given;
	SYS_WSS_Deinitialize(&copy);
	return NULL;
}

static void deinitialize_from_several_threads_waits_in_each(void)
{
	pthread_t threads[4];
	int fd;

	of_service = start(NULL);
	fd = open_client(0);
	for (int i = 0; i < 4; i++) {
		CHECK(pthread_create(&threads[i], NULL, deinitialize_elsewhere, NULL) == 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	close(fd);
	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
	forget_events();
	of_service = start(NULL);
	end(&of_service);
}

static sem_t never_ending;

static void stay(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		CHECK(sem_wait(&never_ending) == 0);
	}
}

static void deinitialize_is_bounded_while_a_callback_does_not_return(void)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;
	SYS_MODULE_OBJ copy;
	int64_t start_ms;
	int fd;

	CHECK(sem_init(&never_ending, 0, 0) == 0);
	act = stay;
	service = start(NULL);
	copy = service;
	fd = open_client(0);
	wire_text(fd, "stay");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "stay", 4);
	start_ms = now_ms();
	SYS_WSS_Deinitialize(&service);
	CHECK(now_ms() - start_ms < 1000 + 3000);
	CHECK(SYS_WSS_Initialize(&config, callback, &cookie) == SYS_MODULE_OBJ_INVALID);
	CHECK(sem_post(&never_ending) == 0);
	/* Now it can end. */
	SYS_WSS_Deinitialize(&copy);
	close(fd);
	sem_destroy(&never_ending);
	forget_events();
	service = start(NULL);
	end(&service);
}

static void a_second_initialize_is_refused_and_changes_nothing(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};
	static int other;
	int fd;

	CHECK(SYS_WSS_Initialize(&config, callback, &other) == SYS_MODULE_OBJ_INVALID);
	/* The callback checks its cookie. */
	fd = open_client(0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void tls_is_refused(void)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = true};

	CHECK(SYS_WSS_Initialize(&config, callback, &cookie) == SYS_MODULE_OBJ_INVALID);
	expect_no_event();
}

static void take_open_failed(wss_queue queue)
{
	struct wss_event event;

	CHECK_INT(wss_queue_get(queue, &event, 0), 0);
	CHECK_INT(event.type, WSS_EVENT_LISTEN_FAILED);
	CHECK_INT(event.index, -1);
	CHECK(event.server == wss_default_server());
	wss_event_release(&event);
	/* No further event, now or later. */
	CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
}

static void a_port_that_cannot_be_opened_is_told(void)
{
	struct sockaddr_in address = wire_address(TEST_PORT);
	socklen_t len = sizeof(address);
	SYS_WSS_CONFIG config = {.port = 70000, .isTLSEnabled = false};
	struct wss_config server = config_for_tests(NULL);
	wss_queue queue;
	SYS_MODULE_OBJ service;
	int64_t until;
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	CHECK_INT(wss_queue_create(WSS_MASK(WSS_EVENT_LISTEN_FAILED), 1, &queue), 0);
	server.queues = &queue;
	server.queue_count = 1;
	CHECK_INT(wss_configure(wss_default_server(), &server), 0);
	CHECK(SYS_WSS_Initialize(&config, callback, &cookie) == SYS_MODULE_OBJ_INVALID);
	expect(EVENT(SOCK_OPEN_FAILED), -1);
	take_open_failed(queue);
	/* Connections of earlier tests do not matter. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(fd, 1) == 0);
	if (TEST_PORT == 0) {
		CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	}
	config.port = ntohs(address.sin_port);
	CHECK(SYS_WSS_Initialize(&config, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	expect(EVENT(SOCK_OPEN_FAILED), -1);
	take_open_failed(queue);
	CHECK_INT(wss_queue_destroy(queue), 0);
	close(fd);
	/* Then it can be opened, once the system has released it. */
	until = now_ms() + PATIENCE * 1000;
	while ((service = SYS_WSS_Initialize(&config, NULL, NULL)) == SYS_MODULE_OBJ_INVALID) {
		expect(EVENT(SOCK_OPEN_FAILED), -1);
		CHECK(now_ms() < until);
		sleep_ms(10);
	}
	CHECK_INT(default_port(), config.port);
	end(&service);
}

static void without_a_configuration_the_port_is_8000(void)
{
	SYS_MODULE_OBJ service = SYS_WSS_Initialize(NULL, callback, &cookie);

	if (service == SYS_MODULE_OBJ_INVALID) {
		/* Another program uses the port, which emits an event. */
		expect(EVENT(SOCK_OPEN_FAILED), -1);
		return;
	}
	CHECK_INT(default_port(), 8000);
	end(&service);
}

static void a_callback_may_be_registered_before_and_after_initialize(void)
{
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};
	struct wss_config server = config_for_tests(NULL);
	SYS_MODULE_OBJ service;
	int fd;

	/* Events go to one callback only, not to the configured one. */
	CHECK_INT(wss_configure(wss_default_server(), &server), 0);
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	service = SYS_WSS_Initialize(&config, NULL, NULL);
	fd = open_client(0);
	/* Without a callback there is no event. */
	CHECK_INT(SYS_WSS_register_callback(NULL, NULL), SYS_WSS_SUCCESS);
	wire_frame(fd, true, PING, "", 0);
	wire_expect(fd, true, PONG, "", 0);
	expect_no_event();
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	settle(fd, 0);
	close(fd);
	expect_closing(0);
	end(&service);
}

/* Sending. */

static void calls_without_a_service_fail(void)
{
	SYS_MODULE_OBJ service;

	for (int round = 0; round < 2; round++) {
		SYS_WSS_HANDSHAKE_CTXT handshake;
		struct wss_stats stats;

		for (int32_t index = -1; index < 2; index++) {
			CHECK_INT(send_text("x", index), SYS_WSS_FAILURE);
			CHECK_INT(SYS_WSS_PingClient(NULL, 0, index), SYS_WSS_FAILURE);
			CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL,
							  0, index),
				  SYS_WSS_FAILURE);
		}
		CHECK_INT(SYS_WSS_Task(SYS_MODULE_OBJ_INVALID), 0);
		CHECK(wss_client_at(wss_default_server(), 0) == WSS_NO_CLIENT);
		CHECK_INT(wss_client_state(WSS_NO_CLIENT), WSS_STATE_CLOSED);
		CHECK_INT(wss_send(WSS_NO_CLIENT, WSS_TEXT, "", 0, WSS_FOREVER), -ENOTCONN);
		CHECK_INT(wss_broadcast(wss_default_server(), 0, WSS_TEXT, "", 0), -ENOTCONN);
		CHECK_INT(wss_get_stats(wss_default_server(), &stats), -ENOTCONN);
		CHECK_INT(wss_client_handshake(WSS_NO_CLIENT, &handshake), -ENOTCONN);
		CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
		/* Before the first Initialize, and after Deinitialize. */
		service = start(NULL);
		CHECK_INT(SYS_WSS_Task(service), 0);
		end(&service);
	}
}

static void send_message_checks_every_argument(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	static const int no_client[] = {1, 3, 4, 64, 65535, 65536, INT32_MAX};
	static const int no_message[] = {3, 7, SYS_WSS_FRAME_CLOSE, SYS_WSS_FRAME_PING,
					 SYS_WSS_FRAME_PONG, 0xB, 0xF, 0x10, 0x101, INT_MAX};

	for (size_t i = 0; i < sizeof(no_client) / sizeof(no_client[0]); i++) {
		CHECK_INT(send_text("x", no_client[i]), SYS_WSS_FAILURE);
	}
	for (size_t i = 0; i < sizeof(no_message) / sizeof(no_message[0]); i++) {
		CHECK_INT(SYS_WSS_sendMessage(true, (SYS_WSS_FRAME)no_message[i], bytes("x"), 1, 0),
			  SYS_WSS_ERROR_INVALID_FRAME);
	}
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, NULL, 1, 0), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, bytes("x"), SIZE_MAX, 0),
		  SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, bytes("x"), 1, 0),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(send_text("\xff", 0), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(send_text("\xc3", 0), SYS_WSS_ERROR_INVALID_FRAME);
	/* Nothing was sent; no data at all is fine. */
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, NULL, 0, 0), SYS_WSS_SUCCESS);
	wire_expect(fd, true, BINARY, "", 0);
	close(fd);
	expect_closing(0);
	CHECK_INT(send_text("x", 0), SYS_WSS_FAILURE);
	/* A client that is still connecting. */
	wait_for_slots();
	fd = wire_connect(default_port());
	expect(EVENT(CLIENT_CONNECTING), 0);
	CHECK_INT(send_text("x", 0), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, 0),
		  SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, 0), SYS_WSS_FAILURE);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void fin_false_starts_a_message_and_continuation_goes_on(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);

	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_TEXT, bytes("a\xc3"), 2, 0),
		  SYS_WSS_SUCCESS);
	CHECK_INT(send_text("inside", 0), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_BINARY, bytes("b"), 1, 0),
		  SYS_WSS_ERROR_INVALID_FRAME);
	/* Text is checked across its fragments. */
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, bytes("b"), 1, 0),
		  SYS_WSS_ERROR_INVALID_FRAME);
	/* A control frame may come between. */
	CHECK_INT(SYS_WSS_PingClient(bytes("p"), 1, 0), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_CONTINUATION, bytes("\xa4"), 1, 0),
		  SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, bytes("c"), 1, 0),
		  SYS_WSS_SUCCESS);
	CHECK_INT(send_text("next", 0), SYS_WSS_SUCCESS);
	wire_expect(fd, false, TEXT, "a\xc3", 2);
	wire_expect(fd, true, PING, "p", 1);
	wire_expect(fd, false, CONTINUATION, "\xa4", 1);
	wire_expect(fd, true, CONTINUATION, "c", 1);
	wire_expect_text(fd, "next");
	close(fd);
	expect_closing(0);
	end(&service);
}

static const size_t lengths[] = {0, 1, 125, 126, 1400, 65535, 65536};
static char of_any_length[65536];

#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void *send_every_length(void *unused)
{
	for (size_t i = 0; i < LENGTHS; i++) {
		CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, bytes(of_any_length),
					      lengths[i], 0),
			  SYS_WSS_SUCCESS);
	}
	return unused;
}

static void frames_of_every_length_are_sent(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	pthread_t thread;

	memset(of_any_length, 'd', sizeof(of_any_length));
	/* The long ones may have to wait for the reader. */
	CHECK(pthread_create(&thread, NULL, send_every_length, NULL) == 0);
	for (size_t i = 0; i < LENGTHS; i++) {
		wire_expect(fd, true, BINARY, of_any_length, lengths[i]);
	}
	pthread_join(thread, NULL);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void frames_of_every_length_are_received(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	int fd;

	limits.rx_buffer_size = rx_buffer_size(sizeof(of_any_length));
	service = start(&limits);
	fd = open_client(0);
	memset(of_any_length, 'd', sizeof(of_any_length));
	for (size_t i = 0; i < LENGTHS && lengths[i] <= limits.rx_buffer_size; i++) {
		wire_frame(fd, true, BINARY, of_any_length, lengths[i]);
		expect_data(EVENT(CLIENT_BIN_DATA_RX), 0, of_any_length, lengths[i]);
	}
	close(fd);
	expect_closing(0);
	end(&service);
}

/* Invalid frames fail, with or without clients, and no client gets them. */
static void expect_no_broadcast(void)
{
	static char large[126];

	CHECK_INT(send_text("\xff", -1), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(send_text("\xc3", -1), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_TEXT, bytes("\xff"), 1, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CLOSE, NULL, 0, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_sendMessage(true, (SYS_WSS_FRAME)3, NULL, 0, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, NULL, 1, -1), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_PingClient(bytes(large), 126, -1), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_PingClient(NULL, 1, -1), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NO_STATUS_RCVD, NULL, 0, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, bytes(large), 124, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, bytes("\xff"), 1, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
}

static void what_is_sent_to_all_is_checked_even_if_nobody_is_connected(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd;

	expect_no_broadcast();
	/* Without clients, a message to all succeeds. */
	CHECK_INT(send_text("no one", -1), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_TEXT, bytes("\xc3"), 1, -1),
		  SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, -1), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, -1),
		  SYS_WSS_SUCCESS);
	fd = open_client(0);
	expect_no_broadcast();
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, NULL, 0, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	/* In fragments, too, and a character may be split. */
	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_TEXT, bytes("\xc3"), 1, -1),
		  SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, bytes("b"), 1, -1),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, bytes("\xa4"), 1, -1),
		  SYS_WSS_SUCCESS);
	wire_expect(fd, false, TEXT, "\xc3", 1);
	wire_expect(fd, true, CONTINUATION, "\xa4", 1);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void an_index_below_0_is_every_connected_client(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int clients[3];
	int fd;

	for (int i = 0; i < 3; i++) {
		clients[i] = open_client(i);
	}
	/* A client that is still connecting is not among them. */
	fd = wire_connect(default_port());
	expect(EVENT(CLIENT_CONNECTING), 3);
	CHECK_INT(send_text("all", -1), SYS_WSS_SUCCESS);
	CHECK_INT(send_text("all", INT32_MIN), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_PingClient(bytes("p"), 1, -1), SYS_WSS_SUCCESS);
	/* The first failure counts, but the others get it. */
	CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_BINARY, bytes("1"), 1, 1),
		  SYS_WSS_SUCCESS);
	CHECK_INT(send_text("but one", -1), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, bytes("end"), 3, -1),
		  SYS_WSS_SUCCESS);
	for (int i = 0; i < 3; i++) {
		wire_expect_text(clients[i], "all");
		wire_expect_text(clients[i], "all");
		wire_expect(clients[i], true, PING, "p", 1);
		if (i == 1) {
			wire_expect(clients[i], false, BINARY, "1", 1);
		} else {
			wire_expect_text(clients[i], "but one");
		}
		wire_expect_close(clients[i], 1000, "end");
	}
	/* It still can send. */
	wire_upgrade(fd);
	for (int i = 0; i < 3; i++) {
		close(clients[i]);
	}
	close(fd);
	end_and_drop(&service);
}

static void close_connection_checks_every_argument(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	static const int wrong[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 66536, INT_MAX};
	char reason[124];

	memset(reason, 'r', sizeof(reason));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_INT(SYS_WSS_CloseConnection((SYS_WSS_STATUS_CODE)wrong[i], NULL, 0, 0),
			  SYS_WSS_ERROR_INVALID_FRAME);
	}
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, bytes(reason), 124, 0),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, bytes("\xff"), 1, 0),
		  SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 1, 0),
		  SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, 1),
		  SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, INT32_MAX),
		  SYS_WSS_FAILURE);
	/* Nothing was sent. */
	reason[123] = '\0';
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_INTERNAL_ERROR, bytes(reason), 123, 0),
		  SYS_WSS_SUCCESS);
	wire_expect_close(fd, 1011, reason);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void every_code_that_may_be_sent_is(void)
{
	static const int codes[] = {
		SYS_WSS_STATUS_CODE_NORMAL_CLOSURE,    SYS_WSS_STATUS_CODE_GOING_AWAY,
		SYS_WSS_STATUS_CODE_PROTOCOL_ERROR,    SYS_WSS_STATUS_CODE_UNSUPPORTED_DATA,
		SYS_WSS_STATUS_CODE_INVALID_PAYLOAD_DATA, SYS_WSS_STATUS_CODE_POLICY_VIOLATION,
		SYS_WSS_STATUS_CODE_MESSAGE_TOO_BIG,   SYS_WSS_STATUS_CODE_MANDATORY_EXT,
		SYS_WSS_STATUS_CODE_INTERNAL_ERROR,    3000, 4999};
	SYS_MODULE_OBJ service = start(NULL);

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		int fd = open_client(0);

		CHECK_INT(SYS_WSS_CloseConnection((SYS_WSS_STATUS_CODE)codes[i], bytes("why"), 3, 0),
			  SYS_WSS_SUCCESS);
		wire_expect_close(fd, codes[i], "why");
		close(fd);
		expect_closing(0);
	}
	end(&service);
}

static void ping_client_checks_every_argument(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	char payload[126];

	memset(payload, 'p', sizeof(payload));
	CHECK_INT(SYS_WSS_PingClient(bytes(payload), 126, 0), SYS_WSS_ERROR_INVALID_FRAME);
	CHECK_INT(SYS_WSS_PingClient(NULL, 1, 0), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, 1), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, INT32_MAX), SYS_WSS_FAILURE);
	CHECK_INT(SYS_WSS_PingClient(bytes(payload), 125, 0), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, 0), SYS_WSS_SUCCESS);
	wire_expect(fd, true, PING, payload, 125);
	wire_expect(fd, true, PING, "", 0);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void everything_inside(const struct record *record, const void *data)
{
	if (record->event != EVENT(CLIENT_TXT_DATA_RX)) {
		return;
	}
	/* An echo of the same bytes, and other messages. */
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, bytes(data), record->len,
				      record->client),
		  SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_PingClient(bytes(data), record->len, record->client), SYS_WSS_SUCCESS);
	CHECK_INT(send_text("to all", -1), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_register_callback(callback, &cookie), SYS_WSS_SUCCESS);
	CHECK_INT(SYS_WSS_Task(0), 0);
	CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, bytes(data),
					  record->len, record->client),
		  SYS_WSS_SUCCESS);
}

static void the_callback_may_call_any_function(void)
{
	SYS_MODULE_OBJ service;
	int one;
	int two;

	act = everything_inside;
	service = start(NULL);
	one = open_client(0);
	two = open_client(1);
	wire_text(one, "all of it");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "all of it", 9);
	wire_expect_text(one, "all of it");
	wire_expect(one, true, PING, "all of it", 9);
	wire_expect_text(one, "to all");
	wire_expect_close(one, 1000, "all of it");
	wire_expect_text(two, "to all");
	close(one);
	expect_closing(0);
	close(two);
	expect_closing(1);
	end(&service);
}

static void *send_hundred(void *given)
{
	const char *name = given;
	char text[1024];

	for (int i = 0; i < 100; i++) {
		/* Of all lengths, whole and in fragments. */
		int len = snprintf(text, sizeof(text), "%s%d%*s", name, i, i * 9 % 800, "");
		size_t half = (size_t)len / 2;

		if (i % 3 != 0) {
			CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, bytes(text),
						      (size_t)len, 0),
				  SYS_WSS_SUCCESS);
			continue;
		}
		CHECK_INT(SYS_WSS_sendMessage(false, SYS_WSS_FRAME_TEXT, bytes(text), half, 0),
			  SYS_WSS_SUCCESS);
		CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_CONTINUATION, bytes(text) + half,
					      (size_t)len - half, 0),
			  SYS_WSS_SUCCESS);
	}
	return NULL;
}

static void two_threads_may_send_to_one_client(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	static char names[2][2] = {"a", "b"};
	static struct frame frame;
	pthread_t threads[2];
	int next[2] = {0, 0};
	char message[2048];
	size_t len = 0;

	for (int i = 0; i < 2; i++) {
		CHECK(pthread_create(&threads[i], NULL, send_hundred, names[i]) == 0);
	}
	while (next[0] < 100 || next[1] < 100) {
		CHECK(wire_read(fd, &frame));
		CHECK_INT(frame.opcode, len == 0 ? TEXT : CONTINUATION);
		memcpy(message + len, frame.data, frame.len + 1);
		len += frame.len;
		if (frame.fin) {
			/* Each message is whole, and the messages of a thread are in order. */
			int who = message[0] == 'a' ? 0 : 1;

			CHECK_INT(atoi(message + 1), next[who]);
			CHECK(len >= (size_t)(next[who] * 9 % 800));
			next[who]++;
			len = 0;
		}
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	close(fd);
	expect_closing(0);
	end(&service);
}

static void fill(const struct record *record, const void *data)
{
	static uint8_t block[1000];
	static uint8_t large[2000];
	SYS_WSS_RESULT result;
	int said;

	(void)data;
	if (record->event != EVENT(CLIENT_TXT_DATA_RX) || record->client != 0) {
		return;
	}
	/* Longer than what can be kept without waiting. */
	CHECK_INT(wss_send(record->id, WSS_BINARY, large, sizeof(large), 0), -EMSGSIZE);
	CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, large, sizeof(large), 0),
		  SYS_WSS_FAILURE);
	do {
		said = wss_send(record->id, WSS_BINARY, block, sizeof(block), 0);
		result = SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, block, sizeof(block), 0);
	} while (said == 0 || result == SYS_WSS_SUCCESS);
	CHECK_INT(said, -EAGAIN);
	CHECK_INT(result, SYS_WSS_FAILURE);
}

static void no_room_is_a_failure_and_a_slow_client_stalls_no_other(void)
{
	struct wss_limits limits = limits_for_tests();
	SYS_MODULE_OBJ service;
	static struct frame frame;
	static uint8_t block[1000];
	struct wss_config config = config_for_tests(&limits);
	SYS_WSS_RESULT result;
	struct wss_event event;
	wss_queue queue;
	bool writable;
	int slow;
	int other;

	limits.send_timeout_ms = PATIENCE * 1000;
	act = fill;
	CHECK_INT(wss_queue_create(WSS_MASK(WSS_EVENT_WRITABLE), 4, &queue), 0);
	config.queues = &queue;
	config.queue_count = 1;
	service = start_with(&config);
	slow = wire_connect_narrow(default_port());
	wire_upgrade(slow);
	expect(EVENT(CLIENT_CONNECTING), 0);
	expect(EVENT(CLIENT_CONNECTED), 0);
	other = open_client(1);
	wire_text(slow, "fill");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "fill", 4);
	settle(other, 1);
	/* A failure to one: the other gets it. Data in transit to the slow one makes room as it gets
	 * there, so that it takes some more before there is none for good.
	 */
	do {
		do {
			result = SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, block,
						     sizeof(block), -1);
			wire_expect(other, true, BINARY, block, sizeof(block));
		} while (result == SYS_WSS_SUCCESS);
		CHECK_INT(result, SYS_WSS_FAILURE);
		writable = wss_queue_get(queue, &event, 200) == 0;
		if (writable) {
			wss_event_release(&event);
		}
	} while (writable);
	/* The rest of what was accepted arrives, and then there is room again. */
	do {
		CHECK(wire_read(slow, &frame));
		CHECK_INT(frame.len, 1000);
	} while (wss_queue_get(queue, &event, 0) == -EAGAIN);
	CHECK_INT(event.type, WSS_EVENT_WRITABLE);
	CHECK_INT(event.index, 0);
	CHECK(event.data == NULL);
	wss_event_release(&event);
	/* Never to a SYS_WSS callback. */
	settle(other, 1);
	CHECK_INT(wss_queue_destroy(queue), 0);
	close(slow);
	expect_closing(0);
	close(other);
	expect_closing(1);
	end(&service);
}

static void sending_to_a_client_that_is_gone_raises_no_signal(void)
{
	struct wss_config config = config_for_tests(NULL);
	SYS_MODULE_OBJ service;
	struct wss_event event;
	wss_queue queue;
	int fd;

	CHECK_INT(wss_queue_create(WSS_MASK(WSS_EVENT_TEXT), 1, &queue), 0);
	config.queues = &queue;
	config.queue_count = 1;
	service = start_with(&config);
	fd = open_client(0);
	wire_text(fd, "held");
	CHECK_INT(wss_queue_get(queue, &event, PATIENCE * 1000), 0);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "held", 4);
	/* As long as that is held, only a send finds out that the client has gone: the first is
	 * answered by a reset, and the next would raise SIGPIPE, which ends this program. */
	close(fd);
	sleep_ms(50);
	for (int i = 0; i < 5; i++) {
		send_text("to no one", 0);
		sleep_ms(20);
	}
	CHECK_INT(send_text("to no one", 0), SYS_WSS_FAILURE);
	wss_event_release(&event);
	expect_closing(0);
	CHECK_INT(wss_queue_destroy(queue), 0);
	end(&service);
}

#define SUITE contract
#define CASES(CASE)                                                                                \
	CASE(calls_without_a_service_fail)                                                         \
	CASE(the_guid_is_that_of_the_rfc)                                                          \
	CASE(a_frame_header_is_laid_out_as_on_the_wire)                                            \
	CASE(an_open_handshake_tells_connecting_then_connected)                                    \
	CASE(connected_is_told_once_the_101_was_sent)                                              \
	CASE(a_refused_handshake_tells_connecting_closing_closed)                                  \
	CASE(connection_and_upgrade_are_token_lists)                                               \
	CASE(a_request_over_the_limit_gets_431)                                                    \
	CASE(one_client_too_many_gets_503_and_no_event)                                            \
	CASE(text_and_binary_bring_their_bytes)                                                    \
	CASE(fragments_are_one_message_with_control_frames_between)                                \
	CASE(any_split_of_the_bytes_gives_the_same_events)                                         \
	CASE(a_ping_is_told_and_answered_by_the_service)                                           \
	CASE(a_pong_is_told)                                                                       \
	CASE(an_idle_client_that_answers_pings_stays_without_an_event)                             \
	CASE(a_close_from_the_client_is_told_and_its_code_echoed)                                  \
	CASE(a_close_from_the_server_tells_closing_the_answer_and_closed)                          \
	CASE(a_closing_handshake_times_out)                                                        \
	CASE(an_end_and_a_reset_tell_closing_and_closed)                                           \
	CASE(a_silent_client_times_out_and_is_closed_with_1000)                                    \
	CASE(without_a_client_timeout_a_silent_client_stays)                                       \
	CASE(a_handshake_that_is_not_finished_times_out)                                           \
	CASE(a_frame_that_breaks_the_rfc_is_told_and_closed_with_its_code)                         \
	CASE(a_message_is_delivered_before_what_breaks_after_it)                                   \
	CASE(events_come_one_at_a_time_and_data_is_valid_until_the_callback_returns)               \
	CASE(a_slot_is_used_again_only_after_closed_was_delivered)                                 \
	CASE(a_connection_for_which_there_is_no_descriptor_is_an_error)                            \
	CASE(deinitialize_closes_every_client_with_1001)                                           \
	CASE(deinitialize_tells_closing_and_closed)                                                \
	CASE(deinitialize_tells_closed_of_a_client_that_does_not_answer)                           \
	CASE(the_service_can_be_initialized_again)                                                 \
	CASE(the_same_port_can_be_opened_again)                                                    \
	CASE(deinitialize_leaves_no_descriptor_and_no_thread)                                      \
	CASE(an_old_object_does_not_end_a_new_service)                                             \
	CASE(deinitialize_inside_the_callback_ends_after_it)                                       \
	CASE(deinitialize_from_several_threads_waits_in_each)                                      \
	CASE(deinitialize_is_bounded_while_a_callback_does_not_return)                             \
	CASE(a_second_initialize_is_refused_and_changes_nothing)                                   \
	CASE(tls_is_refused)                                                                       \
	CASE(a_port_that_cannot_be_opened_is_told)                                                 \
	CASE(without_a_configuration_the_port_is_8000)                                             \
	CASE(a_callback_may_be_registered_before_and_after_initialize)                             \
	CASE(send_message_checks_every_argument)                                                   \
	CASE(fin_false_starts_a_message_and_continuation_goes_on)                                  \
	CASE(frames_of_every_length_are_sent)                                                      \
	CASE(frames_of_every_length_are_received)                                                  \
	CASE(an_index_below_0_is_every_connected_client)                                           \
	CASE(what_is_sent_to_all_is_checked_even_if_nobody_is_connected)                           \
	CASE(close_connection_checks_every_argument)                                               \
	CASE(every_code_that_may_be_sent_is)                                                       \
	CASE(ping_client_checks_every_argument)                                                    \
	CASE(the_callback_may_call_any_function)                                                   \
	CASE(two_threads_may_send_to_one_client)                                                   \
	CASE(no_room_is_a_failure_and_a_slow_client_stalls_no_other)                               \
	CASE(sending_to_a_client_that_is_gone_raises_no_signal)

TEST_PROGRAM(CASES)
