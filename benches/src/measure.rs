//! Timing.

use std::time::{Duration, Instant};

/// Times each of `works`, which does the given number of repetitions, by turns; the median of the
/// nanoseconds for one repetition.
pub fn side_by_side<const N: usize>(quick: bool, mut works: [&mut dyn FnMut(u64); N]) -> [f64; N] {
    let (turn, turns) = if quick {
        (Duration::from_millis(3), 5)
    } else {
        (Duration::from_millis(20), 11)
    };
    let repetitions = works.each_mut().map(|work| repetitions(turn, *work));
    let mut times = [const { Vec::new() }; N];
    for _ in 0..turns {
        for ((work, repetitions), times) in works.iter_mut().zip(repetitions).zip(&mut times) {
            let time = time(repetitions, *work);
            times.push(time.as_nanos() as f64 / repetitions as f64);
        }
    }
    times.map(median)
}

/// The middle one of `values`.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many repetitions of `work` take about as long as `turn`.
fn repetitions(turn: Duration, work: &mut dyn FnMut(u64)) -> u64 {
    let mut repetitions = 1;
    loop {
        let time = time(repetitions, work);
        if time > turn / 4 {
            let whole = turn.as_secs_f64() / time.as_secs_f64() * repetitions as f64;
            return (whole as u64).max(1);
        }
        repetitions *= 2;
    }
}

fn time(repetitions: u64, work: &mut dyn FnMut(u64)) -> Duration {
    let start = Instant::now();
    work(repetitions);
    start.elapsed()
}
