/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers stop acknowledging while messages go to all. With Zephyr's buffers, whose number does not depend on
 * how many clients there are, that takes all those for sending: messages are received all the same. Where the
 * module has set the buffers, other clients are also answered.
 */
#include <zephyr/ztest.h>

#include "peer.h"
#include "service.h"

#define STALLED  8
#define ACTIVE   (PEERS - STALLED)
#define MESSAGES 400

/* The send periods of the active peers, and of the application. */
#define MESSAGE_MS   20
#define BROADCAST_MS 50

/* For each message: the time of sending, of the callback, and of the echo. */
static int64_t sent_at[MESSAGES];
static int64_t arrived_at[MESSAGES];
static int64_t answered_at[MESSAGES];
static int count;

static void on_message(const char *data, size_t len, int32_t client)
{
	int number = (data[0] - '0') * 100 + (data[1] - '0') * 10 + (data[2] - '0');

	zassert_true(number < MESSAGES);
	arrived_at[number] = k_uptime_get();
	if (IS_ENABLED(CONFIG_TEST_MODULE_POOLS)) {
		(void)SYS_WSS_sendMessage(true, SYS_WSS_FRAME_TEXT, (uint8_t *)data, len, client);
	}
}

static void on_text(struct peer *peer)
{
	/* They are answered in order. */
	size_t number = peer->texts * ACTIVE - ACTIVE + (size_t)(peer - &peers[STALLED]);

	if (number < MESSAGES) {
		answered_at[number] = k_uptime_get();
	}
}

static bool broadcasts;
static int64_t longest_broadcast;
static int broadcast_count;

static void broadcast(void *a, void *b, void *c)
{
	static uint8_t data[200];

	ARG_UNUSED(a);
	ARG_UNUSED(b);
	ARG_UNUSED(c);
	for (;;) {
		if (broadcasts) {
			int64_t since = k_uptime_get();

			(void)SYS_WSS_sendMessage(true, SYS_WSS_FRAME_BINARY, data, sizeof(data),
						  -1);
			longest_broadcast = MAX(longest_broadcast, k_uptime_delta(&since));
			broadcast_count++;
		}
		k_msleep(BROADCAST_MS);
	}
}

/* Higher than the service's priority, to test that it does not wait there. */
K_THREAD_DEFINE(broadcaster, 4096, broadcast, NULL, NULL, NULL, K_PRIO_PREEMPT(5), 0, 0);

/* The active peers send messages in turn. Measures the maximum times until they arrive, and are answered. */
static void exchange(int messages, int64_t *longest_arrival, int64_t *longest_answer)
{
	*longest_arrival = 0;
	*longest_answer = 0;
	for (int i = 0; i < messages; i++, count++) {
		char text[4];

		snprintk(text, sizeof(text), "%03d", count);
		sent_at[count] = k_uptime_get();
		peer_text(&peers[STALLED + count % ACTIVE], text, 3);
		k_msleep(MESSAGE_MS);
	}
	k_msleep(500);
	for (int i = count - messages; i < count; i++) {
		zassert_not_equal(arrived_at[i], 0, "message %d was lost", i);
		*longest_arrival = MAX(*longest_arrival, arrived_at[i] - sent_at[i]);
		if (IS_ENABLED(CONFIG_TEST_MODULE_POOLS)) {
			zassert_not_equal(answered_at[i], 0, "message %d was not answered", i);
			*longest_answer = MAX(*longest_answer, answered_at[i] - sent_at[i]);
		}
	}
}

ZTEST(stalled, test_peers_that_stop_acknowledging)
{
	int64_t idle_arrival, idle_answer, arrival, answer;
	uint32_t received;

	service_on_message = on_message;
	service_start(NULL, 0);
	for (int i = 0; i < PEERS; i++) {
		peer_connect(&peers[i]);
		peers[i].on_text = i >= STALLED ? on_text : NULL;
	}
	broadcasts = true;
	exchange(100, &idle_arrival, &idle_answer);
	TC_PRINT("idle: messages arrive within %lld ms, answers within %lld ms, "
		 "%d broadcasts within %lld ms, in zsock_send %ld ms\n",
		 idle_arrival, idle_answer, broadcast_count, longest_broadcast,
		 atomic_get(&service_sending));
	received = peers[STALLED].binaries;
	zassert_true(received >= 30, "broadcasts are received: %u", received);

	for (int i = 0; i < STALLED; i++) {
		peers[i].stalled = true;
	}
	longest_broadcast = 0;
	service_reset();
	exchange(250, &arrival, &answer);
	TC_PRINT("stalled: messages arrive within %lld ms, answers within %lld ms, "
		 "%d broadcasts within %lld ms, in zsock_send %ld ms, %ld closed\n",
		 arrival, answer, broadcast_count, longest_broadcast,
		 atomic_get(&service_sending),
		 atomic_get(&service_events[SYS_WSS_EVENT_CLIENT_CLOSED]));
	zassert_true(arrival <= 50);
	zassert_true(longest_broadcast <= 10);
	zassert_true(atomic_get(&service_sending) <= 10);
	if (IS_ENABLED(CONFIG_TEST_MODULE_POOLS)) {
		zassert_true(answer <= idle_answer + 50);
		zassert_true(peers[STALLED].binaries >= received + 90, "%u broadcasts",
			     peers[STALLED].binaries - received);
	}

	/* The stalled ones are aborted, and the others are served as before. */
	k_sleep(K_SECONDS(90));
	for (int i = 0; i < PEERS; i++) {
		zassert_equal(wss_client_at(wss_default_server(), i) == WSS_NO_CLIENT, i < STALLED,
			      "client %d", i);
	}
	received = peers[STALLED].binaries;
	exchange(50, &arrival, &answer);
	zassert_true(arrival <= idle_arrival + 1);
	zassert_true(answer <= idle_answer + 1);
	zassert_true(peers[STALLED].binaries > received);
	broadcasts = false;
	service_stop();
}

ZTEST_SUITE(stalled, NULL, NULL, NULL, NULL, NULL);
