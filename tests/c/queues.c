/* SPDX-License-Identifier: Apache-2.0 */
/* Event queues of wss.h: each case is named after its rule. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "wire.h"

#define PATIENCE_MS (PATIENCE * 1000)
#define TEXTS       WSS_MASK(WSS_EVENT_TEXT)

static wss_queue create(uint32_t mask, size_t depth)
{
	wss_queue queue;

	CHECK_INT(wss_queue_create(mask, depth, &queue), 0);
	CHECK(queue != 0);
	return queue;
}

static void destroy(wss_queue queue)
{
	CHECK_INT(wss_queue_destroy(queue), 0);
}

static struct wss_server *serve_queues(const wss_queue *queues, size_t count)
{
	struct wss_config config = config_for_tests(NULL);

	config.queues = queues;
	config.queue_count = count;
	return serve(&config);
}

static struct wss_event take(wss_queue queue, uint32_t type, int32_t index)
{
	struct wss_event event;

	CHECK_INT(wss_queue_get(queue, &event, PATIENCE_MS), 0);
	CHECK_INT(event.type, type);
	CHECK_INT(event.index, index);
	CHECK(event.server == wss_default_server());
	CHECK((event.client == WSS_NO_CLIENT) == (index < 0));
	return event;
}

/* Takes an event and releases it at once. */
static void pass(wss_queue queue, uint32_t type, int32_t index)
{
	struct wss_event event = take(queue, type, index);

	wss_event_release(&event);
	CHECK(event.data == NULL);
}

/* Checks that there is no event, now and for a while. */
static void expect_none(wss_queue queue, int32_t timeout_ms)
{
	struct wss_event event;

	CHECK_INT(wss_queue_get(queue, &event, timeout_ms), -EAGAIN);
}

static void a_queue_gets_what_its_mask_asks_for_beside_the_callback(void)
{
	struct wss_server *server;
	struct wss_event event;
	wss_queue queues[2];
	static int whose;
	wss_queue texts;
	wss_queue all;
	int fd;

	queues[0] = texts = create(TEXTS, 4);
	queues[1] = all = create(WSS_MASK_ALL, 8);
	server = serve_queues(queues, 2);
	fd = open_client(0);
	event = take(all, WSS_EVENT_CONNECTING, 0);
	CHECK(event.data == NULL && event.len == 0);
	wss_event_release(&event);
	pass(all, WSS_EVENT_CONNECTED, 0);
	CHECK_INT(wss_set_user_data(wss_client_at(server, 0), &whose), 0);
	wire_frame(fd, true, BINARY, "b", 1);
	pass(all, WSS_EVENT_BINARY, 0);
	expect_data(WSS_EVENT_BINARY, 0, "b", 1);
	wire_text(fd, "t");
	expect_data(WSS_EVENT_TEXT, 0, "t", 1);
	event = take(texts, WSS_EVENT_TEXT, 0);
	CHECK_BYTES(event.data, event.len, "t", 1);
	CHECK(event.first && event.last);
	CHECK(event.client == wss_client_at(server, 0));
	CHECK(event.user_data == &whose);
	wss_event_release(&event);
	CHECK(event.data == NULL);
	/* Once is enough. */
	wss_event_release(&event);
	wss_event_release(NULL);
	/* The last subscriber that has it releases it. */
	wire_text(fd, "u");
	expect_none(texts, 50);
	pass(all, WSS_EVENT_TEXT, 0);
	event = take(texts, WSS_EVENT_TEXT, 0);
	CHECK_BYTES(event.data, event.len, "u", 1);
	wss_event_release(&event);
	pass(all, WSS_EVENT_TEXT, 0);
	expect_data(WSS_EVENT_TEXT, 0, "u", 1);
	close(fd);
	pass(all, WSS_EVENT_CLOSING, 0);
	event = take(all, WSS_EVENT_CLOSED, 0);
	CHECK(event.user_data == &whose);
	wss_event_release(&event);
	expect_closing(0);
	expect_none(texts, 0);
	stop_serving();
	destroy(texts);
	destroy(all);
}

static void a_queue_that_no_configuration_lists_gets_nothing(void)
{
	wss_queue listed = create(WSS_MASK_ALL, 8);
	wss_queue other = create(WSS_MASK_ALL, 8);

	serve_queues(&listed, 1);
	close(open_client(0));
	expect_closing(0);
	pass(listed, WSS_EVENT_CONNECTING, 0);
	/* It has not ended either, because it has not begun. */
	expect_none(other, 100);
	stop_and_drop();
	expect_none(other, 0);
	destroy(listed);
	destroy(other);
}

static void a_held_event_holds_back_its_client_and_no_other(void)
{
	wss_queue queue = create(TEXTS, 4);
	struct wss_event first;
	struct wss_event second;
	int one;
	int two;

	serve_queues(&queue, 1);
	one = open_client(0);
	two = open_client(1);
	wire_text(one, "first");
	first = take(queue, WSS_EVENT_TEXT, 0);
	expect_data(WSS_EVENT_TEXT, 0, "first", 5);
	wire_text(one, "second");
	expect_none(queue, 100);
	expect_no_event();
	wire_text(two, "other");
	second = take(queue, WSS_EVENT_TEXT, 1);
	expect_data(WSS_EVENT_TEXT, 1, "other", 5);
	wss_event_release(&second);
	CHECK_BYTES(first.data, first.len, "first", 5);
	wss_event_release(&first);
	pass(queue, WSS_EVENT_TEXT, 0);
	expect_data(WSS_EVENT_TEXT, 0, "second", 6);
	destroy(queue);
	close(one);
	expect_closing(0);
	close(two);
	expect_closing(1);
	stop_serving();
}

/* Changes a text to capitals in place. */
static void shout(const struct wss_event *event)
{
	char *text = event->data;

	CHECK(event->first && event->last);
	CHECK_INT(text[event->len], 0);
	for (size_t i = 0; i < event->len; i++) {
		text[i] = (char)(text[i] - 'a' + 'A');
	}
	text[event->len] = '!';
}

static void the_only_queue_may_change_a_text_which_ends_with_nul(void)
{
	static const char *const words[] = {"one", "two", "", "three"};
	static const char *const shouted[] = {"ONE!", "TWO!", "!", "THREE!"};
	struct wss_config config = config_for_tests(NULL);
	wss_queue queue = create(TEXTS, 4);
	struct wss_event events[4];
	char frames[4 * 20];
	char text[12];
	int fd;

	/* The callback gets the other events. */
	config.events = WSS_MASK_ALL & ~TEXTS;
	config.queues = &queue;
	config.queue_count = 1;
	serve(&config);
	fd = open_client(0);
	/* One after the other, and all at once. */
	for (int together = 0; together < 2; together++) {
		size_t len = 0;

		for (size_t i = 0; i < 4; i++) {
			if (together) {
				len += wire_make(frames + len, true, TEXT, words[i], strlen(words[i]));
				continue;
			}
			wire_text(fd, words[i]);
			events[i] = take(queue, WSS_EVENT_TEXT, 0);
			CHECK_BYTES(events[i].data, events[i].len, words[i], strlen(words[i]));
			shout(&events[i]);
			CHECK_INT(wss_send(events[i].client, WSS_TEXT, events[i].data,
					   events[i].len + 1, PATIENCE_MS),
				  0);
			wire_expect_text(fd, shouted[i]);
			wss_event_release(&events[i]);
		}
		if (!together) {
			continue;
		}
		wire_write(fd, frames, len);
		for (size_t i = 0; i < 4; i++) {
			events[i] = take(queue, WSS_EVENT_TEXT, 0);
			CHECK_BYTES(events[i].data, events[i].len, words[i], strlen(words[i]));
			shout(&events[i]);
		}
		/* While all of them are held. */
		for (size_t i = 0; i < 4; i++) {
			CHECK_BYTES(events[i].data, events[i].len + 1, shouted[i], strlen(shouted[i]));
			CHECK_INT(wss_send(events[i].client, WSS_TEXT, events[i].data,
					   events[i].len + 1, 0),
				  0);
			wire_expect_text(fd, shouted[i]);
		}
		*(char *)events[0].data = (char)0xC3;
		CHECK_INT(wss_send(events[0].client, WSS_TEXT, events[0].data, 3, 0), -EBADMSG);
		CHECK_INT(wss_send(events[0].client, WSS_TEXT, events[0].data, 3, PATIENCE_MS),
			  -EBADMSG);
		for (size_t i = 0; i < 4; i++) {
			wss_event_release(&events[i]);
		}
	}
	/* The next ones are not changed, nor is the data after output that waited. */
	for (int i = 0; i < 200; i++) {
		struct wss_event event;

		snprintf(text, sizeof(text), "%d", i);
		wire_text(fd, text);
		event = take(queue, WSS_EVENT_TEXT, 0);
		CHECK_BYTES(event.data, event.len + 1, text, strlen(text) + 1);
		wss_event_release(&event);
	}
	close(fd);
	expect_closing(0);
	stop_serving();
	destroy(queue);
}

static void a_full_queue_loses_nothing(void)
{
	wss_queue queue = create(TEXTS | WSS_MASK(WSS_EVENT_CLOSED), 1);
	char text[16];
	int fd;

	serve_queues(&queue, 1);
	fd = open_client(0);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		wire_text(fd, text);
	}
	close(fd);
	for (int i = 0; i < 50; i++) {
		struct wss_event event = take(queue, WSS_EVENT_TEXT, 0);

		snprintf(text, sizeof(text), "%d", i);
		CHECK_BYTES(event.data, event.len, text, strlen(text));
		wss_event_release(&event);
		expect_data(WSS_EVENT_TEXT, 0, text, strlen(text));
	}
	pass(queue, WSS_EVENT_CLOSED, 0);
	expect_closing(0);
	stop_serving();
	destroy(queue);
}

static void an_event_outlives_its_client_its_queue_and_the_server(void)
{
	wss_queue queue = create(TEXTS, 4);
	struct wss_event event;
	struct wss_event next;
	int fd;

	serve_queues(&queue, 1);
	fd = open_client(0);
	wire_text(fd, "kept");
	event = take(queue, WSS_EVENT_TEXT, 0);
	destroy(queue);
	stop_and_drop();
	close(fd);
	queue = create(TEXTS, 4);
	serve_queues(&queue, 1);
	fd = open_client(0);
	wire_text(fd, "held");
	next = take(queue, WSS_EVENT_TEXT, 0);
	CHECK_BYTES(event.data, event.len, "kept", 4);
	/* Not that of the client with the same index after a restart. */
	wss_event_release(&event);
	wire_text(fd, "later");
	expect_none(queue, 100);
	wss_event_release(&next);
	pass(queue, WSS_EVENT_TEXT, 0);
	destroy(queue);
	forget_events();
	close(fd);
	expect_closing(0);
	stop_serving();
}

/* The end of what a queue gets. */

static atomic_int told_end;

/* Reads to the end, which is -EPIPE. */
static void *read_to_the_end(void *given)
{
	wss_queue queue = *(wss_queue *)given;
	struct wss_event event;
	int result;

	while ((result = wss_queue_get(queue, &event, WSS_FOREVER)) == 0) {
		wss_event_release(&event);
	}
	CHECK_INT(result, -EPIPE);
	told_end++;
	return NULL;
}

static void readers_wake_when_the_server_ends(void)
{
	wss_queue queue = create(TEXTS | WSS_MASK(WSS_EVENT_CLOSED), 4);
	struct wss_event event;
	pthread_t threads[3];
	int fd;

	for (int round = 0; round < 3; round++) {
		serve_queues(&queue, 1);
		told_end = 0;
		for (int i = 0; i < 3; i++) {
			CHECK(pthread_create(&threads[i], NULL, read_to_the_end, &queue) == 0);
		}
		fd = open_client(0);
		wire_text(fd, "x");
		expect_data(WSS_EVENT_TEXT, 0, "x", 1);
		sleep_ms(50);
		/* Not before. */
		CHECK_INT(told_end, 0);
		stop_and_drop();
		for (int i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
		}
		close(fd);
		CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
	}
	destroy(queue);
}

static void what_is_left_on_a_queue_is_there_after_the_end_of_its_server(void)
{
	wss_queue queue = create(WSS_MASK_ALL, 8);
	struct wss_event event;

	serve_queues(&queue, 1);
	close(open_client(0));
	expect_closing(0);
	stop_and_drop();
	pass(queue, WSS_EVENT_CONNECTING, 0);
	pass(queue, WSS_EVENT_CONNECTED, 0);
	pass(queue, WSS_EVENT_CLOSING, 0);
	pass(queue, WSS_EVENT_CLOSED, 0);
	CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
	destroy(queue);
}

static void a_queue_can_be_read_before_its_server_starts(void)
{
	wss_queue queue = create(TEXTS, 1);
	struct wss_event event;
	pthread_t thread;
	int64_t start_ms = now_ms();

	expect_none(queue, 0);
	expect_none(queue, 100);
	CHECK(now_ms() - start_ms >= 90);
	told_end = 0;
	CHECK(pthread_create(&thread, NULL, read_to_the_end, &queue) == 0);
	sleep_ms(50);
	serve_queues(&queue, 1);
	sleep_ms(50);
	CHECK_INT(told_end, 0);
	stop_serving();
	pthread_join(thread, NULL);
	/* After its end, until its server starts again. */
	CHECK_INT(wss_queue_get(queue, &event, 0), -EPIPE);
	CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
	serve_queues(&queue, 1);
	expect_none(queue, 0);
	expect_none(queue, 50);
	stop_serving();
	destroy(queue);
}

static void destroying_a_queue_wakes_its_readers_and_lets_clients_go_on(void)
{
	wss_queue queue = create(TEXTS, 1);
	struct wss_event event;
	pthread_t thread;
	int fd;

	serve_queues(&queue, 1);
	CHECK(pthread_create(&thread, NULL, read_to_the_end, &queue) == 0);
	sleep_ms(50);
	destroy(queue);
	pthread_join(thread, NULL);
	CHECK_INT(wss_queue_destroy(queue), -EINVAL);
	CHECK_INT(wss_queue_get(queue, &event, 0), -EINVAL);
	stop_serving();
	/* Full, and the client waits. */
	queue = create(TEXTS, 1);
	serve_queues(&queue, 1);
	fd = open_client(0);
	wire_text(fd, "one");
	expect_data(WSS_EVENT_TEXT, 0, "one", 3);
	wire_text(fd, "two");
	sleep_ms(50);
	expect_no_event();
	destroy(queue);
	expect_data(WSS_EVENT_TEXT, 0, "two", 3);
	close(fd);
	expect_closing(0);
	stop_serving();
}

/* On native_sim no thread is interrupted at that point, and time stands still meanwhile. */
#if defined(__ZEPHYR__)
#define STARTS 0
#else
#define STARTS 1000
#endif

static struct {
	_Atomic(wss_queue) queue;
	atomic_bool done;
	/* The number of returns of wss_queue_get(). */
	atomic_uint returned;
} reading;

static void *keep_reading(void *unused)
{
	struct wss_event event;

	while (!reading.done) {
		int result = wss_queue_get(reading.queue, &event, WSS_FOREVER);

		/* It has ended, or was destroyed before. */
		CHECK(result == -EPIPE || result == -EINVAL);
		reading.returned++;
	}
	return unused;
}

static void await_return(unsigned int before)
{
	int64_t until = now_ms() + 5000;

	for (int turn = 0; reading.returned == before; turn++) {
		CHECK(now_ms() < until);
		if (turn > 1000) {
			sleep_ms(1);
		}
	}
}

static void a_reader_that_is_about_to_wait_does_not_miss_the_end_of_its_queue(void)
{
	pthread_t thread;

	reading.queue = 0;
	reading.done = false;
	CHECK(pthread_create(&thread, NULL, keep_reading, NULL) == 0);
	for (int round = 0; round < STARTS; round++) {
		wss_queue queues[WSS_MAX_QUEUES];

		for (int i = 0; i < WSS_MAX_QUEUES; i++) {
			queues[i] = create(WSS_MASK(WSS_EVENT_ERROR), 1);
		}
		serve_queues(queues, WSS_MAX_QUEUES);
		for (int i = 0; i < WSS_MAX_QUEUES; i++) {
			unsigned int returned = reading.returned;

			reading.queue = queues[i];
			/* The last one ends with its server. */
			if (i == WSS_MAX_QUEUES - 1) {
				stop_and_drop();
			} else {
				destroy(queues[i]);
			}
			await_return(returned);
		}
		destroy(queues[WSS_MAX_QUEUES - 1]);
	}
	reading.done = true;
	pthread_join(thread, NULL);
}

static void queues_check_every_argument(void)
{
	/* More than any platform has. */
	static wss_queue queues[300];
	struct wss_event event;
	wss_queue more;
	int count = 0;
	int result;

	CHECK_INT(wss_queue_create(0, 1, &more), -EINVAL);
	CHECK_INT(wss_queue_create((uint32_t)1 << 17, 1, &more), -EINVAL);
	CHECK_INT(wss_queue_create((uint32_t)1 << 31 | TEXTS, 1, &more), -EINVAL);
	CHECK_INT(wss_queue_create(TEXTS, 0, &more), -EINVAL);
	CHECK_INT(wss_queue_create(TEXTS, 1, NULL), -EINVAL);
	while ((result = wss_queue_create(WSS_MASK_ALL | WSS_MASK(WSS_EVENT_WRITABLE), 8,
					  &queues[count])) == 0) {
		CHECK(++count < 300);
	}
	CHECK_INT(result, -EBUSY);
	CHECK(count >= WSS_MAX_QUEUES);
	CHECK_INT(wss_queue_get(0, &event, 0), -EINVAL);
	CHECK_INT(wss_queue_get(UINT32_MAX, &event, 0), -EINVAL);
	CHECK_INT(wss_queue_get(queues[0], NULL, 0), -EINVAL);
	expect_none(queues[0], 0);
	CHECK_INT(wss_queue_destroy(0), -EINVAL);
	CHECK_INT(wss_queue_destroy(UINT32_MAX), -EINVAL);
	for (int i = 0; i < count; i++) {
		destroy(queues[i]);
	}
	destroy(create(TEXTS, 1));
}

static void a_queue_kept_too_long_is_no_queue(void)
{
	wss_queue old = create(TEXTS, 1);
	struct wss_event event;

	destroy(old);
	for (int i = 0; i < 70000; i++) {
		wss_queue queue = create(TEXTS, 1);

		CHECK(queue != old);
		destroy(queue);
	}
	CHECK_INT(wss_queue_get(old, &event, 0), -EINVAL);
	CHECK_INT(wss_queue_destroy(old), -EINVAL);
}

static void a_queue_may_be_of_any_depth(void)
{
	destroy(create(TEXTS, SIZE_MAX));
}

static void a_full_queue_gets_a_failed_start_once_there_is_room(void)
{
	SYS_WSS_CONFIG own = {.port = 70000, .isTLSEnabled = false};
	struct wss_config config = config_for_tests(NULL);
	wss_queue queue = create(WSS_MASK(WSS_EVENT_LISTEN_FAILED), 1);
	struct wss_event event;

	config.queues = &queue;
	config.queue_count = 1;
	config.on_event = NULL;
	CHECK_INT(wss_configure(wss_default_server(), &config), 0);
	for (int i = 0; i < 2; i++) {
		CHECK(SYS_WSS_Initialize(&own, NULL, NULL) == SYS_MODULE_OBJ_INVALID);
	}
	for (int i = 0; i < 2; i++) {
		pass(queue, WSS_EVENT_LISTEN_FAILED, -1);
	}
	CHECK_INT(wss_queue_get(queue, &event, WSS_FOREVER), -EPIPE);
	destroy(queue);
}

static void a_queue_gets_no_more_errors_than_it_has_room_for(void)
{
	wss_queue queue = create(WSS_MASK(WSS_EVENT_ERROR), 1);
	struct sockaddr_in address;
	struct wss_event event;
	int errors = 0;

	serve_queues(&queue, 1);
	address = wire_address(default_port());
	for (int round = 0; round < 3; round++) {
		int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

		use_up_descriptors();
		CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
		/* The server tries again ten times a second, and reports it once. */
		sleep_ms(350);
		give_descriptors_back();
		expect(WSS_EVENT_ERROR, -1);
		expect(WSS_EVENT_CONNECTING, 0);
		close(fd);
		expect_closing(0);
		wait_for_slots();
	}
	while (wss_queue_get(queue, &event, 300) == 0) {
		CHECK_INT(event.type, WSS_EVENT_ERROR);
		wss_event_release(&event);
		errors++;
	}
	/* One more event waited for room. */
	CHECK_INT(errors, 2);
	stop_serving();
	destroy(queue);
}

static void a_connection_that_takes_the_last_descriptor_is_no_error(void)
{
	struct wss_server *server = serve(NULL);
	struct sockaddr_in address = wire_address(default_port());
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	int last = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	use_up_descriptors();
	close(last);
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	expect(WSS_EVENT_CONNECTING, 0);
	sleep_ms(300);
	CHECK_INT(stats_of(server).accept_errors, 0);
	give_descriptors_back();
	close(fd);
	expect_closing(0);
	stop_serving();
}

static wss_queue own_queue;

static void take_inside(const struct record *record, const void *data)
{
	(void)data;
	if (record->event == WSS_EVENT_TEXT) {
		expect_none(own_queue, WSS_FOREVER);
	}
}

static void a_queue_is_not_waited_for_inside_a_callback(void)
{
	int fd;

	own_queue = create(WSS_MASK(WSS_EVENT_ERROR), 1);
	act = take_inside;
	serve_queues(&own_queue, 1);
	fd = open_client(0);
	wire_text(fd, "x");
	expect_data(WSS_EVENT_TEXT, 0, "x", 1);
	close(fd);
	expect_closing(0);
	stop_serving();
	destroy(own_queue);
}

static void an_event_held_for_too_long_fails_its_client_with_1011(void)
{
	struct wss_limits limits = limits_for_tests();
	struct wss_config config = config_for_tests(&limits);
	wss_queue queue = create(TEXTS, 4);
	struct wss_event event;
	int fd;

	limits.hold_timeout_ms = 300;
	config.queues = &queue;
	config.queue_count = 1;
	serve(&config);
	fd = open_client(0);
	wire_text(fd, "held");
	event = take(queue, WSS_EVENT_TEXT, 0);
	expect_data(WSS_EVENT_TEXT, 0, "held", 4);
	wire_expect_close(fd, 1011, "");
	expect(WSS_EVENT_CLOSING, 0);
	CHECK_BYTES(event.data, event.len, "held", 4);
	wss_event_release(&event);
	close(fd);
	expect(WSS_EVENT_CLOSED, 0);
	stop_serving();
	destroy(queue);
}

#define SUITE queues
#define CASES(CASE)                                                                                \
	CASE(a_queue_gets_what_its_mask_asks_for_beside_the_callback)                              \
	CASE(a_queue_that_no_configuration_lists_gets_nothing)                                     \
	CASE(a_held_event_holds_back_its_client_and_no_other)                                      \
	CASE(the_only_queue_may_change_a_text_which_ends_with_nul)                                 \
	CASE(a_full_queue_loses_nothing)                                                           \
	CASE(an_event_outlives_its_client_its_queue_and_the_server)                                \
	CASE(readers_wake_when_the_server_ends)                                                    \
	CASE(what_is_left_on_a_queue_is_there_after_the_end_of_its_server)                         \
	CASE(a_queue_can_be_read_before_its_server_starts)                                         \
	CASE(destroying_a_queue_wakes_its_readers_and_lets_clients_go_on)                          \
	CASE(a_reader_that_is_about_to_wait_does_not_miss_the_end_of_its_queue)                     \
	CASE(queues_check_every_argument)                                                          \
	CASE(a_queue_kept_too_long_is_no_queue)                                                    \
	CASE(a_queue_may_be_of_any_depth)                                                          \
	CASE(a_full_queue_gets_a_failed_start_once_there_is_room)                                  \
	CASE(a_queue_gets_no_more_errors_than_it_has_room_for)                                     \
	CASE(a_connection_that_takes_the_last_descriptor_is_no_error)                              \
	CASE(a_queue_is_not_waited_for_inside_a_callback)                                          \
	CASE(an_event_held_for_too_long_fails_its_client_with_1011)

TEST_PROGRAM(CASES)
