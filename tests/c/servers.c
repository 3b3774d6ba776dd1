/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers in one process: each case is named after its rule. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name
/* More than there can be anywhere. */
#define MANY        100

static wss_result say(wss_client client, const char *text)
{
	return wss_send(client, true, SYS_WSS_FRAME_TEXT, text, strlen(text));
}

/* A further server, what its callback was told last, and what that does. */
struct other {
	wss_server server;
	wss_limits limits;
	wss_server_config config;
	void (*act)(struct other *other, SYS_WSS_EVENTS event, const wss_rxdata *rx);
	atomic_int connected;
	atomic_int closed;
	/* Texts that it got, one behind the other, as far as there is room. */
	pthread_mutex_t lock;
	char texts[128];
};

static void told(SYS_WSS_EVENTS event, void *data, int32_t index, void *given)
{
	struct other *other = given;
	const wss_rxdata *rx = data;
	wss_client client = wss_server_client_at(other->server, index);

	CHECK(other->server != WSS_NO_SERVER);
	CHECK(index < 0 || wss_client_index(client) == index);
	CHECK(index < 0 || wss_server_of(client) == other->server);
	CHECK(rx == NULL || rx->client == client);
	if (event == EVENT(CLIENT_TXT_DATA_RX)) {
		pthread_mutex_lock(&other->lock);
		if (strlen(other->texts) + (size_t)rx->rx.datalen < sizeof(other->texts)) {
			strncat(other->texts, (char *)rx->rx.data, (size_t)rx->rx.datalen);
		}
		pthread_mutex_unlock(&other->lock);
	}
	if (other->act != NULL) {
		other->act(other, event, rx);
	}
	/* Last, since it is waited for. */
	other->connected += event == EVENT(CLIENT_CONNECTED);
	other->closed += event == EVENT(CLIENT_CLOSED);
}

/* How a server is started that tells `other`. */
static void prepare(struct other *other)
{
	static unsigned int prepared;

	memset(other, 0, sizeof(*other));
	pthread_mutex_init(&other->lock, NULL);
	other->limits = limits_for_tests();
	/* Clients here seldom answer. */
	other->limits.close_timeout_ms = 300;
	/* As in service.c: any free one, or one that nobody has. */
	other->config.port = TEST_PORT == 0 ? 0 : (uint16_t)(TEST_PORT + 2 + prepared++ % 20);
	other->config.limits = &other->limits;
	other->config.callback = told;
	other->config.cookie = other;
}

static void launch(struct other *other)
{
	CHECK_INT(wss_server_start(&other->config, &other->server), WSS_OK);
	CHECK(other->server != WSS_NO_SERVER);
	CHECK(wss_server_port(other->server) != 0);
}

/* What is left of the one before may take a moment to go, where it was stopped inside a callback. */
static void launch_again(struct other *other)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	wss_result result;

	do {
		result = wss_server_start(&other->config, &other->server);
		CHECK(now_ms() < until);
		sleep_ms(1);
	} while (result == WSS_BUSY);
	CHECK_INT(result, WSS_OK);
}

static void await(atomic_int *count, int wanted)
{
	int64_t until = now_ms() + PATIENCE * 1000;

	while (*count < wanted) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	CHECK_INT(*count, wanted);
}

/* Waits for the texts that the server has got. */
static void await_texts(struct other *other, const char *texts)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	bool all = false;

	while (!all) {
		CHECK(now_ms() < until);
		sleep_ms(1);
		pthread_mutex_lock(&other->lock);
		all = strcmp(other->texts, texts) == 0;
		pthread_mutex_unlock(&other->lock);
	}
}

/* A client that is upgraded, and the server has been told. */
static int join(struct other *other)
{
	int before = other->connected;
	int fd = wire_open(wss_server_port(other->server));

	await(&other->connected, before + 1);
	return fd;
}

static void stop(struct other *other)
{
	CHECK_INT(wss_server_stop(other->server), WSS_OK);
	CHECK_INT(wss_server_port(other->server), 0);
	CHECK_INT(wss_server_stop(other->server), WSS_NOT_CONNECTED);
}

static wss_message take(wss_queue queue, int event)
{
	wss_message message;

	CHECK_INT(wss_queue_get(queue, &message, PATIENCE * 1000), WSS_OK);
	CHECK_INT(message.event, event);
	return message;
}

static void echo(struct other *other, SYS_WSS_EVENTS event, const wss_rxdata *rx)
{
	(void)other;
	if (event == EVENT(CLIENT_TXT_DATA_RX)) {
		wss_result result = wss_send(rx->client, true, SYS_WSS_FRAME_TEXT, rx->rx.data,
					     (size_t)rx->rx.datalen);

		/* It may be gone. */
		CHECK(result == WSS_OK || result == WSS_NOT_CONNECTED);
	}
}

static void clients_with_the_same_index_are_those_of_their_servers(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	wss_client first;
	wss_client second;
	wss_stats stats;
	int one;
	int two;

	prepare(&other);
	launch(&other);
	one = open_client(0);
	two = join(&other);
	first = wss_client_at(0);
	second = wss_server_client_at(other.server, 0);
	CHECK(first != WSS_NO_CLIENT && second != WSS_NO_CLIENT && first != second);
	CHECK_INT(wss_client_index(first), 0);
	CHECK_INT(wss_client_index(second), 0);
	CHECK(wss_server_of(second) == other.server);
	CHECK(wss_server_of(first) != other.server);
	/* The default service has a number, too. */
	CHECK(wss_server_of(first) != WSS_NO_SERVER);
	CHECK_INT(wss_server_port(wss_server_of(first)), wss_port());
	CHECK(wss_server_client_at(wss_server_of(first), 0) == first);
	CHECK_INT(say(first, "to the first"), WSS_OK);
	CHECK_INT(say(second, "to the second"), WSS_OK);
	wire_expect_text(one, "to the first");
	wire_expect_text(two, "to the second");
	/* The original's functions are of the default service. */
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, 0), SYS_WSS_SUCCESS);
	wire_expect(one, true, PING, "", 0);
	wire_text(two, "from the second");
	wire_text(one, "from the first");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "from the first", 14);
	/* What comes after a close frame was sent is dropped. */
	await_texts(&other, "from the second");
	CHECK_INT(wss_client_state(second), SYS_WSS_STATE_CONNECTED);
	CHECK_INT(wss_close(second, 1000, NULL, 0), WSS_OK);
	wire_expect_close(two, 1000, "");
	CHECK_INT(wss_client_state(first), SYS_WSS_STATE_CONNECTED);
	close(two);
	await(&other.closed, 1);
	expect_no_event();
	CHECK_INT(wss_server_stats(other.server, &stats), WSS_OK);
	CHECK_INT(stats.accepted, 1);
	CHECK_INT(stats.messages_received, 1);
	CHECK_INT(stats.messages_sent, 1);
	CHECK_INT(stats.bytes_sent, 13);
	close(one);
	expect_closing(0);
	stop(&other);
	end(&service);
}

static void a_broadcast_reaches_the_clients_of_one_server(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	int fds[4];

	prepare(&other);
	launch(&other);
	fds[0] = open_client(0);
	fds[1] = open_client(1);
	fds[2] = join(&other);
	fds[3] = join(&other);
	CHECK_INT(say(WSS_ALL_CLIENTS, "all of the default service"), WSS_OK);
	CHECK_INT(say(wss_server_all(other.server), "all of the other"), WSS_OK);
	CHECK_INT(wss_ping(wss_server_all(wss_server_of(wss_client_at(0))), NULL, 0), WSS_OK);
	for (int i = 0; i < 4; i++) {
		wire_expect_text(fds[i], i < 2 ? "all of the default service" : "all of the other");
	}
	wire_expect(fds[0], true, PING, "", 0);
	wire_expect(fds[1], true, PING, "", 0);
	CHECK_INT(wss_close(wss_server_all(other.server), 1001, NULL, 0), WSS_OK);
	wire_expect_close(fds[2], 1001, "");
	wire_expect_close(fds[3], 1001, "");
	CHECK_INT(wss_client_state(wss_client_at(1)), SYS_WSS_STATE_CONNECTED);
	CHECK_INT(wss_client_index(wss_server_all(other.server)), -1);
	CHECK(wss_server_of(wss_server_all(other.server)) == other.server);
	for (int i = 0; i < 4; i++) {
		close(fds[i]);
	}
	for (int i = 0; i < 2; i++) {
		do {
			/* In whichever order. */
		} while (next_event().event != EVENT(CLIENT_CLOSED));
	}
	stop(&other);
	end(&service);
}

static uint16_t refuse(wss_client client, const wss_request *request, const char **subprotocol,
		       void *given)
{
	struct other *other = given;

	(void)subprotocol;
	CHECK(wss_server_of(client) == other->server);
	CHECK_INT(wss_client_state(client), SYS_WSS_STATE_CONNECTING);
	return strcmp(request->path, "/chat") == 0 ? 0 : 404;
}

static void a_server_has_limits_and_a_hook_of_its_own(void)
{
	static const char *const origins[] = {"http://example.com"};
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	char head[512];
	int fd;

	prepare(&other);
	other.limits.client_timeout_ms = 200;
	other.limits.ping_interval_ms = 0;
	other.limits.origins = origins;
	other.limits.origin_count = 1;
	other.config.accept_hook = refuse;
	launch(&other);
	fd = wire_connect(wss_server_port(other.server));
	wire_say(fd, REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 403);
	close(fd);
	await(&other.closed, 1);
	fd = wire_connect(wss_server_port(other.server));
	wire_say(fd, REQUEST_TO("/other", "Origin: http://example.com\r\n"));
	CHECK_INT(wire_response(fd, head, sizeof(head)), 404);
	close(fd);
	await(&other.closed, 2);
	/* Silent for too long, but only there. */
	fd = wire_connect(wss_server_port(other.server));
	wire_say(fd, REQUEST_TO("/chat", "Origin: http://example.com\r\n"));
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	wire_expect_close(fd, 1000, "");
	close(fd);
	await(&other.closed, 3);
	fd = open_client(0);
	sleep_ms(400);
	wire_text(fd, "still here");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "still here", 10);
	close(fd);
	expect_closing(0);
	stop(&other);
	end(&service);
}

static void what_a_client_asked_for_is_that_of_its_server(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	SYS_WSS_HANDSHAKE_CTXT handshake;
	struct other other;
	wss_client client;
	char head[512];
	char text[16];
	int one;
	int two;

	prepare(&other);
	launch(&other);
	one = open_client(0);
	two = wire_connect(wss_server_port(other.server));
	wire_say(two, REQUEST_TO("/other", ""));
	CHECK_INT(wire_response(two, head, sizeof(head)), 101);
	await(&other.connected, 1);
	client = wss_server_client_at(other.server, 0);
	CHECK_INT(wss_request_field(client, WSS_FIELD_PATH, text, sizeof(text)), WSS_OK);
	CHECK(strcmp(text, "/other") == 0);
	CHECK_INT(wss_request_field(wss_client_at(0), WSS_FIELD_PATH, text, sizeof(text)), WSS_OK);
	CHECK(strcmp(text, "/chat") == 0);
	stop(&other);
	CHECK_INT(wss_request_field(client, WSS_FIELD_PATH, text, sizeof(text)), WSS_NOT_CONNECTED);
	CHECK_INT(wss_handshake(client, &handshake), WSS_NOT_CONNECTED);
	close(two);
	close(one);
	expect_closing(0);
	end(&service);
}

static void the_default_service_and_a_server_start_and_end_by_themselves(void)
{
	SYS_MODULE_OBJ service;
	struct other other;
	wss_server number;
	int fd;

	/* A server without the default service. */
	prepare(&other);
	other.act = echo;
	launch(&other);
	CHECK_INT(wss_port(), 0);
	CHECK(wss_client_at(0) == WSS_NO_CLIENT);
	fd = join(&other);
	for (int round = 0; round < 5; round++) {
		int own;

		service = start(NULL);
		own = open_client(0);
		wire_text(fd, "between");
		wire_expect_text(fd, "between");
		CHECK_INT(say(WSS_ALL_CLIENTS, "own"), WSS_OK);
		wire_expect_text(own, "own");
		close(own);
		expect_closing(0);
		end(&service);
		wire_text(fd, "after");
		wire_expect_text(fd, "after");
	}
	/* The server ends and starts again while the default service is busy. */
	close(fd);
	service = start(NULL);
	fd = open_client(0);
	number = other.server;
	for (int round = 0; round < 5; round++) {
		int theirs;

		stop(&other);
		CHECK_INT(wss_server_port(number), 0);
		wire_text(fd, "x");
		expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "x", 1);
		launch(&other);
		CHECK(other.server != number);
		number = other.server;
		theirs = join(&other);
		wire_text(theirs, "again");
		wire_expect_text(theirs, "again");
		/* And is closed by the server. */
		stop(&other);
		wire_expect_close(theirs, 1001, "");
		close(theirs);
		launch(&other);
	}
	close(fd);
	expect_closing(0);
	stop(&other);
	end(&service);
}

static void clients_and_servers_kept_too_long_reach_nobody(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	wss_client old;
	wss_client all;
	wss_server number;
	wss_stats stats;
	int fd;
	int own;

	prepare(&other);
	launch(&other);
	number = other.server;
	all = wss_server_all(number);
	fd = join(&other);
	own = open_client(0);
	old = wss_server_client_at(number, 0);
	stop(&other);
	close(fd);
	for (int round = 0; round < 3; round++) {
		launch(&other);
		fd = join(&other);
		CHECK_INT(say(old, "wrong"), WSS_NOT_CONNECTED);
		CHECK_INT(say(all, "wrong"), WSS_NOT_CONNECTED);
		CHECK_INT(wss_ping(old, NULL, 0), WSS_NOT_CONNECTED);
		CHECK_INT(wss_close(all, 1000, NULL, 0), WSS_NOT_CONNECTED);
		CHECK_INT(wss_flush(all), WSS_NOT_CONNECTED);
		CHECK_INT(wss_client_state(old), SYS_WSS_STATE_CLOSED);
		CHECK(wss_server_of(old) != other.server);
		CHECK(wss_server_client_at(number, 0) == WSS_NO_CLIENT);
		CHECK_INT(wss_server_stats(number, &stats), WSS_NOT_CONNECTED);
		CHECK_INT(wss_server_port(number), 0);
		CHECK_INT(wss_server_stop(number), WSS_NOT_CONNECTED);
		CHECK_INT(say(wss_server_client_at(other.server, 0), "right"), WSS_OK);
		wire_expect_text(fd, "right");
		stop(&other);
		close(fd);
	}
	CHECK_INT(say(wss_client_at(0), "own"), WSS_OK);
	wire_expect_text(own, "own");
	close(own);
	expect_closing(0);
	end(&service);
}

static void servers_check_every_argument(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	int fd = open_client(0);
	wss_server of_default = wss_server_of(wss_client_at(0));
	wss_queue queues[WSS_MAX_QUEUES + 1];
	struct other other;
	wss_server server = 7;
	wss_stats stats;

	prepare(&other);
	CHECK_INT(wss_server_start(&other.config, NULL), WSS_INVALID);
	CHECK_INT(wss_server_start(NULL, &server), WSS_INVALID);
	CHECK(server == WSS_NO_SERVER);
	other.limits.max_clients = 0;
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	prepare(&other);
	other.limits.address = "\xff";
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	prepare(&other);
	other.config.queue_count = 1;
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	queues[0] = 0;
	other.config.queues = queues;
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	other.config.queue_count = WSS_MAX_QUEUES + 1;
	CHECK_INT(wss_server_queue_create(WSS_MASK_ALL, 1, &queues[0]), WSS_OK);
	for (int i = 1; i <= WSS_MAX_QUEUES; i++) {
		queues[i] = queues[0];
	}
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	other.config.queue_count = SIZE_MAX;
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	CHECK_INT(wss_queue_destroy(queues[0]), WSS_OK);
	other.config.queue_count = 1;
	CHECK_INT(wss_server_start(&other.config, &server), WSS_INVALID);
	CHECK_INT(wss_server_queue_create(0, 1, &queues[0]), WSS_INVALID);
	CHECK_INT(wss_server_queue_create((uint32_t)1 << 17, 1, &queues[0]), WSS_INVALID);
	CHECK_INT(wss_server_queue_create(WSS_MASK_ALL, 0, &queues[0]), WSS_INVALID);
	CHECK_INT(wss_server_queue_create(WSS_MASK_ALL, 1, NULL), WSS_INVALID);
	CHECK_INT(wss_server_stop(WSS_NO_SERVER), WSS_NOT_CONNECTED);
	CHECK_INT(wss_server_stop(UINT32_MAX), WSS_NOT_CONNECTED);
	/* SYS_WSS_Deinitialize() ends the default service, and only that. */
	CHECK_INT(wss_server_stop(of_default), WSS_INVALID);
	prepare(&other);
	launch(&other);
	{
		SYS_MODULE_OBJ object = (SYS_MODULE_OBJ)other.server;

		SYS_WSS_Deinitialize(&object);
		CHECK(object == SYS_MODULE_OBJ_INVALID);
	}
	CHECK(wss_server_port(other.server) != 0);
	CHECK_INT(wss_server_stats(other.server, NULL), WSS_INVALID);
	CHECK_INT(wss_server_stats(of_default, &stats), WSS_OK);
	CHECK_INT(stats.accepted, 1);
	CHECK_INT(wss_server_stats(WSS_NO_SERVER, &stats), WSS_NOT_CONNECTED);
	CHECK_INT(wss_server_stats(UINT32_MAX, &stats), WSS_NOT_CONNECTED);
	CHECK_INT(wss_server_port(WSS_NO_SERVER), 0);
	CHECK_INT(wss_server_port(UINT32_MAX), 0);
	CHECK(wss_server_all(WSS_NO_SERVER) == WSS_NO_CLIENT);
	CHECK(wss_server_all(UINT32_MAX) == WSS_NO_CLIENT);
	CHECK(wss_server_of(WSS_NO_CLIENT) == WSS_NO_SERVER);
	CHECK(wss_server_of(WSS_ALL_CLIENTS) == WSS_NO_SERVER);
	CHECK(wss_server_client_at(WSS_NO_SERVER, 0) == WSS_NO_CLIENT);
	CHECK(wss_server_client_at(other.server, -1) == WSS_NO_CLIENT);
	CHECK(wss_server_client_at(other.server, INT32_MAX) == WSS_NO_CLIENT);
	CHECK_INT(say(wss_server_all(UINT32_MAX), "x"), WSS_NOT_CONNECTED);
	CHECK_INT(say(wss_server_all(of_default) - 0x10000, "x"), WSS_NOT_CONNECTED);
	stop(&other);
	close(fd);
	expect_closing(0);
	end(&service);
}

static void a_port_in_use_fails_and_leaves_nothing(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;

	prepare(&other);
	other.config.port = wss_port();
	other.server = 7;
	for (int round = 0; round < 3; round++) {
		CHECK_INT(wss_server_start(&other.config, &other.server), WSS_FAILED);
		CHECK(other.server == WSS_NO_SERVER);
	}
	expect_no_event();
	end(&service);
	/* It is free now. */
	launch(&other);
	CHECK_INT(wss_server_port(other.server), other.config.port);
	close(join(&other));
	await(&other.closed, 1);
	stop(&other);
}

static void there_are_as_many_servers_as_there_can_be(void)
{
	static struct other others[MANY];
	SYS_MODULE_OBJ service = start(NULL);
	int fds[MANY];
	char text[32];
	int count = 0;

	for (;;) {
		wss_result result;

		CHECK(count < MANY);
		prepare(&others[count]);
		others[count].act = echo;
		result = wss_server_start(&others[count].config, &others[count].server);
		if (result == WSS_BUSY) {
			break;
		}
		CHECK_INT(result, WSS_OK);
		fds[count] = join(&others[count]);
		count++;
	}
	CHECK(count > 0);
	CHECK(others[count].server == WSS_NO_SERVER);
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "server %d", i);
		wire_text(fds[i], text);
	}
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "server %d", i);
		wire_expect_text(fds[i], text);
		CHECK(strcmp(others[i].texts, text) == 0);
		close(fds[i]);
	}
	/* One less, and there is room for one again. */
	stop(&others[0]);
	launch(&others[0]);
	for (int i = 0; i < count; i++) {
		stop(&others[i]);
	}
	end(&service);
}

/* Calls from inside a callback. */

static struct other *peer;

static void pass_on(struct other *other, SYS_WSS_EVENTS event, const wss_rxdata *rx)
{
	(void)other;
	if (event == EVENT(CLIENT_TXT_DATA_RX)) {
		CHECK_INT(wss_send(wss_server_all(peer->server), true, SYS_WSS_FRAME_TEXT, rx->rx.data,
				   (size_t)rx->rx.datalen), WSS_OK);
		CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, rx->rx.data,
					      (size_t)rx->rx.datalen, -1), SYS_WSS_SUCCESS);
	}
}

static void a_callback_may_call_every_other_server(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other one;
	struct other two;
	int fds[3];

	prepare(&one);
	prepare(&two);
	peer = &two;
	one.act = pass_on;
	launch(&one);
	launch(&two);
	fds[0] = open_client(0);
	fds[1] = join(&one);
	fds[2] = join(&two);
	for (int round = 0; round < 100; round++) {
		wire_text(fds[1], "pass it on");
		wire_expect_text(fds[0], "pass it on");
		wire_expect_text(fds[2], "pass it on");
	}
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
	}
	expect_closing(0);
	stop(&one);
	stop(&two);
	end(&service);
}

static void stop_itself(struct other *other, SYS_WSS_EVENTS event, const wss_rxdata *rx)
{
	(void)rx;
	if (event == EVENT(CLIENT_TXT_DATA_RX)) {
		/* It ends after this, and is known until then. */
		CHECK_INT(wss_server_stop(other->server), WSS_OK);
		CHECK_INT(wss_server_stop(other->server), WSS_OK);
		CHECK_INT(wss_server_port(other->server), 0);
	}
}

static void a_server_may_be_stopped_inside_its_own_callback(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	int own = open_client(0);

	for (int round = 0; round < 3; round++) {
		int fd;

		prepare(&other);
		other.act = stop_itself;
		launch_again(&other);
		fd = join(&other);
		wire_text(fd, "stop");
		wire_expect_close(fd, 1001, "");
		close(fd);
		await(&other.closed, 1);
		CHECK_INT(say(wss_client_at(0), "on it goes"), WSS_OK);
		wire_expect_text(own, "on it goes");
	}
	/* What is left of the last one is waited for, or has gone. */
	(void)wss_server_stop(other.server);
	close(own);
	expect_closing(0);
	end(&service);
}

static void end_it(const struct record *record, SYS_WSS_RXDATA *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		SYS_MODULE_OBJ service = wss_server_of(record->id);

		SYS_WSS_Deinitialize(&service);
	}
}

static void a_server_may_start_in_the_place_of_a_service_that_ended_by_itself(void)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	SYS_MODULE_OBJ service;
	struct other other;
	wss_stats stats;
	int own;

	act = end_it;
	service = start(NULL);
	own = open_client(0);
	wire_text(own, "end");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "end", 3);
	wire_expect_close(own, 1001, "");
	close(own);
	expect_closing(0);
	/* Nothing that is called here looks after what is left of it. */
	while (wss_get_stats(&stats) == WSS_OK) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	prepare(&other);
	launch(&other);
	/* It does not wait for the threads of the other one. Nobody says anything to it. */
	service = start(NULL);
	own = open_client(0);
	stop(&other);
	close(own);
	expect_closing(0);
	end(&service);
}

/* Nothing that is given `old` or means the default service, which has ended, does anything. */
static void expect_nobody(wss_client old)
{
	wss_stats stats;
	char text[16];
	int theirs;
	int fd;

	CHECK_INT(say(old, "x"), WSS_NOT_CONNECTED);
	CHECK_INT(wss_send_more(old, SYS_WSS_FRAME_TEXT, "x", 1), WSS_NOT_CONNECTED);
	CHECK_INT(wss_flush(old), WSS_NOT_CONNECTED);
	CHECK_INT(wss_ping(old, NULL, 0), WSS_NOT_CONNECTED);
	CHECK_INT(wss_close(old, 1000, NULL, 0), WSS_NOT_CONNECTED);
	CHECK_INT(wss_accept(old, NULL), WSS_NOT_CONNECTED);
	CHECK_INT(wss_refuse(old, 403), WSS_NOT_CONNECTED);
	CHECK_INT(wss_client_state(old), SYS_WSS_STATE_CLOSED);
	CHECK_INT(wss_request_field(old, WSS_FIELD_PATH, text, sizeof(text)), WSS_NOT_CONNECTED);
	CHECK_INT(say(WSS_ALL_CLIENTS, "x"), WSS_NOT_CONNECTED);
	CHECK_INT(wss_close(WSS_ALL_CLIENTS, 1000, NULL, 0), WSS_NOT_CONNECTED);
	for (int32_t index = -1; index <= 0; index++) {
		CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)text, 0, index),
			  SYS_WSS_FAILURE);
		CHECK_INT(SYS_WSS_PingClient(NULL, 0, index), SYS_WSS_FAILURE);
		CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, index),
			  SYS_WSS_FAILURE);
	}
	CHECK(wss_client_at(0) == WSS_NO_CLIENT);
	CHECK_INT(wss_port(), 0);
	CHECK_INT(wss_get_stats(&stats), WSS_NOT_CONNECTED);
	fd = wire_accepted(&theirs);
	CHECK_INT(wss_adopt(fd, NULL, 0, true, NULL), WSS_NOT_CONNECTED);
	close(fd);
	close(theirs);
}

static void an_ended_service_does_not_stand_for_a_server_started_later(void)
{
	const uint32_t mask = WSS_MASK(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX);
	int64_t until = now_ms() + PATIENCE * 1000;
	SYS_MODULE_OBJ service;
	struct other other;
	wss_message message;
	wss_message held;
	wss_queue queues[2];
	wss_client old;
	wss_stats stats;
	int own;
	int fd;

	CHECK_INT(wss_queue_create(mask, 8, &queues[0]), WSS_OK);
	CHECK_INT(wss_server_queue_create(mask, 8, &queues[1]), WSS_OK);
	act = end_it;
	service = start(NULL);
	own = open_client(0);
	old = wss_client_at(0);
	wire_text(own, "end");
	held = take(queues[0], EVENT(CLIENT_TXT_DATA_RX));
	CHECK(held.client == old);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "end", 3);
	wire_expect_close(own, 1001, "");
	close(own);
	expect_closing(0);
	while (wss_get_stats(&stats) == WSS_OK) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	prepare(&other);
	other.config.queues = &queues[1];
	other.config.queue_count = 1;
	launch(&other);
	fd = join(&other);
	CHECK_INT(wss_client_index(wss_server_client_at(other.server, 0)), wss_client_index(old));
	expect_nobody(old);
	/* The message of the client that has gone is released, and not that of the other. */
	wire_text(fd, "one");
	message = take(queues[1], EVENT(CLIENT_TXT_DATA_RX));
	wss_message_release(&held);
	wire_text(fd, "two");
	CHECK_INT(wss_queue_get(queues[1], &held, 100), WSS_NONE);
	wss_message_release(&message);
	message = take(queues[1], EVENT(CLIENT_TXT_DATA_RX));
	wss_message_release(&message);
	CHECK_INT(say(wss_server_client_at(other.server, 0), "unharmed"), WSS_OK);
	wire_expect_text(fd, "unharmed");
	/* Nor for the next default service. */
	CHECK_INT(wss_queue_destroy(queues[0]), WSS_OK);
	service = start(NULL);
	own = open_client(0);
	CHECK(wss_client_at(0) != old);
	CHECK_INT(say(old, "x"), WSS_NOT_CONNECTED);
	CHECK_INT(wss_client_state(old), SYS_WSS_STATE_CLOSED);
	close(own);
	expect_closing(0);
	end(&service);
	close(fd);
	await(&other.closed, 1);
	stop(&other);
	CHECK_INT(wss_queue_destroy(queues[1]), WSS_OK);
}

static void stop_peer(const struct record *record, SYS_WSS_RXDATA *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		int64_t before = now_ms();

		CHECK_INT(wss_server_stop(peer->server), WSS_OK);
		/* Its client takes its time. */
		CHECK(now_ms() - before < 5000);
	}
}

static void stopping_another_server_inside_a_callback_does_not_wait(void)
{
	SYS_MODULE_OBJ service;
	struct other other;
	int fd;
	int own;

	prepare(&other);
	other.limits.close_timeout_ms = 10000;
	peer = &other;
	act = stop_peer;
	service = start(NULL);
	launch(&other);
	fd = join(&other);
	own = open_client(0);
	wire_text(own, "stop the other");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "stop the other", 14);
	wire_expect_close(fd, 1001, "");
	wire_close_frame(fd, 1001, "");
	wire_expect_end(fd);
	close(fd);
	await(&other.closed, 1);
	(void)wss_server_stop(other.server);
	close(own);
	expect_closing(0);
	end(&service);
}

/* Queues. */

static void a_queue_gets_the_events_of_the_servers_it_was_given_to(void)
{
	const uint32_t mask = WSS_MASK(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX) |
			      WSS_MASK(SYS_WSS_EVENT_CLIENT_CLOSED);
	SYS_MODULE_OBJ service;
	wss_queue queues[2];
	struct other other;
	wss_message message;
	wss_message held;
	wss_client client;
	int own;
	int fd;

	/* Of the default service, and of the server; of the server only. */
	CHECK_INT(wss_queue_create(mask, 8, &queues[0]), WSS_OK);
	CHECK_INT(wss_server_queue_create(mask, 8, &queues[1]), WSS_OK);
	service = start(NULL);
	prepare(&other);
	other.config.queues = queues;
	other.config.queue_count = 2;
	launch(&other);
	own = open_client(0);
	fd = join(&other);
	client = wss_server_client_at(other.server, 0);
	wire_text(own, "own");
	message = take(queues[0], EVENT(CLIENT_TXT_DATA_RX));
	CHECK(message.client == wss_client_at(0));
	CHECK_BYTES(message.data, message.datalen, "own", 3);
	wss_message_release(&message);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "own", 3);
	wire_text(fd, "one");
	held = take(queues[0], EVENT(CLIENT_TXT_DATA_RX));
	wire_text(fd, "two");
	CHECK(held.client == client);
	CHECK_INT(held.clientIndex, 0);
	CHECK_BYTES(held.data, held.datalen, "one", 3);
	message = take(queues[1], EVENT(CLIENT_TXT_DATA_RX));
	CHECK(message.client == client);
	CHECK_BYTES(message.data, message.datalen, "one", 3);
	wss_message_release(&message);
	/* Held back are its client, and not the one with the same index. */
	wire_text(own, "on");
	message = take(queues[0], EVENT(CLIENT_TXT_DATA_RX));
	CHECK(message.client != client);
	wss_message_release(&message);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "on", 2);
	CHECK_INT(wss_queue_get(queues[0], &message, 50), WSS_NONE);
	wss_message_release(&held);
	for (int i = 0; i < 2; i++) {
		message = take(queues[i], EVENT(CLIENT_TXT_DATA_RX));
		CHECK_BYTES(message.data, message.datalen, "two", 3);
		wss_message_release(&message);
	}
	close(own);
	message = take(queues[0], EVENT(CLIENT_CLOSED));
	CHECK(wss_server_of(message.client) != other.server);
	wss_message_release(&message);
	expect_closing(0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		message = take(queues[i], EVENT(CLIENT_CLOSED));
		CHECK(wss_server_of(message.client) == other.server);
		wss_message_release(&message);
		CHECK_INT(wss_queue_destroy(queues[i]), WSS_OK);
	}
	/* Without its queues the server goes on, and a queue that takes their place is not its own. */
	CHECK_INT(wss_server_queue_create(mask, 1, &queues[1]), WSS_OK);
	fd = join(&other);
	wire_text(fd, "three");
	close(fd);
	await(&other.closed, 2);
	CHECK_INT(wss_queue_get(queues[1], &message, 0), WSS_NONE);
	CHECK_INT(wss_queue_destroy(queues[1]), WSS_OK);
	stop(&other);
	end(&service);
}

static void a_full_queue_of_two_servers_loses_nothing(void)
{
	const uint32_t mask = WSS_MASK(SYS_WSS_EVENT_CLIENT_TXT_DATA_RX);
	SYS_MODULE_OBJ service;
	struct other other;
	wss_queue queue;
	wss_client all;
	int counts[2] = {0, 0};
	int fds[2];
	char text[16];

	CHECK_INT(wss_queue_create(mask, 1, &queue), WSS_OK);
	service = start(NULL);
	prepare(&other);
	other.config.queues = &queue;
	other.config.queue_count = 1;
	launch(&other);
	fds[0] = open_client(0);
	fds[1] = join(&other);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		wire_text(fds[0], text);
		wire_text(fds[1], text);
	}
	all = wss_server_all(other.server);
	for (int i = 0; i < 100; i++) {
		wss_message message = take(queue, EVENT(CLIENT_TXT_DATA_RX));
		int which = wss_server_of(message.client) == wss_server_of(all);

		/* Of each in order. */
		snprintf(text, sizeof(text), "%d", counts[which]++);
		CHECK_BYTES(message.data, message.datalen, text, strlen(text));
		wss_message_release(&message);
	}
	CHECK_INT(wss_queue_destroy(queue), WSS_OK);
	close(fds[0]);
	close(fds[1]);
	forget_events();
	stop(&other);
	end_and_drop(&service);
}

/* Everything at once. */

static atomic_bool over;

static void *keep_echoing(void *given)
{
	struct other *other = given;
	/* There is one such thread. */
	static struct frame frame;
	int count = 0;
	int fd = -1;

	while (!over) {
		if (fd < 0) {
			fd = wire_connect(wss_server_port(other->server));
			wire_upgrade(fd);
		}
		wire_text(fd, "x");
		CHECK(wire_read(fd, &frame));
		count += frame.opcode == TEXT;
		if (count % 100 == 99) {
			close(fd);
			fd = -1;
			/* Until there is room for the next. */
			await(&other->closed, other->connected);
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	CHECK(count > 0);
	return NULL;
}

static void *keep_broadcasting(void *given)
{
	struct other *other = given;

	while (!over) {
		wss_client client = wss_server_client_at(other->server, 0);

		(void)say(WSS_ALL_CLIENTS, "for the default service");
		(void)wss_ping(wss_server_all(other->server), NULL, 0);
		(void)wss_client_state(client);
		(void)wss_client_state(wss_client_at(0));
		/* Where time is simulated, it goes on only while everybody waits. */
		sleep_ms(1);
	}
	return NULL;
}

/* One is restarted over and over, while the other serves. */
static void a_busy_server_does_not_mind_restarts_of_another(void)
{
	wss_limits limits = limits_for_tests();
	struct other other;
	pthread_t threads[2];

	limits.close_timeout_ms = 200;
	prepare(&other);
	other.act = echo;
	launch(&other);
	over = false;
	CHECK(pthread_create(&threads[0], NULL, keep_echoing, &other) == 0);
	CHECK(pthread_create(&threads[1], NULL, keep_broadcasting, &other) == 0);
	for (int round = 0; round < 20; round++) {
		SYS_MODULE_OBJ service = start(&limits);
		int fds[3];

		for (int i = 0; i < 3; i++) {
			fds[i] = wire_open(wss_port());
		}
		if (round % 2 == 0) {
			wire_reset(fds[2]);
		}
		for (int i = 0; i < 2; i++) {
			close(fds[i]);
		}
		end_and_drop(&service);
		if (round % 2 != 0) {
			close(fds[2]);
		}
	}
	over = true;
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	stop(&other);
	CHECK_INT(other.closed, other.connected);
}

static uint16_t say_later(wss_client client, const wss_request *request, const char **subprotocol,
			  void *given)
{
	(void)client;
	(void)request;
	(void)subprotocol;
	(void)given;
	return WSS_LATER;
}

static void a_server_adopts_connections_and_answers_their_requests_later(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	wss_client client;
	char head[512];
	int theirs;
	int fd;

	prepare(&other);
	other.act = echo;
	other.limits.listens = false;
	other.config.accept_hook = say_later;
	CHECK_INT(wss_server_start(&other.config, &other.server), WSS_OK);
	CHECK_INT(wss_server_port(other.server), 0);
	fd = wire_accepted(&theirs);
	CHECK_INT(wss_server_adopt(WSS_NO_SERVER, fd, NULL, 0, true, &client), WSS_NOT_CONNECTED);
	CHECK_INT(wss_server_adopt(other.server, fd, REQUEST, strlen(REQUEST), false, &client),
		  WSS_OK);
	CHECK(wss_server_of(client) == other.server);
	/* Once its hook has said so. */
	while (wss_accept(client, NULL) != WSS_OK) {
		sleep_ms(1);
	}
	CHECK_INT(wire_response(theirs, head, sizeof(head)), 101);
	wire_text(theirs, "hello");
	wire_expect_text(theirs, "hello");
	close(theirs);
	await(&other.closed, 1);
	stop(&other);
	expect_no_event();
	end(&service);
}

#define SUITE servers
#define CASES(CASE)                                                                                \
	CASE(clients_with_the_same_index_are_those_of_their_servers)                               \
	CASE(a_broadcast_reaches_the_clients_of_one_server)                                        \
	CASE(a_server_has_limits_and_a_hook_of_its_own)                                            \
	CASE(what_a_client_asked_for_is_that_of_its_server)                                        \
	CASE(the_default_service_and_a_server_start_and_end_by_themselves)                         \
	CASE(clients_and_servers_kept_too_long_reach_nobody)                                       \
	CASE(servers_check_every_argument)                                                         \
	CASE(a_port_in_use_fails_and_leaves_nothing)                                               \
	CASE(there_are_as_many_servers_as_there_can_be)                                            \
	CASE(a_callback_may_call_every_other_server)                                               \
	CASE(a_server_may_be_stopped_inside_its_own_callback)                                      \
	CASE(a_server_may_start_in_the_place_of_a_service_that_ended_by_itself)                    \
	CASE(an_ended_service_does_not_stand_for_a_server_started_later)                           \
	CASE(stopping_another_server_inside_a_callback_does_not_wait)                              \
	CASE(a_queue_gets_the_events_of_the_servers_it_was_given_to)                               \
	CASE(a_full_queue_of_two_servers_loses_nothing)                                            \
	CASE(a_server_adopts_connections_and_answers_their_requests_later)                         \
	CASE(a_busy_server_does_not_mind_restarts_of_another)

TEST_PROGRAM(CASES)
