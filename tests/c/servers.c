/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers in one process: each case is named after its rule. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define EVENT(name) SYS_WSS_EVENT_##name
/* More than any platform has. */
#define MANY        100

static int say(wss_client client, const char *text)
{
	return wss_send_text(client, text, PATIENCE * 1000);
}

/* A further server, the data of its callback, and the action of the callback. */
struct other {
	struct wss_server *server;
	struct wss_limits limits;
	struct wss_config config;
	void (*act)(struct other *other, const struct wss_event *event);
	atomic_int connected;
	atomic_int closed;
	/* The texts that it got, one after the other, as far as there is room. */
	pthread_mutex_t lock;
	char texts[128];
};

static void on_other_event(const struct wss_event *event, void *given)
{
	struct other *other = given;

	CHECK(event->server == other->server);
	CHECK(event->client == wss_client_at(other->server, event->index));
	CHECK_INT(wss_client_index(event->client), event->index);
	CHECK(event->index < 0 || wss_client_server(event->client) == other->server);
	if (event->type == WSS_EVENT_TEXT) {
		pthread_mutex_lock(&other->lock);
		if (strlen(other->texts) + event->len < sizeof(other->texts)) {
			strncat(other->texts, event->data, event->len);
		}
		pthread_mutex_unlock(&other->lock);
	}
	if (other->act != NULL) {
		other->act(other, event);
	}
	/* Last, since it is waited for. */
	other->connected += event->type == WSS_EVENT_CONNECTED;
	other->closed += event->type == WSS_EVENT_CLOSED;
}

/* Starts a server whose events go to `other`. */
static void prepare(struct other *other, size_t index)
{
	static unsigned int prepared;

	memset(other, 0, sizeof(*other));
	pthread_mutex_init(&other->lock, NULL);
	other->server = wss_server_at(index);
	other->limits = limits_for_tests();
	/* Clients here rarely answer. */
	other->limits.close_timeout_ms = 300;
	other->config = config_for_tests(&other->limits);
	/* As in service.c: any free port, or one that no other server uses. */
	other->config.port = TEST_PORT == 0 ? 0 : (uint16_t)(TEST_PORT + 2 + prepared++ % 20);
	other->config.on_event = on_other_event;
	other->config.cookie = other;
}

static void launch(struct other *other)
{
	CHECK_INT(wss_start(other->server, &other->config), 0);
	(void)port_of(other->server);
}

/* The end of the previous run may take a moment, if it was stopped inside a callback. */
static void launch_again(struct other *other)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	int result;

	do {
		result = wss_start(other->server, &other->config);
		CHECK(now_ms() < until);
		sleep_ms(1);
	} while (result == -EBUSY);
	CHECK_INT(result, 0);
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

/* Waits for the texts that the server got. */
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

/* Waits for the end of a default server that was stopped inside a callback, without a call that waits for it. */
static void await_end(void)
{
	int64_t until = now_ms() + PATIENCE * 1000;

	while (wss_configure(wss_default_server(), NULL) == -EBUSY) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
}

/* Connects a client, and waits for the server's event. */
static int join(struct other *other)
{
	int before = other->connected;
	int fd = wire_open(port_of(other->server));

	await(&other->connected, before + 1);
	return fd;
}

static void stop(struct other *other)
{
	CHECK_INT(wss_stop(other->server), 0);
	CHECK_INT(wss_port(other->server), -ENOTCONN);
	CHECK_INT(wss_stop(other->server), -ENOTCONN);
}

static struct wss_event take(wss_queue queue, uint32_t type)
{
	struct wss_event event;

	CHECK_INT(wss_queue_get(queue, &event, PATIENCE * 1000), 0);
	CHECK_INT(event.type, type);
	return event;
}

static void echo(struct other *other, const struct wss_event *event)
{
	(void)other;
	if (event->type == WSS_EVENT_TEXT) {
		int result = wss_send(event->client, WSS_TEXT, event->data, event->len, 0);

		/* It may have ended. */
		CHECK(result == 0 || result == -ENOTCONN);
	}
}

static void clients_with_the_same_index_are_those_of_their_servers(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	struct wss_stats stats;
	wss_client first;
	wss_client second;
	int one;
	int two;

	prepare(&other, 1);
	launch(&other);
	one = open_client(0);
	two = join(&other);
	first = wss_client_at(wss_default_server(), 0);
	second = wss_client_at(other.server, 0);
	CHECK(first != WSS_NO_CLIENT && second != WSS_NO_CLIENT && first != second);
	CHECK_INT(wss_client_index(first), 0);
	CHECK_INT(wss_client_index(second), 0);
	CHECK(wss_client_server(second) == other.server);
	CHECK(wss_client_server(first) == wss_default_server());
	CHECK(port_of(other.server) != default_port());
	CHECK_INT(say(first, "to the first"), 0);
	CHECK_INT(say(second, "to the second"), 0);
	wire_expect_text(one, "to the first");
	wire_expect_text(two, "to the second");
	/* The original's functions use the default server. */
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, 0), SYS_WSS_SUCCESS);
	wire_expect(one, true, PING, "", 0);
	wire_text(two, "from the second");
	wire_text(one, "from the first");
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "from the first", 14);
	/* Input after a close frame was sent is dropped. */
	await_texts(&other, "from the second");
	CHECK_INT(wss_client_state(second), WSS_STATE_CONNECTED);
	CHECK_INT(wss_close(second, 1000, NULL), 0);
	wire_expect_close(two, 1000, "");
	CHECK_INT(wss_client_state(first), WSS_STATE_CONNECTED);
	close(two);
	await(&other.closed, 1);
	expect_no_event();
	stats = stats_of(other.server);
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
	int count = 0;

	prepare(&other, 1);
	launch(&other);
	fds[0] = open_client(0);
	fds[1] = open_client(1);
	fds[2] = join(&other);
	fds[3] = join(&other);
	CHECK_INT(wss_broadcast(wss_default_server(), 0, WSS_TEXT, "of the default server", 21), 2);
	CHECK_INT(wss_broadcast(other.server, 0, WSS_TEXT, "of the other", 12), 2);
	CHECK_INT(SYS_WSS_PingClient(NULL, 0, -1), SYS_WSS_SUCCESS);
	for (int i = 0; i < 4; i++) {
		wire_expect_text(fds[i], i < 2 ? "of the default server" : "of the other");
	}
	wire_expect(fds[0], true, PING, "", 0);
	wire_expect(fds[1], true, PING, "", 0);
	/* A group belongs to one server, too. */
	CHECK_INT(wss_set_groups(wss_client_at(wss_default_server(), 0), 1), 0);
	CHECK_INT(wss_set_groups(wss_client_at(other.server, 1), 1), 0);
	CHECK_INT(wss_broadcast(other.server, 1, WSS_TEXT, "group", 5), 1);
	wire_expect_text(fds[3], "group");
	WSS_FOR_EACH_CLIENT(other.server, client) {
		CHECK(wss_client_server(client) == other.server);
		count++;
	}
	CHECK_INT(count, 2);
	CHECK_INT(wss_close_all(other.server, 1001, NULL), 0);
	wire_expect_close(fds[2], 1001, "");
	wire_expect_close(fds[3], 1001, "");
	CHECK_INT(wss_client_state(wss_client_at(wss_default_server(), 1)), WSS_STATE_CONNECTED);
	for (int i = 0; i < 4; i++) {
		close(fds[i]);
	}
	expect_closed(2);
	stop(&other);
	end(&service);
}

static int only_chat(struct wss_request *request, void *given)
{
	struct other *other = given;
	wss_client client = wss_request_client(request);

	CHECK(wss_client_server(client) == other->server);
	CHECK_INT(wss_client_state(client), WSS_STATE_CONNECTING);
	return strcmp(wss_request_path(request), "/chat") == 0 ? 0 : 404;
}

static void a_server_has_limits_and_a_hook_of_its_own(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	char head[512];
	int fd;

	prepare(&other, 1);
	other.limits.client_timeout_ms = 200;
	other.limits.ping_interval_ms = 0;
	other.config.origins = "http://example.com";
	other.config.on_request = only_chat;
	launch(&other);
	fd = wire_connect(port_of(other.server));
	wire_say(fd, REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 403);
	close(fd);
	await(&other.closed, 1);
	fd = wire_connect(port_of(other.server));
	wire_say(fd, REQUEST_TO("/other", "Origin: http://example.com\r\n"));
	CHECK_INT(wire_response(fd, head, sizeof(head)), 404);
	close(fd);
	await(&other.closed, 2);
	/* Silent for too long, but only on that server. */
	fd = wire_connect(port_of(other.server));
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
	struct wss_handshake handshake;
	struct other other;
	wss_client client;
	char head[512];
	char text[16];
	int one;
	int two;

	prepare(&other, 1);
	launch(&other);
	one = open_client(0);
	two = wire_connect(port_of(other.server));
	wire_say(two, REQUEST_TO("/other", ""));
	CHECK_INT(wire_response(two, head, sizeof(head)), 101);
	await(&other.connected, 1);
	client = wss_client_at(other.server, 0);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_PATH, text, sizeof(text)), 0);
	CHECK(strcmp(text, "/other") == 0);
	CHECK_INT(wss_client_text(wss_client_at(wss_default_server(), 0), WSS_CLIENT_PATH, text,
				  sizeof(text)), 0);
	CHECK(strcmp(text, "/chat") == 0);
	stop(&other);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_PATH, text, sizeof(text)), -ENOTCONN);
	CHECK_INT(wss_client_handshake(client, &handshake), -ENOTCONN);
	close(two);
	close(one);
	expect_closing(0);
	end(&service);
}

static void servers_start_and_end_by_themselves(void)
{
	SYS_MODULE_OBJ service;
	struct other other;
	int fd;

	/* A server without the default one. */
	prepare(&other, 1);
	other.act = echo;
	launch(&other);
	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
	CHECK(wss_client_at(wss_default_server(), 0) == WSS_NO_CLIENT);
	fd = join(&other);
	for (int round = 0; round < 5; round++) {
		int own;

		service = start(NULL);
		own = open_client(0);
		wire_text(fd, "between");
		wire_expect_text(fd, "between");
		CHECK_INT(wss_broadcast(wss_default_server(), 0, WSS_TEXT, "own", 3), 1);
		wire_expect_text(own, "own");
		close(own);
		expect_closing(0);
		end(&service);
		wire_text(fd, "after");
		wire_expect_text(fd, "after");
	}
	/* The server stops and starts again while the default one is busy. */
	close(fd);
	service = start(NULL);
	fd = open_client(0);
	for (int round = 0; round < 5; round++) {
		int theirs;

		stop(&other);
		wire_text(fd, "x");
		expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "x", 1);
		launch(&other);
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

static void a_client_kept_over_a_restart_reaches_no_other(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	wss_client old;
	int fd;
	int own;

	prepare(&other, 1);
	launch(&other);
	fd = join(&other);
	own = open_client(0);
	old = wss_client_at(other.server, 0);
	stop(&other);
	close(fd);
	for (int round = 0; round < 3; round++) {
		launch(&other);
		fd = join(&other);
		CHECK(wss_client_at(other.server, 0) != old);
		CHECK_INT(say(old, "wrong"), -ENOTCONN);
		CHECK_INT(wss_ping(old, NULL, 0), -ENOTCONN);
		CHECK_INT(wss_close(old, 1000, NULL), -ENOTCONN);
		CHECK_INT(wss_flush(old), -ENOTCONN);
		CHECK_INT(wss_client_state(old), WSS_STATE_CLOSED);
		CHECK(wss_client_server(old) == other.server);
		CHECK_INT(say(wss_client_at(other.server, 0), "right"), 0);
		wire_expect_text(fd, "right");
		stop(&other);
		close(fd);
	}
	CHECK_INT(say(wss_client_at(wss_default_server(), 0), "own"), 0);
	wire_expect_text(own, "own");
	close(own);
	expect_closing(0);
	end(&service);
}

static void servers_are_a_fixed_array(void)
{
	size_t count = 0;

	CHECK(wss_server_at(0) == wss_default_server());
	while (wss_server_at(count) != NULL) {
		for (size_t i = 0; i < count; i++) {
			CHECK(wss_server_at(count) != wss_server_at(i));
		}
		CHECK(wss_server_at(count) == wss_server_at(count));
		count++;
		CHECK(count < MANY);
	}
	CHECK(count > 1);
	CHECK(wss_server_at(SIZE_MAX) == NULL);
}

static void deinitialize_ends_the_default_server_only(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	SYS_MODULE_OBJ object;

	prepare(&other, 1);
	launch(&other);
	object = (SYS_MODULE_OBJ)other.server;
	SYS_WSS_Deinitialize(&object);
	CHECK(object == SYS_MODULE_OBJ_INVALID);
	(void)port_of(other.server);
	(void)default_port();
	end(&service);
	close(join(&other));
	await(&other.closed, 1);
	/* Like the default server by wss_stop(). */
	service = start(NULL);
	CHECK_INT(wss_stop(wss_default_server()), 0);
	SYS_WSS_Deinitialize(&service);
	CHECK(service == SYS_MODULE_OBJ_INVALID);
	forget_events();
	service = start(NULL);
	end(&service);
	stop(&other);
}

static void a_port_in_use_fails_and_leaves_nothing(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;

	prepare(&other, 1);
	other.config.port = default_port();
	for (int round = 0; round < 3; round++) {
		CHECK_INT(wss_start(other.server, &other.config), -EADDRINUSE);
		CHECK_INT(wss_port(other.server), -ENOTCONN);
		CHECK_INT(wss_stop(other.server), -ENOTCONN);
	}
	expect_no_event();
	end(&service);
	/* It is free now. */
	launch(&other);
	CHECK_INT(port_of(other.server), other.config.port);
	close(join(&other));
	await(&other.closed, 1);
	stop(&other);
}

static void all_servers_can_run_at_the_same_time(void)
{
	static struct other others[MANY];
	SYS_MODULE_OBJ service = start(NULL);
	int fds[MANY];
	char text[32];
	size_t count;

	for (count = 0; wss_server_at(count + 1) != NULL; count++) {
		prepare(&others[count], count + 1);
		others[count].act = echo;
		launch(&others[count]);
		fds[count] = join(&others[count]);
	}
	CHECK(count > 0);
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "server %zu", i);
		wire_text(fds[i], text);
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "server %zu", i);
		wire_expect_text(fds[i], text);
		await_texts(&others[i], text);
		close(fds[i]);
	}
	for (size_t i = 0; i < count; i++) {
		stop(&others[i]);
	}
	end(&service);
}

/* Calls from inside a callback. */

static struct other *peer;

static void pass_on(struct other *other, const struct wss_event *event)
{
	(void)other;
	if (event->type == WSS_EVENT_TEXT) {
		CHECK_INT(wss_broadcast(peer->server, 0, WSS_TEXT, event->data, event->len), 1);
		CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT,
					      (uint8_t *)(uintptr_t)event->data, event->len, -1),
			  SYS_WSS_SUCCESS);
	}
}

static void a_callback_may_call_every_other_server(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other one;
	struct other two;
	int fds[3];

	prepare(&one, 1);
	prepare(&two, 2);
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

static void stop_itself(struct other *other, const struct wss_event *event)
{
	if (event->type == WSS_EVENT_TEXT) {
		/* It stops after this. */
		CHECK_INT(wss_stop(other->server), 0);
		CHECK_INT(wss_stop(other->server), 0);
		CHECK_INT(wss_port(other->server), -ENOTCONN);
	}
}

static void a_server_may_be_stopped_inside_its_own_callback(void)
{
	SYS_MODULE_OBJ service = start(NULL);
	struct other other;
	int own = open_client(0);

	for (int round = 0; round < 3; round++) {
		int fd;

		prepare(&other, 1);
		other.act = stop_itself;
		launch_again(&other);
		fd = join(&other);
		wire_text(fd, "stop");
		wire_expect_close(fd, 1001, "");
		close(fd);
		await(&other.closed, 1);
		CHECK_INT(say(wss_client_at(wss_default_server(), 0), "on it goes"), 0);
		wire_expect_text(own, "on it goes");
	}
	/* The server has waited for the rest of the last run, or that has ended. */
	(void)wss_stop(other.server);
	close(own);
	expect_closing(0);
	end(&service);
}

static void end_it(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		CHECK_INT(wss_stop(wss_default_server()), 0);
	}
}

/* Calls with `old`, or for the default server, which has stopped, have no effect. */
static void expect_nothing_of(wss_client old)
{
	struct wss_server *server = wss_default_server();
	char text[16];
	int theirs;
	int fd;

	CHECK_INT(say(old, "x"), -ENOTCONN);
	CHECK_INT(wss_send(old, WSS_TEXT | WSS_MORE, "x", 1, 0), -ENOTCONN);
	CHECK_INT(wss_flush(old), -ENOTCONN);
	CHECK_INT(wss_ping(old, NULL, 0), -ENOTCONN);
	CHECK_INT(wss_close(old, 1000, NULL), -ENOTCONN);
	CHECK_INT(wss_accept(old, NULL), -ENOTCONN);
	CHECK_INT(wss_refuse(old, 403, NULL), -ENOTCONN);
	CHECK_INT(wss_client_state(old), WSS_STATE_CLOSED);
	CHECK_INT(wss_client_text(old, WSS_CLIENT_PATH, text, sizeof(text)), -ENOTCONN);
	CHECK_INT(wss_broadcast(server, 0, WSS_TEXT, "x", 1), -ENOTCONN);
	CHECK_INT(wss_close_all(server, 1000, NULL), -ENOTCONN);
	for (int32_t index = -1; index <= 0; index++) {
		CHECK_INT(SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)text, 0, index),
			  SYS_WSS_FAILURE);
		CHECK_INT(SYS_WSS_PingClient(NULL, 0, index), SYS_WSS_FAILURE);
		CHECK_INT(SYS_WSS_CloseConnection(SYS_WSS_STATUS_CODE_NORMAL_CLOSURE, NULL, 0, index),
			  SYS_WSS_FAILURE);
	}
	CHECK(wss_client_at(server, 0) == WSS_NO_CLIENT);
	CHECK(wss_next_client(server, WSS_NO_CLIENT) == WSS_NO_CLIENT);
	CHECK_INT(wss_port(server), -ENOTCONN);
	fd = wire_accepted(&theirs);
	CHECK_INT(wss_adopt(server, fd, NULL, 0, true, NULL), -ENOTCONN);
	close(fd);
	close(theirs);
}

static void an_ended_server_does_not_stand_for_another(void)
{
	const uint32_t mask = WSS_MASK(WSS_EVENT_TEXT);
	struct wss_config config = config_for_tests(NULL);
	SYS_MODULE_OBJ service;
	struct other other;
	struct wss_event event;
	struct wss_event held;
	wss_queue queues[2];
	wss_client old;
	int own;
	int fd;

	CHECK_INT(wss_queue_create(mask, 8, &queues[0]), 0);
	CHECK_INT(wss_queue_create(mask, 8, &queues[1]), 0);
	config.queues = &queues[0];
	config.queue_count = 1;
	act = end_it;
	service = start_with(&config);
	own = open_client(0);
	old = wss_client_at(wss_default_server(), 0);
	wire_text(own, "end");
	held = take(queues[0], WSS_EVENT_TEXT);
	CHECK(held.client == old);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "end", 3);
	wire_expect_close(own, 1001, "");
	close(own);
	expect_closing(0);
	await_end();
	prepare(&other, 1);
	other.config.queues = &queues[1];
	other.config.queue_count = 1;
	launch(&other);
	fd = join(&other);
	CHECK_INT(wss_client_index(wss_client_at(other.server, 0)), wss_client_index(old));
	expect_nothing_of(old);
	/* Releases the event of the disconnected client, and not that of the other one. */
	wire_text(fd, "one");
	event = take(queues[1], WSS_EVENT_TEXT);
	wss_event_release(&held);
	wire_text(fd, "two");
	CHECK_INT(wss_queue_get(queues[1], &held, 100), -EAGAIN);
	wss_event_release(&event);
	event = take(queues[1], WSS_EVENT_TEXT);
	wss_event_release(&event);
	CHECK_INT(say(wss_client_at(other.server, 0), "unharmed"), 0);
	wire_expect_text(fd, "unharmed");
	/* Nor for its own next run, which does not wait for the threads of the other server. */
	CHECK_INT(wss_queue_destroy(queues[0]), 0);
	act = NULL;
	SYS_WSS_Deinitialize(&service);
	service = start(NULL);
	own = open_client(0);
	CHECK(wss_client_at(wss_default_server(), 0) != old);
	CHECK_INT(say(old, "x"), -ENOTCONN);
	CHECK_INT(wss_client_state(old), WSS_STATE_CLOSED);
	close(own);
	expect_closing(0);
	end(&service);
	close(fd);
	await(&other.closed, 1);
	stop(&other);
	CHECK_INT(wss_queue_destroy(queues[1]), 0);
}

static void stop_peer(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == EVENT(CLIENT_TXT_DATA_RX)) {
		int64_t before = now_ms();

		CHECK_INT(wss_stop(peer->server), 0);
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

	prepare(&other, 1);
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
	(void)wss_stop(other.server);
	close(own);
	expect_closing(0);
	end(&service);
}

/* Queues. */

static void a_queue_gets_the_events_of_the_servers_that_list_it(void)
{
	const uint32_t mask = WSS_MASK(WSS_EVENT_TEXT) | WSS_MASK(WSS_EVENT_CLOSED);
	struct wss_config config = config_for_tests(NULL);
	SYS_MODULE_OBJ service;
	wss_queue queues[2];
	struct other other;
	struct wss_event event;
	struct wss_event held;
	wss_client client;
	int own;
	int fd;

	/* The first one for both servers, the second one for the other server only. */
	CHECK_INT(wss_queue_create(mask, 8, &queues[0]), 0);
	CHECK_INT(wss_queue_create(mask, 8, &queues[1]), 0);
	config.queues = queues;
	config.queue_count = 1;
	service = start_with(&config);
	prepare(&other, 1);
	other.config.queues = queues;
	other.config.queue_count = 2;
	launch(&other);
	own = open_client(0);
	fd = join(&other);
	client = wss_client_at(other.server, 0);
	wire_text(own, "own");
	event = take(queues[0], WSS_EVENT_TEXT);
	CHECK(event.client == wss_client_at(wss_default_server(), 0));
	CHECK(event.server == wss_default_server());
	CHECK_BYTES(event.data, event.len, "own", 3);
	wss_event_release(&event);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "own", 3);
	wire_text(fd, "one");
	held = take(queues[0], WSS_EVENT_TEXT);
	wire_text(fd, "two");
	CHECK(held.client == client);
	CHECK(held.server == other.server);
	CHECK_INT(held.index, 0);
	CHECK_BYTES(held.data, held.len, "one", 3);
	event = take(queues[1], WSS_EVENT_TEXT);
	CHECK(event.client == client);
	CHECK_BYTES(event.data, event.len, "one", 3);
	wss_event_release(&event);
	/* Its client is held up, and not the one with the same index. */
	wire_text(own, "on");
	event = take(queues[0], WSS_EVENT_TEXT);
	CHECK(event.client != client);
	wss_event_release(&event);
	expect_data(EVENT(CLIENT_TXT_DATA_RX), 0, "on", 2);
	CHECK_INT(wss_queue_get(queues[0], &event, 50), -EAGAIN);
	wss_event_release(&held);
	for (int i = 0; i < 2; i++) {
		event = take(queues[i], WSS_EVENT_TEXT);
		CHECK_BYTES(event.data, event.len, "two", 3);
		wss_event_release(&event);
	}
	close(own);
	event = take(queues[0], WSS_EVENT_CLOSED);
	CHECK(event.server == wss_default_server());
	wss_event_release(&event);
	expect_closing(0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		event = take(queues[i], WSS_EVENT_CLOSED);
		CHECK(event.server == other.server);
		wss_event_release(&event);
		CHECK_INT(wss_queue_destroy(queues[i]), 0);
	}
	/* Without its queues the server continues, and does not use a queue that takes their place. */
	CHECK_INT(wss_queue_create(mask, 1, &queues[1]), 0);
	fd = join(&other);
	wire_text(fd, "three");
	close(fd);
	await(&other.closed, 2);
	CHECK_INT(wss_queue_get(queues[1], &event, 0), -EAGAIN);
	CHECK_INT(wss_queue_destroy(queues[1]), 0);
	stop(&other);
	end(&service);
}

static void a_queue_of_two_servers_ends_with_the_last_of_them(void)
{
	struct other others[2];
	struct wss_event event;
	wss_queue queue;

	CHECK_INT(wss_queue_create(WSS_MASK(WSS_EVENT_TEXT), 8, &queue), 0);
	for (size_t i = 0; i < 2; i++) {
		prepare(&others[i], i + 1);
		others[i].config.queues = &queue;
		others[i].config.queue_count = 1;
		launch(&others[i]);
	}
	CHECK_INT(wss_queue_get(queue, &event, 0), -EAGAIN);
	stop(&others[0]);
	CHECK_INT(wss_queue_get(queue, &event, 50), -EAGAIN);
	stop(&others[1]);
	CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
	CHECK_INT(wss_queue_destroy(queue), 0);
}

static void a_full_queue_of_two_servers_loses_nothing(void)
{
	const uint32_t mask = WSS_MASK(WSS_EVENT_TEXT);
	struct wss_config config = config_for_tests(NULL);
	SYS_MODULE_OBJ service;
	struct other other;
	wss_queue queue;
	int counts[2] = {0, 0};
	int fds[2];
	char text[16];

	CHECK_INT(wss_queue_create(mask, 1, &queue), 0);
	config.queues = &queue;
	config.queue_count = 1;
	service = start_with(&config);
	prepare(&other, 1);
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
	for (int i = 0; i < 100; i++) {
		struct wss_event event = take(queue, WSS_EVENT_TEXT);
		int which = event.server == other.server;

		/* Of each in order. */
		snprintf(text, sizeof(text), "%d", counts[which]++);
		CHECK_BYTES(event.data, event.len, text, strlen(text));
		wss_event_release(&event);
	}
	CHECK_INT(wss_queue_destroy(queue), 0);
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
			fd = wire_connect(port_of(other->server));
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
		wss_client client = wss_client_at(other->server, 0);

		(void)wss_broadcast(wss_default_server(), 0, WSS_TEXT, "for the default server", 22);
		(void)wss_ping(client, NULL, 0);
		(void)wss_client_state(client);
		(void)wss_client_state(wss_client_at(wss_default_server(), 0));
		/* Simulated time continues only while every thread waits. */
		sleep_ms(1);
	}
	return NULL;
}

/* One server is restarted repeatedly, while the other one serves. */
static void a_busy_server_does_not_mind_restarts_of_another(void)
{
	struct wss_limits limits = limits_for_tests();
	struct other other;
	pthread_t threads[2];

	limits.close_timeout_ms = 200;
	prepare(&other, 1);
	other.act = echo;
	launch(&other);
	over = false;
	CHECK(pthread_create(&threads[0], NULL, keep_echoing, &other) == 0);
	CHECK(pthread_create(&threads[1], NULL, keep_broadcasting, &other) == 0);
	for (int round = 0; round < 20; round++) {
		SYS_MODULE_OBJ service = start(&limits);
		int fds[3];

		for (int i = 0; i < 3; i++) {
			fds[i] = wire_open(default_port());
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

static int say_later(struct wss_request *request, void *given)
{
	(void)request;
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

	prepare(&other, 1);
	other.act = echo;
	other.limits.listens = false;
	other.config.on_request = say_later;
	CHECK_INT(wss_start(other.server, &other.config), 0);
	CHECK_INT(wss_port(other.server), 0);
	fd = wire_accepted(&theirs);
	CHECK_INT(wss_adopt(wss_server_at(2), fd, NULL, 0, true, &client), -ENOTCONN);
	CHECK_INT(wss_adopt(other.server, fd, REQUEST, strlen(REQUEST), false, &client), 0);
	CHECK(wss_client_server(client) == other.server);
	/* Once its hook has returned. */
	while (wss_accept(client, NULL) != 0) {
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
	CASE(servers_are_a_fixed_array)                                                            \
	CASE(clients_with_the_same_index_are_those_of_their_servers)                               \
	CASE(a_broadcast_reaches_the_clients_of_one_server)                                        \
	CASE(a_server_has_limits_and_a_hook_of_its_own)                                            \
	CASE(what_a_client_asked_for_is_that_of_its_server)                                        \
	CASE(servers_start_and_end_by_themselves)                                                  \
	CASE(a_client_kept_over_a_restart_reaches_no_other)                                        \
	CASE(deinitialize_ends_the_default_server_only)                                            \
	CASE(a_port_in_use_fails_and_leaves_nothing)                                               \
	CASE(all_servers_can_run_at_the_same_time)                                                 \
	CASE(a_callback_may_call_every_other_server)                                               \
	CASE(a_server_may_be_stopped_inside_its_own_callback)                                      \
	CASE(an_ended_server_does_not_stand_for_another)                                           \
	CASE(stopping_another_server_inside_a_callback_does_not_wait)                              \
	CASE(a_queue_gets_the_events_of_the_servers_that_list_it)                                  \
	CASE(a_queue_of_two_servers_ends_with_the_last_of_them)                                    \
	CASE(a_full_queue_of_two_servers_loses_nothing)                                            \
	CASE(a_server_adopts_connections_and_answers_their_requests_later)                         \
	CASE(a_busy_server_does_not_mind_restarts_of_another)

TEST_PROGRAM(CASES)
