/* SPDX-License-Identifier: Apache-2.0 */
/* Opening requests by wss.h: hooks, origins, answers, and adopted connections. Each case is named after its rule. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

static int say(wss_client client, const char *text)
{
	return wss_send_text(client, text, PATIENCE * 1000);
}

static struct wss_server *serve_with_hook(wss_request_hook hook, const char *origins)
{
	struct wss_config config = config_for_tests(NULL);

	config.on_request = hook;
	config.origins = origins;
	return serve(&config);
}

/* What the hook answers, and what it was asked. */
static struct {
	pthread_mutex_t lock;
	int answer;
	int calls;
} hook_says = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void let_hook_say(int answer)
{
	pthread_mutex_lock(&hook_says.lock);
	hook_says.answer = answer;
	pthread_mutex_unlock(&hook_says.lock);
}

static int hook_calls(void)
{
	int calls;

	pthread_mutex_lock(&hook_says.lock);
	calls = hook_says.calls;
	pthread_mutex_unlock(&hook_says.lock);
	return calls;
}

static int count_call(void)
{
	int answer;

	pthread_mutex_lock(&hook_says.lock);
	hook_says.calls++;
	answer = hook_says.answer;
	pthread_mutex_unlock(&hook_says.lock);
	return answer;
}

#define FULL_REQUEST                                                                               \
	REQUEST_TO("/chat?a=b",                                                                    \
		   "Origin: http://example.com\r\nSec-WebSocket-Protocol: superchat, chat\r\n")

static int read_all(struct wss_request *request, void *given)
{
	wss_client client = wss_request_client(request);
	static char whose;

	CHECK(given == &cookie);
	CHECK(client == wss_client_at(wss_default_server(), 0));
	CHECK_INT(wss_client_state(client), WSS_STATE_CONNECTING);
	CHECK(strcmp(wss_request_path(request), "/chat") == 0);
	CHECK(strcmp(wss_request_query(request), "a=b") == 0);
	CHECK(strcmp(wss_request_host(request), "localhost") == 0);
	CHECK(strcmp(wss_request_origin(request), "http://example.com") == 0);
	CHECK(strcmp(wss_request_subprotocol(request, 0), "superchat") == 0);
	CHECK(strcmp(wss_request_subprotocol(request, 1), "chat") == 0);
	CHECK(wss_request_subprotocol(request, 2) == NULL);
	CHECK(wss_request_subprotocol(request, SIZE_MAX) == NULL);
	/* Any function may be called here. */
	CHECK_INT(say(client, "connecting"), -ENOTCONN);
	CHECK_INT(wss_ping(client, NULL, 0), -ENOTCONN);
	CHECK_INT(wss_close(client, 1000, NULL), -ENOTCONN);
	/* The answer is what it returns. */
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	CHECK_INT(wss_refuse(client, 403, NULL), -ENOTCONN);
	CHECK_INT(wss_set_user_data(client, &whose), 0);
	CHECK(wss_user_data(client) == &whose);
	CHECK_INT(wss_set_groups(client, 5), 0);
	return count_call();
}

/* A request, which gets this answer, with this text in it. */
static int ask_with(const char *request, int status, const char *text)
{
	char head[512];
	int fd;

	wait_for_slots();
	fd = wire_connect(default_port());
	wire_say(fd, request);
	CHECK_INT(wire_response(fd, head, sizeof(head)), status);
	CHECK(strstr(head, text) != NULL);
	expect(WSS_EVENT_CONNECTING, 0);
	if (status == 101) {
		expect(WSS_EVENT_CONNECTED, 0);
	} else {
		wire_expect_end(fd);
		close(fd);
		expect_closing(0);
	}
	return fd;
}

static int ask(int status, const char *text)
{
	return ask_with(FULL_REQUEST, status, text);
}

static void leave(int fd)
{
	close(fd);
	expect_closing(0);
}

static void a_hook_accepts_or_refuses_with_a_status(void)
{
	static const int refusals[] = {400, 401, 403, 404, 429, 503, 599};
	static const int no_answers[] = {-1, 2, 101, 200, 399, 600, 65536 + 404};
	struct wss_server *server = serve_with_hook(read_all, "http://example.com");
	int before = hook_calls();
	wss_client client;
	int fd;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		let_hook_say(refusals[i]);
		ask(refusals[i], "");
	}
	for (size_t i = 0; i < sizeof(no_answers) / sizeof(no_answers[0]); i++) {
		let_hook_say(no_answers[i]);
		ask(500, "");
	}
	let_hook_say(0);
	fd = ask(101, "");
	client = wss_client_at(server, 0);
	/* What the hook attached. */
	CHECK_INT(wss_groups(client), 5);
	CHECK(wss_user_data(client) != NULL);
	CHECK_INT(wss_broadcast(server, 4, WSS_TEXT, "group", 5), 1);
	wire_expect_text(fd, "group");
	leave(fd);
	CHECK_INT(hook_calls() - before, 15);
	stop_serving();
	/* Without it, all may connect. */
	serve(NULL);
	leave(ask(101, ""));
	CHECK_INT(hook_calls() - before, 15);
	stop_serving();
}

static void user_data_of_a_hook_is_there_from_the_next_event_on(void)
{
	struct record record;
	char head[512];
	int fd;

	let_hook_say(0);
	serve_with_hook(read_all, "http://example.com");
	fd = wire_connect(default_port());
	wire_say(fd, FULL_REQUEST);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	record = next_event();
	CHECK_INT(record.event, WSS_EVENT_CONNECTING);
	CHECK(record.user_data == NULL);
	record = next_event();
	CHECK_INT(record.event, WSS_EVENT_CONNECTED);
	CHECK(record.user_data != NULL);
	close(fd);
	for (int i = 0; i < 2; i++) {
		CHECK(next_event().user_data == record.user_data);
	}
	stop_serving();
}

static int read_bare(struct wss_request *request, void *given)
{
	(void)given;
	CHECK(strcmp(wss_request_path(request), "/a%20b") == 0);
	CHECK(wss_request_query(request) == NULL);
	CHECK(strcmp(wss_request_host(request), "[::1]:8000") == 0);
	CHECK(wss_request_origin(request) == NULL);
	CHECK(wss_request_subprotocol(request, 0) == NULL);
	return count_call();
}

static void what_a_request_lacks_is_null(void)
{
	let_hook_say(0);
	serve_with_hook(read_bare, NULL);
	leave(ask_with("GET /a%20b HTTP/1.1\r\nHost: [::1]:8000\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY
		       "\r\nSec-WebSocket-Version: 13\r\n\r\n", 101, ""));
	stop_serving();
}

/* Origins. */

static int accept_all(struct wss_request *request, void *given)
{
	(void)request;
	(void)given;
	return count_call();
}

#define OF_ORIGIN(origin) REQUEST_TO("/", "Origin: " origin "\r\n")

static void with_a_hook_only_same_origin_browsers_may_connect(void)
{
	int before;

	let_hook_say(0);
	serve_with_hook(accept_all, NULL);
	before = hook_calls();
	/* The hook is not asked. */
	ask_with(OF_ORIGIN("http://example.com"), 403, "");
	ask_with(OF_ORIGIN("http://localhost.example.com"), 403, "");
	ask_with(OF_ORIGIN("http://localhost:8000"), 403, "");
	ask_with(OF_ORIGIN("null"), 403, "");
	CHECK_INT(hook_calls(), before);
	leave(ask_with(OF_ORIGIN("http://localhost"), 101, ""));
	leave(ask_with(OF_ORIGIN("https://LOCALHOST"), 101, ""));
	/* What has no Origin is no browser. */
	leave(ask_with(REQUEST, 101, ""));
	CHECK_INT(hook_calls(), before + 3);
	stop_serving();
}

static void without_a_hook_every_origin_may_connect(void)
{
	serve(NULL);
	leave(ask_with(OF_ORIGIN("http://example.com"), 101, ""));
	leave(ask_with(OF_ORIGIN("null"), 101, ""));
	leave(ask_with(REQUEST, 101, ""));
	stop_serving();
}

static void only_origins_that_are_listed_may_connect(void)
{
	int before;

	let_hook_say(0);
	for (int round = 0; round < 2; round++) {
		/* With a hook, and without. */
		serve_with_hook(round == 0 ? accept_all : NULL, "http://other HTTP://EXAMPLE.com");
		before = hook_calls();
		ask_with(OF_ORIGIN("http://another"), 403, "");
		ask_with(OF_ORIGIN("https://example.com"), 403, "");
		/* Not even the server's own, nor a client without one. */
		ask_with(OF_ORIGIN("http://localhost"), 403, "");
		ask_with(REQUEST, 403, "");
		CHECK_INT(hook_calls(), before);
		leave(ask_with(OF_ORIGIN("http://example.com"), 101, ""));
		leave(ask_with(OF_ORIGIN("http://other"), 101, ""));
		CHECK_INT(hook_calls(), before + (round == 0 ? 2 : 0));
		stop_serving();
	}
	serve_with_hook(accept_all, "*");
	leave(ask_with(OF_ORIGIN("http://another"), 101, ""));
	leave(ask_with(REQUEST, 101, ""));
	stop_serving();
}

/* Answering later. */

static int accept_with(wss_client client, const char *subprotocol)
{
	struct wss_response response = {.subprotocol = subprotocol};

	return wss_accept(client, &response);
}

/* What the hook was asked last, for the thread that decides. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	wss_client client;
} question = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int say_later(struct wss_request *request, void *given)
{
	wss_client client = wss_request_client(request);

	(void)given;
	/* What is decided here is the return value. */
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	pthread_mutex_lock(&question.lock);
	question.client = client;
	pthread_cond_signal(&question.changed);
	pthread_mutex_unlock(&question.lock);
	return WSS_LATER;
}

/* A client that has asked, and the first frame with its request. */
static int ask_later(wss_client *client)
{
	char request[512];
	int fd = wire_connect(default_port());
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
	expect(WSS_EVENT_CONNECTING, 0);
	return fd;
}

static void a_hook_may_leave_the_answer_to_later(void)
{
	wss_client client;
	char head[512];
	char text[32];
	int fd;

	serve_with_hook(say_later, "http://example.com");
	fd = ask_later(&client);
	CHECK_INT(wss_client_state(client), WSS_STATE_CONNECTING);
	CHECK_INT(say(client, "too early"), -ENOTCONN);
	CHECK_INT(accept_with(client, "not offered"), -EINVAL);
	CHECK_INT(accept_with(client, "\xff"), -EINVAL);
	CHECK_INT(accept_with(client, ""), -EINVAL);
	CHECK_INT(wss_refuse(client, 200, NULL), -EINVAL);
	CHECK_INT(wss_refuse(client, 399, NULL), -EINVAL);
	CHECK_INT(wss_refuse(client, 600, NULL), -EINVAL);
	CHECK_INT(wss_refuse(client, 0, NULL), -EINVAL);
	CHECK_INT(wss_accept(WSS_NO_CLIENT, NULL), -ENOTCONN);
	CHECK_INT(wss_refuse(WSS_NO_CLIENT, 403, NULL), -ENOTCONN);
	/* What it asked for can be read. */
	CHECK_INT(wss_client_text(client, WSS_CLIENT_QUERY, text, sizeof(text)), 0);
	CHECK(strcmp(text, "a=b") == 0);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_SUBPROTOCOL, text, sizeof(text)), -ENOENT);
	CHECK_INT(accept_with(client, "chat"), 0);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_SUBPROTOCOL, text, sizeof(text)), 0);
	CHECK(strcmp(text, "chat") == 0);
	CHECK_INT(say(client, "at once"), 0);
	/* It was answered. */
	CHECK_INT(accept_with(client, "superchat"), -ENOTCONN);
	CHECK_INT(wss_refuse(client, 403, NULL), -ENOTCONN);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	CHECK(strstr(head, "\r\nSec-WebSocket-Protocol: chat\r\n") != NULL);
	wire_expect_text(fd, "at once");
	expect(WSS_EVENT_CONNECTED, 0);
	expect_data(WSS_EVENT_TEXT, 0, "early", 5);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_SUBPROTOCOL, text, sizeof(text)), 0);
	CHECK(strcmp(text, "chat") == 0);
	leave(fd);
	wait_for_slots();
	fd = ask_later(&client);
	CHECK_INT(wss_refuse(client, 404, NULL), 0);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 404);
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	leave(fd);
	wait_for_slots();
	/* One that does not wait for it. */
	fd = ask_later(&client);
	leave(fd);
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	stop_serving();
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	CHECK_INT(wss_refuse(client, 403, NULL), -ENOTCONN);
}

static void the_handshake_deadline_goes_on_while_the_answer_is_awaited(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(&limits);
	wss_client client;
	int fd;

	limits.handshake_timeout_ms = 300;
	config.on_request = say_later;
	config.origins = "http://example.com";
	serve(&config);
	fd = ask_later(&client);
	expect(WSS_EVENT_TIMEOUT, 0);
	expect_closing(0);
	wire_expect_end(fd);
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	close(fd);
	stop_serving();
}

/* What a client asked for. */

static void what_the_handshake_said_can_be_read(void)
{
	static const char *const texts[] = {"/chat", "a=b", "localhost", "http://example.com"};
	struct wss_server *server = serve(NULL);
	struct wss_handshake handshake;
	wss_client client;
	char text[32];
	int fd = ask(101, "");

	client = wss_client_at(server, 0);
	memset(&handshake, 0xff, sizeof(handshake));
	CHECK_INT(wss_client_handshake(client, &handshake), 0);
	CHECK_INT(handshake.http_version, SYS_WSS_HTTP_VERSION_1_1);
	CHECK_INT(handshake.ws_version, 13);
	CHECK(handshake.upgradeWebSocket && handshake.connectionUpgrade);
	CHECK(handshake.origin && handshake.iskey);
	CHECK(strcmp(handshake.clientKey, KEY) == 0);
	CHECK(strcmp(handshake.serverKey, ACCEPT) == 0);
	for (int which = WSS_CLIENT_PATH; which <= WSS_CLIENT_ORIGIN; which++) {
		CHECK_INT(wss_client_text(client, (enum wss_client_text)which, text, sizeof(text)),
			  0);
		CHECK(strcmp(text, texts[which]) == 0);
	}
	strcpy(text, "as it was");
	CHECK_INT(wss_client_text(client, WSS_CLIENT_SUBPROTOCOL, text, sizeof(text)), -ENOENT);
	CHECK(strcmp(text, "as it was") == 0);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_HOST, text, 5), -EMSGSIZE);
	CHECK(strcmp(text, "loca") == 0);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_HOST, text, sizeof("localhost")), 0);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_HOST, NULL, 0), -EMSGSIZE);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_HOST, NULL, 1), -EINVAL);
	CHECK_INT(wss_client_text(client, (enum wss_client_text)5, text, sizeof(text)), -EINVAL);
	CHECK_INT(wss_client_text(WSS_NO_CLIENT, WSS_CLIENT_HOST, text, 5), -ENOTCONN);
	CHECK_INT(wss_client_handshake(client, NULL), -EINVAL);
	leave(fd);
	/* The next one is another. */
	fd = open_client(0);
	CHECK_INT(wss_client_handshake(client, &handshake), -ENOTCONN);
	CHECK_INT(wss_client_handshake(wss_client_at(server, 0), &handshake), 0);
	CHECK(!handshake.origin);
	CHECK_INT(wss_client_text(wss_client_at(server, 0), WSS_CLIENT_QUERY, text, 5), -ENOENT);
	leave(fd);
	stop_serving();
}

static void a_later_http_1_is_reported_as_1_1(void)
{
	struct wss_server *server = serve(NULL);
	SYS_WSS_HANDSHAKE_CTXT handshake;
	int fd = ask_with("GET / HTTP/1.2\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
			  101, "");

	CHECK_INT(wss_client_handshake(wss_client_at(server, 0), &handshake), 0);
	CHECK_INT(handshake.http_version, SYS_WSS_HTTP_VERSION_1_1);
	leave(fd);
	stop_serving();
}

/* Adopting. */

static void a_connection_of_the_application_is_adopted_with_what_it_has_received(void)
{
	struct wss_server *server = serve(NULL);
	wss_client client;
	char received[512];
	char head[512];
	size_t len = strlen(REQUEST);
	int theirs;
	int fd = wire_accepted(&theirs);

	memcpy(received, REQUEST, len);
	len += wire_make(received + len, true, TEXT, "early", 5);
	CHECK_INT(wss_adopt(server, fd, received, len, false, &client), 0);
	CHECK(client == wss_client_at(server, 0));
	CHECK_INT(wire_response(theirs, head, sizeof(head)), 101);
	CHECK(strstr(head, ACCEPT) != NULL);
	expect(WSS_EVENT_CONNECTING, 0);
	expect(WSS_EVENT_CONNECTED, 0);
	expect_data(WSS_EVENT_TEXT, 0, "early", 5);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_PATH, head, sizeof(head)), 0);
	CHECK(strcmp(head, "/chat") == 0);
	CHECK_INT(say(client, "hello"), 0);
	wire_expect_text(theirs, "hello");
	wire_close_frame(theirs, 1000, "");
	wire_expect_close(theirs, 1000, "");
	/* It is the library that closes it. */
	wire_expect_end(theirs);
	close(theirs);
	expect_data(WSS_EVENT_CLOSE_FRAME, 0, "\x03\xe8", 2);
	expect_closing(0);
	stop_serving();
}

static void a_connection_that_was_upgraded_is_adopted_at_its_frames(void)
{
	struct wss_server *server = serve(NULL);
	wss_client client;
	char frame[32];
	size_t len = wire_make(frame, true, TEXT, "in two", 6);
	int theirs;
	int fd = wire_accepted(&theirs);

	CHECK_INT(wss_adopt(server, fd, frame, 5, true, &client), 0);
	CHECK_INT(say(client, "at once"), 0);
	wire_expect_text(theirs, "at once");
	wire_write(theirs, frame + 5, len - 5);
	expect(WSS_EVENT_CONNECTING, 0);
	expect(WSS_EVENT_CONNECTED, 0);
	expect_data(WSS_EVENT_TEXT, 0, "in two", 6);
	CHECK_INT(wss_client_text(client, WSS_CLIENT_PATH, frame, sizeof(frame)), -ENOTCONN);
	close(theirs);
	expect_closing(0);
	stop_serving();
}

static void a_connection_that_is_not_adopted_stays_the_applications(void)
{
	static uint8_t much[16384];
	struct wss_server *server = serve(NULL);
	int clients[MAX_CLIENTS];
	char byte;
	int theirs;
	int fd = wire_accepted(&theirs);

	CHECK_INT(wss_adopt(NULL, fd, NULL, 0, true, NULL), -EINVAL);
	CHECK_INT(wss_adopt(server, -1, NULL, 0, true, NULL), -EINVAL);
	CHECK_INT(wss_adopt(server, fd, NULL, 1, true, NULL), -EINVAL);
	CHECK_INT(wss_adopt(server, 10000, NULL, 0, true, NULL), -EIO);
	CHECK_INT(wss_adopt(server, fd, much, sizeof(much), true, NULL), -EMSGSIZE);
	for (int32_t index = 0; index < MAX_CLIENTS; index++) {
		clients[index] = open_client(index);
	}
	CHECK_INT(wss_adopt(server, fd, NULL, 0, true, NULL), -EBUSY);
	for (int32_t index = 0; index < MAX_CLIENTS; index++) {
		close(clients[index]);
		expect_closing(index);
	}
	stop_serving();
	CHECK_INT(wss_adopt(server, fd, NULL, 0, true, NULL), -ENOTCONN);
	expect_no_event();
	/* It is as it was. */
	wire_say(fd, "x");
	CHECK(read(theirs, &byte, 1) == 1 && byte == 'x');
	close(fd);
	close(theirs);
}

static void a_server_that_does_not_listen_has_the_clients_it_adopts(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_server *server;
	int theirs;

	limits.listens = false;
	server = serve_within(&limits);
	CHECK_INT(wss_port(server), 0);
	/* Which client it is need not be known. */
	CHECK_INT(wss_adopt(server, wire_accepted(&theirs), NULL, 0, false, NULL), 0);
	wire_upgrade(theirs);
	expect(WSS_EVENT_CONNECTING, 0);
	expect(WSS_EVENT_CONNECTED, 0);
	close(theirs);
	expect_closing(0);
	stop_serving();
}

static void an_adopted_request_is_that_of_the_hook_and_the_origins(void)
{
	struct wss_server *server;
	wss_client client;
	char head[512];
	int theirs;

	let_hook_say(404);
	server = serve_with_hook(accept_all, "http://example.com");
	CHECK_INT(wss_adopt(server, wire_accepted(&theirs), REQUEST, strlen(REQUEST), false, NULL), 0);
	CHECK_INT(wire_response(theirs, head, sizeof(head)), 403);
	close(theirs);
	expect(WSS_EVENT_CONNECTING, 0);
	expect_closing(0);
	CHECK_INT(wss_adopt(server, wire_accepted(&theirs), FULL_REQUEST, strlen(FULL_REQUEST), false,
			    &client), 0);
	CHECK_INT(wire_response(theirs, head, sizeof(head)), 404);
	close(theirs);
	expect(WSS_EVENT_CONNECTING, wss_client_index(client));
	expect_closing(wss_client_index(client));
	stop_serving();
}

#define SUITE requests
#define CASES(CASE)                                                                                \
	CASE(a_hook_accepts_or_refuses_with_a_status)                                              \
	CASE(user_data_of_a_hook_is_there_from_the_next_event_on)                                  \
	CASE(what_a_request_lacks_is_null)                                                         \
	CASE(with_a_hook_only_same_origin_browsers_may_connect)                                    \
	CASE(without_a_hook_every_origin_may_connect)                                              \
	CASE(only_origins_that_are_listed_may_connect)                                             \
	CASE(a_hook_may_leave_the_answer_to_later)                                                 \
	CASE(the_handshake_deadline_goes_on_while_the_answer_is_awaited)                           \
	CASE(what_the_handshake_said_can_be_read)                                                  \
	CASE(a_later_http_1_is_reported_as_1_1)                                                    \
	CASE(a_connection_of_the_application_is_adopted_with_what_it_has_received)                 \
	CASE(a_connection_that_was_upgraded_is_adopted_at_its_frames)                              \
	CASE(a_connection_that_is_not_adopted_stays_the_applications)                              \
	CASE(a_server_that_does_not_listen_has_the_clients_it_adopts)                              \
	CASE(an_adopted_request_is_that_of_the_hook_and_the_origins)

TEST_PROGRAM(CASES)
