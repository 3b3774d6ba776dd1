/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a server by wss.h, its limits, ticks, counters, and log: each case is named after its rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define PATIENCE_MS (PATIENCE * 1000)

/* Starting and stopping. */

static void a_server_starts_with_the_configuration_that_was_set(void)
{
	struct wss_server *server = wss_default_server();
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(&limits);

	CHECK(server == wss_server_at(0));
	CHECK_INT(wss_configure(server, &config), 0);
	/* Limits are copied: these would be rejected. */
	memset(&limits, 0, sizeof(limits));
	for (int round = 0; round < 2; round++) {
		CHECK_INT(wss_start(server, NULL), 0);
		close(open_client(0));
		expect_closing(0);
		stop_serving();
	}
	/* With another configuration, which replaces the one that was set. */
	config = config_for_tests(NULL);
	config.on_event = NULL;
	CHECK_INT(wss_start(server, &config), 0);
	close(wire_open(default_port()));
	CHECK_INT(wss_stop(server), 0);
	CHECK_INT(wss_start(server, NULL), 0);
	close(wire_open(default_port()));
	CHECK_INT(wss_stop(server), 0);
	/* The default one: any free port, and no callback. */
	if (TEST_PORT == 0) {
		CHECK_INT(wss_configure(server, NULL), 0);
		CHECK_INT(wss_start(server, NULL), 0);
		close(wire_open(default_port()));
		CHECK_INT(wss_stop(server), 0);
	}
	expect_no_event();
	CHECK_INT(wss_port(server), -ENOTCONN);
}

static void a_running_server_is_busy(void)
{
	struct wss_config config = config_for_tests(NULL);
	struct wss_server *server = serve(NULL);
	int fd;

	CHECK_INT(wss_configure(server, &config), -EBUSY);
	CHECK_INT(wss_configure(server, NULL), -EBUSY);
	CHECK_INT(wss_start(server, &config), -EBUSY);
	CHECK_INT(wss_start(server, NULL), -EBUSY);
	CHECK(SYS_WSS_Initialize(NULL, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	/* It is unchanged. */
	fd = open_client(0);
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void start_and_stop_check_every_argument(void)
{
	CHECK_INT(wss_configure(NULL, NULL), -EINVAL);
	CHECK_INT(wss_start(NULL, NULL), -EINVAL);
	CHECK_INT(wss_stop(NULL), -EINVAL);
	CHECK_INT(wss_stop(wss_default_server()), -ENOTCONN);
	CHECK_INT(wss_port(NULL), -EINVAL);
	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
}

static void a_port_in_use_is_an_error_of_its_own_and_leaves_nothing(void)
{
	struct wss_config config = config_for_tests(NULL);
	struct sockaddr_in address = wire_address(TEST_PORT);
	struct wss_server *server = wss_default_server();
	socklen_t len = sizeof(address);
	int64_t until;
	const int on = 1;
	int result;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(fd, 1) == 0);
	if (TEST_PORT == 0) {
		CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	}
	config.port = ntohs(address.sin_port);
	for (int round = 0; round < 3; round++) {
		CHECK_INT(wss_start(server, &config), -EADDRINUSE);
		CHECK_INT(wss_port(server), -ENOTCONN);
	}
	close(fd);
	/* The system may take a moment. */
	until = now_ms() + PATIENCE_MS;
	while ((result = wss_start(server, &config)) == -EADDRINUSE) {
		CHECK(now_ms() < until);
		sleep_ms(10);
	}
	CHECK_INT(result, 0);
	CHECK_INT(default_port(), config.port);
	close(open_client(0));
	expect_closing(0);
	stop_serving();
}

static void stop_closes_every_client_with_1001_and_is_bounded(void)
{
	struct wss_server *server = serve(NULL);
	int answers = open_client(0);
	int silent = open_client(1);
	int64_t start_ms = now_ms();

	wire_close_frame(answers, 1001, "");
	expect_data(WSS_EVENT_CLOSE_FRAME, 0, "\x03\xe9", 2);
	expect(WSS_EVENT_CLOSING, 0);
	CHECK_INT(wss_stop(server), 0);
	CHECK(now_ms() - start_ms < 4000);
	expect_closed(2);
	/* Nothing follows. */
	expect_no_event();
	wire_expect_close(answers, 1001, "");
	wire_expect_close(silent, 1001, "");
	close(answers);
	close(silent);
	CHECK_INT(wss_stop(server), -ENOTCONN);
	CHECK_INT(wss_port(server), -ENOTCONN);
	sleep_ms(200);
	expect_no_event();
}

static sem_t returning;

static void stay(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == WSS_EVENT_TEXT) {
		CHECK(sem_wait(&returning) == 0);
	}
}

static void stop_is_busy_while_a_callback_does_not_return(void)
{
	int64_t until = now_ms() + PATIENCE_MS;
	struct wss_server *server;
	int64_t start_ms;
	int result;
	int fd;

	CHECK(sem_init(&returning, 0, 0) == 0);
	act = stay;
	server = serve(NULL);
	fd = open_client(0);
	wire_text(fd, "stay");
	expect_data(WSS_EVENT_TEXT, 0, "stay", 4);
	start_ms = now_ms();
	CHECK_INT(wss_stop(server), -EBUSY);
	CHECK(now_ms() - start_ms < 1000 + 3000);
	CHECK_INT(wss_start(server, NULL), -EBUSY);
	CHECK_INT(wss_configure(server, NULL), -EBUSY);
	CHECK(sem_post(&returning) == 0);
	/* Now it stops, by itself or while this waits. */
	result = wss_stop(server);
	CHECK(result == 0 || result == -ENOTCONN);
	while (wss_configure(server, NULL) == -EBUSY) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	close(fd);
	sem_destroy(&returning);
	forget_events();
	act = NULL;
	serve(NULL);
	close(open_client(0));
	expect_closing(0);
	stop_serving();
}

static atomic_int stop_result;

static void stop_inside(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == WSS_EVENT_TEXT) {
		stop_result = wss_stop(wss_default_server());
	}
}

static void stop_inside_a_callback_returns_at_once_and_ends_after_it(void)
{
	int64_t until = now_ms() + PATIENCE_MS;
	struct wss_config config = config_for_tests(NULL);
	struct wss_server *server;
	int fd;

	stop_result = 1;
	act = stop_inside;
	server = serve(NULL);
	fd = open_client(0);
	wire_text(fd, "stop");
	expect_data(WSS_EVENT_TEXT, 0, "stop", 4);
	wire_expect_close(fd, 1001, "");
	wire_close_frame(fd, 1001, "");
	wire_expect_end(fd);
	close(fd);
	expect_closing(0);
	CHECK_INT(stop_result, 0);
	act = NULL;
	while (wss_configure(server, &config) == -EBUSY) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	serve(NULL);
	close(open_client(0));
	expect_closing(0);
	stop_serving();
}

/* The two kinds of callbacks. */

static atomic_int own_events;

static void count_own(const struct wss_event *event, void *given)
{
	CHECK(given == &own_events);
	CHECK(event->server == wss_default_server());
	own_events++;
}

static void a_sys_wss_callback_stands_for_that_of_the_configuration(void)
{
	struct wss_config config = config_for_tests(NULL);
	SYS_WSS_CONFIG own = {.port = TEST_PORT, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;

	config.on_event = count_own;
	config.cookie = &own_events;
	service = start_with(&config);
	close(open_client(0));
	expect_closing(0);
	end(&service);
	CHECK_INT(own_events, 0);
	/* Without one, the configured callback, and only that, gets events. */
	CHECK_INT(wss_configure(wss_default_server(), &config), 0);
	service = SYS_WSS_Initialize(&own, NULL, NULL);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	close(wire_open(default_port()));
	SYS_WSS_Deinitialize(&service);
	/* CONNECTING, CONNECTED, CLOSING, CLOSED. */
	CHECK_INT(own_events, 4);
	/* Independent of an earlier run. */
	serve(NULL);
	stop_serving();
	CHECK_INT(wss_configure(wss_default_server(), &config), 0);
	service = SYS_WSS_Initialize(&own, NULL, NULL);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	close(wire_open(default_port()));
	SYS_WSS_Deinitialize(&service);
	CHECK_INT(own_events, 8);
	expect_no_event();
}

/* Limits. */

static void the_defaults_are_those_of_the_contract(void)
{
	struct wss_limits limits;

	memset(&limits, 0xff, sizeof(limits));
	wss_limits_init(&limits);
	CHECK_INT(limits.rx_buffer_size, 1400);
	CHECK_INT(limits.max_clients, 64);
	CHECK_INT(limits.tx_blocks, 0);
	CHECK_INT(limits.handshake_size, 4096);
	CHECK(!limits.streaming);
	CHECK(limits.listens);
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

static void tick(struct wss_server *server, void *given);

static void configurations_are_checked(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(&limits);
	struct wss_server *server = wss_default_server();
	wss_queue queues[WSS_MAX_QUEUES + 1];
	wss_queue queue;

	wss_limits_init(NULL);
	/* It does not start with it either. */
#define CHECK_WRONG()                                                                              \
	CHECK_INT(wss_configure(server, &config), -EINVAL);                                        \
	CHECK_INT(wss_start(server, &config), -EINVAL);                                            \
	config = config_for_tests(&limits)
#define WRONG_LIMIT(field, value)                                                                  \
	limits.field = value;                                                                      \
	CHECK_WRONG();                                                                             \
	limits = limits_for_tests()
	WRONG_LIMIT(max_clients, 0);
	WRONG_LIMIT(rx_buffer_size, 3);
	WRONG_LIMIT(rx_buffer_size, SIZE_MAX);
	WRONG_LIMIT(handshake_size, 0);
	WRONG_LIMIT(client_timeout_ms, 1);
	WRONG_LIMIT(client_timeout_ms, 99);
	WRONG_LIMIT(client_timeout_ms, 65536);
	WRONG_LIMIT(handshake_timeout_ms, 0);
	WRONG_LIMIT(send_timeout_ms, 0);
	WRONG_LIMIT(close_timeout_ms, 0);
	WRONG_LIMIT(hold_timeout_ms, 0);
	WRONG_LIMIT(handshake_timeout_ms, (1U << 30) + 1);
	WRONG_LIMIT(ping_interval_ms, (1U << 30) + 1);
	WRONG_LIMIT(send_timeout_ms, UINT32_MAX);
	config.origins = "\xff";
	CHECK_WRONG();
	config.on_tick = tick;
	CHECK_WRONG();
	config.queue_count = 1;
	CHECK_WRONG();
	queues[0] = 0;
	config.queues = queues;
	config.queue_count = 1;
	CHECK_WRONG();
	CHECK_INT(wss_queue_create(WSS_MASK_ALL, 1, &queue), 0);
	for (int i = 0; i <= WSS_MAX_QUEUES; i++) {
		queues[i] = queue;
	}
	config.queues = queues;
	config.queue_count = WSS_MAX_QUEUES + 1;
	CHECK_WRONG();
	config.queues = queues;
	config.queue_count = SIZE_MAX;
	CHECK_WRONG();
	CHECK_INT(wss_queue_destroy(queue), 0);
	config.queues = queues;
	config.queue_count = 1;
	CHECK_WRONG();
#define RIGHT_LIMIT(field, value)                                                                  \
	limits.field = value;                                                                      \
	CHECK_INT(wss_configure(server, &config), 0);                                              \
	limits = limits_for_tests()
	RIGHT_LIMIT(client_timeout_ms, 0);
	RIGHT_LIMIT(client_timeout_ms, 100);
	RIGHT_LIMIT(client_timeout_ms, 65535);
	RIGHT_LIMIT(ping_interval_ms, 0);
	RIGHT_LIMIT(handshake_timeout_ms, 1U << 30);
	expect_no_event();
}

static void an_address_that_is_none_is_refused(void)
{
	static const char *const none[] = {"nowhere", "127.0.0.1x", "300.0.0.1", "\xff", ""};
	struct wss_config config = config_for_tests(NULL);
	struct wss_server *server = wss_default_server();

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		int result;

		config.address = none[i];
		result = wss_configure(server, &config);
		/* Now, or when listening detects it. */
		if (result == 0) {
			result = wss_start(server, NULL);
			CHECK(result == -EIO || result == -EINVAL);
		} else {
			CHECK_INT(result, -EINVAL);
		}
	}
	/* On every address, as by default. */
	config.address = NULL;
	serve(&config);
	close(open_client(0));
	expect_closing(0);
	stop_serving();
}

static void sizes_may_be_as_small_as_a_frame(void)
{
	struct wss_limits limits = limits_for_tests();
	int fd;

	limits.max_clients = 1;
	limits.rx_buffer_size = 4;
	limits.tx_blocks = 1;
	serve_within(&limits);
	fd = open_client(0);
	wire_text(fd, "four");
	expect_data(WSS_EVENT_TEXT, 0, "four", 4);
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void streaming_gives_pieces_with_first_and_last(void)
{
	struct wss_limits limits = limits_for_tests();
	static char large[6000];
	size_t total = 0;
	bool last = false;
	int fd;

	limits.rx_buffer_size = rx_buffer_size(256);
	limits.streaming = true;
	serve_within(&limits);
	fd = open_client(0);
	memset(large, 'x', sizeof(large));
	wire_frame(fd, true, TEXT, large, sizeof(large));
	while (!last) {
		struct record record = next_event();

		CHECK_INT(record.event, WSS_EVENT_TEXT);
		CHECK(record.first == (total == 0));
		CHECK(record.len <= limits.rx_buffer_size);
		total += record.len;
		last = record.last;
	}
	CHECK_INT(total, sizeof(large));
	close(fd);
	expect_closing(0);
	stop_serving();
}

/* Waits until a counter has a value: a client may observe an action before it is counted. */
#define WAIT_FOR_COUNTER(counter, value)                                                           \
	while (stats = stats_of(server), stats.counter != (value)) {                               \
		sleep_ms(1);                                                                       \
	}

static void an_address_with_too_many_clients_gets_429_and_no_event(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_server *server;
	struct wss_stats stats;
	char head[512];
	int first, late;

	limits.clients_per_address = 1;
	server = serve_within(&limits);
	first = open_client(0);
	late = wire_connect(default_port());
	wire_say(late, REQUEST);
	CHECK_INT(wire_response(late, head, sizeof(head)), 429);
	wire_expect_end(late);
	close(late);
	expect_no_event();
	WAIT_FOR_COUNTER(refused_address, 1);
	CHECK_INT(stats.refused_full, 0);
	/* The next client uses the slot. */
	close(first);
	expect_closing(0);
	wait_for_slots();
	close(open_client(0));
	expect_closing(0);
	stop_serving();
}

static void connections_over_the_handshakes_per_second_are_served_later(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_server *server;
	int fds[3];

	limits.handshakes_per_second = 1;
	server = serve_within(&limits);
	for (int i = 0; i < 3; i++) {
		fds[i] = wire_connect(default_port());
		wire_say(fds[i], REQUEST);
	}
	for (int i = 0; i < 3; i++) {
		expect(WSS_EVENT_CONNECTING, i);
		expect(WSS_EVENT_CONNECTED, i);
	}
	CHECK(stats_of(server).accept_pauses > 0);
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
		expect_closing(i);
	}
	stop_serving();
}

static void too_many_control_frames_or_fragments_are_closed_with_1008(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_server *server;
	struct wss_stats stats;
	int fd;

	limits.control_frames_per_second = 2;
	limits.fragments_per_message = 2;
	server = serve_within(&limits);
	fd = open_client(0);
	wire_write(fd, "\x89\x80----\x8a\x80----\x89\x80----", 18);
	expect_data(WSS_EVENT_PING, 0, "", 0);
	expect_data(WSS_EVENT_PONG, 0, "", 0);
	/* RFC 6455 was not violated: that is no INVALID_FRAME. */
	expect(WSS_EVENT_CLOSING, 0);
	wire_expect(fd, true, PONG, "", 0);
	wire_expect_close(fd, 1008, "");
	close(fd);
	expect(WSS_EVENT_CLOSED, 0);
	wait_for_slots();
	fd = open_client(0);
	wire_frame(fd, false, TEXT, "two", 3);
	wire_frame(fd, true, CONTINUATION, "", 0);
	expect_data(WSS_EVENT_TEXT, 0, "two", 3);
	wire_frame(fd, false, TEXT, "", 0);
	wire_frame(fd, false, CONTINUATION, "", 0);
	wire_frame(fd, false, CONTINUATION, "", 0);
	expect(WSS_EVENT_CLOSING, 0);
	wire_expect_close(fd, 1008, "");
	close(fd);
	expect(WSS_EVENT_CLOSED, 0);
	WAIT_FOR_COUNTER(policy_violations, 2);
	CHECK_INT(stats.protocol_errors, 0);
	stop_serving();
}

/* Ticks. */

static struct {
	atomic_int count;
	/* In a tick, or in a callback. */
	atomic_int inside;
	/* The tick in which to stop the server; 0: none. */
	atomic_int stop_at;
} ticks;

static void tick(struct wss_server *server, void *given)
{
	CHECK(server == wss_default_server());
	CHECK(given == &cookie);
	CHECK_INT(atomic_fetch_add(&ticks.inside, 1), 0);
	sleep_ms(2);
	/* Any function may be called here. */
	CHECK(wss_broadcast(server, 0, WSS_TEXT, "tick", 4) >= 0);
	ticks.count++;
	if (ticks.count == ticks.stop_at) {
		CHECK_INT(wss_stop(server), 0);
	}
	CHECK_INT(atomic_fetch_sub(&ticks.inside, 1), 1);
}

static void is_no_tick(const struct record *record, const void *data)
{
	(void)record;
	(void)data;
	CHECK_INT(atomic_fetch_add(&ticks.inside, 1), 0);
	sleep_ms(2);
	CHECK_INT(atomic_fetch_sub(&ticks.inside, 1), 1);
}

static void await_ticks(int wanted)
{
	int64_t until = now_ms() + PATIENCE_MS;

	while (ticks.count < wanted) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
}

static struct wss_config ticking(uint32_t ms)
{
	struct wss_config config = config_for_tests(NULL);

	config.on_tick = tick;
	config.tick_ms = ms;
	ticks.count = 0;
	ticks.stop_at = 0;
	return config;
}

static void ticks_come_at_their_period_without_any_client(void)
{
	struct wss_config config = ticking(100);
	int64_t start_ms = now_ms();

	serve(&config);
	await_ticks(5);
	/* The first one comes when a period is over, or at once. */
	CHECK(now_ms() - start_ms >= 4 * 100 - 20);
	stop_serving();
	ticks.count = 0;
	sleep_ms(300);
	CHECK_INT(ticks.count, 0);
	/* They continue after a restart. */
	serve(&config);
	await_ticks(2);
	stop_serving();
}

static void a_tick_and_a_callback_come_one_at_a_time(void)
{
	struct wss_config config = ticking(5);
	static struct frame frame;
	int texts = 0;
	int fd;

	act = is_no_tick;
	serve(&config);
	fd = open_client(0);
	for (int i = 0; i < 50; i++) {
		wire_text(fd, "x");
	}
	for (int i = 0; i < 50; i++) {
		expect_data(WSS_EVENT_TEXT, 0, "x", 1);
	}
	await_ticks(10);
	/* What it sends arrives. */
	while (texts < 10) {
		CHECK(wire_read(fd, &frame));
		CHECK_BYTES(frame.data, frame.len, "tick", 4);
		texts++;
	}
	close(fd);
	expect_closing(0);
	stop_serving();
}

static void a_tick_may_stop_its_server(void)
{
	struct wss_config config = ticking(10);
	int64_t until = now_ms() + PATIENCE_MS;
	struct wss_server *server;
	int count;

	ticks.stop_at = 3;
	server = serve(&config);
	while (wss_configure(server, NULL) == -EBUSY) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
	count = ticks.count;
	CHECK(count >= 3);
	sleep_ms(100);
	CHECK_INT(ticks.count, count);
	CHECK_INT(wss_port(server), -ENOTCONN);
	expect_no_event();
}

/* Counters. */

static void statistics_count(void)
{
	struct wss_server *server = serve(NULL);
	struct wss_stats stats;
	int fd = open_client(0);

	wire_text(fd, "four");
	expect_data(WSS_EVENT_TEXT, 0, "four", 4);
	CHECK_INT(wss_send_text(wss_client_at(server, 0), "seven..", 0), 0);
	wire_write(fd, "\x81\x01x", 3);
	expect(WSS_EVENT_INVALID_FRAME, 0);
	close(fd);
	expect_closing(0);
	CHECK_INT(wss_get_stats(server, NULL), -EINVAL);
	CHECK_INT(wss_get_stats(NULL, &stats), -EINVAL);
	/* The slot is freed after CLOSED was delivered. */
	wait_for_slots();
	stats = stats_of(server);
	CHECK_INT(stats.accepted, 1);
	CHECK_INT(stats.connected, 1);
	CHECK_INT(stats.closed, 1);
	CHECK_INT(stats.most_clients, 1);
	CHECK_INT(stats.messages_received, 1);
	CHECK_INT(stats.bytes_received, 4);
	CHECK_INT(stats.messages_sent, 1);
	CHECK_INT(stats.bytes_sent, 7);
	CHECK_INT(stats.protocol_errors, 1);
	stop_serving();
	/* They count one run. */
	CHECK_INT(wss_get_stats(server, &stats), -ENOTCONN);
	serve(NULL);
	stats = stats_of(server);
	CHECK_INT(stats.accepted, 0);
	CHECK_INT(stats.bytes_sent, 0);
	CHECK_INT(stats.protocol_errors, 0);
	stop_serving();
}

/* The log. */

static int lines;

static void log_line(enum wss_log_level level, const char *text, void *given)
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

static void the_version_is_a_text(void)
{
	CHECK(strlen(wss_version()) > 0);
}

#define SUITE limits
#define CASES(CASE)                                                                                \
	CASE(a_server_starts_with_the_configuration_that_was_set)                                  \
	CASE(a_running_server_is_busy)                                                             \
	CASE(start_and_stop_check_every_argument)                                                  \
	CASE(a_port_in_use_is_an_error_of_its_own_and_leaves_nothing)                              \
	CASE(stop_closes_every_client_with_1001_and_is_bounded)                                    \
	CASE(stop_is_busy_while_a_callback_does_not_return)                                        \
	CASE(stop_inside_a_callback_returns_at_once_and_ends_after_it)                             \
	CASE(a_sys_wss_callback_stands_for_that_of_the_configuration)                              \
	CASE(the_defaults_are_those_of_the_contract)                                               \
	CASE(configurations_are_checked)                                                           \
	CASE(an_address_that_is_none_is_refused)                                                   \
	CASE(sizes_may_be_as_small_as_a_frame)                                                     \
	CASE(streaming_gives_pieces_with_first_and_last)                                           \
	CASE(an_address_with_too_many_clients_gets_429_and_no_event)                               \
	CASE(connections_over_the_handshakes_per_second_are_served_later)                          \
	CASE(too_many_control_frames_or_fragments_are_closed_with_1008)                            \
	CASE(ticks_come_at_their_period_without_any_client)                                        \
	CASE(a_tick_and_a_callback_come_one_at_a_time)                                             \
	CASE(a_tick_may_stop_its_server)                                                           \
	CASE(statistics_count)                                                                     \
	CASE(what_fails_is_logged)                                                                 \
	CASE(the_version_is_a_text)

TEST_PROGRAM(CASES)
