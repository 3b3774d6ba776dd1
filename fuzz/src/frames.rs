// SPDX-License-Identifier: Apache-2.0
//! The frames of an upgraded connection, with the protocol only.
//!
//! An input is: a byte of options, a size, a seed of four bytes, and the client's bytes after its opening request. They
//! are replayed in large and in random pieces, by an owner that holds nothing and by one that holds messages. The
//! result must be the same each time, and must agree with the oracle.

use std::ops::Range;

use wss::MessageKind;
use wss::protocol::{CloseCode, Incoming, OVERHEAD, Step, Storage};

use crate::harness::REQUEST;
use crate::oracle::{Item, Limits, decode};
use crate::splits::Chance;

/// Receive sizes: the smallest, around the edges of the length encodings, and large.
const SIZES: [usize; 8] = [4, 5, 16, 125, 126, 300, 1400, 70_000];

/// A step with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Data(MessageKind, bool, bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
    Fail(u16),
}

/// The way the bytes are replayed.
#[derive(Clone, Copy)]
struct Replay {
    size: usize,
    streaming: bool,
    /// The maximum number of fragments of a message; 0: no limit.
    fragments: u16,
    /// Random cuts.
    cut: bool,
    /// Messages are held at random.
    hold: bool,
}

pub fn check(input: &[u8]) {
    let [options, size, a, b, c, d, stream @ ..] = input else {
        return;
    };
    let seed = u32::from_le_bytes([*a, *b, *c, *d]);
    let base = Replay {
        size: SIZES[usize::from(*size) % SIZES.len()],
        streaming: options & 1 != 0,
        fragments: u16::from(options >> 1 & 3) * 2,
        cut: false,
        hold: false,
    };
    let whole = replay(base, stream, seed);
    for (cut, hold) in [(true, false), (false, true), (true, true)] {
        let seen = replay(Replay { cut, hold, ..base }, stream, seed);
        assert_eq!(seen, whole, "cut: {cut}, hold: {hold}");
    }
    check_against_oracle(base, stream, &whole);
}

/// With a byte in front, for applications that may write to texts.
struct Fronted(Vec<u8>);

impl Storage for Fronted {
    const FRONT: usize = 1;

    fn capacity(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.0.bytes(range)
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.0.bytes_mut(range)
    }
}

/// A connection, with an owner that holds messages and checks that they do not change.
struct Owner {
    incoming: Incoming<Fronted>,
    chance: Chance,
    holds: bool,
    held: Vec<(Range<usize>, Vec<u8>)>,
    seen: Vec<Seen>,
}

impl Owner {
    fn release(&mut self) {
        for (range, bytes) in self.held.drain(..) {
            assert_eq!(self.incoming.bytes(range), bytes, "what is held stays");
        }
        self.incoming.release();
    }

    /// Takes all steps.
    fn drain(&mut self) {
        loop {
            let step = self.incoming.step();
            let incoming = &self.incoming;
            let bytes = |range: &Range<usize>| incoming.bytes(range.clone()).to_vec();
            let (seen, range) = match step {
                Step::NeedBytes => return,
                Step::NeedRelease => {
                    assert!(!self.held.is_empty(), "nothing is held");
                    self.release();
                    continue;
                }
                Step::Request => {
                    self.incoming.upgrade();
                    continue;
                }
                Step::Refuse(status) => panic!("{status}"),
                Step::Data(data) => {
                    let seen = Seen::Data(data.kind, data.first, data.last, bytes(&data.range));
                    (seen, data.range)
                }
                Step::Ping(range) => (Seen::Ping(bytes(&range)), range),
                Step::Pong(range) => (Seen::Pong(bytes(&range)), range),
                Step::Close { code, body } => {
                    let code = code.map(CloseCode::get);
                    (Seen::Close(code, bytes(&body)), body)
                }
                Step::Fail(violation) => {
                    self.seen.push(Seen::Fail(violation.close_code().get()));
                    continue;
                }
            };
            let mut range = range;
            let is_whole = matches!(seen, Seen::Data(MessageKind::Text, true, true, _));
            if self.holds && is_whole {
                range = self.end_text(&range, &seen);
            }
            self.seen.push(seen);
            if self.holds && self.chance.below(3) > 0 {
                self.incoming.hold(range.end);
                let bytes = self.incoming.bytes(range.clone()).to_vec();
                self.held.push((range, bytes));
            }
            self.lend();
        }
    }

    /// Ends a text with a NUL, and writes to it, like its holder. Returns its new range, with the NUL.
    fn end_text(&mut self, range: &Range<usize>, seen: &Seen) -> Range<usize> {
        let range = self.incoming.end_text(range);
        let with_nul = range.start..range.end + 1;
        let Seen::Data(_, _, _, text) = seen else {
            panic!("it is a text");
        };
        let bytes = self.incoming.bytes_mut(with_nul.clone());
        assert_eq!(bytes, [&text[..], &[0]].concat(), "it is the same text");
        bytes.fill(0xDD);
        with_nul
    }

    /// Uses the spare room for output, like the service; this must not disturb anything.
    fn lend(&mut self) {
        if !self.holds || self.chance.below(4) > 0 {
            return;
        }
        let spare = self.incoming.spare().min(400);
        let len = self.chance.below(spare + 1);
        let lent = self.incoming.lend(&[&vec![0xAA; len]]);
        assert_eq!(self.incoming.bytes(lent), vec![0xAA; len]);
    }
}

fn replay(how: Replay, stream: &[u8], seed: u32) -> Vec<Seen> {
    let storage = Fronted(vec![0xEE; how.size + OVERHEAD + Fronted::FRONT]);
    let mut owner = Owner {
        incoming: Incoming::new(storage, 4096, how.streaming),
        chance: Chance::new(seed),
        holds: how.hold,
        held: Vec::new(),
        seen: Vec::new(),
    };
    owner.incoming.limit_fragments(how.fragments);
    let all = [REQUEST.as_bytes(), stream].concat();
    let mut rest = &all[..];
    while !rest.is_empty() {
        if !owner.held.is_empty() && owner.chance.below(4) == 0 {
            owner.release();
        }
        if owner.incoming.space().is_empty() {
            assert!(!owner.held.is_empty(), "there is always space");
            owner.release();
        }
        let space = owner.incoming.space();
        let most = space.len().min(rest.len());
        assert_ne!(most, 0, "there is always space");
        let count = if how.cut {
            owner.chance.cut(most)
        } else {
            most
        };
        let (now, later) = rest.split_at(count);
        owner.incoming.space()[..count].copy_from_slice(now);
        owner.incoming.received(count);
        rest = later;
        owner.drain();
    }
    owner.release();
    owner.seen
}

/// Compares the steps with the oracle.
fn check_against_oracle(how: Replay, stream: &[u8], seen: &[Seen]) {
    let limits = Limits {
        message: (!how.streaming).then_some(how.size),
        fragments: (how.fragments > 0).then_some(how.fragments.into()),
    };
    let decoded = decode(stream, limits);
    let mut message = None;
    let mut items = Vec::new();
    for seen in seen {
        items.push(match seen {
            Seen::Data(kind, first, last, bytes) => {
                assert!(bytes.len() <= how.size, "a piece is no larger than that");
                assert_eq!(*first, message.is_none(), "the first piece begins it");
                let is_text = *kind == MessageKind::Text;
                assert!(!is_text || std::str::from_utf8(bytes).is_ok());
                let (began, so_far) = message.get_or_insert((*kind, Vec::new()));
                assert_eq!(began, kind, "all pieces are of one kind");
                so_far.extend(bytes);
                if !last {
                    assert!(how.streaming && !bytes.is_empty());
                    continue;
                }
                match message.take() {
                    Some((MessageKind::Text, bytes)) => Item::Text(bytes),
                    Some((MessageKind::Binary, bytes)) => Item::Binary(bytes),
                    None => continue,
                }
            }
            Seen::Ping(bytes) => Item::Ping(bytes.clone()),
            Seen::Pong(bytes) => Item::Pong(bytes.clone()),
            Seen::Close(code, bytes) => {
                let in_body = bytes.first_chunk().map(|code| u16::from_be_bytes(*code));
                assert_eq!(*code, in_body);
                Item::Close(bytes.clone())
            }
            Seen::Fail(code) => Item::Fail(*code),
        });
    }
    assert_eq!(items, decoded.items, "the oracle on the right");
    let so_far = message.map(|(_, bytes)| bytes).unwrap_or_default();
    assert!(decoded.unfinished.starts_with(&so_far), "pieces begin it");
}
