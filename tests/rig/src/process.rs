// SPDX-License-Identifier: Apache-2.0
//! A process, as Linux reports its memory, its descriptors and its time.

use std::thread;
use std::time::{Duration, Instant};

/// Another process, as Linux reports its memory and its descriptors.
pub struct Process {
    id: u32,
    /// What is the most that it may have.
    memory: u64,
    descriptors: usize,
}

/// The allocator of a process may keep this much more than before, in kilobytes.
const SLACK_KB: u64 = 256;

impl Process {
    /// The process `id` as it is now.
    pub fn now(id: u32) -> Self {
        Self {
            id,
            memory: memory_kb(id),
            descriptors: descriptors(&id.to_string()),
        }
    }

    /// Waits until it has no more than before.
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

/// The private memory of a process that is in use, in kilobytes.
pub fn memory_kb(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// How many descriptors a process (`self`, or its number) has open.
pub fn descriptors(id: &str) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// How long a process has been running, on all processors.
pub fn time_running(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
