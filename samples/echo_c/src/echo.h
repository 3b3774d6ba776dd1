/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_H
#define ECHO_H

#include <wss/sys_wss.h>

/** Whether every event is printed. */
extern bool verbose;

/** Prints a line about a client. In main_host.c and main_zephyr.c. */
void print_event(int32_t clientIndex, const char *what);

/** The callback. */
void on_event(SYS_WSS_EVENTS event, void *data, int32_t clientIndex, void *cookie);

#endif /* ECHO_H */
