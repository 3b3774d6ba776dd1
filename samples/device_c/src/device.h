/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

/** Starts the server on a port, 0 for any free one; returns the port, or a negative errno. */
int device_start(uint16_t port);
/** Answers commands until the server has ended: by wss_stop(), or by the command {"stop": true}. */
void device_run(void);
/** Prints who comes and goes, on another thread, until the server has ended. */
void device_log(void);

/** Milliseconds since the device started; the platform has it. */
uint32_t device_uptime_ms(void);

#endif /* DEVICE_H */
