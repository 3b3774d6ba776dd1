// SPDX-License-Identifier: Apache-2.0
//! See `tests/server.rs`. What is linked from here is `zephyr/port.h` of POSIX.

/// The examples of the guide are tested here; see `tests/doc_blocks`.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/zephyr.md")]
struct Guide;
