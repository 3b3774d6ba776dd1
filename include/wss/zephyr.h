/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief What wss/wss.h has on Zephyr only.
 */
#ifndef WSS_ZEPHYR_H
#define WSS_ZEPHYR_H

#include <zephyr/kernel.h>

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

#ifdef __cplusplus
}
#endif

#endif /* WSS_ZEPHYR_H */
