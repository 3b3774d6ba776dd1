/* SPDX-License-Identifier: Apache-2.0 */
/* Events on a message queue of the application. */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>
#include <wss/zephyr.h>

#include "client.h"

#define WAIT K_SECONDS(5)

K_MSGQ_DEFINE(events, sizeof(struct wss_event), 2, 8);
K_MSGQ_DEFINE(others, sizeof(struct wss_event) - 1, 2, 1);

static wss_queue queue;

static void expect(uint32_t type, int32_t index, const char *data)
{
	struct wss_event event;

	zassert_ok(k_msgq_get(&events, &event, WAIT), "event %u is missing", type);
	zassert_equal(event.type, type, "%u instead of %u", event.type, type);
	zassert_equal(event.index, index);
	zassert_equal(event.server, wss_default_server());
	zassert_equal(event.len, data != NULL ? strlen(data) : 0);
	if (data != NULL) {
		zassert_mem_equal(event.data, data, event.len);
		zassert_true(event.first && event.last);
	}
	wss_event_release(&event);
	zassert_is_null(event.data);
}

static void configure(void)
{
	const struct wss_config config = {.queues = &queue, .queue_count = 1};

	zassert_ok(wss_configure(wss_default_server(), &config));
}

static SYS_MODULE_OBJ start(void)
{
	return SYS_WSS_Initialize(NULL, NULL, NULL);
}

static void *set_up(void)
{
	zassert_equal(wss_queue_add(WSS_MASK_ALL, NULL, &queue), -EINVAL);
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &others, &queue), -EINVAL);
	zassert_equal(wss_queue_add(WSS_MASK_ALL, &events, NULL), -EINVAL);
	zassert_equal(wss_queue_add(0, &events, &queue), -EINVAL);
	zassert_equal(wss_queue_add((uint32_t)1 << 17, &events, &queue), -EINVAL);
	zassert_equal(wss_queue_create(WSS_MASK_ALL, 1, &queue), -EBUSY, "there is none");
	zassert_ok(wss_queue_add(WSS_MASK_ALL, &events, &queue));
	configure();
	return NULL;
}

ZTEST(queue, test_1_a_full_queue_loses_nothing)
{
	SYS_MODULE_OBJ object = start();
	int fd = client_connect("127.0.0.1", "/");

	zassert_not_equal(object, SYS_MODULE_OBJ_INVALID);
	/* There is room for the first two events only. */
	client_sends(fd, "one");
	client_sends(fd, "two");
	client_sends(fd, "three");
	k_msleep(50);
	expect(WSS_EVENT_CONNECTING, 0, NULL);
	expect(WSS_EVENT_CONNECTED, 0, NULL);
	expect(WSS_EVENT_TEXT, 0, "one");
	expect(WSS_EVENT_TEXT, 0, "two");
	expect(WSS_EVENT_TEXT, 0, "three");
	zsock_close(fd);
	expect(WSS_EVENT_CLOSING, 0, NULL);
	expect(WSS_EVENT_CLOSED, 0, NULL);
	SYS_WSS_Deinitialize(&object);
}

ZTEST(queue, test_1_a_text_ends_with_nul_and_may_be_changed)
{
	static const char *const words[] = {"one", "", "three"};
	SYS_MODULE_OBJ object = start();
	int fd = client_connect("127.0.0.1", "/");
	struct wss_event held[2];
	char *text;

	zassert_not_equal(object, SYS_MODULE_OBJ_INVALID);
	expect(WSS_EVENT_CONNECTING, 0, NULL);
	expect(WSS_EVENT_CONNECTED, 0, NULL);
	/* Two are held at the same time, as many as there is room for. */
	client_sends(fd, words[0]);
	client_sends(fd, words[1]);
	client_sends(fd, words[2]);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		zassert_ok(k_msgq_get(&events, &held[i], WAIT));
		zassert_equal(held[i].type, WSS_EVENT_TEXT);
		text = held[i].data;
		zassert_str_equal(text, words[i]);
		zassert_equal(held[i].len, strlen(words[i]));
		memset(text, '#', held[i].len + 1);
	}
	zassert_mem_equal(held[0].data, "####", 4);
	zassert_mem_equal(held[1].data, "#", 1);
	zassert_ok(wss_send(held[0].client, WSS_TEXT, held[0].data, 4, 0));
	client_receives(fd, "\x81\x04####", 6);
	/* A text that is no longer UTF-8 is not sent. */
	memset(held[0].data, 0xff, 3);
	zassert_equal(wss_send(held[0].client, WSS_TEXT, held[0].data, 3, 0), -EBADMSG);
	zassert_equal(wss_send(held[0].client, WSS_TEXT, held[0].data, 3, 100), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		wss_event_release(&held[i]);
	}
	expect(WSS_EVENT_TEXT, 0, words[2]);
	zsock_close(fd);
	expect(WSS_EVENT_CLOSING, 0, NULL);
	expect(WSS_EVENT_CLOSED, 0, NULL);
	SYS_WSS_Deinitialize(&object);
}

ZTEST(queue, test_2_it_can_be_waited_for_with_other_things)
{
	struct k_poll_event polled = K_POLL_EVENT_INITIALIZER(K_POLL_TYPE_MSGQ_DATA_AVAILABLE,
							      K_POLL_MODE_NOTIFY_ONLY, &events);
	SYS_MODULE_OBJ object = start();
	int fd;

	zassert_equal(k_poll(&polled, 1, K_MSEC(50)), -EAGAIN);
	fd = client_connect("127.0.0.1", "/");
	polled.state = K_POLL_STATE_NOT_READY;
	zassert_ok(k_poll(&polled, 1, WAIT));
	expect(WSS_EVENT_CONNECTING, 0, NULL);
	expect(WSS_EVENT_CONNECTED, 0, NULL);
	zsock_close(fd);
	expect(WSS_EVENT_CLOSING, 0, NULL);
	expect(WSS_EVENT_CLOSED, 0, NULL);
	SYS_WSS_Deinitialize(&object);
}

ZTEST(queue, test_3_a_port_in_use_is_reported_once_there_is_room)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(CONFIG_WSS_PORT)};
	/* Like the library's queues: releasing an event makes room. */
	const struct wss_event nothing = {.type = WSS_EVENT_ERROR,
					  .index = -1,
					  .server = wss_default_server(),
					  .hold = &queue};
	int taken = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	zassert_ok(zsock_bind(taken, (struct sockaddr *)&addr, sizeof(addr)));
	zassert_ok(zsock_listen(taken, 1));
	zassert_ok(k_msgq_put(&events, &nothing, K_NO_WAIT));
	zassert_ok(k_msgq_put(&events, &nothing, K_NO_WAIT));
	zassert_equal(start(), SYS_MODULE_OBJ_INVALID);
	expect(WSS_EVENT_ERROR, -1, NULL);
	expect(WSS_EVENT_ERROR, -1, NULL);
	expect(WSS_EVENT_LISTEN_FAILED, -1, NULL);
	zsock_close(taken);
}

static void read_to_the_end(void *unused, void *unused2, void *unused3)
{
	struct wss_event event;
	int result;

	ARG_UNUSED(unused);
	ARG_UNUSED(unused2);
	ARG_UNUSED(unused3);
	while ((result = wss_queue_get(queue, &event, WSS_FOREVER)) == 0) {
		wss_event_release(&event);
	}
	zassert_equal(result, -EPIPE);
}

static K_THREAD_STACK_DEFINE(reader_stack, 4096);
static struct k_thread reader;

ZTEST(queue, test_4_its_reader_wakes_when_the_server_ends)
{
	SYS_MODULE_OBJ object = start();
	k_tid_t thread = k_thread_create(&reader, reader_stack, K_THREAD_STACK_SIZEOF(reader_stack),
					 read_to_the_end, NULL, NULL, NULL, 0, 0, K_NO_WAIT);
	int fd = client_connect("127.0.0.1", "/");

	zassert_equal(k_thread_join(thread, K_MSEC(50)), -EAGAIN);
	SYS_WSS_Deinitialize(&object);
	zassert_ok(k_thread_join(thread, WAIT));
	zsock_close(fd);
}

ZTEST(queue, test_5_it_can_be_taken_back)
{
	struct wss_event event;
	SYS_MODULE_OBJ object;
	int fd;

	/* wss_queue_get() works as well. */
	object = start();
	fd = client_connect("127.0.0.1", "/");
	zassert_ok(wss_queue_get(queue, &event, 5000));
	zassert_equal(event.type, WSS_EVENT_CONNECTING);
	wss_event_release(&event);
	zassert_ok(wss_queue_destroy(queue));
	zassert_equal(wss_queue_get(queue, &event, 0), -EINVAL);
	zassert_equal(wss_queue_destroy(queue), -EINVAL);
	client_sends(fd, "for no queue");
	zsock_close(fd);
	zassert_equal(k_msgq_get(&events, &event, K_MSEC(200)), -EAGAIN);
	SYS_WSS_Deinitialize(&object);
}

ZTEST_SUITE(queue, NULL, set_up, NULL, NULL, NULL);
