//! Timing.

use std::time::{Duration, Instant};

use crate::frames::Content;

/// Does something with the given number of messages.
type Work<'a> = Box<dyn FnMut(u64) + 'a>;

/// Prints how long wss, tungstenite and memcpy, which `works` gives in this order, take for messages
/// of several sizes and contents.
pub fn compare_in_memory(
    title: &str,
    quick: bool,
    works: impl for<'a> Fn(Content, &'a [u8]) -> [Work<'a>; 3],
) {
    println!("\n{title}: ns/message (MB/s of payload)\n");
    println!(
        "payload content                  wss          tungstenite               memcpy  \
         tungstenite/wss wss/memcpy"
    );
    for len in [16, 125, 1024, 16384, 65536] {
        for content in [Content::Binary, Content::Ascii, Content::Text] {
            let payload = content.payload(len);
            let [wss, tungstenite, memcpy] = by_turns(quick, works(content, &payload));
            let cell = |ns: f64| format!("{ns:.1} ({:.0})", len as f64 * 1e3 / ns);
            println!(
                "{len:>7} {:>7} {:>20} {:>20} {:>20} {:>16.2} {:>10.2}",
                content.name(),
                cell(wss),
                cell(tungstenite),
                cell(memcpy),
                tungstenite / wss,
                wss / memcpy
            );
        }
    }
}

/// Times each of `works` by turns; the median of the nanoseconds for one message.
fn by_turns<const N: usize>(quick: bool, mut works: [Work<'_>; N]) -> [f64; N] {
    let (turn, turns) = if quick {
        (Duration::from_millis(3), 5)
    } else {
        (Duration::from_millis(20), 11)
    };
    let messages = works.each_mut().map(|work| messages_in(turn, work));
    let mut times = [const { Vec::new() }; N];
    for _ in 0..turns {
        for ((work, messages), times) in works.iter_mut().zip(messages).zip(&mut times) {
            times.push(time(messages, work).as_nanos() as f64 / messages as f64);
        }
    }
    times.map(median)
}

/// The middle one of `values`.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many messages take about as long as `turn`.
fn messages_in(turn: Duration, work: &mut Work<'_>) -> u64 {
    let mut messages = 1;
    loop {
        let time = time(messages, work);
        if time > turn / 4 {
            let whole = turn.as_secs_f64() / time.as_secs_f64() * messages as f64;
            return (whole as u64).max(1);
        }
        messages *= 2;
    }
}

fn time(messages: u64, work: &mut Work<'_>) -> Duration {
    let start = Instant::now();
    work(messages);
    start.elapsed()
}
