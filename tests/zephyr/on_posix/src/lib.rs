// SPDX-License-Identifier: Apache-2.0
//! See `tests/server.rs`. This links the implementation of `zephyr/port.h` on POSIX.

/// The examples of the guide are tested here; see `tests/doc_blocks`.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/zephyr.md")]
struct Guide;
