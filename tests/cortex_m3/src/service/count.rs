// SPDX-License-Identifier: Apache-2.0
//! The workload whose instructions `run` counts: echoed messages, between two marks.

use crate::{Outcome, check, client, script};
use core::arch::asm;
use core::hint::black_box;
use wss::service::{Config, Serving, Work};

use super::application::Svc;
use super::bytes::{ACCEPTED, REQUEST, masked, pattern, plain};
use super::port::ScriptPort;
use super::{Bench, with_service};

/// The number of repetitions before counting, and while counting.
const TURNS: usize = 4;

script!(CALL = [REQUEST]);
script!(ANSWER = [ACCEPTED]);
script!(ONE = [masked!(0x82, pattern!(0, 16))]);
script!(ONE_ECHOED = [plain!(0x82, pattern!(0, 16))]);

/// Sixteen times a script.
macro_rules! sixteen {
    ($name:ident = $frame:expr) => {
        script!(
            $name = [
                $frame, $frame, $frame, $frame, $frame, $frame, $frame, $frame, $frame, $frame,
                $frame, $frame, $frame, $frame, $frame, $frame
            ]
        );
    };
}

sixteen!(SIXTEEN = masked!(0x82, pattern!(0, 16)));
sixteen!(SIXTEEN_ECHOED = plain!(0x82, pattern!(0, 16)));

/// A mark in the trace of the instructions. The text makes the marks distinct functions.
macro_rules! mark {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[inline(never)]
        fn $name() {
            // SAFETY: does nothing.
            unsafe { asm!(concat!("nop @ ", stringify!($name))) }
        }
    };
}

mark!(
    /// Counts messages that arrive one at a time, from here on.
    mark_depth_1
);
mark!(
    /// Counts messages of which 16 arrive in one receive, from here on.
    mark_depth_16
);
mark!(
    /// The end of both.
    mark_end
);

/// Echoes messages of 16 bytes, between marks.
pub fn count() -> Outcome {
    with_service(Config::default(), |bench| {
        bench.call(0, &CALL, &ANSWER);
        bench.settle()?;
        bench.service.port().on_service_thread.set(true);
        let one = || client::with(0, |client| client.play(&ONE, &ONE_ECHOED));
        let sixteen = || client::with(0, |client| client.play(&SIXTEEN, &SIXTEEN_ECHOED));
        bench.echo(one)?;
        mark_depth_1();
        bench.echo(one)?;
        mark_end();
        bench.echo(sixteen)?;
        mark_depth_16();
        bench.echo(sixteen)?;
        mark_end();
        Ok(())
    })
}

impl Bench<'_> {
    /// Lets the client repeat the script several times, each with one poll.
    fn echo(&mut self, play: impl Fn()) -> Outcome {
        let run: fn(&Svc, Work) = black_box(Svc::run);
        let serve_once: fn(&Svc, &mut Serving<ScriptPort>) -> bool = black_box(Svc::serve_once);
        for _ in 0..TURNS {
            play();
            serve_once(self.service, &mut self.serving);
            while let Some(work) = self.next_work() {
                run(self.service, work);
            }
            check!(client::with(0, |client| client.is_satisfied()));
        }
        Ok(())
    }
}
