// SPDX-License-Identifier: Apache-2.0
//! Measures the stack: everything below the stack pointer is painted first; bytes that lost their paint have been in
//! use.

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAINT: u32 = 0xcccc_cccc;

// From the linker scripts: the stack grows from the end of RAM down to the guard.
unsafe extern "C" {
    static _stack_start: u32;
    static mut _guard_end: u32;
}

/// The maximum before the stack was painted again.
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

/// Starts again.
pub fn start() {
    DEEPEST.store(0, Relaxed);
    paint();
}

/// Returns the maximum number of stack bytes in use since `start`, including those of `start`'s callers.
pub fn peak() -> usize {
    DEEPEST.fetch_max(used(), Relaxed);
    DEEPEST.load(Relaxed)
}

/// Calls a function, and returns how much stack it took.
#[inline(never)]
#[cfg(feature = "service")]
pub fn of(call: impl FnOnce()) -> usize {
    peak();
    paint();
    let before = top() - cortex_m::register::msp::read() as usize;
    call();
    used().saturating_sub(before)
}

/// Paints the unused stack.
fn paint() {
    // In assembly, because only there nothing is pushed between reading the stack pointer and painting up to it.
    //
    // SAFETY: the memory from `_guard_end` to the stack pointer is unused: there is no heap, and no interrupt is
    // enabled.
    unsafe {
        asm!(
            "mov {sp}, sp",
            "2:",
            "cmp {at}, {sp}",
            "bhs 3f",
            "str {paint}, [{at}], #4",
            "b 2b",
            "3:",
            at = inout(reg) &raw mut _guard_end => _,
            sp = out(reg) _,
            paint = in(reg) PAINT,
            options(nostack),
        );
    }
}

/// Returns the maximum number of stack bytes in use since `paint`.
fn used() -> usize {
    let mut at = (&raw const _guard_end).expose_provenance();
    // SAFETY: reads aligned words of RAM; volatile, as no Rust object lies there.
    while at < top() && unsafe { ptr::with_exposed_provenance::<u32>(at).read_volatile() } == PAINT
    {
        at += size_of::<u32>();
    }
    top() - at
}

fn top() -> usize {
    (&raw const _stack_start).expose_provenance()
}
