/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event queues: k_msgq of wss_message. CONFIG_WSS_QUEUES of them are the library's, for
 * wss_queue_create(); others are the application's own.
 */
#include <zephyr/kernel.h>

#include <wss/sys_wss.h>

#include "port.h"

void *wss_port_queue_new(size_t depth);
void wss_port_queue_end(void *queue);
bool wss_port_queue_put(void *queue, const wss_message *message);
bool wss_port_queue_get(void *queue, wss_message *message, int32_t ms);

#if CONFIG_WSS_QUEUES > 0
static struct {
	struct k_msgq queue;
	wss_message messages[CONFIG_WSS_QUEUE_DEPTH];
	bool used;
} queues[CONFIG_WSS_QUEUES];
#endif

/* Called with a lock held, as is the next. */
void *wss_port_queue_new(size_t depth)
{
#if CONFIG_WSS_QUEUES > 0
	for (size_t i = 0; i < ARRAY_SIZE(queues) && depth <= CONFIG_WSS_QUEUE_DEPTH; i++) {
		if (!queues[i].used) {
			queues[i].used = true;
			k_msgq_init(&queues[i].queue, (char *)queues[i].messages,
				    sizeof(wss_message), (uint32_t)depth);
			return &queues[i].queue;
		}
	}
#else
	ARG_UNUSED(depth);
#endif
	return NULL;
}

void wss_port_queue_end(void *queue)
{
	/* Wakes up those who wait for an event. */
	k_msgq_purge(queue);
#if CONFIG_WSS_QUEUES > 0
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		if (queue == &queues[i].queue) {
			queues[i].used = false;
		}
	}
#endif
}

bool wss_port_queue_put(void *queue, const wss_message *message)
{
	return k_msgq_put(queue, message, K_NO_WAIT) == 0;
}

bool wss_port_queue_get(void *queue, wss_message *message, int32_t ms)
{
	return k_msgq_get(queue, message, ms < 0 ? K_FOREVER : K_MSEC(ms)) == 0;
}
