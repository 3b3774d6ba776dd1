// SPDX-License-Identifier: Apache-2.0
//! Many clients: the cost of an idle one, its effect on others, broadcasts, and a soak test.
//!
//! ```text
//! wss-scale SERVER [idle] [active] [broadcast] [soak[=CONNECTS]]
//! ```
//!
//! SERVER is the default server's program, which runs as another process. Without further arguments, everything except
//! the soak test is measured. Figures for several numbers of clients are printed side by side, to show whether they are
//! flat, independent of the machine's speed.

mod active;
mod broadcast;
#[allow(dead_code, reason = "the tests of sockets need the rest")]
#[path = "../../../sockets/client.rs"]
mod client;
mod idle;
#[allow(dead_code, reason = "wss-rig needs the rest")]
#[path = "../process.rs"]
mod process;
mod server;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;

/// The default number of connects of a soak test.
const CONNECTS: u64 = 1_000_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: wss-scale SERVER [idle] [active] [broadcast] [soak[=CONNECTS]]");
        return ExitCode::from(2);
    };
    let mut parts: Vec<String> = arguments.collect();
    if parts.is_empty() {
        parts = ["idle", "active", "broadcast"].map(str::to_owned).into();
    }
    for part in parts {
        let (name, count) = part.split_once('=').unwrap_or((&part, ""));
        match (name, count.parse()) {
            ("idle", _) => idle::run(&program),
            ("active", _) => active::run(&program),
            ("broadcast", _) => broadcast::run(&program),
            ("soak", Ok(connects)) => soak::run(&program, connects),
            ("soak", Err(_)) if count.is_empty() => soak::run(&program, CONNECTS),
            _ => {
                eprintln!("wss-scale: what is {part}?");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}
