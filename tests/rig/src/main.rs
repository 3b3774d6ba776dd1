// SPDX-License-Identifier: Apache-2.0
//! The fault rig: peers and applications that misbehave, over real sockets.
//!
//! ```text
//! wss-rig [NAME...]                                       a server in this process
//! wss-rig --connect ADDR --slots N [--pid PID] [NAME...]  an echo server elsewhere
//! ```
//!
//! Each scenario runs together with a normal client, which must not be affected. After it every slot must be usable,
//! the events and the counters of clients must add up, and memory and descriptors must be as before. A server elsewhere
//! must echo messages of up to 1200 bytes, and have timeouts of a few seconds; if its process is named, it is observed
//! from outside.

mod application;
#[allow(dead_code, reason = "the tests of sockets need the rest")]
#[path = "../../sockets/client.rs"]
mod client;
#[allow(dead_code, reason = "the tests of sockets need the rest")]
#[path = "../../support/closure.rs"]
mod closure;
mod numbers;
mod peers;
#[allow(dead_code, reason = "wss-scale needs the rest")]
mod process;
mod session;
mod target;
mod watched;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use lexopt::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use wss::host::{Options, Tls};
use wss::service::Config;

use process::Process;
use target::Target;
use watched::Watched;

/// The name of an attack, and the attack.
type Scenario = (&'static str, fn(&Target));

/// A server with few slots and short timeouts.
fn options() -> Options {
    Options {
        port: 0,
        max_clients: 8,
        limits: Config {
            handshake_timeout_ms: 1_500,
            client_timeout_ms: 3_000,
            ping_interval_ms: 1_500,
            send_timeout_ms: 1_500,
            close_timeout_ms: 1_000,
            hold_timeout_ms: 1_500,
            ..Config::default()
        },
        ..Options::default()
    }
}

/// A server with TLS.
fn with_tls() -> Target {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let cert = params.self_signed(&key).expect("a certificate");
    let tls = Tls::bytes(cert.der(), key.serialize_pem().as_bytes()).build();
    let watched = Watched::start(&options().tls(tls.expect("they belong together")));
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Sessions would be stored on the heap of this process.
    config.resumption = Resumption::disabled();
    Target {
        addr: watched.server().local_addr(),
        tls: Some(Arc::new(config)),
        slots: options().max_clients.into(),
        watched: Some(watched),
        process: None,
    }
}

/// A server with pages, and with four slots.
fn with_pages() -> Target {
    let mut options = options().pages(&peers::pages::PAGES);
    options.max_clients = 4;
    let watched = Watched::start(&options);
    Target {
        addr: watched.server().local_addr(),
        tls: None,
        slots: options.max_clients.into(),
        watched: Some(watched),
        process: None,
    }
}

struct Arguments {
    elsewhere: Option<(std::net::SocketAddr, usize)>,
    process: Option<u32>,
    names: Vec<String>,
}

fn parse() -> Result<Arguments, lexopt::Error> {
    let (mut addr, mut slots, mut process, mut names) = (None, 2, None, Vec::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("connect") => addr = Some(parser.value()?.parse()?),
            Long("slots") => slots = parser.value()?.parse()?,
            Long("pid") => process = Some(parser.value()?.parse()?),
            Value(name) => names.push(name.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    if slots < 2 {
        return Err("one slot is for the client that behaves, and one for the others".into());
    }
    Ok(Arguments {
        elsewhere: addr.map(|addr| (addr, slots)),
        process,
        names,
    })
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("wss-rig: {error}");
            return ExitCode::from(2);
        }
    };
    let wanted =
        |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|one| one == name);
    let mut report = Report::default();
    let mut target = match arguments.elsewhere {
        Some((addr, slots)) => Target {
            addr,
            tls: None,
            slots,
            watched: None,
            process: None,
        },
        None => {
            let watched = Watched::start(&options());
            Target {
                addr: watched.server().local_addr(),
                tls: None,
                slots: options().max_clients.into(),
                watched: Some(watched),
                process: None,
            }
        }
    };
    // Everything that is allocated once was allocated by then.
    report.run("every_slot", || target.settle());
    for scenario in &peers::SCENARIOS[..2] {
        scenario.1(&target);
        target.settle();
    }
    if let Some(watched) = &mut target.watched {
        watched.set_baseline();
    }
    target.process = arguments.process.map(Process::now);
    for (name, attack) in peers::SCENARIOS {
        if wanted(name) {
            report.run(name, || {
                attack(&target);
                target.settle();
            });
        }
    }
    if let Some(watched) = &target.watched {
        println!("{:?}", watched.server().clients().stats());
        let servers = [
            ("every_slot_with_tls", with_tls(), peers::tls::SCENARIOS),
            (
                "every_slot_with_pages",
                with_pages(),
                peers::pages::SCENARIOS,
            ),
        ];
        for (every_slot, mut target, scenarios) in servers {
            report.run(every_slot, || target.settle());
            scenarios[0].1(&target);
            target.settle();
            if let Some(watched) = &mut target.watched {
                watched.set_baseline();
            }
            for (name, attack) in scenarios.iter().filter(|(name, _)| wanted(name)) {
                report.run(name, || {
                    attack(&target);
                    target.settle();
                });
            }
        }
        for (name, scenario) in application::SCENARIOS {
            if wanted(name) {
                report.run(name, scenario);
            }
        }
    }
    println!("{} passed, {} failed", report.passed, report.failed);
    if report.failed > 0 || report.passed == 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The results of the scenarios.
#[derive(Default)]
struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    fn run(&mut self, name: &str, scenario: impl FnOnce()) {
        let began = Instant::now();
        // A scenario that found a defect has panicked.
        let outcome = catch_unwind(AssertUnwindSafe(scenario));
        let (word, counter) = match outcome {
            Ok(()) => ("ok", &mut self.passed),
            Err(_) => ("FAILED", &mut self.failed),
        };
        *counter += 1;
        println!("{name:32} {word} in {:.1} s", began.elapsed().as_secs_f64());
    }
}
