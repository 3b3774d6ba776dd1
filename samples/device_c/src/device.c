/* SPDX-License-Identifier: Apache-2.0 */
/* A device: login, telemetry to subscribers, commands in JSON. The same on Zephyr and on a host. */
#include "device.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wss/wss.h>

/* A product must not keep these in its source. */
#define USER     "admin"
#define PASSWORD "open sesame"
#define TOKEN    "0123456789abcdef"

/* The group of the clients that get telemetry. */
#define SUBSCRIBERS 1U

#ifndef CONFIG_WSS_MAX_CLIENTS
#define CONFIG_WSS_MAX_CLIENTS 64
#endif

/* The state of each client: the number of its commands. */
static unsigned int sessions[CONFIG_WSS_MAX_CLIENTS];
/* Commands, and logins and disconnects. */
static wss_queue queues[2];
static atomic_uint interval_ms = 1000;

static bool is_allowed(const struct wss_request *request)
{
	char token[64];

	return wss_request_is_basic(request, USER, PASSWORD) ||
	       wss_request_is_bearer(request, TOKEN) ||
	       (wss_request_param(request, "token", token, sizeof(token)) >= 0 &&
		wss_is_equal(token, TOKEN));
}

static int on_request(struct wss_request *request, void *cookie)
{
	static const struct wss_response challenge = {.challenge = "Basic realm=\"device\""};
	wss_client client = wss_request_client(request);
	unsigned int *session = &sessions[wss_client_index(client)];

	(void)cookie;
	if (!is_allowed(request)) {
		return wss_request_refuse(request, 401, &challenge);
	}
	*session = 0;
	(void)wss_set_user_data(client, session);
	return 0;
}

static void on_tick(struct wss_server *server, void *cookie)
{
	static uint32_t last_ms;
	uint32_t now_ms = device_uptime_ms();
	char text[48];

	(void)cookie;
	if (now_ms - last_ms >= interval_ms) {
		last_ms = now_ms;
		snprintf(text, sizeof(text), "{\"uptime_ms\":%lu}", (unsigned long)now_ms);
		(void)wss_broadcast(server, SUBSCRIBERS, WSS_TEXT, text, strlen(text));
	}
}

int device_start(uint16_t port)
{
	struct wss_config config = {
		.port = port, .on_request = on_request, .request_fields = "Authorization",
		.on_tick = on_tick, .tick_ms = 50, .queues = queues, .queue_count = 2};
	uint32_t log_mask = WSS_MASK(WSS_EVENT_CONNECTED) | WSS_MASK(WSS_EVENT_CLOSED);
#if defined(CONFIG_WSS_TLS)
	/* The credentials with the security tags. */
	const struct wss_tls credentials = {0};
#endif
	int err = wss_queue_create(WSS_MASK(WSS_EVENT_TEXT), 4, &queues[0]);

#if defined(CONFIG_WSS_TLS)
	config.tls = &credentials;
#endif

	err = err != 0 ? err : wss_queue_create(log_mask, 4, &queues[1]);
	err = err != 0 ? err : wss_start(wss_default_server(), &config);
	return err != 0 ? err : wss_port(wss_default_server());
}

/* Parses {"key": value}. Returns false for any other text. */
static bool parse(const struct wss_event *event, char key[16], char value[16])
{
	int end = -1;

	/* Commands are short. No other queue gets the text, so it ends with a NUL. */
	if (event->len < 64) {
		sscanf(event->data, " { \"%15[a-z_]\" : %15[^ }] } %n", key, value, &end);
	}
	return end >= 0 && (size_t)end == event->len;
}

/* Runs a command. Returns the value of its answer. */
static const char *obey(wss_client client, const char *key, const char *value)
{
	static char text[16];
	bool is_on = strcmp(value, "true") == 0;
	unsigned long number = strtoul(value, NULL, 10);

	if (strcmp(key, "subscribe") == 0 && (is_on || strcmp(value, "false") == 0)) {
		return wss_set_groups(client, is_on ? SUBSCRIBERS : 0) == 0 ? value : "null";
	}
	/* The dashboard measures the round trip with this. */
	if (strcmp(key, "ping") == 0) {
		snprintf(text, sizeof(text), "%lu", number);
		return text;
	}
	if (strcmp(key, "get") == 0 && strcmp(value, "\"uptime\"") == 0) {
		number = device_uptime_ms();
	} else if (strcmp(key, "interval_ms") == 0 && number >= 50 && number <= 60000) {
		interval_ms = (unsigned int)number;
	} else {
		return strcmp(key, "stop") == 0 && is_on ? value : "null";
	}
	snprintf(text, sizeof(text), "%lu", number);
	return text;
}

void device_run(void)
{
	char key[16] = "", value[16], answer[80];
	struct wss_event event;

	while (wss_queue_get(queues[0], &event, WSS_FOREVER) == 0) {
		unsigned int *session = event.user_data;
		bool is_valid = parse(&event, key, value);
		const char *did = is_valid ? obey(event.client, key, value) : "null";

		snprintf(answer, sizeof(answer), "{\"answer\":%s,\"commands\":%u}", did,
			 ++*session);
		(void)wss_send_text(event.client, answer, 1000);
		wss_event_release(&event);
		if (strcmp(key, "stop") == 0 && did == value) {
			(void)wss_stop(wss_default_server());
		}
	}
}

void device_log(void)
{
	struct wss_event event;

	while (wss_queue_get(queues[1], &event, WSS_FOREVER) == 0) {
		printf("client %d %s\n", (int)event.index,
		       event.type == WSS_EVENT_CONNECTED ? "has logged in" : "has gone");
		wss_event_release(&event);
	}
}
