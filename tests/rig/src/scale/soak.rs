// SPDX-License-Identifier: Apache-2.0
//! Clients that connect, send, and disconnect, for a long time.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{CLOSE, Client, close_body};
use crate::process::{descriptors, memory_kb, time_running};
use crate::server::{Server, source};

const THREADS: u64 = 4;

/// Connects this often, with each way to disconnect in turn, and prints the server's memory and descriptors.
pub fn run(program: &Path, connects: u64) {
    let server = Server::start(program, &["--max-clients", "64"]);
    println!("\n{connects} connects, by {THREADS} clients at a time\n");
    println!(
        "{:>10}{:>12}{:>12}{:>14}{:>12}",
        "connects", "seconds", "memory KB", "descriptors", "CPU s"
    );
    let done = AtomicU64::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|first| {
                let (server, done) = (&server, &done);
                scope.spawn(move || {
                    for number in (first..connects).step_by(THREADS as usize) {
                        come_and_go(server, number);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let step = (connects / 10).max(1);
        let mut next = 0;
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            if done.load(Ordering::Relaxed) >= next {
                report(&server, done.load(Ordering::Relaxed), began);
                next += step;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    // The last ones have disconnected.
    thread::sleep(Duration::from_secs(1));
    report(&server, done.load(Ordering::Relaxed), began);
    let mut all: Vec<_> = (0..64)
        .map(|_| Client::connect(server.addr).upgraded())
        .collect();
    for client in &mut all {
        client.echo("every slot came back");
    }
    println!("\nevery slot came back");
}

fn report(server: &Server, connects: u64, began: Instant) {
    println!(
        "{connects:>10}{:>12.1}{:>12}{:>14}{:>12.1}",
        began.elapsed().as_secs_f64(),
        memory_kb(server.id()),
        descriptors(&server.id().to_string()),
        time_running(server.id()).as_secs_f64()
    );
}

fn come_and_go(server: &Server, number: u64) {
    let mut client = Client::connect_from(source(number as usize), server.addr).upgraded();
    client.echo("hello");
    match number % 4 {
        0 => client.reset(),
        1 => drop(client),
        2 => {
            client.end_of_stream();
            client.expect_end();
        }
        _ => {
            client.send(CLOSE, &close_body(1000, "bye"));
            client.expect_close(1000, "");
            client.expect_end();
        }
    }
}
