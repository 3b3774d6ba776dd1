/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "wire.h"

#define RECORDS 512

_Atomic(act_fn) act;
int cookie;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t recorded = PTHREAD_COND_INITIALIZER;
static struct record records[RECORDS];
static size_t taken;
static size_t count;
/* CLOSED events taken since the service was started. */
static uint32_t closed;

static void keep(struct record *record, const void *data, size_t len)
{
	act_fn act_now;

	record->has_data = data != NULL;
	record->state = wss_client_state(record->id);
	/* Checks that the client exists, and is in the state of its event. */
	CHECK((record->id != WSS_NO_CLIENT) == (record->client >= 0));
	CHECK(record->id == wss_client_at(wss_default_server(), record->client));
	CHECK_INT(wss_client_index(record->id), record->client);
	if (record->event == WSS_EVENT_CLOSING) {
		CHECK_INT(record->state, WSS_STATE_CLOSING);
	} else if (record->event == WSS_EVENT_CLOSED) {
		/* A queue may not have got its CLOSING yet. */
		CHECK(record->state == WSS_STATE_CLOSED || record->state == WSS_STATE_CLOSING);
	}
	if (data != NULL) {
		record->len = len;
		/* A longer one is recorded up to this length. */
		memcpy(record->data, data,
		       len < sizeof(record->data) ? len : sizeof(record->data) - 1);
	}
	pthread_mutex_lock(&lock);
	CHECK(count - taken < RECORDS);
	records[count++ % RECORDS] = *record;
	pthread_cond_broadcast(&recorded);
	pthread_mutex_unlock(&lock);
	act_now = act;
	if (act_now != NULL) {
		act_now(record, data);
	}
}

void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *given)
{
	const SYS_WSS_RXDATA *rx = data;
	struct record record = {
		.event = (int)event, .client = client, .first = rx != NULL, .last = rx != NULL};

	CHECK(given == &cookie);
	/* Never WRITABLE. */
	CHECK((int)event < WSS_EVENT_WRITABLE);
	CHECK(rx == NULL || rx->data != NULL);
	record.id = wss_client_at(wss_default_server(), client);
	keep(&record, rx != NULL ? rx->data : NULL, rx != NULL ? (size_t)rx->datalen : 0);
}

void on_event(const struct wss_event *event, void *given)
{
	struct record record = {.event = (int)event->type,
				.client = event->index,
				.first = event->first,
				.last = event->last,
				.id = event->client,
				.user_data = event->user_data};

	CHECK(given == &cookie);
	CHECK(event->server == wss_default_server());
	CHECK(event->client == WSS_NO_CLIENT || wss_client_server(event->client) == event->server);
	CHECK(event->data != NULL || event->len == 0);
	keep(&record, event->data, event->len);
}

struct wss_limits limits_for_tests(void)
{
	struct wss_limits limits;

	wss_limits_init(&limits);
	limits.max_clients = MAX_CLIENTS;
	limits.close_timeout_ms = 1000;
	return limits;
}

struct wss_config config_for_tests(const struct wss_limits *limits)
{
	static struct wss_limits defaults;
	struct wss_config config = {.port = TEST_PORT,
				    .address = "127.0.0.1",
				    .limits = limits,
				    .on_event = on_event,
				    .cookie = &cookie};

	if (limits == NULL) {
		defaults = limits_for_tests();
		config.limits = &defaults;
	}
	return config;
}

size_t rx_buffer_size(size_t wanted)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(&limits);
	size_t is = limits.rx_buffer_size;

	limits.rx_buffer_size = wanted;
	return wss_configure(wss_default_server(), &config) == 0 ? wanted : is;
}

SYS_MODULE_OBJ start(const struct wss_limits *limits)
{
	struct wss_config config = config_for_tests(limits);

	return start_with(&config);
}

SYS_MODULE_OBJ start_with(const struct wss_config *config)
{
	SYS_WSS_CONFIG own = {.port = config->port, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;

	closed = 0;
	CHECK_INT(wss_configure(wss_default_server(), config), 0);
	service = SYS_WSS_Initialize(&own, callback, &cookie);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	if (config->limits->listens) {
		(void)default_port();
	} else {
		CHECK_INT(wss_port(wss_default_server()), 0);
	}
	return service;
}

/* After the end of the server. */
static void drop(void)
{
	CHECK_INT(wss_port(wss_default_server()), -ENOTCONN);
	forget_events();
	closed = 0;
	act = NULL;
}

void end_and_drop(SYS_MODULE_OBJ *service)
{
	SYS_WSS_Deinitialize(service);
	CHECK(*service == SYS_MODULE_OBJ_INVALID);
	drop();
	CHECK_INT(SYS_WSS_register_callback(NULL, NULL), SYS_WSS_SUCCESS);
}

void end(SYS_MODULE_OBJ *service)
{
	expect_no_event();
	end_and_drop(service);
}

struct wss_server *serve(const struct wss_config *config)
{
	struct wss_config defaults = config_for_tests(NULL);
	struct wss_server *server = wss_default_server();

	closed = 0;
	CHECK_INT(wss_start(server, config != NULL ? config : &defaults), 0);
	return server;
}

struct wss_server *serve_within(const struct wss_limits *limits)
{
	struct wss_config config = config_for_tests(limits);

	return serve(&config);
}

void stop_and_drop(void)
{
	CHECK_INT(wss_stop(wss_default_server()), 0);
	drop();
	CHECK_INT(wss_stop(wss_default_server()), -ENOTCONN);
}

void stop_serving(void)
{
	expect_no_event();
	stop_and_drop();
}

uint16_t port_of(const struct wss_server *server)
{
	int port = wss_port(server);

	CHECK(port > 0 && port <= UINT16_MAX);
	return (uint16_t)port;
}

uint16_t default_port(void)
{
	return port_of(wss_default_server());
}

struct wss_stats stats_of(const struct wss_server *server)
{
	struct wss_stats stats;

	CHECK_INT(wss_get_stats(server, &stats), 0);
	return stats;
}

void forget_events(void)
{
	pthread_mutex_lock(&lock);
	taken = count;
	pthread_mutex_unlock(&lock);
}

struct record next_event(void)
{
	struct timespec until;
	struct record record;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&lock);
	while (taken == count) {
		CHECK(pthread_cond_timedwait(&recorded, &lock, &until) != ETIMEDOUT);
	}
	record = records[taken++ % RECORDS];
	pthread_mutex_unlock(&lock);
	closed += record.event == WSS_EVENT_CLOSED;
	return record;
}

void wait_for_slots(void)
{
	int64_t until = now_ms() + PATIENCE * 1000;

	while (stats_of(wss_default_server()).closed < closed) {
		CHECK(now_ms() < until);
		sleep_ms(1);
	}
}

void expect(int event, int32_t client)
{
	struct record record = next_event();

	CHECK_INT(record.event, event);
	CHECK_INT(record.client, client);
	CHECK(!record.has_data);
}

void expect_data(int event, int32_t client, const void *data, size_t len)
{
	struct record record = next_event();

	CHECK_INT(record.event, event);
	CHECK_INT(record.client, client);
	CHECK(record.has_data);
	CHECK(record.first && record.last);
	CHECK_INT(record.len, len);
	len = len < sizeof(record.data) ? len : sizeof(record.data) - 1;
	CHECK_BYTES(record.data, len, data, len);
}

void expect_closing(int32_t client)
{
	struct record record;

	expect(WSS_EVENT_CLOSING, client);
	do {
		record = next_event();
		CHECK_INT(record.client, client);
	} while (record.event == WSS_EVENT_CLOSE_FRAME);
	CHECK_INT(record.event, WSS_EVENT_CLOSED);
}

void expect_closed(int clients)
{
	while (clients > 0) {
		clients -= next_event().event == WSS_EVENT_CLOSED;
	}
}

void expect_no_event(void)
{
	pthread_mutex_lock(&lock);
	if (taken != count) {
		CHECK_INT(records[taken % RECORDS].event, -1);
	}
	pthread_mutex_unlock(&lock);
}

int open_client(int32_t index)
{
	int fd;

	wait_for_slots();
	fd = wire_open(default_port());
	expect(WSS_EVENT_CONNECTING, index);
	expect(WSS_EVENT_CONNECTED, index);
	return fd;
}
