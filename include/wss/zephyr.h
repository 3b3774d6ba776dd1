/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief What the SYS_WSS interface has on Zephyr only.
 */
#ifndef WSS_ZEPHYR_H
#define WSS_ZEPHYR_H

#include <zephyr/kernel.h>

#include <wss/sys_wss.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Has events put on a message queue of the application's own, as those of wss_queue_create() are.
 *
 * Events can be taken with k_msgq_get(), and with k_poll(), or with wss_queue_get(). Each has to be
 * released with wss_message_release(): only that tells the service that there is room again. Once the
 * queue is no longer to be used, wss_queue_destroy() lets go of it.
 *
 * @code
 * K_MSGQ_DEFINE(events, sizeof(wss_message), 8, 8);
 * @endcode
 *
 * @param mask The events that go to it, each as #WSS_MASK.
 * @param messages A queue for messages of `sizeof(wss_message)` bytes, with nothing on it.
 * @param queue Where to put the queue's number, for wss_queue_get() and wss_queue_destroy().
 * @retval WSS_OK It is added.
 * @retval WSS_BUSY There are #WSS_MAX_QUEUES already.
 * @retval WSS_INVALID NULL, no events or none such, or messages of another size.
 */
wss_result wss_queue_add(uint32_t mask, struct k_msgq *messages, wss_queue *queue);

/**
 * @brief As wss_queue_add(), but for the events of those servers only that were started with the queue, as
 * with wss_server_queue_create(). With #CONFIG_WSS_SERVERS of 1 there are no such servers.
 */
wss_result wss_server_queue_add(uint32_t mask, struct k_msgq *messages, wss_queue *queue);

#ifdef __cplusplus
}
#endif

#endif /* WSS_ZEPHYR_H */
