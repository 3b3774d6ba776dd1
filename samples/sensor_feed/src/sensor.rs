// SPDX-License-Identifier: Apache-2.0
//! The source of readings.

use serde::Serialize;

/// A reading for every client. Integers, because most microcontrollers have no `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Counts the readings from 1, so that a client can detect missed ones.
    pub count: u32,
    /// The temperature, in thousandths of a degree Celsius.
    pub temperature_mc: i32,
    /// The relative humidity, in thousandths of a per cent.
    pub humidity_mpct: u32,
}

/// A simulated sensor, whose values go up and down. Replace it with your own.
#[derive(Default)]
pub struct SimulatedSensor {
    count: u32,
}

impl SimulatedSensor {
    /// Takes a reading.
    pub fn read(&mut self) -> Reading {
        self.count = self.count.wrapping_add(1);
        let wave = triangle(self.count, 60);
        Reading {
            count: self.count,
            temperature_mc: 20_000_i32.saturating_add_unsigned(wave * 100),
            humidity_mpct: 55_000_u32.saturating_sub(wave * 200),
        }
    }
}

/// Returns a value that goes from 0 to half the period and back.
const fn triangle(count: u32, period: u32) -> u32 {
    let at = count % period;
    if at * 2 < period { at } else { period - at }
}
