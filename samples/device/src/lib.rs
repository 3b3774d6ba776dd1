// SPDX-License-Identifier: Apache-2.0
//! The device on Zephyr.
#![no_std]

mod device;

use device::Device;
use wss::Page;
use wss_zephyr::{Options, Server, Tls, kconfig};
// For its panic handler.
use zephyr as _;

/// The dashboard, also behind the login.
static PAGES: [Page<'static>; 1] = [Page::new(
    "/",
    "text/html; charset=utf-8",
    include_bytes!(concat!(env!("OUT_DIR"), "/dashboard.html.gz")),
)
.gzip()];

static SERVER: Server<Device> = Server::new();

#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    wss_zephyr::set_logger();
    let mut options = Options::new().tick(device::PERIOD).pages(&PAGES);
    if kconfig::TLS {
        options = options.tls(Tls::OF_TAGS);
    }
    let depth = kconfig::QUEUE_DEPTH as usize;
    let builder = SERVER.builder(&options).handler(Device::new);
    match builder.start([(device::AUDITED, depth)]) {
        Ok([queue]) => device::audit(&queue),
        Err(error) => log::error!("cannot start: {error}"),
    }
    SERVER.stop();
}
