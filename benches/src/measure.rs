// SPDX-License-Identifier: Apache-2.0
//! Timing: candidates in turn, medians, and the spread of the turns.

use std::iter::zip;
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};

use crate::frames::Content;
use crate::servers::Threads;

/// The command line.
#[derive(Default)]
pub struct Run {
    /// Measure briefly.
    pub quick: bool,
    /// The cells to measure; all if empty.
    pub cells: Vec<String>,
    /// The peers to measure; all if empty.
    pub peers: Vec<String>,
    /// The threads of the echo servers.
    pub threads: Threads,
}

impl Run {
    /// Returns whether to measure the cell with these coordinates.
    pub fn wants_cell(&self, coordinates: &[&str]) -> bool {
        let matches = |pattern: &String| {
            let parts: Vec<_> = pattern.split('/').collect();
            parts.len() == coordinates.len()
                && parts
                    .iter()
                    .zip(coordinates)
                    .all(|(part, coordinate)| *part == "*" || part == coordinate)
        };
        self.cells.is_empty() || self.cells.iter().any(matches)
    }

    /// Returns whether to measure this candidate.
    pub fn wants(&self, name: &str, role: Role) -> bool {
        role != Role::Peer || self.peers.is_empty() || self.peers.iter().any(|peer| peer == name)
    }
}

/// The kind of a candidate in the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This project.
    Own,
    /// Another implementation that does the same work.
    Peer,
    /// Less or more work, listed for comparison.
    Reference,
}

/// Work in memory that is measured.
pub struct Candidate {
    name: &'static str,
    role: Role,
    /// Processes the given number of messages.
    work: Box<dyn FnMut(u64)>,
}

impl Candidate {
    /// A candidate that does `work` with the given number of messages.
    pub fn new(name: &'static str, role: Role, work: impl FnMut(u64) + 'static) -> Self {
        let work = Box::new(work);
        Self { name, role, work }
    }
}

/// Prints how long the `candidates` take for messages of several sizes and `contents`.
pub fn compare_in_memory(
    title: &str,
    run: &Run,
    contents: &[Content],
    candidates: impl Fn(Content, &Bytes) -> Vec<Candidate>,
) {
    println!("\n{title}: ns/message, ± half the interquartile range\n");
    let mut headed = false;
    for len in [16, 125, 1400, 16384, 65536] {
        for content in contents {
            if !run.wants_cell(&[&len.to_string(), content.name()]) {
                continue;
            }
            let results = by_turns(run, |turn| {
                candidates(*content, &payload(*content, len, turn))
            });
            if !headed {
                print!("payload content");
                results.iter().for_each(|it| print!(" {:>15}", it.name));
                println!("        best peer/wss");
                headed = true;
            }
            print!("{len:>7} {:>7}", content.name());
            for result in &results {
                let times = Quartiles::of(result.times.iter().copied());
                print!(
                    " {:>15}",
                    format!("{:.1} ±{}%", times.middle, times.spread())
                );
            }
            println!(" {:>20}", ratio_to_best(&results));
        }
    }
}

/// Returns a payload with a different offset in its page at each turn: its distance from the destination, modulo 4096,
/// can change the speed of copying by a third.
fn payload(content: Content, len: usize, turn: usize) -> Bytes {
    let place = turn * 1048 % 4096;
    let mut bytes = vec![0; place];
    bytes.extend(content.payload(len));
    Bytes::from(bytes).slice(place..)
}

/// A candidate and its times, turn by turn.
struct Measured {
    name: &'static str,
    role: Role,
    /// Nanoseconds for a message.
    times: Vec<f64>,
}

impl Measured {
    fn median(&self) -> f64 {
        Quartiles::of(self.times.iter().copied()).middle
    }
}

/// Returns the best peer in relation to wss, turn by turn, as text.
fn ratio_to_best(results: &[Measured]) -> String {
    let of = |role| results.iter().filter(move |result| result.role == role);
    let best = of(Role::Peer).min_by(|a, b| a.median().total_cmp(&b.median()));
    let (Some(own), Some(best)) = (of(Role::Own).next(), best) else {
        return String::new();
    };
    Quartiles::of(zip(&best.times, &own.times).map(|(best, own)| best / own)).ratio()
}

/// Times the selected candidates in turn.
fn by_turns(run: &Run, candidates: impl Fn(usize) -> Vec<Candidate>) -> Vec<Measured> {
    let (turn, turns) = if run.quick {
        (Duration::from_millis(1), 3)
    } else {
        (Duration::from_millis(10), 15)
    };
    let wanted = |turn| {
        let candidates = candidates(turn).into_iter();
        candidates.filter(|candidate| run.wants(candidate.name, candidate.role))
    };
    let start = |mut candidate: Candidate| {
        let messages = messages_in(turn, &mut candidate);
        let Candidate { name, role, .. } = candidate;
        let times = Vec::new();
        (messages, Measured { name, role, times })
    };
    let mut results: Vec<_> = wanted(0).map(start).collect();
    for turn in 0..turns {
        for (mut candidate, (messages, result)) in zip(wanted(turn), &mut results) {
            // Warm up the caches and the buffers first.
            time(*messages / 8 + 1, &mut candidate);
            let time = time(*messages, &mut candidate);
            result.times.push(time.as_nanos() as f64 / *messages as f64);
        }
    }
    results.into_iter().map(|(_, result)| result).collect()
}

/// Returns how many messages take about as long as `turn`.
fn messages_in(turn: Duration, candidate: &mut Candidate) -> u64 {
    let mut messages = 1;
    loop {
        let time = time(messages, candidate);
        if time > turn / 4 {
            let whole = turn.as_secs_f64() / time.as_secs_f64() * messages as f64;
            return (whole as u64).max(1);
        }
        messages *= 2;
    }
}

/// Returns the processor time of `messages`, without other processes of the machine.
fn time(messages: u64, candidate: &mut Candidate) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(now).expect("time is not negative")
    };
    let start = now();
    (candidate.work)(messages);
    now() - start
}

/// The median of some values, and the medians of their lower and upper halves.
pub struct Quartiles {
    low: f64,
    /// The median.
    pub middle: f64,
    high: f64,
}

impl Quartiles {
    /// The quartiles of one or more values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self {
            low: at(1),
            middle: at(2),
            high: at(3),
        }
    }

    /// Half the interquartile range, in percent of the median.
    pub fn spread(&self) -> u64 {
        ((self.high - self.low) / self.middle * 50.0).round() as u64
    }

    /// The values as text, if they are ratios.
    pub fn ratio(&self) -> String {
        format!("{:.2} ({:.2}–{:.2})", self.middle, self.low, self.high)
    }
}
