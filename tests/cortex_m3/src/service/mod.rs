// SPDX-License-Identifier: Apache-2.0
//! The service on the Cortex-M3: its memory, and the test driver.
//!
//! The functions of the port and of the application are not inlined, and those of the service are called through
//! `black_box`. So each stays a separate function with its own size, and none is specialized for these tests. There is
//! no logger, so the image contains no log messages of the service.

mod application;
mod bytes;
mod count;
mod port;
mod tests;

use crate::{Alone, Outcome, check, client, give_up, stack, text};
use core::cell::{Cell, UnsafeCell};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wss::protocol::{MAX_SERVER_HEADER, OVERHEAD};
use wss::service::{Config, Inbound, Pool, Serving, Shared, Slot, SlotState, Work};

use application::{Echo, Svc};
pub use count::count;
use port::{INLINE, NOW, ScriptPort, Single};
pub use tests::TESTS;

/// The number of clients for measuring the service.
pub const CLIENTS: usize = 2;
/// Their receive size.
pub const RX: usize = 1400;

/// The service. All zeros, as in an application, so that it takes no flash.
static SERVICE: Alone<Svc> = Alone(Svc::new(
    ScriptPort::new(),
    Echo::new(),
    [const { Slot::new(Single::new(SlotState::FREE)) }; CLIENTS],
    Single::new(Pool::new([None])),
    Single::new(Shared::NEW),
));

/// Its memory.
struct Memory {
    storage: [[u8; RX + OVERHEAD]; CLIENTS],
    block: [u8; RX + MAX_SERVER_HEADER],
    inbound: MaybeUninit<[Inbound<&'static mut [u8]>; CLIENTS]>,
}

static MEMORY: Alone<UnsafeCell<Memory>> = Alone(UnsafeCell::new(Memory {
    storage: [[0; RX + OVERHEAD]; CLIENTS],
    block: [0; RX + MAX_SERVER_HEADER],
    inbound: MaybeUninit::uninit(),
}));
static IN_USE: Alone<Cell<bool>> = Alone(Cell::new(false));
static EQUIPPED: Alone<Cell<bool>> = Alone(Cell::new(false));

/// The maximum stack so far.
static RUN_STACK: AtomicUsize = AtomicUsize::new(0);
static SERVE_STACK: AtomicUsize = AtomicUsize::new(0);

/// A service that is driven step by step.
struct Bench<'a> {
    service: &'a Svc,
    serving: Serving<ScriptPort>,
}

/// Sets the memory of the service.
fn equip() {
    // SAFETY: called only once.
    let memory: &'static mut Memory = unsafe { &mut *MEMORY.0.get() };
    let inbound = memory
        .storage
        .each_mut()
        .map(|bytes| Inbound::new(&mut bytes[..]));
    let mut inbound = memory.inbound.write(inbound).iter_mut();
    let blocks = [Some(memory.block.as_mut_slice())];
    let next = || match inbound.next() {
        Some(inbound) => inbound,
        None => give_up(text!("there are more slots than memory\n")),
    };
    SERVICE.0.equip(next, blocks);
}

/// Passes the service to a test, open and without clients.
fn with_service(config: Config, test: impl FnOnce(&mut Bench<'_>) -> Outcome) -> Outcome {
    let open: fn(&Svc, &Config, u32) -> bool = black_box(Svc::open);
    check!(!IN_USE.0.replace(true));
    let service = &SERVICE.0;
    if !EQUIPPED.0.replace(true) {
        equip();
    }
    service.port().restart();
    service.application().restart();
    check!(open(service, &config, 0));
    let mut bench = Bench {
        service,
        serving: Serving::new(),
    };
    let outcome = test(&mut bench);
    service.stop_now();
    // The test may hold up a client.
    bench.pass(1_000)?;
    check!(service.wait_stopped());
    IN_USE.0.set(false);
    outcome
}

impl Bench<'_> {
    /// Connects a client with a script.
    fn call(&self, client: usize, sends: client::Script, expects: client::Script) {
        client::with(client, |client| {
            client.reset();
            client.play(sends, expects);
        });
        self.service.port().call(client);
    }

    /// Runs the service until nothing more happens at the current time.
    fn settle(&mut self) -> Outcome {
        let run: fn(&Svc, Work) = black_box(Svc::run);
        let serve_once: fn(&Svc, &mut Serving<ScriptPort>) -> bool = black_box(Svc::serve_once);
        let port = self.service.port();
        port.on_service_thread.set(true);
        for _ in 0..20_000 {
            if let Some(work) = self.next_work() {
                let used = stack::of(|| run(self.service, work));
                RUN_STACK.fetch_max(used, Relaxed);
                continue;
            }
            let used = stack::of(|| _ = serve_once(self.service, &mut self.serving));
            SERVE_STACK.fetch_max(used, Relaxed);
            if !port.told.take() {
                port.on_service_thread.set(false);
                return Ok(());
            }
        }
        // It never becomes idle.
        Err(line!())
    }

    /// Takes the next item of the work queue, if there is a work queue.
    fn next_work(&self) -> Option<Work> {
        if INLINE {
            None
        } else {
            self.service.port().next_work()
        }
    }

    /// Lets time pass.
    fn pass(&mut self, ms: u32) -> Outcome {
        for _ in 0..ms / 100 {
            NOW.0.set(NOW.0.get() + 100);
            self.settle()?;
        }
        Ok(())
    }

    /// Checks that every slot is free, every connection is closed and accounted for, and the block is free.
    fn check_all_free(&self) -> Outcome {
        for slot in 0..CLIENTS {
            check!(self.service.client(slot).is_none());
        }
        let stats = self.service.stats();
        check!(stats.accepted == stats.closed);
        check!(stats.most_blocks <= 1);
        Ok(())
    }
}

/// Figures for `run`.
pub fn report() {
    // The memory of the tests themselves.
    let own = size_of::<ScriptPort>() + size_of::<Echo>();
    crate::report(text!("own"), own);
    crate::report(text!("run-stack"), RUN_STACK.load(Relaxed));
    crate::report(text!("serve-stack"), SERVE_STACK.load(Relaxed));
    crate::report(text!("slot"), size_of::<Slot<ScriptPort>>());
    crate::report(text!("service"), size_of::<Svc>() - own);
    crate::report(text!("overhead"), OVERHEAD);
}
