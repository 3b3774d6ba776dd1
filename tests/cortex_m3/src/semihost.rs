// SPDX-License-Identifier: Apache-2.0
//! Output and exit through the debugger (here QEMU).
//!
//! Without `core::fmt`: it would be in the baseline image, too, and hide its cost if the service needs it.

#[cfg(feature = "service")]
use cortex_m_semihosting::syscall;
use cortex_m_semihosting::{debug, hio};

pub fn put(bytes: &[u8]) {
    // There is no way to report that the host did not take them.
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

/// Returns whether `run` has started the image with this argument.
#[cfg(feature = "service")]
pub fn is_asked_to(what: &str) -> bool {
    let mut line = [0u8; 64];
    // SAFETY: SYS_GET_CMDLINE takes the address and the length of a buffer, and fills it.
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
