/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_H
#define ECHO_H

#include <wss/sys_wss.h>
#include <wss/wss.h>

/** Whether to print every event. */
extern bool verbose;

/** Prints a line about a client. In main_host.c and main_zephyr.c. */
void print_event(int32_t clientIndex, const char *what);

/** The callback. */
void on_event(SYS_WSS_EVENTS event, void *data, int32_t clientIndex, void *cookie);

/**
 * The callback of wss/wss.h, for messages in pieces, which a callback of SYS_WSS cannot distinguish from whole ones.
 * Sends each piece back as a fragment.
 */
void on_piece(const struct wss_event *event, void *cookie);

/** The events for on_piece(). */
#define PIECES (WSS_MASK(WSS_EVENT_TEXT) | WSS_MASK(WSS_EVENT_BINARY))

#endif /* ECHO_H */
