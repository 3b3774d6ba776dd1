// SPDX-License-Identifier: Apache-2.0
//! Output and exit through the debugger (here QEMU).
//!
//! No `core::fmt` here: it would be in the baseline image too, and so hide
//! what the service pays if it is the service that needs it.

#[cfg(feature = "service")]
use cortex_m_semihosting::syscall;
use cortex_m_semihosting::{debug, hio};

pub fn put(bytes: &[u8]) {
    // There is no way to report that the host does not take them.
    if let Ok(mut out) = hio::hstdout() {
        let _ = out.write_all(bytes);
    }
}

pub fn put_number(mut number: usize) {
    let mut digits = [b'0'; 10];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    put(&digits[start..]);
}

/// Whether `run` has started the image with this argument.
#[cfg(feature = "service")]
pub fn is_asked_to(what: &str) -> bool {
    let mut line = [0u8; 64];
    // SAFETY: SYS_GET_CMDLINE takes the address and the length of a buffer, and fills that.
    let failed = unsafe { syscall!(GET_CMDLINE, line.as_mut_ptr(), line.len()) } != 0;
    !failed && line.starts_with(what.as_bytes())
}

/// Ends QEMU, with exit code 0 or 1.
pub fn exit(success: bool) -> ! {
    debug::exit(if success {
        debug::EXIT_SUCCESS
    } else {
        debug::EXIT_FAILURE
    });
    // Only reached when the host ignored the request; `run` has a timeout.
    loop {
        cortex_m::asm::wfi();
    }
}
