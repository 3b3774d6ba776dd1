// SPDX-License-Identifier: Apache-2.0
//! Makes wild accesses fault.
//!
//! By default, QEMU's board reads zero from an address where there is nothing. So a test could return from a stack
//! overflow, with wrong registers, as if nothing had happened.

use cortex_m::{asm, peripheral::MPU};

unsafe extern "C" {
    /// 1 KiB between the static data and the stack, from memory.x.
    static _guard: u32;
}

// Region base address, of the region whose number is in the low bits.
const VALID: u32 = 1 << 4;
// Region attributes.
const ENABLE: u32 = 1;
const NO_ACCESS: u32 = 0;
const READ_WRITE: u32 = 0b011 << 24;
const READ_ONLY: u32 = 0b110 << 24;
const NO_EXECUTE: u32 = 1 << 28;

const fn size(log2: u32) -> u32 {
    (log2 - 1) << 1
}

/// From here on there is only flash to read, and RAM to read and write, except for the guard, because higher numbered
/// regions have priority. The hard fault handler is exempt.
pub fn enable() {
    let regions = [
        (0x0000_0000, READ_ONLY | size(18)),
        (0x2000_0000, READ_WRITE | NO_EXECUTE | size(16)),
        ((&raw const _guard).addr() as u32, NO_ACCESS | size(10)),
    ];
    // SAFETY: nothing else uses the MPU, and the whole program, which is in flash and RAM, stays accessible.
    unsafe {
        let mpu = &*MPU::PTR;
        for (number, (base, attributes)) in (0..).zip(regions) {
            mpu.rbar.write(base | VALID | number);
            mpu.rasr.write(attributes | ENABLE);
        }
        mpu.ctrl.write(ENABLE);
    }
    asm::dsb();
    asm::isb();
}
