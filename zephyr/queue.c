/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event queues on k_msgq: CONFIG_WSS_QUEUES of the library, and others of the application.
 */
#include <errno.h>

#include <zephyr/kernel.h>

#include <wss/zephyr.h>

#include "port.h"

#if CONFIG_WSS_QUEUES > 0
static struct {
	struct k_msgq queue;
	/* Large enough for entries of Rust, too. */
	struct wss_event entries[CONFIG_WSS_QUEUE_DEPTH];
	bool used;
} queues[CONFIG_WSS_QUEUES];
static struct k_spinlock queues_lock;
#endif

void *wss_port_queue_new(size_t depth, size_t size)
{
	struct k_msgq *found = NULL;

#if CONFIG_WSS_QUEUES > 0
	k_spinlock_key_t key = k_spin_lock(&queues_lock);

	for (size_t i = 0; i < ARRAY_SIZE(queues) && found == NULL; i++) {
		if (!queues[i].used && depth <= CONFIG_WSS_QUEUE_DEPTH &&
		    size <= sizeof(struct wss_event)) {
			queues[i].used = true;
			found = &queues[i].queue;
			k_msgq_init(found, (char *)queues[i].entries, size, (uint32_t)depth);
		}
	}
	k_spin_unlock(&queues_lock, key);
#else
	ARG_UNUSED(depth);
	ARG_UNUSED(size);
#endif
	return found;
}

void wss_port_queue_end(void *queue)
{
	/* Wakes up threads that wait for an event. */
	k_msgq_purge(queue);
#if CONFIG_WSS_QUEUES > 0
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		if (queue == &queues[i].queue) {
			queues[i].used = false;
		}
	}
#endif
}

bool wss_port_queue_put(void *queue, const void *entry)
{
	return k_msgq_put(queue, entry, K_NO_WAIT) == 0;
}

bool wss_port_queue_get(void *queue, void *entry)
{
	return k_msgq_get(queue, entry, K_NO_WAIT) == 0;
}

#if defined(CONFIG_WSS_C_LIBRARY)
/* In Rust. */
int wss_queue_adopt(uint32_t mask, void *messages, wss_queue *queue);

int wss_queue_add(uint32_t mask, struct k_msgq *messages, wss_queue *queue)
{
	if (messages == NULL || messages->msg_size != sizeof(struct wss_event)) {
		return -EINVAL;
	}
	return wss_queue_adopt(mask, messages, queue);
}
#endif
