/* SPDX-License-Identifier: Apache-2.0 */
/* Pages over Zephyr's own TCP: whole, to a client that reads 100 bytes a second, and beside WebSockets. */
#include <stdio.h>
#include <string.h>

#include <wss/wss.h>
#include <wss/zephyr.h>
#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include "client.h"

#define ADDRESS "192.0.2.1"
/* What a client waits for at most, in milliseconds; the service itself takes much less. */
#define LONGEST 2000

static const uint8_t small[] = "<p>hello";
static const uint8_t large[] = {
#include <dashboard.html.inc>
};
WSS_PAGE_DEFINE(small_page, 0, "/", "text/html", NULL, small);
WSS_PAGE_DEFINE(large_page, 0, "/large", "text/html; charset=utf-8", NULL, large);
/* Of another server, which does not run. */
WSS_PAGE_DEFINE(other_page, 1, "/other", "text/html", NULL, small);

static int ask(const char *method, const char *path, const char *fields)
{
	int fd = client_dial(ADDRESS, CONFIG_WSS_PORT);
	const struct zsock_timeval patience = {.tv_sec = LONGEST / 1000};
	char request[160];

	zassert_ok(zsock_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, path,
		 fields);
	client_says(fd, request);
	return fd;
}

/* Receives the head of a response, ended with NUL. */
static void receive_head(int fd, char head[512])
{
	size_t len = 0;

	head[0] = '\0';
	while (strstr(head, "\r\n\r\n") == NULL) {
		zassert_true(len < 511);
		zassert_equal(zsock_recv(fd, head + len, 1, 0), 1, "after %zu bytes: %s", len, head);
		head[++len] = '\0';
	}
}

/* Receives up to so many bytes of the large page, which follow those that were received. */
static void receive_large(int fd, size_t *received, size_t most)
{
	uint8_t bytes[512];
	ssize_t count = zsock_recv(fd, bytes, MIN(most, sizeof(bytes)), 0);

	zassert_true(count > 0, "%d after %zu bytes", (int)count, *received);
	zassert_true(*received + count <= sizeof(large));
	zassert_mem_equal(bytes, large + *received, count);
	*received += count;
}

/* Sends a message, which comes back in time. */
static void echoes(int fd)
{
	int64_t begin = k_uptime_get();

	client_sends(fd, "hi");
	client_receives(fd, "\x81\x02hi", 4);
	zassert_true(k_uptime_get() - begin < LONGEST);
}

static void answers(const char *method, const char *path, const char *fields, const char *status)
{
	int fd = ask(method, path, fields);
	char head[512];

	receive_head(fd, head);
	zassert_mem_equal(head, status, strlen(status), "%s", head);
	client_ends(fd);
}

static struct wss_stats stats(void)
{
	struct wss_stats stats;

	zassert_ok(wss_get_stats(wss_default_server(), &stats));
	return stats;
}

static void on_event(const struct wss_event *event, void *cookie)
{
	ARG_UNUSED(cookie);
	if (event->type == WSS_EVENT_TEXT) {
		(void)wss_send(event->client, WSS_TEXT, event->data, event->len, 0);
	}
}

static void start(void *fixture)
{
	const struct wss_config config = {.port = CONFIG_WSS_PORT,
					  .on_event = on_event,
					  .events = WSS_MASK(WSS_EVENT_TEXT)};

	ARG_UNUSED(fixture);
	zassert_ok(wss_start(wss_default_server(), &config));
}

static void stop(void *fixture)
{
	ARG_UNUSED(fixture);
	zassert_ok(wss_stop(wss_default_server()));
	/* Closed connections have their contexts back. */
	k_msleep(2 * CONFIG_NET_TCP_TIME_WAIT_DELAY);
}

ZTEST(pages, test_a_page_arrives_whole)
{
	int fd = ask("GET", "/large", "");
	char head[512], tag[64], length[48];
	size_t received = 0;
	const char *etag;

	receive_head(fd, head);
	snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", sizeof(large));
	zassert_mem_equal(head, "HTTP/1.1 200 OK\r\n", 17);
	zassert_not_null(strstr(head, length), "%s", head);
	zassert_not_null(strstr(head, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
	etag = strstr(head, "\r\nETag: ");
	zassert_not_null(etag);
	while (received < sizeof(large)) {
		receive_large(fd, &received, sizeof(large));
	}
	client_ends(fd);

	snprintf(tag, sizeof(tag), "If-None-Match: %.*s\r\n", (int)strcspn(etag + 8, "\r"), etag + 8);
	answers("GET", "/large", tag, "HTTP/1.1 304 ");
	answers("HEAD", "/large", "", "HTTP/1.1 200 ");
	answers("GET", "/other", "", "HTTP/1.1 404 ");
	answers("POST", "/", "", "HTTP/1.1 405 ");
}

ZTEST(pages, test_a_download_at_100_bytes_a_second_delays_no_client)
{
	/* Less than the page by far: the rest waits at the server. */
	const int window = 1024;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(CONFIG_WSS_PORT)};
	int slow = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	char head[512];
	size_t received = 0;

	zassert_equal(zsock_inet_pton(AF_INET, ADDRESS, &address.sin_addr), 1);
	zassert_ok(zsock_setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window)));
	zassert_ok(zsock_connect(slow, (struct sockaddr *)&address, sizeof(address)));
	client_says(slow, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
	receive_head(slow, head);
	/* For much longer than the send timeout. */
	for (int i = 0; i < 3 * CONFIG_WSS_SEND_TIMEOUT_MS / 1000; i++) {
		int64_t end = k_uptime_get() + 1000;
		int client = client_connect(ADDRESS, "/chat");
		int page = ask("GET", "/", "");

		receive_large(slow, &received, 100);
		echoes(client);
		receive_head(page, head);
		client_receives(page, small, sizeof(small));
		client_ends(page);
		echoes(client);
		zassert_true(k_uptime_get() < end, "all of that takes less than a second");
		zsock_close(client);
		k_sleep(K_TIMEOUT_ABS_MS(end));
	}
	zassert_true(received < sizeof(large) / 2);
	/* It goes on, and is whole. */
	while (received < sizeof(large)) {
		receive_large(slow, &received, sizeof(large));
	}
	client_ends(slow);
	zassert_equal(stats().aborted, 0);
	zassert_equal(stats().refused_full, 0);
}

ZTEST(pages, test_silent_connections_make_room_and_downloads_do_not)
{
	int slow = ask("GET", "/large", "");
	int silent[CONFIG_WSS_MAX_CLIENTS - 1];
	int clients[CONFIG_WSS_MAX_CLIENTS - 1];
	char head[512];
	size_t received = 0;

	receive_head(slow, head);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		silent[i] = client_dial(ADDRESS, CONFIG_WSS_PORT);
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = client_connect(ADDRESS, "/chat");
	}
	client_is_refused(ADDRESS, "HTTP/1.1 503 ");
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		client_ends(silent[i]);
		echoes(clients[i]);
	}
	while (received < sizeof(large)) {
		receive_large(slow, &received, sizeof(large));
	}
	client_ends(slow);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		zsock_close(clients[i]);
	}
	zassert_equal(stats().refused_full, 1);
	zassert_equal(stats().timeouts, 0);
}

ZTEST_SUITE(pages, NULL, NULL, start, stop, NULL);
