/* SPDX-License-Identifier: Apache-2.0 */
/* The service under test, and what is counted of it. */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdint.h>

#include <zephyr/kernel.h>

#include <wss/sys_wss.h>

/* Events since the last service_reset(), by their number. */
extern atomic_t service_events[SYS_WSS_EVENT_LL_INTF_UP + 1];
/* How often a thread of the service has polled since then: each wake-up is one. */
extern atomic_t service_polls;
/* The longest time in ms that a thread of the service was sending since then. */
extern atomic_t service_sending;

/* Called with each message. */
extern void (*service_on_message)(const char *data, size_t len, int32_t client);

/* Starts it, at an address or (NULL) all of them, with so many handshakes in a second; 0: no limit. */
void service_start(const char *address, uint16_t handshakes);
void service_stop(void);

/* Forgets what was counted. */
void service_reset(void);

/* Checks how often an event came, once there was time for it. */
void service_told(SYS_WSS_EVENTS event, int times);

#endif
