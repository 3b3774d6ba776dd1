//! Runs its tests on a bare Cortex-M3 and says how much stack they needed.

#![no_std]
#![no_main]

mod guard;
mod port;
mod semihost;
mod stack;

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use semihost::{exit, put, put_number};

pub type Outcome = Result<(), &'static str>;

pub struct Test {
    pub name: &'static str,
    pub run: fn() -> Outcome,
}

/// A module of tests is one line here; of the service's, one that the
/// baseline image goes without: `#[cfg(feature = "service")]`.
const TESTS: &[&[Test]] = &[port::TESTS];

#[entry]
fn main() -> ! {
    guard::enable();
    let (mut passed, mut failed, mut deepest) = (0, 0, 0);
    for test in TESTS.iter().copied().flatten() {
        put("test ");
        put(test.name);
        put(" ... ");
        stack::paint();
        let outcome = (test.run)();
        // Before anything is printed, which needs stack too.
        let peak = stack::peak();
        match outcome {
            Ok(()) => {
                passed += 1;
                put("ok");
            }
            Err(why) => {
                failed += 1;
                put("FAILED: ");
                put(why);
            }
        }
        put(" (stack ");
        put_number(peak);
        put(")\n");
        deepest = deepest.max(peak);
    }
    put("stack ");
    put_number(deepest);
    put("\n");
    put_number(passed);
    put(" passed, ");
    put_number(failed);
    put(" failed\n");
    exit(passed > 0 && failed == 0)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    #[cfg(feature = "explain")]
    cortex_m_semihosting::hprintln!("{}", info);
    let _ = info;
    put("panicked\n");
    exit(false)
}

/// Also where a stack overflow ends, see `guard`. The default handler would only
/// end at `run`'s timeout.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    put("hard fault\n");
    exit(false)
}
