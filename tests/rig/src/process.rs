// SPDX-License-Identifier: Apache-2.0
//! A process: its memory, its descriptors, and its time, as reported by Linux.

use std::thread;
use std::time::{Duration, Instant};

/// Another process, observed through Linux.
pub struct Process {
    id: u32,
    /// The maximum that it may use.
    memory: u64,
    descriptors: usize,
}

/// The allocator of a process may keep this much more than before, in kilobytes.
const SLACK_KB: u64 = 256;

impl Process {
    /// Reads the process `id` now.
    pub fn now(id: u32) -> Self {
        Self {
            id,
            memory: memory_kb(id),
            descriptors: descriptors(&id.to_string()),
        }
    }

    /// Waits until it uses no more than before.
    pub fn settle(&self, until: Instant) {
        loop {
            let now = Self::now(self.id);
            if now.memory <= self.memory + SLACK_KB && now.descriptors <= self.descriptors {
                return;
            }
            assert!(
                Instant::now() < until,
                "more memory or descriptors than before: {} of {} KB, {} of {}",
                now.memory,
                self.memory,
                now.descriptors,
                self.descriptors
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Returns the private memory in use, in kilobytes.
pub fn memory_kb(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Returns the number of open descriptors of a process (`self`, or its number).
pub fn descriptors(id: &str) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Returns the processor time of a process, on all processors.
pub fn time_running(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
