/* SPDX-License-Identifier: Apache-2.0 */
#define SYS_INIT(function, level, priority) int (*const init_##function)(void) = function
