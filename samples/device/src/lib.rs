// SPDX-License-Identifier: Apache-2.0
//! The device on Zephyr.
#![no_std]

mod device;

use device::Device;
use wss_zephyr::{Options, Server, kconfig};
// It has the panic handler.
use zephyr as _;

static SERVER: Server<Device> = Server::new();

#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    wss_zephyr::set_logger();
    let options = Options::new().tick(device::PERIOD);
    let depth = kconfig::QUEUE_DEPTH as usize;
    let builder = SERVER.builder(&options).handler(Device::new);
    match builder.start([(device::AUDITED, depth)]) {
        Ok([queue]) => device::audit(&queue),
        Err(error) => log::error!("cannot start: {error}"),
    }
    SERVER.stop();
}
