/* SPDX-License-Identifier: Apache-2.0 */
/* Clients, and sending to them, with wss.h: each case is named after its rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define PATIENCE_MS (PATIENCE * 1000)

static int say(wss_client client, const char *text)
{
	return wss_send_text(client, text, PATIENCE_MS);
}

/* Sends a text back and forth, so that everything before it is finished. */
static void settle(int fd, int32_t client)
{
	wire_text(fd, "settled?");
	expect_data(WSS_EVENT_TEXT, client, "settled?", 8);
}

/* Clients. */

static void a_client_kept_too_long_reaches_no_other(void)
{
	struct wss_server *server = serve(NULL);
	int fd = open_client(0);
	wss_client old = wss_client_at(server, 0);
	wss_client new;

	CHECK(old != WSS_NO_CLIENT);
	CHECK_INT(wss_client_index(old), 0);
	CHECK(wss_client_server(old) == server);
	CHECK_INT(say(old, "x"), 0);
	wire_expect_text(fd, "x");
	close(fd);
	expect_closing(0);
	for (int round = 0; round < 2; round++) {
		char text[8];

		fd = open_client(0);
		new = wss_client_at(server, 0);
		CHECK(new != old);
		CHECK_INT(say(old, "wrong"), -ENOTCONN);
		CHECK_INT(wss_send(old, WSS_BINARY | WSS_MORE, "x", 1, 0), -ENOTCONN);
		CHECK_INT(wss_flush(old), -ENOTCONN);
		CHECK_INT(wss_ping(old, NULL, 0), -ENOTCONN);
		CHECK_INT(wss_close(old, 1000, NULL), -ENOTCONN);
		CHECK_INT(wss_accept(old, NULL), -ENOTCONN);
		CHECK_INT(wss_refuse(old, 403, NULL), -ENOTCONN);
		CHECK_INT(wss_set_groups(old, 1), -ENOTCONN);
		CHECK_INT(wss_groups(old), 0);
		CHECK_INT(wss_set_user_data(old, text), -ENOTCONN);
		CHECK(wss_user_data(old) == NULL);
		CHECK_INT(wss_client_address(old, text, sizeof(text)), -ENOTCONN);
		CHECK_INT(wss_client_text(old, WSS_CLIENT_PATH, text, sizeof(text)), -ENOTCONN);
		CHECK_INT(wss_client_state(old), WSS_STATE_CLOSED);
		CHECK_INT(wss_groups(new), 0);
		CHECK(wss_user_data(new) == NULL);
		CHECK_INT(say(new, "right"), 0);
		wire_expect_text(fd, "right");
		/* Its server stays known. */
		CHECK_INT(wss_client_index(old), 0);
		CHECK(wss_client_server(old) == server);
		close(fd);
		expect_closing(0);
		/* Not even after a restart. */
		stop_serving();
		serve(NULL);
	}
	stop_serving();
}

static void what_is_no_client_is_refused(void)
{
	static const wss_client wrong[] = {WSS_NO_CLIENT, 1, UINT32_MAX, ~(wss_client)0};
	struct wss_server *server = serve(NULL);
	struct wss_handshake handshake;
	char text[64];
	int fd = open_client(0);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_INT(say(wrong[i], "x"), -ENOTCONN);
		CHECK_INT(wss_flush(wrong[i]), -ENOTCONN);
		CHECK_INT(wss_ping(wrong[i], NULL, 0), -ENOTCONN);
		CHECK_INT(wss_close(wrong[i], 1000, NULL), -ENOTCONN);
		CHECK_INT(wss_accept(wrong[i], NULL), -ENOTCONN);
		CHECK_INT(wss_refuse(wrong[i], 403, NULL), -ENOTCONN);
		CHECK_INT(wss_client_state(wrong[i]), WSS_STATE_CLOSED);
		CHECK_INT(wss_set_groups(wrong[i], 1), -ENOTCONN);
		CHECK_INT(wss_groups(wrong[i]), 0);
		CHECK_INT(wss_set_user_data(wrong[i], text), -ENOTCONN);
		CHECK(wss_user_data(wrong[i]) == NULL);
		CHECK_INT(wss_client_address(wrong[i], text, sizeof(text)), -ENOTCONN);
		CHECK_INT(wss_client_text(wrong[i], WSS_CLIENT_PATH, text, sizeof(text)), -ENOTCONN);
		CHECK_INT(wss_client_handshake(wrong[i], &handshake), -ENOTCONN);
	}
	CHECK_INT(wss_client_index(WSS_NO_CLIENT), -1);
	CHECK(wss_client_server(WSS_NO_CLIENT) == NULL);
	CHECK(wss_client_at(server, -1) == WSS_NO_CLIENT);
	CHECK(wss_client_at(server, 1) == WSS_NO_CLIENT);
	CHECK(wss_client_at(server, INT32_MAX) == WSS_NO_CLIENT);
	CHECK(wss_client_at(NULL, 0) == WSS_NO_CLIENT);
	CHECK(wss_next_client(NULL, WSS_NO_CLIENT) == WSS_NO_CLIENT);
	close(fd);
	expect_closing(0);
	stop_serving();
}

static int attached[MAX_CLIENTS];

static void attach(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == WSS_EVENT_CONNECTING) {
		CHECK(record->user_data == NULL);
		CHECK_INT(wss_set_user_data(record->id, &attached[record->client]), 0);
	}
}

static void expect_user_data(int event, int32_t client, const void *user_data)
{
	struct record record = next_event();

	CHECK_INT(record.event, event);
	CHECK_INT(record.client, client);
	CHECK(record.user_data == user_data);
}

static void user_data_goes_with_each_event_up_to_closed(void)
{
	struct wss_server *server;
	wss_client client;
	static int other;
	int fds[2];

	act = attach;
	server = serve(NULL);
	for (int i = 0; i < 2; i++) {
		fds[i] = wire_open(default_port());
		expect_user_data(WSS_EVENT_CONNECTING, i, NULL);
		expect_user_data(WSS_EVENT_CONNECTED, i, &attached[i]);
		CHECK(wss_user_data(wss_client_at(server, i)) == &attached[i]);
	}
	client = wss_client_at(server, 1);
	for (int i = 0; i < 2; i++) {
		wire_text(fds[i], "x");
		expect_user_data(WSS_EVENT_TEXT, i, &attached[i]);
	}
	/* Any thread can change it. */
	CHECK_INT(wss_set_user_data(client, &other), 0);
	CHECK(wss_user_data(client) == &other);
	wire_frame(fds[1], true, PING, "", 0);
	expect_user_data(WSS_EVENT_PING, 1, &other);
	wire_close_frame(fds[1], 1000, "");
	expect_user_data(WSS_EVENT_CLOSE_FRAME, 1, &other);
	expect_user_data(WSS_EVENT_CLOSING, 1, &other);
	close(fds[1]);
	expect_user_data(WSS_EVENT_CLOSED, 1, &other);
	close(fds[0]);
	expect_user_data(WSS_EVENT_CLOSING, 0, &attached[0]);
	expect_user_data(WSS_EVENT_CLOSED, 0, &attached[0]);
	wait_for_slots();
	CHECK(wss_user_data(client) == NULL);
	CHECK_INT(wss_set_user_data(client, &other), -ENOTCONN);
	/* The next client with the index begins without user data: attach() checks it. */
	close(open_client(0));
	expect_closing(0);
	stop_serving();
}

/* Sends a text back in capitals, which replace it in place. */
static void shout(const struct record *record, const void *data)
{
	char *text = (char *)data;

	if (record->event != WSS_EVENT_TEXT) {
		return;
	}
	CHECK(record->first && record->last);
	CHECK_INT(text[record->len], 0);
	for (size_t i = 0; i < record->len; i++) {
		CHECK(text[i] >= 'a' && text[i] <= 'z');
		text[i] = (char)(text[i] - 'a' + 'A');
	}
	/* As strtok() does, at the end. */
	text[record->len] = '!';
	CHECK_INT(wss_send(record->id, WSS_TEXT, text, record->len, 0), 0);
}

/* As large as a message may be. */
#define LARGE 1400

static void the_only_callback_may_change_a_text_which_ends_with_nul(void)
{
	static const size_t sizes[] = {5, 0, 1, 125, 126, LARGE - 1, LARGE, 3};
	struct wss_limits limits = limits_for_tests();
	static char text[LARGE];
	static char shouted[LARGE];
	static char frames[4 * LARGE];
	size_t len = 0;
	int fd;

	limits.rx_buffer_size = rx_buffer_size(LARGE);
	memset(text, 'a', sizeof(text));
	memset(shouted, 'A', sizeof(shouted));
	act = shout;
	serve_within(&limits);
	fd = open_client(0);
	/* Each separately, and in two fragments with a ping between. */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t half = sizes[i] / 2;

		wire_frame(fd, true, TEXT, text, sizes[i]);
		expect_data(WSS_EVENT_TEXT, 0, text, sizes[i]);
		wire_expect(fd, true, TEXT, shouted, sizes[i]);
		wire_frame(fd, false, TEXT, text, half);
		wire_frame(fd, true, PING, "p", 1);
		wire_frame(fd, true, CONTINUATION, text, sizes[i] - half);
		expect_data(WSS_EVENT_PING, 0, "p", 1);
		expect_data(WSS_EVENT_TEXT, 0, text, sizes[i]);
		wire_expect(fd, true, PONG, "p", 1);
		wire_expect(fd, true, TEXT, shouted, sizes[i]);
	}
	/* All at once: the bytes after each are not changed. */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		len += wire_make(frames + len, true, TEXT, text, sizes[i]);
	}
	wire_write(fd, frames, len);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		expect_data(WSS_EVENT_TEXT, 0, text, sizes[i]);
		wire_expect(fd, true, TEXT, shouted, sizes[i]);
	}
	close(fd);
	expect_closing(0);
	stop_serving();
}

/* Makes a text invalid UTF-8, tries to send it in every way, and then sends the rest. */
static void break_text(const struct record *record, const void *data)
{
	struct wss_server *server = wss_default_server();
	char *text = (char *)data;
	struct wss_part part;

	if (record->event != WSS_EVENT_TEXT) {
		return;
	}
	text[1] = (char)0xFF;
	part = (struct wss_part){.data = text, .len = record->len};
	CHECK_INT(wss_send(record->id, WSS_TEXT, text, record->len, 0), -EBADMSG);
	CHECK_INT(wss_send_text(record->id, text, 0), -EBADMSG);
	CHECK_INT(wss_send_parts(record->id, WSS_TEXT, &part, 1, 0), -EBADMSG);
	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, text, record->len), -EBADMSG);
	CHECK_INT(wss_send(record->id, WSS_BINARY, text, record->len, 0), 0);
	CHECK_INT(wss_send(record->id, WSS_TEXT, text + 2, record->len - 2, 0), 0);
}

static void a_text_that_was_changed_is_checked_before_it_is_sent(void)
{
	int fd;

	act = break_text;
	serve(NULL);
	fd = open_client(0);
	wire_text(fd, "broken");
	expect_data(WSS_EVENT_TEXT, 0, "broken", 6);
	wire_expect(fd, true, BINARY, "b\xffoken", 6);
	wire_expect_text(fd, "oken");
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void a_client_is_in_the_groups_that_were_set_last(void)
{
	struct wss_server *server = serve(NULL);
	wss_client client;
	int fd = open_client(0);

	client = wss_client_at(server, 0);
	CHECK_INT(wss_groups(client), 0);
	CHECK_INT(wss_set_groups(client, 1U << 31 | 1), 0);
	CHECK_INT(wss_groups(client), 1U << 31 | 1);
	CHECK_INT(wss_set_groups(client, 6), 0);
	CHECK_INT(wss_groups(client), 6);
	close(fd);
	expect_closing(0);
	wait_for_slots();
	CHECK_INT(wss_groups(client), 0);
	CHECK_INT(wss_set_groups(client, 1), -ENOTCONN);
	/* The next client is in no group. */
	fd = open_client(0);
	CHECK_INT(wss_groups(wss_client_at(server, 0)), 0);
	close(fd);
	expect_closing(0);
	stop_serving();
}

/* The number of clients to iterate over, each once, and their bits. */
static int count_clients(const struct wss_server *server, unsigned int *seen)
{
	int count = 0;

	*seen = 0;
	WSS_FOR_EACH_CLIENT(server, client) {
		CHECK(wss_client_at(server, wss_client_index(client)) == client);
		*seen |= 1U << wss_client_index(client);
		count++;
	}
	return count;
}

static void each_client_is_gone_through_once(void)
{
	struct wss_server *server = serve(NULL);
	unsigned int seen;
	int fds[3];

	CHECK_INT(count_clients(server, &seen), 0);
	for (int i = 0; i < 3; i++) {
		fds[i] = open_client(i);
	}
	CHECK_INT(count_clients(server, &seen), 3);
	CHECK_INT(seen, 7);
	close(fds[1]);
	expect_closing(1);
	wait_for_slots();
	CHECK_INT(count_clients(server, &seen), 2);
	CHECK_INT(seen, 5);
	/* Its statement may end them. */
	WSS_FOR_EACH_CLIENT(server, client) {
		CHECK_INT(wss_close(client, 1000, "each"), 0);
	}
	for (int i = 0; i < 3; i += 2) {
		wire_expect_close(fds[i], 1000, "each");
		close(fds[i]);
	}
	expect_closed(2);
	wait_for_slots();
	CHECK(wss_next_client(server, WSS_NO_CLIENT) == WSS_NO_CLIENT);
	stop_serving();
	CHECK_INT(count_clients(server, &seen), 0);
}

static void the_address_of_a_client_is_that_of_its_peer(void)
{
	struct wss_server *server = serve(NULL);
	int fd = open_client(0);
	wss_client client = wss_client_at(server, 0);
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	char address[46];

	CHECK(getsockname(fd, (struct sockaddr *)&own, &len) == 0);
	memset(address, 'x', sizeof(address));
	CHECK_INT(wss_client_address(client, address, sizeof(address)), ntohs(own.sin_port));
	CHECK(strcmp(address, "127.0.0.1") == 0);
	/* Exactly as much as it needs. */
	memset(address, 'x', sizeof(address));
	CHECK_INT(wss_client_address(client, address, sizeof("127.0.0.1")), ntohs(own.sin_port));
	CHECK(strcmp(address, "127.0.0.1") == 0);
	CHECK_INT(wss_client_address(client, address, sizeof("127.0.0.1") - 1), -EMSGSIZE);
	CHECK_INT(wss_client_address(client, NULL, 0), ntohs(own.sin_port));
	CHECK_INT(wss_client_address(client, NULL, 46), -EINVAL);
	close(fd);
	expect_closing(0);
	wait_for_slots();
	CHECK_INT(wss_client_address(client, address, sizeof(address)), -ENOTCONN);
	stop_serving();
}

/* Sending. */

static void sending_has_a_result_for_each_outcome(void)
{
	static const uint32_t no_kind[] = {
		3, 8, 9, 0xA, 0x10, 0x400 | WSS_TEXT, 0x80000000U | WSS_TEXT};
	static char reason[125];
	struct wss_server *server = serve(NULL);
	int fd = open_client(0);
	wss_client client = wss_client_at(server, 0);
	int result;

	for (size_t i = 0; i < sizeof(no_kind) / sizeof(no_kind[0]); i++) {
		CHECK_INT(wss_send(client, no_kind[i], "", 0, 0), -EINVAL);
	}
	CHECK_INT(wss_send(client, WSS_TEXT, NULL, 1, 0), -EINVAL);
	CHECK_INT(wss_send_text(client, NULL, 0), -EINVAL);
	/* Longer than any text can be. */
	result = wss_send(client, WSS_BINARY, "", SIZE_MAX, WSS_FOREVER);
	CHECK(result == -EINVAL || result == -EMSGSIZE);
	CHECK_INT(say(client, "\xff"), -EBADMSG);
	CHECK_INT(say(client, "\xc3"), -EBADMSG);
	CHECK_INT(wss_send(client, WSS_CONTINUATION, "", 0, 0), -EBADMSG);
	CHECK_INT(wss_send(client, WSS_CONTINUATION | WSS_MORE, "", 0, 0), -EBADMSG);
	CHECK_INT(wss_ping(client, reason, 126), -EMSGSIZE);
	CHECK_INT(wss_ping(client, NULL, 1), -EINVAL);
	CHECK_INT(wss_close(client, 1005, NULL), -EBADMSG);
	CHECK_INT(wss_close(client, 0, NULL), -EBADMSG);
	CHECK_INT(wss_close(client, 5000, NULL), -EBADMSG);
	CHECK_INT(wss_close(client, 1000, "\xff"), -EBADMSG);
	memset(reason, 'r', 124);
	CHECK_INT(wss_close(client, 1000, reason), -EBADMSG);
	/* Nothing was sent. */
	CHECK_INT(wss_send(client, WSS_TEXT | WSS_MORE, "a", 1, 0), 0);
	CHECK_INT(wss_send(client, WSS_BINARY | WSS_MORE, "b", 1, 0), 0);
	CHECK_INT(wss_flush(client), 0);
	CHECK_INT(wss_ping(client, "p", 1), 0);
	CHECK_INT(wss_send(client, WSS_BINARY, NULL, 0, 0), 0);
	CHECK_INT(say(client, "h\xc3\xa9llo"), 0);
	CHECK_INT(wss_close(client, 4999, "own"), 0);
	wire_expect_text(fd, "a");
	wire_expect(fd, true, BINARY, "b", 1);
	wire_expect(fd, true, PING, "p", 1);
	wire_expect(fd, true, BINARY, "", 0);
	wire_expect_text(fd, "h\xc3\xa9llo");
	wire_expect_close(fd, 4999, "own");
	CHECK_INT(say(client, "late"), -ENOTCONN);
	CHECK_INT(wss_ping(client, NULL, 0), -ENOTCONN);
	CHECK_INT(wss_close(client, 1000, NULL), -ENOTCONN);
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void what_more_holds_back_leaves_with_the_next_message_or_a_flush(void)
{
	struct wss_server *server = serve(NULL);
	int fd = open_client(0);
	wss_client client = wss_client_at(server, 0);

	for (int i = 0; i < 3; i++) {
		CHECK_INT(wss_send(client, WSS_TEXT | WSS_MORE, "held", 4, 0), 0);
	}
	CHECK_INT(wss_send(client, WSS_TEXT, "next", 4, 0), 0);
	for (int i = 0; i < 3; i++) {
		wire_expect_text(fd, "held");
	}
	wire_expect_text(fd, "next");
	CHECK_INT(wss_send(client, WSS_TEXT | WSS_MORE, "held", 4, 0), 0);
	CHECK_INT(wss_flush(client), 0);
	wire_expect_text(fd, "held");
	/* Fragments, too. */
	CHECK_INT(wss_send(client, WSS_TEXT | WSS_FRAGMENT | WSS_MORE, "a", 1, 0), 0);
	CHECK_INT(wss_send(client, WSS_CONTINUATION | WSS_FRAGMENT | WSS_MORE, "b", 1, 0), 0);
	CHECK_INT(wss_send(client, WSS_CONTINUATION | WSS_MORE, "c", 1, 0), 0);
	CHECK_INT(wss_flush(client), 0);
	wire_expect(fd, false, TEXT, "a", 1);
	wire_expect(fd, false, CONTINUATION, "b", 1);
	wire_expect(fd, true, CONTINUATION, "c", 1);
	/* With nothing to flush it is as well. */
	CHECK_INT(wss_flush(client), 0);
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void parts_are_sent_as_one_message(void)
{
	static const uint32_t no_kind[] = {WSS_CONTINUATION, 3, 8, 0x400 | WSS_TEXT,
					   WSS_TEXT | WSS_FRAGMENT};
	static const char *const texts[WSS_MAX_PARTS] = {"h\xc3", "", "\xa9", "l", "lo", "!"};
	static char large[600];
	struct wss_part parts[WSS_MAX_PARTS + 1] = {{NULL, 0}};
	struct wss_server *server = serve(NULL);
	int fd = open_client(0);
	wss_client client = wss_client_at(server, 0);
	char expected[1200];

	for (size_t i = 0; i < WSS_MAX_PARTS; i++) {
		parts[i].data = texts[i];
		parts[i].len = strlen(texts[i]);
	}
	/* A character may be split. */
	CHECK_INT(wss_send_parts(client, WSS_TEXT, parts, WSS_MAX_PARTS, 0), 0);
	wire_expect_text(fd, "h\xc3\xa9llo!");
	CHECK_INT(wss_send_parts(client, WSS_TEXT, parts, 0, 0), 0);
	wire_expect_text(fd, "");
	CHECK_INT(wss_send_parts(client, WSS_TEXT, NULL, 0, 0), 0);
	wire_expect_text(fd, "");
	memset(large, 'l', sizeof(large));
	memset(expected, 'l', sizeof(expected));
	parts[0].data = parts[2].data = large;
	parts[0].len = parts[2].len = sizeof(large);
	parts[1].data = NULL;
	CHECK_INT(wss_send_parts(client, WSS_BINARY, parts, 3, 0), 0);
	wire_expect(fd, true, BINARY, expected, sizeof(expected));
	CHECK_INT(wss_send_parts(client, WSS_BINARY, parts, WSS_MAX_PARTS + 1, 0), -EMSGSIZE);
	CHECK_INT(wss_send_parts(client, WSS_BINARY, NULL, 1, 0), -EINVAL);
	for (size_t i = 0; i < sizeof(no_kind) / sizeof(no_kind[0]); i++) {
		CHECK_INT(wss_send_parts(client, no_kind[i], parts, 1, 0), -EINVAL);
	}
	CHECK_INT(wss_send_parts(WSS_NO_CLIENT, WSS_TEXT, parts, 1, 0), -ENOTCONN);
	parts[0].data = "\xc3";
	parts[0].len = 1;
	CHECK_INT(wss_send_parts(client, WSS_TEXT, parts, 2, 0), -EBADMSG);
	parts[1].len = 1;
	CHECK_INT(wss_send_parts(client, WSS_BINARY, parts, 2, 0), -EINVAL);
	/* Nothing was sent. */
	CHECK_INT(say(client, "next"), 0);
	wire_expect_text(fd, "next");
	close(fd);
	expect_closing(0);
	stop_serving();
}

/* A message of this thread while another one's fragmented message is not finished. */
static void *send_between(void *given)
{
	wss_client client = *(wss_client *)given;

	CHECK_INT(wss_send_text(client, "no", 0), -EAGAIN);
	CHECK_INT(wss_send_text(client, "no", 100), -EAGAIN);
	CHECK_INT(wss_send(client, WSS_CONTINUATION, "no", 2, 0), -EAGAIN);
	/* A control frame may come between. */
	CHECK_INT(wss_ping(client, "p", 1), 0);
	return NULL;
}

static void a_fragmented_message_belongs_to_its_thread_until_it_ends(void)
{
	struct wss_server *server = serve(NULL);
	int fd = open_client(0);
	wss_client client = wss_client_at(server, 0);
	pthread_t thread;

	CHECK_INT(wss_send(client, WSS_TEXT | WSS_FRAGMENT, "a\xc3", 2, 0), 0);
	CHECK_INT(say(client, "inside"), -EBADMSG);
	CHECK_INT(wss_send(client, WSS_BINARY | WSS_FRAGMENT, "b", 1, 0), -EBADMSG);
	/* Text is checked across its fragments. */
	CHECK_INT(wss_send(client, WSS_CONTINUATION, "b", 1, 0), -EBADMSG);
	CHECK(pthread_create(&thread, NULL, send_between, &client) == 0);
	pthread_join(thread, NULL);
	CHECK_INT(wss_send(client, WSS_CONTINUATION | WSS_FRAGMENT, "\xa4", 1, 0), 0);
	CHECK_INT(wss_send(client, WSS_CONTINUATION, "c", 1, 0), 0);
	CHECK_INT(say(client, "next"), 0);
	wire_expect(fd, false, TEXT, "a\xc3", 2);
	wire_expect(fd, true, PING, "p", 1);
	wire_expect(fd, false, CONTINUATION, "\xa4", 1);
	wire_expect(fd, true, CONTINUATION, "c", 1);
	wire_expect_text(fd, "next");
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void a_frame_that_is_cut_off_is_aborted(void)
{
	struct wss_limits limits = limits_for_tests();
	static uint8_t large[8 * 1024 * 1024];
	struct wss_server *server;
	int fd;

	limits.send_timeout_ms = 300;
	server = serve_within(&limits);
	fd = wire_connect_narrow(default_port());
	wire_upgrade(fd);
	expect(WSS_EVENT_CONNECTING, 0);
	expect(WSS_EVENT_CONNECTED, 0);
	/* Without waiting, it is too long. */
	CHECK_INT(wss_send(wss_client_at(server, 0), WSS_BINARY, large, sizeof(large), 0), -EMSGSIZE);
	/* It begins at once, but is not finished within the send timeout, whatever its own timeout is. */
	CHECK_INT(wss_send(wss_client_at(server, 0), WSS_BINARY, large, sizeof(large), WSS_FOREVER),
		  -ECONNABORTED);
	expect_closing(0);
	close(fd);
	stop_serving();
}

/* A client that does not read, for which the server has no more room. */

static uint8_t block[1000];

static int open_slow(int32_t index)
{
	int fd = wire_connect_narrow(default_port());

	wire_upgrade(fd);
	expect(WSS_EVENT_CONNECTING, index);
	expect(WSS_EVENT_CONNECTED, index);
	return fd;
}

/* Sends until there is no room for good: data in transit makes some room as it arrives. */
static int fill_up(wss_client client)
{
	int sent = 0;
	int more;

	do {
		int result;

		more = 0;
		while ((result = wss_send(client, WSS_BINARY, block, sizeof(block), 0)) == 0) {
			more++;
		}
		CHECK_INT(result, -EAGAIN);
		sent += more;
		sleep_ms(200);
	} while (more > 0);
	return sent;
}

/* The same number of blocks is read, and none is missing. */
static void read_blocks(int fd, int count)
{
	for (int i = 0; i < count; i++) {
		wire_expect(fd, true, BINARY, block, sizeof(block));
	}
}

static struct slow_reader {
	int fd;
	int blocks;
} slow_reader;

static void *read_later(void *given)
{
	struct slow_reader *reader = given;

	sleep_ms(300);
	read_blocks(reader->fd, reader->blocks);
	return NULL;
}

static struct wss_server *serve_patiently(uint32_t events)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(&limits);

	limits.send_timeout_ms = PATIENCE_MS;
	config.events = events;
	return serve(&config);
}

static void a_send_waits_for_room_as_long_as_its_timeout(void)
{
	struct wss_server *server = serve_patiently(0);
	int slow = open_slow(0);
	wss_client client = wss_client_at(server, 0);
	pthread_t thread;
	int64_t start_ms;
	int64_t waited_ms;

	slow_reader.fd = slow;
	slow_reader.blocks = fill_up(client) + 1;
	start_ms = now_ms();
	CHECK_INT(wss_send(client, WSS_BINARY, block, sizeof(block), 300), -EAGAIN);
	waited_ms = now_ms() - start_ms;
	CHECK(waited_ms >= 290 && waited_ms < PATIENCE_MS / 2);
	start_ms = now_ms();
	CHECK_INT(wss_send(client, WSS_BINARY, block, sizeof(block), 0), -EAGAIN);
	CHECK(now_ms() - start_ms < PATIENCE_MS / 2);
	CHECK(pthread_create(&thread, NULL, read_later, &slow_reader) == 0);
	CHECK_INT(wss_send(client, WSS_BINARY, block, sizeof(block), WSS_FOREVER), 0);
	pthread_join(thread, NULL);
	close(slow);
	expect_closing(0);
	stop_serving();
}

static void a_waiting_send_ends_with_its_client(void)
{
	struct wss_server *server = serve_patiently(0);
	int slow = open_slow(0);
	wss_client client = wss_client_at(server, 0);
	int result;

	(void)fill_up(client);
	wire_reset(slow);
	do {
		/* Data that the reset finds in transit may have made room for a while. */
		result = wss_send(client, WSS_BINARY, block, sizeof(block), WSS_FOREVER);
	} while (result == 0);
	CHECK(result == -ENOTCONN || result == -ECONNABORTED);
	expect_closing(0);
	stop_serving();
}

static void send_without_waiting(const struct record *record, const void *data)
{
	wss_client slow = wss_client_at(wss_default_server(), 0);
	int64_t start_ms = now_ms();

	(void)data;
	if (record->event != WSS_EVENT_TEXT) {
		return;
	}
	CHECK_INT(wss_send(slow, WSS_BINARY, block, sizeof(block), WSS_FOREVER), -EAGAIN);
	CHECK_INT(wss_send_text(slow, "x", PATIENCE_MS), -EAGAIN);
	CHECK(now_ms() - start_ms < PATIENCE_MS / 2);
}

static void inside_a_callback_no_send_waits(void)
{
	struct wss_server *server;
	int other;
	int slow;

	act = send_without_waiting;
	server = serve_patiently(0);
	slow = open_slow(0);
	other = open_client(1);
	(void)fill_up(wss_client_at(server, 0));
	settle(other, 1);
	settle(other, 1);
	close(slow);
	expect_closing(0);
	close(other);
	expect_closing(1);
	stop_serving();
}

static void writable_goes_to_a_callback_that_asks_for_it_once_there_is_room(void)
{
	struct wss_server *server = serve_patiently(WSS_MASK_ALL | WSS_MASK(WSS_EVENT_WRITABLE));
	int slow = open_slow(0);
	wss_client client = wss_client_at(server, 0);
	pthread_t thread;

	slow_reader.fd = slow;
	slow_reader.blocks = fill_up(client);
	/* While it filled up, there was some room at times. */
	forget_events();
	sleep_ms(100);
	expect_no_event();
	CHECK(pthread_create(&thread, NULL, read_later, &slow_reader) == 0);
	expect(WSS_EVENT_WRITABLE, 0);
	CHECK_INT(wss_send(client, WSS_BINARY, "y", 1, 0), 0);
	pthread_join(thread, NULL);
	wire_expect(slow, true, BINARY, "y", 1);
	/* Once, because one send was refused since. */
	settle(slow, 0);
	close(slow);
	expect_closing(0);
	stop_serving();
}

static void writable_does_not_go_to_a_callback_that_does_not_ask(void)
{
	struct wss_server *server = serve_patiently(0);
	int slow = open_slow(0);

	read_blocks(slow, fill_up(wss_client_at(server, 0)));
	settle(slow, 0);
	close(slow);
	expect_closing(0);
	stop_serving();
}

static void a_callback_gets_the_events_that_it_asks_for(void)
{
	struct wss_config config = config_for_tests(NULL);
	int fd;

	config.events = WSS_MASK(WSS_EVENT_TEXT) | WSS_MASK(WSS_EVENT_CLOSED);
	serve(&config);
	fd = wire_open(default_port());
	wire_frame(fd, true, BINARY, "b", 1);
	wire_frame(fd, true, PING, "p", 1);
	wire_text(fd, "t");
	expect_data(WSS_EVENT_TEXT, 0, "t", 1);
	/* The others are emitted all the same. */
	wire_expect(fd, true, PONG, "p", 1);
	close(fd);
	expect(WSS_EVENT_CLOSED, 0);
	stop_serving();
}

static void a_server_without_a_callback_serves(void)
{
	struct wss_config config = config_for_tests(NULL);
	struct wss_server *server;
	int fd;

	config.on_event = NULL;
	server = serve(&config);
	fd = wire_open(default_port());
	wire_frame(fd, true, PING, "p", 1);
	wire_expect(fd, true, PONG, "p", 1);
	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "all", 3), 1);
	wire_expect_text(fd, "all");
	close(fd);
	stop_serving();
}

/* Broadcasts. */

static void a_broadcast_reaches_the_clients_in_its_groups_and_counts_them(void)
{
	struct wss_server *server = serve(NULL);
	static const uint32_t groups[] = {1, 2, 3, 0};
	int fds[4];
	int connecting;

	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "none", 4), 0);
	for (int i = 0; i < 3; i++) {
		fds[i] = open_client(i);
		CHECK_INT(wss_set_groups(wss_client_at(server, i), groups[i]), 0);
	}
	/* A client that is still connecting gets nothing. */
	connecting = wire_connect(default_port());
	expect(WSS_EVENT_CONNECTING, 3);
	CHECK_INT(wss_set_groups(wss_client_at(server, 3), ~(uint32_t)0), 0);
	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "all", 3), 3);
	CHECK_INT(wss_broadcast(server, 1, WSS_TEXT, "1", 1), 2);
	CHECK_INT(wss_broadcast(server, 2, WSS_BINARY, "2", 1), 2);
	CHECK_INT(wss_broadcast(server, 3, WSS_TEXT, "1 or 2", 6), 3);
	CHECK_INT(wss_broadcast(server, 1U << 31, WSS_TEXT, "31", 2), 0);
	CHECK_INT(wss_broadcast(server, 0, WSS_BINARY, NULL, 0), 3);
	for (int i = 0; i < 3; i++) {
		wire_expect_text(fds[i], "all");
		if ((groups[i] & 1) != 0) {
			wire_expect_text(fds[i], "1");
		}
		if ((groups[i] & 2) != 0) {
			wire_expect(fds[i], true, BINARY, "2", 1);
		}
		wire_expect_text(fds[i], "1 or 2");
		wire_expect(fds[i], true, BINARY, "", 0);
		close(fds[i]);
		expect_closing(i);
	}
	wire_upgrade(connecting);
	expect(WSS_EVENT_CONNECTED, 3);
	close(connecting);
	expect_closing(3);
	stop_serving();
}

static void a_broadcast_skips_a_client_without_room_and_does_not_wait(void)
{
	struct wss_server *server = serve_patiently(0);
	int slow = open_slow(0);
	int other = open_client(1);
	int64_t start_ms;
	int filled = fill_up(wss_client_at(server, 0));

	start_ms = now_ms();
	for (int i = 0; i < 10; i++) {
		CHECK_INT(wss_broadcast(server, 0, WSS_BINARY, block, sizeof(block)), 1);
		wire_expect(other, true, BINARY, block, sizeof(block));
	}
	CHECK(now_ms() - start_ms < PATIENCE_MS / 2);
	/* None of it was started. */
	read_blocks(slow, filled);
	CHECK_INT(say(wss_client_at(server, 0), "on"), 0);
	wire_expect_text(slow, "on");
	close(slow);
	expect_closing(0);
	close(other);
	expect_closing(1);
	stop_serving();
}

static void broadcasts_check_every_argument(void)
{
	static const uint32_t no_kind[] = {WSS_CONTINUATION, 3, 8, 9, 0xA, 0x400 | WSS_TEXT};
	static const uint8_t large[1600];
	struct wss_server *server = serve(NULL);
	int fd = -1;

	/* Also while no client is connected. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(no_kind) / sizeof(no_kind[0]); i++) {
			CHECK_INT(wss_broadcast(server, 0, no_kind[i], "", 0), -EINVAL);
		}
		CHECK_INT(wss_broadcast(NULL, 0, WSS_TEXT, "", 0), -EINVAL);
		CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, NULL, 1), -EINVAL);
		CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "\xff", 1), -EBADMSG);
		CHECK_INT(wss_broadcast(server, 0, WSS_BINARY, large, sizeof(large)), -EMSGSIZE);
		CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "\xc3", 1), -EBADMSG);
		CHECK_INT(wss_close_all(NULL, 1000, NULL), -EINVAL);
		CHECK_INT(wss_close_all(server, 1005, NULL), -EBADMSG);
		CHECK_INT(wss_close_all(server, 1000, "\xff"), -EBADMSG);
		if (round == 0) {
			fd = open_client(0);
		}
	}
	settle(fd, 0);
	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "only this", 9), 1);
	wire_expect_text(fd, "only this");
	close(fd);
	expect_closing(0);
	stop_serving();
	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "", 0), -ENOTCONN);
	CHECK_INT(wss_close_all(server, 1000, NULL), -ENOTCONN);
}

static void every_client_can_be_closed_at_once(void)
{
	struct wss_server *server = serve(NULL);
	int fds[2];

	/* There may be none. */
	CHECK_INT(wss_close_all(server, 1000, NULL), 0);
	for (int i = 0; i < 2; i++) {
		fds[i] = open_client(i);
	}
	CHECK_INT(wss_close_all(server, 4000, "all"), 0);
	for (int i = 0; i < 2; i++) {
		wire_expect_close(fds[i], 4000, "all");
	}
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
	}
	expect_closed(2);
	stop_serving();
}

#define SUITE clients
#define CASES(CASE)                                                                                \
	CASE(a_client_kept_too_long_reaches_no_other)                                              \
	CASE(what_is_no_client_is_refused)                                                         \
	CASE(user_data_goes_with_each_event_up_to_closed)                                          \
	CASE(the_only_callback_may_change_a_text_which_ends_with_nul)                              \
	CASE(a_text_that_was_changed_is_checked_before_it_is_sent)                                 \
	CASE(a_client_is_in_the_groups_that_were_set_last)                                         \
	CASE(each_client_is_gone_through_once)                                                     \
	CASE(the_address_of_a_client_is_that_of_its_peer)                                          \
	CASE(sending_has_a_result_for_each_outcome)                                                \
	CASE(what_more_holds_back_leaves_with_the_next_message_or_a_flush)                         \
	CASE(parts_are_sent_as_one_message)                                                        \
	CASE(a_fragmented_message_belongs_to_its_thread_until_it_ends)                             \
	CASE(a_frame_that_is_cut_off_is_aborted)                                                   \
	CASE(a_send_waits_for_room_as_long_as_its_timeout)                                         \
	CASE(a_waiting_send_ends_with_its_client)                                                  \
	CASE(inside_a_callback_no_send_waits)                                                      \
	CASE(writable_goes_to_a_callback_that_asks_for_it_once_there_is_room)                      \
	CASE(writable_does_not_go_to_a_callback_that_does_not_ask)                                 \
	CASE(a_callback_gets_the_events_that_it_asks_for)                                          \
	CASE(a_server_without_a_callback_serves)                                                   \
	CASE(a_broadcast_reaches_the_clients_in_its_groups_and_counts_them)                        \
	CASE(a_broadcast_skips_a_client_without_room_and_does_not_wait)                            \
	CASE(broadcasts_check_every_argument)                                                      \
	CASE(every_client_can_be_closed_at_once)

TEST_PROGRAM(CASES)
