// SPDX-License-Identifier: Apache-2.0
//! The application of `samples/device` on a host.
//!
//! `cargo run --example device -- 8000`, then open <http://127.0.0.1:8000/> as `admin` with the password
//! `correct horse`, or <http://127.0.0.1:8000/?token=look-only>.

#[path = "../samples/device/src/device.rs"]
mod device;

use wss::Page;
use wss::host::{Options, Server};

/// The dashboard, also behind the login.
const DASHBOARD: Page<'static> = Page::new(
    "/",
    "text/html; charset=utf-8",
    include_bytes!("../pages/dashboard.html"),
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .init();
    let port = std::env::args().nth(1).unwrap_or("8000".into()).parse()?;
    let options = Options::new()
        .port(port)
        .tick(device::PERIOD)
        .request_field("Authorization")
        .page(DASHBOARD);
    let (server, [queue]) = Server::builder(&options)
        .handler(device::Device::new)
        .start([(device::AUDITED, 8)])?;
    let addr = server.local_addr();
    println!("listening on ws://{addr}");
    println!("open http://{addr}/ as admin with the password \"correct horse\"");
    device::audit(&queue);
    server.stop();
    Ok(())
}
