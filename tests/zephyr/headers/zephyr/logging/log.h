/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#define LOG_LEVEL_ERR 1
#define LOG_LEVEL_WRN 2
#define LOG_LEVEL_INF 3
#define LOG_MODULE_REGISTER(name, level) enum { log_level_of_##name = level }
#define LOG_MODULE_DECLARE(name, level) enum { log_level_declared_##name = level }
#define LOG_ERR(...) printf(__VA_ARGS__)
#define LOG_WRN(...) printf(__VA_ARGS__)
#define LOG_INF(...) printf(__VA_ARGS__)
#define LOG_DBG(...) printf(__VA_ARGS__)
