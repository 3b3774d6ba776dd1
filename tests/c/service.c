/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "wire.h"

#define RECORDS 512

act_fn act;
int cookie;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t recorded = PTHREAD_COND_INITIALIZER;
static struct record records[RECORDS];
static size_t taken;
static size_t count;
/* CLOSED events taken since the service was started. */
static uint32_t closed;

void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *given)
{
	SYS_WSS_RXDATA *rx = data;
	struct record record = {.event = (int)event, .client = client, .has_data = data != NULL};

	CHECK(given == &cookie);
	record.id = wss_client_at(client);
	record.state = wss_client_state(record.id);
	/* A client is known, and as far as it is said to be. */
	CHECK((record.id != WSS_NO_CLIENT) == (client >= 0));
	if (event == SYS_WSS_EVENT_CLIENT_CLOSING) {
		CHECK_INT(record.state, SYS_WSS_STATE_CLOSING);
	} else if (event == SYS_WSS_EVENT_CLIENT_CLOSED) {
		/* A queue may not have been told of its closing yet. */
		CHECK(record.state == SYS_WSS_STATE_CLOSED || record.state == SYS_WSS_STATE_CLOSING);
	}
	if (rx != NULL) {
		const wss_rxdata *full = data;

		CHECK(rx->data != NULL);
		record.len = (size_t)rx->datalen;
		record.first = full->first;
		record.last = full->last;
		CHECK(wss_client_index(full->client) == client);
		/* What is longer is known by its beginning. */
		memcpy(record.data, rx->data,
		       record.len < sizeof(record.data) ? record.len : sizeof(record.data) - 1);
	}
	pthread_mutex_lock(&lock);
	CHECK(count - taken < RECORDS);
	records[count++ % RECORDS] = record;
	pthread_cond_broadcast(&recorded);
	pthread_mutex_unlock(&lock);
	if (act != NULL) {
		act(&record, rx);
	}
}

wss_limits limits_for_tests(void)
{
	wss_limits limits;

	wss_limits_init(&limits);
	limits.address = "127.0.0.1";
	limits.max_clients = MAX_CLIENTS;
	limits.close_timeout_ms = 1000;
	return limits;
}

size_t rx_buffer_size(size_t wanted)
{
	wss_limits limits = limits_for_tests();
	size_t is = limits.rx_buffer_size;

	limits.rx_buffer_size = wanted;
	return wss_set_limits(&limits) == WSS_OK ? wanted : is;
}

SYS_MODULE_OBJ start(const wss_limits *limits)
{
	wss_limits defaults = limits_for_tests();
	SYS_WSS_CONFIG config = {.port = TEST_PORT, .isTLSEnabled = false};
	SYS_MODULE_OBJ service;

	closed = 0;
	CHECK_INT(wss_set_limits(limits != NULL ? limits : &defaults), WSS_OK);
	service = SYS_WSS_Initialize(&config, callback, &cookie);
	CHECK(service != SYS_MODULE_OBJ_INVALID);
	CHECK((wss_port() != 0) == (limits == NULL || limits->listens));
	return service;
}

void end_and_drop(SYS_MODULE_OBJ *service)
{
	SYS_WSS_Deinitialize(service);
	CHECK(*service == SYS_MODULE_OBJ_INVALID);
	CHECK_INT(wss_port(), 0);
	forget_events();
	closed = 0;
	act = NULL;
	CHECK_INT(SYS_WSS_register_callback(NULL, NULL), SYS_WSS_SUCCESS);
}

void end(SYS_MODULE_OBJ *service)
{
	expect_no_event();
	end_and_drop(service);
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
	closed += record.event == SYS_WSS_EVENT_CLIENT_CLOSED;
	return record;
}

void wait_for_slots(void)
{
	int64_t until = now_ms() + PATIENCE * 1000;
	wss_stats stats;

	for (;;) {
		CHECK_INT(wss_get_stats(&stats), WSS_OK);
		if (stats.closed >= closed) {
			return;
		}
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

	expect(SYS_WSS_EVENT_CLIENT_CLOSING, client);
	do {
		record = next_event();
		CHECK_INT(record.client, client);
	} while (record.event == SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX);
	CHECK_INT(record.event, SYS_WSS_EVENT_CLIENT_CLOSED);
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
	fd = wire_open(wss_port());
	expect(SYS_WSS_EVENT_CLIENT_CONNECTING, index);
	expect(SYS_WSS_EVENT_CLIENT_CONNECTED, index);
	return fd;
}
