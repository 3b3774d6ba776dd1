// SPDX-License-Identifier: Apache-2.0
//! Attacks from outside: they need only the address of an echo server.

mod cut;
mod flood;
pub mod pages;
mod silent;
mod slow;
pub mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Scenario;
use crate::target::Target;

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    ("reset_at_every_byte", cut::reset_at_every_byte),
    ("end_at_every_byte", cut::end_at_every_byte),
    ("gone_at_every_byte", cut::gone_at_every_byte),
    ("one_byte_at_a_time", slow::one_byte_at_a_time),
    ("slow_drip", slow::slow_drip),
    ("slow_readers", slow::slow_readers),
    ("readers_that_stop", slow::readers_that_stop),
    ("silent_connections", silent::silent_connections),
    ("half_open_peers", silent::half_open_peers),
    (
        "half_open_peers_with_output",
        silent::half_open_peers_with_output,
    ),
    ("connects", flood::connects),
    ("more_clients_than_slots", flood::more_clients_than_slots),
    ("refused_handshakes", flood::refused_handshakes),
    ("pings", flood::pings),
    ("pongs", flood::pongs),
    ("empty_fragments", flood::empty_fragments),
    ("tiny_fragments", flood::tiny_fragments),
    ("tiny_messages", flood::tiny_messages),
    ("garbage", flood::garbage),
];

/// The maximum time of a normal client's echo during an attack. This is not a measurement: the machine may be busy. A
/// client that another one holds up would wait for a timeout.
const BOUND: Duration = Duration::from_secs(3);

/// Runs `attack` while a normal client has its messages echoed.
pub fn beside_a_good_client(target: &Target, attack: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let over = &over;
    let mut good = target.open();
    thread::scope(|scope| {
        let good = scope.spawn(move || {
            let mut echoes = 0_u32;
            while !over.load(Ordering::SeqCst) || echoes == 0 {
                let asked = Instant::now();
                good.echo("am I held up?");
                let took = asked.elapsed();
                assert!(took < BOUND, "the echo of another client took {took:?}");
                echoes += 1;
                thread::sleep(Duration::from_millis(2));
            }
            good.send(crate::client::CLOSE, b"");
            good.expect(crate::client::CLOSE, b"");
            good.expect_end();
        });
        // Also if the attack fails.
        let ends = Ends(over);
        attack();
        drop(ends);
        if let Err(panic) = good.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
