/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

/** Starts the server on a port, 0 for any free one. Returns the port, or a negative errno. */
int device_start(uint16_t port);
/** Answers commands until the server has stopped: by wss_stop(), or by the command {"stop": true}. */
void device_run(void);
/** Prints logins and disconnects, on another thread, until the server has stopped. */
void device_log(void);

/** Returns the milliseconds since the device started. Implemented for each platform. */
uint32_t device_uptime_ms(void);

#endif /* DEVICE_H */
