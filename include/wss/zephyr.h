/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief The functions and macros of the WebSocket server that exist on Zephyr only.
 */
#ifndef WSS_ZEPHYR_H
#define WSS_ZEPHYR_H

#include <zephyr/kernel.h>
#include <zephyr/sys/iterable_sections.h>

#include <wss/wss.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Creates a queue that puts its events on a message queue of the application.
 *
 * Take events with k_msgq_get(), also after k_poll(), or with wss_queue_get(). Release each with wss_event_release():
 * only that notifies the server that there is room again. wss_queue_destroy() returns the message queue to the
 * application.
 *
 * @code
 * K_MSGQ_DEFINE(events, sizeof(struct wss_event), 8, 8);
 * @endcode
 *
 * @param mask The events that it gets, each as #WSS_MASK.
 * @param messages An empty message queue for messages of `sizeof(struct wss_event)` bytes.
 * @param queue Where to store the queue, for wss_config::queues.
 * @retval 0 It is created.
 * @retval -EBUSY There are three for each of CONFIG_WSS_SERVERS already.
 * @retval -EINVAL A pointer is NULL, the mask is empty or has unknown events, or the messages have another size.
 */
int wss_queue_add(uint32_t mask, struct k_msgq *messages, wss_queue *queue);

/** @cond INTERNAL_HIDDEN */
struct wss_page_entry {
	struct wss_page page;
	size_t server;
};
/** @endcond */

/**
 * @brief Defines a page of a server. Needs CONFIG_WSS_PAGES.
 *
 * @code
 * static const uint8_t index_html[] = {
 * #include "index.html.gz.inc"
 * };
 * WSS_PAGE_DEFINE(index_page, 0, "/", "text/html", "gzip", index_html);
 * @endcode
 *
 * The file comes from the application's CMakeLists.txt:
 *
 * @code
 * generate_inc_file_for_target(app index.html
 *   ${ZEPHYR_BINARY_DIR}/include/generated/index.html.gz.inc --gzip)
 * @endcode
 *
 * @param name The name of the C object.
 * @param index The index of the server, a constant: 0 is the default server. See wss_server_at().
 * @param where wss_page::path.
 * @param type wss_page::content_type.
 * @param coding wss_page::encoding.
 * @param bytes An array with the body.
 */
#define WSS_PAGE_DEFINE(name, index, where, type, coding, bytes)                                   \
	const STRUCT_SECTION_ITERABLE(wss_page_entry, name) = {                                    \
		.page = {                                                                          \
			.path = (where),                                                           \
			.content_type = (type),                                                    \
			.encoding = (coding),                                                      \
			.etag = NULL,                                                              \
			.body = (bytes),                                                           \
			.size = sizeof(bytes),                                                     \
		},                                                                                 \
		.server = (index),                                                                 \
	}

#ifdef __cplusplus
}
#endif

#endif /* WSS_ZEPHYR_H */
