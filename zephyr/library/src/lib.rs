// SPDX-License-Identifier: Apache-2.0
//! The `SYS_WSS` interface as a static library for applications in C on Zephyr.
//!
//! An application in Rust takes the crates `wss_zephyr` and `wss` instead: there is one Rust library in
//! an image.
#![no_std]

pub use sys_wss::ffi;

unsafe extern "C" {
    safe fn wss_port_panic() -> !;
}

/// There is no known way to get here. Zephyr halts the system or starts it again, as it is configured.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    wss_port_panic()
}
