/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief What wss/wss.h has on Zephyr only.
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
 * @brief Creates a queue that puts its events on a message queue of the application's own.
 *
 * Events can be taken with k_msgq_get(), after k_poll() too, or with wss_queue_get(). Each has to be released with
 * wss_event_release(): only that lets the server know that there is room again. wss_queue_destroy() gives the message
 * queue back.
 *
 * @code
 * K_MSGQ_DEFINE(events, sizeof(struct wss_event), 8, 8);
 * @endcode
 *
 * @param mask The events that it gets, each as #WSS_MASK.
 * @param messages An empty message queue for messages of `sizeof(struct wss_event)` bytes.
 * @param queue Where to put the queue, for wss_config::queues.
 * @retval 0 It is created.
 * @retval -EBUSY There are three for each of CONFIG_WSS_SERVERS already.
 * @retval -EINVAL NULL, a mask without events or with unknown ones, or messages of another size.
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
 * @param name A name for it in C.
 * @param index The index of the server, a constant: 0 is the default server. See wss_server_at().
 * @param where wss_page::path.
 * @param type wss_page::content_type.
 * @param coding wss_page::encoding.
 * @param bytes An array with its body.
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
