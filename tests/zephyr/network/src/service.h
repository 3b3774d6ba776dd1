/* SPDX-License-Identifier: Apache-2.0 */
/* The service under test, and its counters. */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdint.h>

#include <zephyr/kernel.h>

#include <wss/sys_wss.h>

/* Events since the last service_reset(), by their number. */
extern atomic_t service_events[SYS_WSS_EVENT_LL_INTF_UP + 1];
/* The number of polls of the service's threads since then: each wake-up is one. */
extern atomic_t service_polls;
/* The maximum time of a send by a thread of the service since then, in ms. */
extern atomic_t service_sending;

/* Called with each message. */
extern void (*service_on_message)(const char *data, size_t len, int32_t client);

/* Starts it on an address, or (NULL) on every address, with a limit of handshakes per second; 0: no limit. */
void service_start(const char *address, uint16_t handshakes);
void service_stop(void);

/* Resets the counters. */
void service_reset(void);

/* Checks the number of an event, after some time. */
void service_told(SYS_WSS_EVENTS event, int times);

#endif
