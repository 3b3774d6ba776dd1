//! Runs its tests on a bare Cortex-M3 and says how much stack they needed.

#![no_std]
#![no_main]

mod client;
mod guard;
mod semihost;
#[cfg(feature = "service")]
mod service;
mod stack;

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use semihost::{exit, put, put_number};

/// Passed, or the line of the check that failed: a text would take flash.
pub type Outcome = Result<(), u32>;

pub struct Test {
    pub name: &'static str,
    pub run: fn() -> Outcome,
}

/// Ends a test unless `$holds`.
#[macro_export]
macro_rules! check {
    ($holds:expr) => {
        if !$holds {
            return Err(line!());
        }
    };
}

/// Something static in a program without threads.
pub struct Alone<T>(pub T);

// SAFETY: there is one core and no interrupt is enabled, so that there is no
// second thread to share it with.
unsafe impl<T> Sync for Alone<T> {}

/// A module of tests is one line here; of the service's, one that the
/// baseline image goes without: `#[cfg(feature = "service")]`.
const TESTS: &[&[Test]] = &[
    client::TESTS,
    #[cfg(feature = "service")]
    service::TESTS,
];

#[entry]
fn main() -> ! {
    guard::enable();
    #[cfg(feature = "service")]
    if semihost::is_asked_to("count") {
        exit(service::count().is_ok());
    }
    let (mut passed, mut failed, mut deepest) = (0, 0, 0);
    for test in TESTS.iter().copied().flatten() {
        put("test ");
        put(test.name);
        put(" ... ");
        stack::start();
        let outcome = (test.run)();
        // Before anything is printed, which needs stack too.
        let peak = stack::peak();
        match outcome {
            Ok(()) => {
                passed += 1;
                put("ok");
            }
            Err(line) => {
                failed += 1;
                put("FAILED in line ");
                put_number(line as usize);
            }
        }
        put(" (stack ");
        put_number(peak);
        put(")\n");
        deepest = deepest.max(peak);
    }
    report("stack", deepest);
    #[cfg(feature = "service")]
    service::report();
    put_number(passed);
    put(" passed, ");
    put_number(failed);
    put(" failed\n");
    exit(passed > 0 && failed == 0)
}

/// A figure for `run`.
fn report(what: &str, figure: usize) {
    put(what);
    put(" ");
    put_number(figure);
    put("\n");
}

/// Where a test cannot go on: a panic without its formatting.
#[cold]
#[inline(never)]
pub fn give_up(why: &str) -> ! {
    put(why);
    exit(false)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    #[cfg(feature = "explain")]
    cortex_m_semihosting::hprintln!("{}", info);
    let _ = info;
    give_up("panicked\n")
}

/// Also where a stack overflow ends, see `guard`. The default handler would only
/// end at `run`'s timeout.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    give_up("hard fault\n")
}
