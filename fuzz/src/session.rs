// SPDX-License-Identifier: Apache-2.0
//! One client of a whole service: its bytes in any pieces, and a window of any size, with and without TLS, give the
//! same events and the same output.
//!
//! An input is: a byte of options, a size, a seed of four bytes, and the client's bytes after its
//! opening request.

use wss::service::{Config, Lock as _};

use crate::harness::{Client, Harness, REQUEST, echo, ignore};
use crate::received::received;
use crate::splits::Chance;

const SIZES: [usize; 5] = [4, 16, 125, 300, 1400];

#[derive(Clone, Copy)]
struct Options {
    streaming: bool,
    echoes: bool,
    /// The client shuts down its side in the end.
    ends: bool,
    blocks: usize,
    size: usize,
    /// Pieces, and bytes that pass a small window, are ciphertext.
    tls: bool,
}

pub fn check(input: &[u8]) {
    let [options, size, a, b, c, d, stream @ ..] = input else {
        return;
    };
    let options = Options {
        streaming: options & 1 != 0,
        echoes: options & 2 != 0,
        ends: options & 4 != 0,
        blocks: usize::from(options >> 3 & 3),
        size: SIZES[usize::from(*size) % SIZES.len()],
        tls: options & 32 != 0,
    };
    let chance = Chance::new(u32::from_le_bytes([*a, *b, *c, *d]));
    let whole = replay(options, stream, None, false);
    received(&whole.1);
    for slow in [false, true] {
        let cut = replay(options, stream, Some(chance), slow);
        assert_eq!(cut, whole, "cut, with a small window: {slow}");
    }
}

/// Replays a session. Returns the events, and the output.
fn replay(
    options: Options,
    stream: &[u8],
    mut chance: Option<Chance>,
    slow: bool,
) -> (Vec<String>, Vec<u8>) {
    Harness::set_now(0);
    let config = Config {
        streaming: options.streaming,
        ..Config::default()
    };
    let react = if options.echoes { echo } else { ignore };
    let blocks = (options.blocks, options.size + 10);
    let mut harness = Harness::with_sizes(1, options.size, blocks, config, react);
    Harness::use_tls(options.tls && chance.is_some());
    let client = harness.connect();
    let all = [REQUEST.as_bytes(), stream].concat();
    let mut output = Vec::new();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let count = chance
            .as_mut()
            .map_or(rest.len(), |chance| chance.cut(rest.len()));
        let (now, later) = rest.split_at(count);
        client.send(now);
        rest = later;
        if let Some(chance) = chance.as_mut().filter(|_| slow) {
            open_window(&client, chance, &output);
        }
        harness.settle();
        output.extend(client.take());
    }
    while let Some(chance) = chance.as_mut().filter(|_| slow) {
        open_window(&client, chance, &output);
        harness.settle();
        output.extend(client.take());
        if client.0.lock().window > 0 {
            // There was nothing more to take.
            break;
        }
    }
    if options.ends {
        client.eof();
        harness.settle();
    }
    output.extend(client.take());
    (harness.events(), output)
}

/// Lets a few bytes through, or after the response (for which there may be no block) none.
fn open_window(client: &Client, chance: &mut Chance, output: &[u8]) {
    let window = if output.is_empty() {
        usize::MAX
    } else {
        1 + chance.below(300)
    };
    client.0.lock().window = window;
}
