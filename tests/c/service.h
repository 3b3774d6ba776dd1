/* SPDX-License-Identifier: Apache-2.0 */
/* The service under test, with a callback that records what it is told. */
#ifndef SERVICE_H
#define SERVICE_H

#include <wss/sys_wss.h>

#include "test.h"

#define MAX_CLIENTS 4

struct record {
	int event;
	int32_t client;
	bool has_data;
	size_t len;
	bool first;
	bool last;
	wss_client id;
	SYS_WSS_STATE state;
	/* Ended by NUL. */
	char data[4096];
};

/* Called in the callback, after the event was recorded; to be set before the service is started. */
typedef void (*act_fn)(const struct record *record, SYS_WSS_RXDATA *data);
extern act_fn act;
/* What the callback gets as its cookie. */
extern int cookie;

void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *given);

/* Limits for tests: MAX_CLIENTS, and short time-outs for what tests wait for. */
wss_limits limits_for_tests(void);
/* A receive buffer of this size where it can be set; on Zephyr it is that of the build. */
size_t rx_buffer_size(size_t wanted);
/* Starts the service at TEST_PORT; NULL: limits_for_tests(). */
SYS_MODULE_OBJ start(const wss_limits *limits);
/* Ends it. All events have to have been taken by expect(), unless `drop`. */
void end(SYS_MODULE_OBJ *service);
void end_and_drop(SYS_MODULE_OBJ *service);

/* Takes the next event. */
struct record next_event(void);
/* The next event has to be this one, without data. */
void expect(int event, int32_t client);
/* With this data. */
void expect_data(int event, int32_t client, const void *data, size_t len);
/* CLOSING, and CLOSED, maybe with the close frame between. */
void expect_closing(int32_t client);
/* There is no event on record. */
void expect_no_event(void);
/* Waits until the slots of clients whose CLOSED was taken are free: they are once the callback returned. */
void wait_for_slots(void);
/* A client that is upgraded, and its events are taken: it has to get this index. */
int open_client(int32_t index);
/* Drops all records. */
void forget_events(void);

#endif
