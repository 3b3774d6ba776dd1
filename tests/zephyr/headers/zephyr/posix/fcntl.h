/* SPDX-License-Identifier: Apache-2.0 */
#define ZVFS_F_SETFL 4
#define ZVFS_O_NONBLOCK 0x4000
