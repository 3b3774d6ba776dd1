// SPDX-License-Identifier: Apache-2.0
//! Runs its tests on a bare Cortex-M3, and prints how much stack they needed.

#![no_std]
#![no_main]

mod client;
mod guard;
mod libc;
mod semihost;
#[cfg(feature = "service")]
mod service;
mod stack;

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use semihost::{exit, put, put_number};

/// Passed, or the line of the failed check: a text would take flash.
pub type Outcome = Result<(), u32>;

pub struct Test {
    pub name: &'static [u8],
    pub run: fn() -> Outcome,
}

/// `tests![TESTS = first, second];`: a table of tests, in the section of the scripts, because it does not belong to the
/// service.
#[macro_export]
macro_rules! tests {
    ($name:ident = $($test:ident),* $(,)?) => {
        #[unsafe(link_section = ".script")]
        pub static $name: [$crate::Test; [$(stringify!($test)),*].len()] = [$($crate::Test {
            name: $crate::text!(stringify!($test)),
            run: $test,
        }),*];
    };
}

/// A text of the tests, in the same section.
#[macro_export]
macro_rules! text {
    ($text:expr) => {{
        #[unsafe(link_section = ".script")]
        static TEXT: [u8; $text.len()] = match $text.as_bytes().first_chunk() {
            Some(text) => *text,
            None => [0; $text.len()],
        };
        &TEXT
    }};
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

/// A static value in a program without threads.
pub struct Alone<T>(pub T);

// SAFETY: there is one core, and no interrupt is enabled, so no second thread can share it.
unsafe impl<T> Sync for Alone<T> {}

/// A module of tests is one line here. One of the service's, which the baseline image leaves out, has `#[cfg(feature =
/// "service")]`.
fn tests() -> impl Iterator<Item = &'static Test> {
    let tests = client::TESTS.iter();
    #[cfg(feature = "service")]
    let tests = tests.chain(&service::TESTS);
    tests
}

#[entry]
fn main() -> ! {
    guard::enable();
    #[cfg(feature = "service")]
    if semihost::is_asked_to("count") {
        exit(service::count().is_ok());
    }
    let (mut passed, mut failed, mut deepest) = (0, 0, 0);
    for test in tests() {
        put(text!("test "));
        put(test.name);
        put(text!(" ... "));
        stack::start();
        let outcome = (test.run)();
        // Before anything is printed, because printing needs stack, too.
        let peak = stack::peak();
        match outcome {
            Ok(()) => {
                passed += 1;
                put(text!("ok"));
            }
            Err(line) => {
                failed += 1;
                put(text!("FAILED in line "));
                put_number(line as usize);
            }
        }
        put(text!(" (stack "));
        put_number(peak);
        put(text!(")\n"));
        deepest = deepest.max(peak);
    }
    report(text!("stack"), deepest);
    #[cfg(feature = "service")]
    service::report();
    put_number(passed);
    put(text!(" passed, "));
    put_number(failed);
    put(text!(" failed\n"));
    exit(passed > 0 && failed == 0)
}

/// A figure for `run`.
fn report(what: &[u8], figure: usize) {
    put(what);
    put(text!(" "));
    put_number(figure);
    put(text!("\n"));
}

/// The end of a test that cannot continue: a panic without its formatting.
#[cold]
#[inline(never)]
pub fn give_up(why: &[u8]) -> ! {
    put(why);
    exit(false)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    #[cfg(feature = "explain")]
    cortex_m_semihosting::hprintln!("{}", info);
    let _ = info;
    give_up(text!("panicked\n"))
}

/// A stack overflow ends here as well, see `guard`. The default handler would wait for `run`'s timeout.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    give_up(text!("hard fault\n"))
}
