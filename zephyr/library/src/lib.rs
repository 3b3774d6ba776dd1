// SPDX-License-Identifier: Apache-2.0
//! The `SYS_WSS` interface as a static library for applications in C on Zephyr.
//!
//! Applications in Rust use the crates `wss_zephyr` and `wss` instead: an image can contain only one Rust library.
#![no_std]

pub use sys_wss::ffi;

unsafe extern "C" {
    safe fn wss_port_panic() -> !;
}

/// No path to this is known. Zephyr halts or restarts the system, depending on its configuration.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    wss_port_panic()
}
