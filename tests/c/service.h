/* SPDX-License-Identifier: Apache-2.0 */
/* The default server under test, with callbacks that record its events. */
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
	/* Always true for a SYS_WSS callback, which does not get them. */
	bool first;
	bool last;
	wss_client id;
	enum wss_state state;
	/* Of an event of wss.h. */
	void *user_data;
	/* NUL-terminated. */
	char data[4096];
};

/* Called in the callback, after the event was recorded; to be set before the server is started. `data` has
 * `record->len` bytes, and is NULL for an event without data.
 */
typedef void (*act_fn)(const struct record *record, const void *data);
extern _Atomic(act_fn) act;
/* The cookie of the callbacks. */
extern int cookie;

/* The callbacks: of the SYS_WSS interface, and of wss.h. */
void callback(SYS_WSS_EVENTS event, void *data, int32_t client, void *given);
void on_event(const struct wss_event *event, void *given);

/* Limits for tests: MAX_CLIENTS, and short timeouts for cases that wait for them. */
struct wss_limits limits_for_tests(void);
/* A configuration for tests: port TEST_PORT of 127.0.0.1, limits_for_tests() unless `limits`, and on_event(). */
struct wss_config config_for_tests(const struct wss_limits *limits);
/* Sets the receive buffer size if possible; on Zephyr the build determines it. */
size_t rx_buffer_size(size_t wanted);

/* Starts the default server by SYS_WSS_Initialize(), with callback(); NULL: limits_for_tests(). */
SYS_MODULE_OBJ start(const struct wss_limits *limits);
SYS_MODULE_OBJ start_with(const struct wss_config *config);
/* Stops it. expect() must have taken all events, unless `drop`. */
void end(SYS_MODULE_OBJ *service);
void end_and_drop(SYS_MODULE_OBJ *service);

/* Starts the default server by wss_start(); NULL: config_for_tests(). */
struct wss_server *serve(const struct wss_config *config);
struct wss_server *serve_within(const struct wss_limits *limits);
/* Stops it by wss_stop(), like end() and end_and_drop(). */
void stop_serving(void);
void stop_and_drop(void);

/* Returns the port of a server, or of the default server, which must listen. */
uint16_t port_of(const struct wss_server *server);
uint16_t default_port(void);
/* Returns the counters of a server, which must run. */
struct wss_stats stats_of(const struct wss_server *server);

/* Takes the next event. */
struct record next_event(void);
/* The next event must be this one, without data. */
void expect(int event, int32_t client);
/* The next event must be this one, with this data. */
void expect_data(int event, int32_t client, const void *data, size_t len);
/* Expects CLOSING and CLOSED, perhaps with the close frame between. */
void expect_closing(int32_t client);
/* Expects the end of this many clients, in any order. */
void expect_closed(int clients);
/* Checks that no event was recorded. */
void expect_no_event(void);
/* Waits until the slots of clients whose CLOSED was taken are free: they are once the callback has returned. */
void wait_for_slots(void);
/* Connects a client, and takes its events. It must get this index. */
int open_client(int32_t index);
/* Drops all records. */
void forget_events(void);

#endif
