// SPDX-License-Identifier: Apache-2.0
//! The differences between a host and Zephyr. Both implementations have the same names.

#[cfg(feature = "host")]
mod host;
#[cfg(not(feature = "host"))]
mod zephyr;

#[cfg(feature = "host")]
pub use host::*;
#[cfg(not(feature = "host"))]
pub use zephyr::*;
