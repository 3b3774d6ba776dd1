//! The benchmark of wss, side by side with tungstenite and, where that makes sense, with `memcpy`.
//!
//! ```text
//! cargo run --release -p wss-bench [-- [--quick] [decode] [encode] [echo]]
//! cargo run --release -p wss-bench -- [--quick] connect NAME ADDRESS COMMAND...
//! ```
//!
//! Everything is measured in one run, the candidates by turns, and medians are printed, so that what
//! else the machine does meets all of them alike. What is measured, and how, is said in the modules:
//!
//! - [`decode`]: masked client frames to messages;
//! - [`encode`]: messages to server frames;
//! - [`echo`]: an echo server over TCP on the loopback interface, under the load of [`load`];
//! - [`external`]: the same load on servers in other processes.

mod decode;
mod echo;
mod encode;
mod external;
mod frames;
mod load;
mod measure;

use std::process::ExitCode;

/// Measures and prints; a short run if true.
type Part = fn(bool);

const PARTS: [(&str, Part); 3] = [
    ("decode", decode::run),
    ("encode", encode::run),
    ("echo", echo::run),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    arguments.retain(|argument| argument != "--quick");
    if cfg!(debug_assertions) {
        eprintln!("not an optimised build: the figures mean nothing");
    }
    if arguments
        .first()
        .is_some_and(|argument| argument == "connect")
    {
        return external::run(quick, &arguments[1..]);
    }
    let is_part = |argument: &String| PARTS.iter().any(|(name, _)| name == argument);
    if !arguments.iter().all(is_part) {
        eprintln!(
            "usage: wss-bench [--quick] [decode] [encode] [echo]\n       \
            wss-bench [--quick] connect NAME ADDRESS COMMAND|- ..."
        );
        return ExitCode::FAILURE;
    }
    for (name, run) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            run(quick);
        }
    }
    ExitCode::SUCCESS
}
