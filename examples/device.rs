// SPDX-License-Identifier: Apache-2.0
//! The application of `samples/device` on a host.
//!
//! `cargo run --example device -- 8000`, then connect with a WebSocket client to
//! `ws://127.0.0.1:8000/?token=look-but-do-not-touch`.

#[path = "../samples/device/src/device.rs"]
mod device;

use wss::host::{Options, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .init();
    let port = std::env::args().nth(1).unwrap_or("8000".into()).parse()?;
    let options = Options::new()
        .port(port)
        .tick(device::PERIOD)
        .request_field("Authorization");
    let (server, [queue]) = Server::builder(&options)
        .handler(device::Device::new)
        .start([(device::AUDITED, 8)])?;
    println!("listening on ws://{}", server.local_addr());
    device::audit(&queue);
    server.stop();
    Ok(())
}
