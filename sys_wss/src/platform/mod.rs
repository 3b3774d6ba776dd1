// SPDX-License-Identifier: Apache-2.0
//! What a host and Zephyr have, each in its own way. Both have the same names here.

#[cfg(feature = "host")]
mod host;
#[cfg(not(feature = "host"))]
mod zephyr;

#[cfg(feature = "host")]
pub use host::*;
#[cfg(not(feature = "host"))]
pub use zephyr::*;
