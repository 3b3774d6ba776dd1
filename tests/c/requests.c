/* SPDX-License-Identifier: Apache-2.0 */
/* Opening requests with wss.h: hooks, origins, answers, and adopted connections. Each case is named after its rule. */
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

/* The hook's answer, and its request. */
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
	/* Its result is the answer. */
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	CHECK_INT(wss_refuse(client, 403, NULL), -ENOTCONN);
	CHECK_INT(wss_set_user_data(client, &whose), 0);
	CHECK(wss_user_data(client) == &whose);
	CHECK_INT(wss_set_groups(client, 5), 0);
	return count_call();
}

/* Sends a request, and checks that the response has this status and this text. */
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
	/* The data that the hook attached. */
	CHECK_INT(wss_groups(client), 5);
	CHECK(wss_user_data(client) != NULL);
	CHECK_INT(wss_broadcast(server, 4, WSS_TEXT, "group", 5), 1);
	wire_expect_text(fd, "group");
	leave(fd);
	CHECK_INT(hook_calls() - before, 15);
	stop_serving();
	/* Without it, all clients may connect. */
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
	/* The hook is not called. */
	ask_with(OF_ORIGIN("http://example.com"), 403, "");
	ask_with(OF_ORIGIN("http://localhost.example.com"), 403, "");
	ask_with(OF_ORIGIN("http://localhost:8000"), 403, "");
	ask_with(OF_ORIGIN("null"), 403, "");
	CHECK_INT(hook_calls(), before);
	leave(ask_with(OF_ORIGIN("http://localhost"), 101, ""));
	leave(ask_with(OF_ORIGIN("https://LOCALHOST"), 101, ""));
	/* A client without an Origin is not a browser. */
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
		/* Not even the server's own origin, nor a client without one. */
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

/* Fields, parameters, and credentials. */

/* "device:p:w", "device:", and "\xff:x" */
#define BASIC       "ZGV2aWNlOnA6dw=="
#define NO_PASSWORD "ZGV2aWNlOg=="
#define NOT_UTF8    "/zp4"

static int read_credentials(struct wss_request *request, void *given)
{
	const char *password = NULL;
	char value[64];

	(void)given;
	CHECK(strcmp(wss_request_field(request, "AUTHORIZATION"), "Basic " BASIC) == 0);
	CHECK(strcmp(wss_request_field(request, "cookie"), "id=7; theme=\"dark\"; empty=") == 0);
	CHECK(wss_request_field(request, "X-Other") == NULL);
	CHECK(wss_request_field(request, "Host") == NULL);
	CHECK(wss_request_field(request, NULL) == NULL);
	CHECK(wss_request_field(NULL, "Cookie") == NULL);
	CHECK(wss_request_is_basic(request, "device", "p:w"));
	CHECK(!wss_request_is_basic(request, "device", "p:"));
	CHECK(!wss_request_is_basic(request, "device", "p:wx"));
	CHECK(!wss_request_is_basic(request, "devic", "p:w"));
	CHECK(!wss_request_is_basic(request, "device:p", "w"));
	CHECK(!wss_request_is_basic(request, NULL, "p:w"));
	CHECK(!wss_request_is_basic(NULL, "device", "p:w"));
	CHECK(!wss_request_is_bearer(request, BASIC));
	CHECK(!wss_request_is_bearer(request, NULL));
	CHECK_INT(wss_request_basic(request, value, sizeof(value), &password), 0);
	CHECK(strcmp(value, "device") == 0 && strcmp(password, "p:w") == 0);
	CHECK(wss_is_equal(password, "p:w"));
	CHECK(!wss_is_equal(password, "p:W") && !wss_is_equal(password, "p:"));
	CHECK(!wss_is_equal(NULL, "") && !wss_is_equal("", NULL) && wss_is_equal("", ""));
	CHECK_INT(wss_request_basic(request, value, sizeof("device:p"), &password), -EMSGSIZE);
	CHECK_INT(wss_request_basic(request, NULL, sizeof(value), &password), -EINVAL);
	CHECK_INT(wss_request_basic(request, value, sizeof(value), NULL), -EINVAL);
	CHECK_INT(wss_request_basic(NULL, value, sizeof(value), &password), -EINVAL);
	CHECK_INT(wss_request_param(request, "name", value, sizeof(value)), 3);
	CHECK(strcmp(value, "a b") == 0);
	CHECK_INT(wss_request_param(request, "name", value, 4), 3);
	CHECK_INT(wss_request_param(request, "name", value, 3), -EMSGSIZE);
	CHECK_INT(wss_request_param(request, "name", value, 0), -EMSGSIZE);
	CHECK_INT(wss_request_param(request, "flag", value, 1), 0);
	CHECK_INT(wss_request_param(request, "nul", value, sizeof(value)), -EBADMSG);
	CHECK_INT(wss_request_param(request, "wrong", value, sizeof(value)), -EBADMSG);
	CHECK_INT(wss_request_param(request, "other", value, sizeof(value)), -ENOENT);
	CHECK_INT(wss_request_param(request, NULL, value, sizeof(value)), -EINVAL);
	CHECK_INT(wss_request_param(request, "name", NULL, sizeof(value)), -EINVAL);
	CHECK_INT(wss_request_param(NULL, "name", value, sizeof(value)), -EINVAL);
	CHECK(wss_request_is_param(request, "name", "a b"));
	CHECK(!wss_request_is_param(request, "name", "a") && !wss_request_is_param(request, "other", ""));
	CHECK(!wss_request_is_param(request, NULL, "a") && !wss_request_is_param(request, "name", NULL));
	CHECK(!wss_request_is_param(NULL, "name", "a b"));
	CHECK_INT(wss_request_cookie(request, "theme", value, sizeof(value)), 6);
	/* The quotes are part of it (RFC 6265 section 4.1.1). */
	CHECK(strcmp(value, "\"dark\"") == 0);
	CHECK_INT(wss_request_cookie(request, "id", value, 2), 1);
	CHECK_INT(wss_request_cookie(request, "id", value, 1), -EMSGSIZE);
	CHECK_INT(wss_request_cookie(request, "empty", value, sizeof(value)), 0);
	CHECK_INT(wss_request_cookie(request, "i", value, sizeof(value)), -ENOENT);
	CHECK_INT(wss_request_cookie(request, NULL, value, sizeof(value)), -EINVAL);
	return count_call();
}

static int read_tokens(struct wss_request *request, void *given)
{
	const char *password = NULL;
	char value[64];

	(void)given;
	CHECK(!wss_request_is_basic(request, "device", "p:w"));
	CHECK_INT(wss_request_basic(request, value, sizeof(value), &password), -ENOENT);
	return wss_request_is_bearer(request, "abc.DEF") ? 0 : count_call();
}

static struct wss_config with_fields(wss_request_hook hook)
{
	struct wss_config config = config_for_tests(NULL);

	config.on_request = hook;
	config.request_fields = "Authorization Cookie";
	return config;
}

static void a_hook_reads_fields_parameters_and_credentials(void)
{
	struct wss_config config = with_fields(read_credentials);
	int before = hook_calls();

	serve(&config);
	let_hook_say(0);
	leave(ask_with(REQUEST_TO("/chat?name=a%20b&flag&nul=%00&wrong=%ff",
				  "Authorization: Basic " BASIC "\r\nX-Other: x\r\n"
				  "Cookie: id=7; theme=\"dark\"; empty=\r\n"), 101, ""));
	CHECK_INT(hook_calls(), before + 1);
	stop_serving();
	config.on_request = read_tokens;
	serve(&config);
	let_hook_say(401);
	leave(ask_with(REQUEST_TO("/", "Authorization: bearer abc.DEF\r\n"), 101, ""));
	ask_with(REQUEST_TO("/", "Authorization: Bearer abc.DEFG\r\n"), 401, "WWW-Authenticate");
	ask_with(REQUEST_TO("/", "Authorization: Basic " NOT_UTF8 "\r\n"), 401, "");
	ask_with(REQUEST_TO("/", "Authorization: Basic !\r\n"), 401, "");
	ask_with(REQUEST_TO("/", "Authorization: Basic " NO_PASSWORD "x\r\n"), 401, "");
	ask_with(REQUEST, 401, "");
	stop_serving();
}

static void credentials_of_the_configuration_are_asked_for_before_the_hook(void)
{
	struct wss_config config = config_for_tests(NULL);
	int before = hook_calls();

	config.user = "device";
	config.password = "p:w";
	config.token = "abc.DEF";
	for (int round = 0; round < 2; round++) {
		/* With a hook, and without. */
		config.on_request = round == 0 ? accept_all : NULL;
		let_hook_say(0);
		serve(&config);
		leave(ask_with(REQUEST_TO("/", "Authorization: Basic " BASIC "\r\n"), 101, ""));
		leave(ask_with(REQUEST_TO("/", "Authorization: Bearer abc.DEF\r\n"), 101, ""));
		leave(ask_with(REQUEST_TO("/?a=b&token=abc%2EDEF", ""), 101, ""));
		ask_with(REQUEST, 401, "\r\nWWW-Authenticate: Basic ");
		ask_with(REQUEST_TO("/?token=abc.DE", ""), 401, "");
		ask_with(REQUEST_TO("/", "Authorization: Bearer abc.DEF0\r\n"), 401, "");
		ask_with(REQUEST_TO("/", "Authorization: Basic " NO_PASSWORD "\r\n"), 401, "");
		/* Only pages of the server itself. */
		ask_with(REQUEST_TO("/?token=abc.DEF", "Origin: http://example.com\r\n"), 403, "");
		leave(ask_with(REQUEST_TO("/?token=abc.DEF", "Origin: http://localhost\r\n"), 101, ""));
		stop_serving();
	}
	CHECK_INT(hook_calls(), before + 4);
	config.token = "";
	CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	config.token = NULL;
	config.password = NULL;
	CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	config.password = "x";
	config.user = "a:b";
	CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	config.user = "a";
	config.request_fields = "Cookie";
	CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
}

static void request_fields_are_checked_at_the_start(void)
{
	static const char *const wrong[] = {"Host", "Upgrade Cookie", "no:token", "Sec-WebSocket-Key", "\xff"};
	struct wss_config config = with_fields(NULL);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		config.request_fields = wrong[i];
		CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	}
}

static void origins_that_can_never_match_are_refused_at_the_start(void)
{
	static const char *const wrong[] = {"device.local", "http://device.local/x", "http://h http://", "\xff"};
	struct wss_config config = config_for_tests(NULL);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		config.origins = wrong[i];
		CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	}
}

/* Responses. */

/* Guarded by the lock of hook_says. */
static struct wss_response response_now;
static uint16_t status_now;

static void answer_with(uint16_t status, struct wss_response response)
{
	pthread_mutex_lock(&hook_says.lock);
	status_now = status;
	response_now = response;
	pthread_mutex_unlock(&hook_says.lock);
}

static int answer_now(struct wss_request *request, void *given)
{
	struct wss_response response;
	uint16_t status;
	int answer;

	(void)given;
	pthread_mutex_lock(&hook_says.lock);
	status = status_now;
	response = response_now;
	pthread_mutex_unlock(&hook_says.lock);
	if (status == 0) {
		answer = wss_request_accept(request, &response);
		/* The first answer counts. */
		CHECK(answer < 0 || wss_request_refuse(request, 403, NULL) == answer);
	} else {
		answer = wss_request_refuse(request, status, &response);
	}
	return answer;
}

static void a_response_has_what_the_hook_gives_it(void)
{
	static const struct wss_response_field fields[] = {{"Set-Cookie", "id=7; HttpOnly"}, {"X-Two", ""}};
	static const struct wss_response_field wrong[] = {
		{"Set Cookie", "x"}, {"Upgrade", "h2c"}, {"X", "a\r\nY: b"}, {NULL, "x"}, {"X", NULL}, {"", "x"},
	};
	static const struct wss_response_field many[WSS_MAX_RESPONSE_FIELDS + 1];
	struct wss_config config = with_fields(answer_now);

	serve(&config);
	answer_with(0, (struct wss_response){.subprotocol = "chat", .fields = fields, .field_count = 2});
	leave(ask_with(REQUEST_TO("/", "Sec-WebSocket-Protocol: chat\r\n"), 101,
		       "\r\nSec-WebSocket-Protocol: chat\r\n"));
	leave(ask_with(REQUEST_TO("/", "Sec-WebSocket-Protocol: chat\r\n"), 101,
		       "\r\nSet-Cookie: id=7; HttpOnly\r\nX-Two: \r\n"));
	/* The client did not offer it. */
	ask_with(REQUEST, 500, "");
	answer_with(401, (struct wss_response){.challenge = "Basic realm=\"device\"", .fields = fields,
					       .field_count = 1});
	ask_with(REQUEST, 401, "\r\nWWW-Authenticate: Basic realm=\"device\"\r\n");
	ask_with(REQUEST, 401, "\r\nSet-Cookie: id=7; HttpOnly\r\n");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		answer_with(i % 2 == 0 ? 0 : 404,
			    (struct wss_response){.fields = &wrong[i], .field_count = 1});
		ask_with(REQUEST, 500, "");
	}
	answer_with(404, (struct wss_response){.fields = many,
					       .field_count = WSS_MAX_RESPONSE_FIELDS + 1});
	ask_with(REQUEST, 500, "");
	answer_with(404, (struct wss_response){.challenge = "Basic\r\nX: y"});
	ask_with(REQUEST, 500, "");
	answer_with(200, (struct wss_response){.subprotocol = NULL});
	ask_with(REQUEST, 500, "");
	stop_serving();
	CHECK_INT(wss_request_accept(NULL, NULL), -EINVAL);
	CHECK_INT(wss_request_refuse(NULL, 403, NULL), -EINVAL);
}

static void failed_logins_of_an_address_are_limited(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(NULL);
	int before;

	limits.login_failures_per_minute = 3;
	config.limits = &limits;
	config.on_request = read_tokens;
	config.request_fields = "Authorization";
	serve(&config);
	let_hook_say(401);
	before = hook_calls();
	/* Other refusals do not count, nor do accepted clients. */
	for (int i = 0; i < 4; i++) {
		let_hook_say(404);
		ask_with(REQUEST, 404, "");
		leave(ask_with(REQUEST_TO("/", "Authorization: Bearer abc.DEF\r\n"), 101, ""));
	}
	for (int i = 0; i < 3; i++) {
		let_hook_say(i == 1 ? 403 : 401);
		ask_with(REQUEST, i == 1 ? 403 : 401, "");
	}
	ask_with(REQUEST, 429, "Retry-After");
	/* Not even with the right token. */
	ask_with(REQUEST_TO("/", "Authorization: Bearer abc.DEF\r\n"), 429, "");
	CHECK_INT(hook_calls(), before + 7);
	stop_serving();
}

/* Answering later. */

static int accept_with(wss_client client, const char *subprotocol)
{
	struct wss_response response = {.subprotocol = subprotocol};

	return wss_accept(client, &response);
}

/* The last request of the hook, for the thread that decides. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	wss_client client;
} question = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int say_later(struct wss_request *request, void *given)
{
	wss_client client = wss_request_client(request);

	(void)given;
	/* A decision inside the hook is its result. */
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	pthread_mutex_lock(&question.lock);
	question.client = client;
	pthread_cond_signal(&question.changed);
	pthread_mutex_unlock(&question.lock);
	return WSS_LATER;
}

/* A client that has sent a request, together with the first frame. */
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
	static const struct wss_response_field fields[] = {{"Set-Cookie", "a=1"}};
	static const struct wss_response_field two_lines[] = {{"X-Own", "a\r\nX-Other: b"}};
	static const struct wss_response split = {.fields = two_lines, .field_count = 1};
	static const struct wss_response login = {
		.challenge = "Basic realm=\"device\"", .fields = fields, .field_count = 1};
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
	/* Its request can be read. */
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
	/* Its response may have fields and a challenge. */
	fd = ask_later(&client);
	CHECK_INT(wss_accept(client, &split), -EINVAL);
	CHECK_INT(wss_refuse(client, 401, &split), -EINVAL);
	CHECK_INT(wss_refuse(client, 401, &login), 0);
	CHECK_INT(wire_response(fd, head, sizeof(head)), 401);
	CHECK(strstr(head, "\r\nWWW-Authenticate: Basic realm=\"device\"\r\n") != NULL);
	CHECK(strstr(head, "\r\nSet-Cookie: a=1\r\n") != NULL);
	leave(fd);
	wait_for_slots();
	/* A client that does not wait for an answer. */
	fd = ask_later(&client);
	leave(fd);
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	stop_serving();
	CHECK_INT(wss_accept(client, NULL), -ENOTCONN);
	CHECK_INT(wss_refuse(client, 403, NULL), -ENOTCONN);
}

static wss_client asked_client(void)
{
	wss_client client;

	pthread_mutex_lock(&question.lock);
	client = question.client;
	pthread_mutex_unlock(&question.lock);
	return client;
}

static void a_later_answer_is_not_asked_for_another_origin(void)
{
	wss_client client, before = asked_client();
	char head[512];
	int fd;

	serve_with_hook(say_later, NULL);
	ask_with(OF_ORIGIN("http://example.com"), 403, "");
	CHECK(asked_client() == before);
	fd = wire_connect(default_port());
	wire_say(fd, OF_ORIGIN("http://localhost"));
	expect(WSS_EVENT_CONNECTING, 0);
	client = wss_client_at(wss_default_server(), 0);
	while (wss_accept(client, NULL) != 0) {
		/* Its hook has not returned yet. */
		sleep_ms(1);
	}
	CHECK_INT(wire_response(fd, head, sizeof(head)), 101);
	expect(WSS_EVENT_CONNECTED, 0);
	leave(fd);
	stop_serving();
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

/* The request of a client. */

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
	/* The next client has another request. */
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
	/* The library closes it. */
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
	/* It is unchanged. */
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
	/* The client is optional. */
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

/* On Zephyr, WSS_PAGE_DEFINE() defines them: see samples/device_c. */
#ifndef __ZEPHYR__
static int pages_for_all(struct wss_request *request, void *given)
{
	(void)given;
	return wss_request_is_page(request) ? count_call() : 404;
}

/* Requests a page, and checks the status, and a text in the head or the bytes of the body. */
static void ask_page(const char *request, int status, const char *text, const void *body, size_t size)
{
	char head[512];
	char read_body[64];
	size_t len = 0;
	ssize_t count;
	int fd;

	wait_for_slots();
	fd = wire_connect(default_port());
	wire_say(fd, request);
	CHECK_INT(wire_response(fd, head, sizeof(head)), status);
	CHECK(strstr(head, text) != NULL);
	do {
		count = recv(fd, read_body + len, sizeof(read_body) - len, 0);
		CHECK(count >= 0);
		len += (size_t)count;
	} while (count > 0);
	CHECK_BYTES(read_body, len, body, size);
	close(fd);
	expect(WSS_EVENT_CONNECTING, 0);
	expect_closing(0);
}

static void pages_of_the_configuration_are_served(void)
{
	static const unsigned char packed[] = {0x1F, 0x8B, 0, 1, 2};
	const struct wss_page pages[] = {
		{.path = "/", .content_type = "text/html", .body = "<p>hello", .size = 8},
		{.path = "/app.js", .content_type = "text/javascript", .encoding = "gzip",
		 .etag = "v1", .body = packed, .size = sizeof(packed)},
		{.path = "/empty", .content_type = "text/plain"},
	};
	struct wss_config config = config_for_tests(NULL);
	int before = hook_calls();

	config.pages = pages;
	config.page_count = 3;
	config.on_request = pages_for_all;
	let_hook_say(0);
	serve(&config);
	ask_page("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 200, "\r\nContent-Type: text/html\r\n", "<p>hello", 8);
	ask_page("GET /app.js HTTP/1.1\r\nHost: h\r\n\r\n", 200,
		 "\r\nContent-Encoding: gzip\r\nETag: \"v1\"\r\n", packed, sizeof(packed));
	ask_page("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", 200, "\r\nContent-Length: 8\r\n", "", 0);
	ask_page("GET /empty HTTP/1.1\r\nHost: h\r\n\r\n", 200, "\r\nContent-Length: 0\r\n", "", 0);
	ask_page("GET /app.js HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"v1\"\r\n\r\n", 304, "", "", 0);
	ask_page("GET /other HTTP/1.1\r\nHost: h\r\n\r\n", 404, "", "", 0);
	ask_page("POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405, "\r\nAllow: GET, HEAD\r\n", "", 0);
	CHECK_INT(hook_calls(), before + 6);
	let_hook_say(401);
	ask_page("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 401, "\r\nWWW-Authenticate: Basic ", "", 0);
	/* This is not a page. */
	ask_with(REQUEST, 404, "");
	stop_serving();
	/* Without pages there are none. */
	config.page_count = 0;
	serve(&config);
	ask_page("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426, "", "", 0);
	stop_serving();
}

static void pages_are_checked_at_the_start(void)
{
	static const struct wss_page wrong[] = {
		{.path = NULL, .content_type = "text/html"},
		{.path = "/", .content_type = NULL},
		{.path = "", .content_type = "text/html"},
		{.path = "/a b", .content_type = "text/html"},
		{.path = "/\xff", .content_type = "text/html"},
		{.path = "/", .content_type = "a\r\nb: c"},
		{.path = "/", .content_type = "text/html", .encoding = ""},
		{.path = "/", .content_type = "text/html", .etag = "\"a\""},
		{.path = "/", .content_type = "text/html", .body = NULL, .size = 1},
	};
	struct wss_config config = config_for_tests(NULL);

	config.page_count = 1;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		config.pages = &wrong[i];
		CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
	}
	config.pages = NULL;
	CHECK_INT(wss_start(wss_default_server(), &config), -EINVAL);
}
#else
static void pages_of_the_configuration_are_served(void)
{
}

static void pages_are_checked_at_the_start(void)
{
}
#endif

#define SUITE requests
#define CASES(CASE)                                                                                \
	CASE(a_hook_accepts_or_refuses_with_a_status)                                              \
	CASE(user_data_of_a_hook_is_there_from_the_next_event_on)                                  \
	CASE(what_a_request_lacks_is_null)                                                         \
	CASE(with_a_hook_only_same_origin_browsers_may_connect)                                    \
	CASE(without_a_hook_every_origin_may_connect)                                              \
	CASE(only_origins_that_are_listed_may_connect)                                             \
	CASE(a_hook_reads_fields_parameters_and_credentials)                                       \
	CASE(credentials_of_the_configuration_are_asked_for_before_the_hook)                       \
	CASE(request_fields_are_checked_at_the_start)                                              \
	CASE(origins_that_can_never_match_are_refused_at_the_start)                                \
	CASE(a_response_has_what_the_hook_gives_it)                                                \
	CASE(failed_logins_of_an_address_are_limited)                                              \
	CASE(pages_of_the_configuration_are_served)                                                \
	CASE(pages_are_checked_at_the_start)                                                       \
	CASE(a_hook_may_leave_the_answer_to_later)                                                 \
	CASE(a_later_answer_is_not_asked_for_another_origin)                                       \
	CASE(the_handshake_deadline_goes_on_while_the_answer_is_awaited)                           \
	CASE(what_the_handshake_said_can_be_read)                                                  \
	CASE(a_later_http_1_is_reported_as_1_1)                                                    \
	CASE(a_connection_of_the_application_is_adopted_with_what_it_has_received)                 \
	CASE(a_connection_that_was_upgraded_is_adopted_at_its_frames)                              \
	CASE(a_connection_that_is_not_adopted_stays_the_applications)                              \
	CASE(a_server_that_does_not_listen_has_the_clients_it_adopts)                              \
	CASE(an_adopted_request_is_that_of_the_hook_and_the_origins)

TEST_PROGRAM(CASES)
