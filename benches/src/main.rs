// SPDX-License-Identifier: Apache-2.0
//! Benchmarks of wss and other WebSocket implementations.
//!
//! ```text
//! cargo run --release -p wss-bench [-- [OPTION]... [decode] [encode] [echo] [tls]]
//! cargo run --release -p wss-bench -- [--quick] connect NAME ADDRESS COMMAND...
//! ```
//!
//! | option | effect |
//! |---|---|
//! | `--quick` | runs each measurement briefly, to show that it works |
//! | `--cell PATTERN` | measures only matching cells: `16384/ASCII` when decoding, `125/8/16` when echoing; `*` matches any part |
//! | `--peer NAME` | measures only this peer beside wss |
//! | `--threads` | runs the echo servers on a thread for each processor instead of one; tungstenite has one for each client |
//!
//! Both filters may be repeated. One run measures all candidates in turn, so that other load on the machine affects all
//! of them. The modules document the measurements:
//!
//! - [`decode`]: masked client frames to messages;
//! - [`encode`]: messages to server frames;
//! - [`echo`]: an echo server over TCP on the loopback interface, under the load of [`load`];
//! - [`tls`]: the same echo over TLS;
//! - [`external`]: the same load on servers in other processes;
//! - [`peers`]: the use of each candidate.

mod decode;
mod echo;
mod encode;
mod external;
mod frames;
mod load;
mod measure;
mod memory;
mod peers;
mod servers;
mod tls;

use std::process::ExitCode;

use lexopt::Arg::{Long, Value};
use lexopt::{Parser, ValueExt};
use measure::Run;
use servers::Threads;

/// Measures a subject and prints its tables.
type Subject = fn(&Run);

const SUBJECTS: [(&str, Subject); 4] = [
    ("decode", decode::run),
    ("encode", encode::run),
    ("echo", echo::run),
    ("tls", echo::run_with_tls),
];

const USAGE: &str = "\
usage: wss-bench [--quick] [--cell PATTERN]... [--peer NAME]... [--threads] [decode] [encode] [echo] [tls]
       wss-bench [--quick] connect NAME ADDRESS COMMAND|- ...";

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("warning: this is not a release build, so the figures mean nothing");
    }
    let (run, words) = match parse(Parser::from_env()) {
        Ok(parsed) => parsed,
        Err(error) => return fail(&error.to_string()),
    };
    match words.split_first() {
        Some((word, servers)) if word == "connect" => return external::run(run.quick, servers),
        _ => {}
    }
    let is_subject = |word: &String| SUBJECTS.iter().any(|(name, _)| name == word);
    if let Some(word) = words.iter().find(|word| !is_subject(word)) {
        return fail(&format!("unknown subject {word:?}"));
    }
    for (name, measure) in SUBJECTS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            measure(&run);
        }
    }
    ExitCode::SUCCESS
}

/// Returns the options, and the other arguments.
fn parse(mut parser: Parser) -> Result<(Run, Vec<String>), lexopt::Error> {
    let (mut run, mut words) = (Run::default(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => run.quick = true,
            Long("cell") => run.cells.push(parser.value()?.string()?),
            Long("threads") => run.threads = Threads::Processors,
            Long("peer") => run.peers.push(parser.value()?.string()?),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok((run, words))
}

fn fail(error: &str) -> ExitCode {
    eprintln!("wss-bench: {error}\n{USAGE}");
    ExitCode::FAILURE
}
