// SPDX-License-Identifier: Apache-2.0
//! See `tests/server.rs`. What is linked from here is `zephyr/port.h` of POSIX.
