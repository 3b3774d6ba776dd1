// SPDX-License-Identifier: Apache-2.0
//! Scripts of bytes, replayed whole, split in two at every byte, and a byte at a time.

use super::*;
use crate::protocol::{CloseCode, Data, MessageKind, OVERHEAD, Violation, unmask};
use proptest::prelude::*;

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The largest whole message of the connections under test.
const MAX: usize = 300;

/// A step with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Request(String),
    Refuse(u16),
    Data(MessageKind, bool, bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
    Fail(Violation),
}

fn connection(streaming: bool) -> Incoming<Vec<u8>> {
    Incoming::new(vec![0xEE; MAX + OVERHEAD], 4096, streaming)
}

/// Takes every step there is, as an owner that holds nothing.
fn drain(incoming: &mut Incoming<Vec<u8>>, seen: &mut Vec<Seen>) {
    loop {
        let step = incoming.step();
        let bytes = |range: &Range<usize>| incoming.bytes(range.clone()).to_vec();
        seen.push(match &step {
            Step::NeedBytes => return,
            Step::NeedRelease => panic!("nothing is held"),
            Step::Request => {
                let path = incoming.request().unwrap().path().to_owned();
                incoming.upgrade();
                Seen::Request(path)
            }
            Step::Refuse(status) => Seen::Refuse(status.get()),
            Step::Data(data) => Seen::Data(data.kind, data.first, data.last, bytes(&data.range)),
            Step::Ping(range) => Seen::Ping(bytes(range)),
            Step::Pong(range) => Seen::Pong(bytes(range)),
            Step::Close { code, body } => Seen::Close(code.map(CloseCode::get), bytes(body)),
            Step::Fail(violation) => Seen::Fail(*violation),
        });
    }
}

/// Receives `parts` one after the other, each as far as there is space at a time.
fn replay(parts: &[&[u8]], mut incoming: Incoming<Vec<u8>>) -> Vec<Seen> {
    let mut seen = Vec::new();
    drain(&mut incoming, &mut seen);
    for mut part in parts.iter().copied() {
        while !part.is_empty() {
            let space = incoming.space();
            let count = space.len().min(part.len());
            assert_ne!(count, 0, "there is always space");
            space[..count].copy_from_slice(&part[..count]);
            incoming.received(count);
            part = &part[count..];
            drain(&mut incoming, &mut seen);
        }
    }
    seen
}

/// Replays a request and `bytes` in every way; the steps after the request.
fn script_with(bytes: &[u8], streaming: bool) -> Vec<Seen> {
    script_on(bytes, || connection(streaming))
}

/// The same on connections of another make.
fn script_on(bytes: &[u8], connection: impl Fn() -> Incoming<Vec<u8>>) -> Vec<Seen> {
    let all = [REQUEST.as_bytes(), bytes].concat();
    let replayed = |parts: &[&[u8]]| replay(parts, connection());
    let whole = replayed(&[&all]);
    for cut in 1..all.len() {
        let (head, tail) = all.split_at(cut);
        assert_eq!(replayed(&[head, tail]), whole, "split at {cut}");
        // The first part was received elsewhere, if there is room for it.
        let mut preloaded = connection();
        if preloaded.preload(head, "", false) {
            assert_eq!(replay(&[tail], preloaded), whole, "taken over at {cut}");
        } else {
            assert!(cut > MAX, "there is room");
        }
    }
    let single: Vec<&[u8]> = all.chunks(1).collect();
    assert_eq!(replayed(&single), whole, "a byte at a time");
    assert_eq!(whole[0], Seen::Request("/chat".into()));
    whole[1..].to_vec()
}

fn script(frames: &[Vec<u8>]) -> Vec<Seen> {
    script_with(&frames.concat(), false)
}

/// A masked frame with the shortest length; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    let at = bytes.len();
    bytes.extend(payload);
    unmask(&mut bytes[at..], MASK);
    bytes
}

fn text(bytes: &[u8]) -> Seen {
    Seen::Data(MessageKind::Text, true, true, bytes.to_vec())
}

fn binary(bytes: &[u8]) -> Seen {
    Seen::Data(MessageKind::Binary, true, true, bytes.to_vec())
}

#[test]
fn messages_arrive_whole_whatever_the_split() {
    let seen = script(&[
        frame(0x81, b"Hello"),
        frame(0x82, &[0xFF; 200]),
        frame(0x81, b""),
        frame(0x82, &[7; MAX]),
        frame(0x81, "ä€😀".as_bytes()),
    ]);
    let expected = [
        text(b"Hello"),
        binary(&[0xFF; 200]),
        text(b""),
        binary(&[7; MAX]),
        text("ä€😀".as_bytes()),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn fragments_are_closed_up_with_control_frames_between_them() {
    let seen = script(&[
        frame(0x01, b"ab\xc3"),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x00, b"\xa4"),
        frame(0x8A, b""),
        frame(0x80, &[b'z'; MAX - 4]),
        frame(0x89, &[1; 125]),
    ]);
    let whole = [b"ab\xc3\xa4".as_slice(), &[b'z'; MAX - 4]].concat();
    let expected = [
        Seen::Ping(b"ping".into()),
        Seen::Pong(vec![]),
        text(&whole),
        Seen::Ping(vec![1; 125]),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_control_frame_fits_between_the_fragments_of_the_largest_message() {
    let seen = script(&[
        frame(0x02, &[1; MAX]),
        frame(0x89, &[2; 125]),
        frame(0x80, b""),
    ]);
    assert_eq!(seen, [Seen::Ping(vec![2; 125]), binary(&[1; MAX])]);
}

#[test]
fn a_message_over_the_receive_size_fails_with_1009_at_its_header() {
    let header = &frame(0x82, &[0; MAX + 1])[..8];
    assert_eq!(script_with(header, false), [Seen::Fail(Violation::TooBig)]);
    let huge = [
        0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4,
    ];
    assert_eq!(script_with(&huge, false), [Seen::Fail(Violation::TooBig)]);
    let seen = script(&[frame(0x02, &[0; MAX]), frame(0x80, &[0])]);
    assert_eq!(seen, [Seen::Fail(Violation::TooBig)]);
    assert_eq!(Violation::TooBig.close_code().get(), 1009);
}

#[test]
fn a_message_of_more_fragments_than_the_limit_fails_with_1008() {
    let limited = |bytes: &[u8], streaming| {
        script_on(bytes, || {
            let mut incoming = connection(streaming);
            incoming.limit_fragments(3);
            incoming
        })
    };
    let first = frame(0x02, b"");
    let next = frame(0x00, b"");
    let last = frame(0x80, b"x");
    for streaming in [false, true] {
        // Each message has the whole of the limit, control frames between do not count.
        let ping = frame(0x89, b"");
        let three = [&first[..], &ping, &next, &ping, &last].concat();
        let twice = [&three[..], &frame(0x82, b"x"), &three].concat();
        let seen = limited(&twice, streaming);
        let ping = || Seen::Ping(vec![]);
        let messages = [
            ping(),
            ping(),
            binary(b"x"),
            binary(b"x"),
            ping(),
            ping(),
            binary(b"x"),
        ];
        assert_eq!(seen, messages);
        // The fourth is one too many whatever it holds, and nothing after it is looked at.
        for fourth in [&next, &last, &frame(0x00, &[7; MAX])] {
            let four = [&first[..], &next, &next, fourth, &frame(0x82, b"after")].concat();
            let seen = limited(&four, streaming);
            assert_eq!(seen, [Seen::Fail(Violation::TooManyFragments)]);
        }
    }
    assert_eq!(Violation::TooManyFragments.close_code().get(), 1008);
}

#[test]
fn fragments_are_not_limited_unless_asked_for() {
    let mut frames = frame(0x02, b"");
    for _ in 0..70_000 {
        frames.extend(frame(0x00, b""));
    }
    frames.extend(frame(0x80, b"end"));
    let seen = replay(&[REQUEST.as_bytes(), &frames], connection(false));
    assert_eq!(seen[1..], [binary(b"end")]);
}

#[test]
fn streaming_gives_pieces_of_the_receive_size_whatever_the_split() {
    let message: Vec<u8> = (0..MAX * 2 + 50).map(|i| i as u8).collect();
    let frames = [
        frame(0x02, &message[..10]),
        frame(0x89, b"!"),
        frame(0x00, &message[10..MAX + 5]),
        frame(0x80, &message[MAX + 5..]),
    ];
    let piece = |first, last, range: Range<usize>| {
        Seen::Data(MessageKind::Binary, first, last, message[range].to_vec())
    };
    let expected = [
        Seen::Ping(b"!".into()),
        piece(true, false, 0..MAX),
        piece(false, false, MAX..MAX * 2),
        piece(false, true, MAX * 2..MAX * 2 + 50),
    ];
    assert_eq!(script_with(&frames.concat(), true), expected);
}

#[test]
fn pieces_of_text_end_on_character_boundaries() {
    let message = "€".repeat(MAX);
    let seen = script_with(&frame(0x81, message.as_bytes()), true);
    let mut joined = Vec::<u8>::new();
    for (at, step) in seen.iter().enumerate() {
        let Seen::Data(MessageKind::Text, first, last, bytes) = step else {
            panic!("{step:?}");
        };
        assert_eq!((*first, *last), (at == 0, at == seen.len() - 1));
        assert!(core::str::from_utf8(bytes).is_ok());
        joined.extend(bytes);
    }
    assert_eq!(joined, message.as_bytes());
}

#[test]
fn an_empty_last_fragment_ends_a_streamed_message() {
    let seen = script_with(&[frame(0x02, &[5; MAX]), frame(0x80, b"")].concat(), true);
    assert_eq!(seen, [binary(&[5; MAX])]);
}

#[test]
fn violations_fail_with_1002() {
    let cases = [
        (frame(0xC1, b""), Violation::ReservedBits),
        (frame(0x83, b""), Violation::ReservedOpcode),
        (frame(0x09, b""), Violation::FragmentedControl),
        (vec![0x89, 0xFE], Violation::ControlTooLong),
        (vec![0x81, 0x05], Violation::Unmasked),
        (vec![0x82, 0xFE, 0, 5], Violation::LengthNotMinimal),
        (
            vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0],
            Violation::LengthTopBit,
        ),
        (frame(0x80, b"x"), Violation::NothingToContinue),
        (
            [frame(0x01, b""), frame(0x81, b"")].concat(),
            Violation::InsideFragmented,
        ),
        (frame(0x88, b"\x03"), Violation::CloseCode),
        (frame(0x88, b"\x03\xed"), Violation::CloseCode),
    ];
    for (bytes, violation) in cases {
        assert_eq!(script_with(&bytes, false), [Seen::Fail(violation)]);
        assert_eq!(violation.close_code().get(), 1002);
    }
}

#[test]
fn a_fin_bit_or_its_absence_does_not_hide_the_close_opcode() {
    assert_eq!(script(&[frame(0x88, b"")]), [Seen::Close(None, vec![])]);
    let unfinished = script(&[frame(0x08, b"")]);
    assert_eq!(unfinished, [Seen::Fail(Violation::FragmentedControl)]);
}

#[test]
fn text_that_is_not_utf8_fails_with_1007_at_its_first_wrong_byte() {
    let mut unfinished = frame(0x81, &[b'a', 0xED, 0xA0, 0x80, b'b', b'c']);
    unfinished.truncate(6 + 3);
    let fails = [Seen::Fail(Violation::NotUtf8)];
    assert_eq!(script_with(&unfinished, false), fails);
    unfinished.pop();
    assert_eq!(script_with(&unfinished, false), []);
    assert_eq!(script(&[frame(0x81, b"\xc3")]), fails);
    assert_eq!(script(&[frame(0x01, b"\xc3"), frame(0x80, b"")]), fails);
    assert_eq!(
        script(&[frame(0x88, b"\x03\xe8\xff")]),
        [Seen::Fail(Violation::CloseReason)]
    );
    assert_eq!(Violation::NotUtf8.close_code().get(), 1007);
    assert_eq!(Violation::CloseReason.close_code().get(), 1007);
}

#[test]
fn nothing_follows_a_close_or_a_failure() {
    let after = [
        frame(0x88, b"\x03\xe8bye"),
        frame(0x81, b"late"),
        frame(0x88, b""),
    ];
    assert_eq!(
        script(&after),
        [Seen::Close(Some(1000), b"\x03\xe8bye".into())]
    );
    let after = [frame(0xFF, b""), frame(0x81, b"late")];
    assert_eq!(script(&after), [Seen::Fail(Violation::ReservedBits)]);
}

#[test]
fn a_refused_request_is_refused_once() {
    let bytes = b"POST / HTTP/1.1\r\nHost: h\r\n\r\nmore";
    for cut in 1..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(
            replay(&[head, tail], connection(false)),
            [Seen::Refuse(405)]
        );
    }
}

#[test]
fn a_request_that_needs_more_than_the_buffer_is_refused() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX + OVERHEAD));
    assert_eq!(
        replay(&[long.as_bytes()], connection(false)),
        [Seen::Refuse(414)]
    );
    let origin = "a".repeat(MAX + OVERHEAD);
    let long = format!("GET / HTTP/1.1\r\nOrigin: {origin}\r\n");
    assert_eq!(
        replay(&[long.as_bytes()], connection(false)),
        [Seen::Refuse(431)]
    );
}

#[test]
fn headers_that_nobody_needs_take_no_room() {
    let padded = REQUEST.replace("Host:", &format!("X: {}\r\nHost:", "a".repeat(3000)));
    assert_eq!(
        replay(&[padded.as_bytes()], connection(false)),
        [Seen::Request("/chat".into())]
    );
}

/// What is held must stay where it is, however many bytes and steps follow.
#[test]
fn nothing_beneath_held_bytes_moves() {
    let mut incoming = connection(false);
    let bytes = [
        REQUEST.as_bytes(),
        &frame(0x81, b"first"),
        &frame(0x02, b"se"),
        &frame(0x82 & 0x0F, b""),
    ]
    .concat();
    // A whole message, then a fragment, a ping inside it, and the rest.
    let bytes = [
        &bytes[..bytes.len() - 6],
        &frame(0x89, b"ping"),
        &frame(0x80, b"cond"),
    ]
    .concat();
    incoming.space()[..bytes.len()].copy_from_slice(&bytes);
    incoming.received(bytes.len());
    assert_eq!(incoming.step(), Step::Request);
    incoming.upgrade();
    let mut held = Vec::new();
    loop {
        match incoming.step() {
            Step::Data(Data { range, .. }) | Step::Ping(range) => {
                incoming.hold(range.end);
                let now = incoming.bytes(range.clone()).to_vec();
                held.push((range, now));
            }
            step => {
                assert_eq!(step, Step::NeedRelease);
                break;
            }
        }
        for (range, before) in &held {
            assert_eq!(incoming.bytes(range.clone()), before);
        }
    }
    let kept: Vec<_> = held.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(kept, [b"first".as_slice(), b"ping"]);
    incoming.release();
    let Step::Data(data) = incoming.step() else {
        panic!("the message is complete");
    };
    assert_eq!(incoming.bytes(data.range), b"second");
    assert_eq!(incoming.step(), Step::NeedBytes);
}

#[test]
fn the_request_stays_while_more_is_received_behind_it() {
    let mut incoming = connection(false);
    let all = [REQUEST.as_bytes(), &frame(0x81, &[b'x'; 200])].concat();
    let (head, tail) = all.split_at(REQUEST.len() + 3);
    assert!(incoming.preload(head, "", false));
    let mut tail = tail;
    while incoming.has_room() && !tail.is_empty() {
        assert_eq!(incoming.step(), Step::Request);
        incoming.space()[0] = tail[0];
        incoming.received(1);
        tail = &tail[1..];
    }
    let request = incoming.request().unwrap();
    assert_eq!((request.path(), request.host()), ("/chat", "h"));
    assert!(tail.is_empty(), "all of it has room");
    incoming.upgrade();
    assert!(matches!(incoming.step(), Step::Data(data) if data.range.len() == 200));
    // Until there is no room any more.
    let mut full = connection(false);
    assert!(full.preload(REQUEST.as_bytes(), "", false));
    assert_eq!(full.step(), Step::Request);
    let count = full.space().len();
    full.received(count);
    assert!(!full.has_room() && full.space().is_empty());
    assert_eq!(full.request().unwrap().path(), "/chat");
}

#[test]
fn a_connection_starts_again_in_the_same_storage() {
    let mut incoming = connection(false);
    let mut seen = Vec::new();
    for _ in 0..3 {
        for part in [REQUEST.as_bytes(), &frame(0x81, b"a"), &frame(0xFF, b"")] {
            incoming.space()[..part.len()].copy_from_slice(part);
            incoming.received(part.len());
            drain(&mut incoming, &mut seen);
        }
        let expected = [
            Seen::Request("/chat".into()),
            text(b"a"),
            Seen::Fail(Violation::ReservedBits),
        ];
        assert_eq!(seen, expected);
        seen.clear();
        incoming.restart(4096, false);
    }
}

/// Frames as a client might send them, right and wrong.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        any::<String>().prop_map(String::into_bytes),
        (0..MAX + 20).prop_map(|len| vec![b'x'; len]),
    ];
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x01u8, 0x02, 0x00, 0x80, 0x81, 0x82, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    proptest::collection::vec((first, payload), 0..8).prop_map(|frames| {
        let frames = frames.iter().map(|(first, payload)| frame(*first, payload));
        frames.collect::<Vec<_>>().concat()
    })
}

/// With a byte in front, as for applications that may write to texts.
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

/// Receives `parts` as an owner that ends whole texts, writes to them, and holds every message for which `holds` says
/// so until nothing continues without a release.
fn replay_ending(parts: &[&[u8]], mut holds: impl FnMut() -> bool) -> Vec<Seen> {
    let storage = Fronted(vec![0xEE; MAX + OVERHEAD + Fronted::FRONT]);
    let mut incoming = Incoming::new(storage, 4096, false);
    assert_eq!(incoming.max_message(), MAX);
    let (mut seen, mut held) = (Vec::new(), Vec::<(Range<usize>, Vec<u8>)>::new());
    let release = |incoming: &mut Incoming<Fronted>, held: &mut Vec<_>| {
        for (range, bytes) in held.drain(..) {
            assert_eq!(incoming.bytes(range), bytes, "what is held stays");
        }
        incoming.release();
    };
    let mut parts = parts.iter().copied();
    let mut rest = &[][..];
    while !rest.is_empty() || parts.len() > 0 {
        if rest.is_empty() {
            rest = parts.next().unwrap_or_default();
        }
        if incoming.space().is_empty() {
            assert!(!held.is_empty(), "there is always space");
            release(&mut incoming, &mut held);
        }
        let space = incoming.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        incoming.received(count);
        rest = &rest[count..];
        loop {
            let step = incoming.step();
            let mut range = match step {
                Step::NeedBytes => break,
                Step::NeedRelease => {
                    assert!(!held.is_empty(), "nothing is held");
                    release(&mut incoming, &mut held);
                    continue;
                }
                Step::Request => {
                    incoming.upgrade();
                    continue;
                }
                Step::Data(Data { ref range, .. }) => range.clone(),
                Step::Ping(ref range) | Step::Pong(ref range) => range.clone(),
                _ => 0..0,
            };
            let bytes = incoming.bytes(range.clone()).to_vec();
            let mut end = range.end;
            if let Step::Data(Data {
                kind: MessageKind::Text,
                ..
            }) = step
            {
                range = incoming.end_text(&range);
                assert_eq!(incoming.bytes(range.clone()), bytes, "it is the same text");
                end = range.end + 1;
                assert_eq!(incoming.bytes(range.end..end), [0]);
                incoming.bytes_mut(range.start..end).fill(0xDD);
            }
            if holds() {
                incoming.hold(end);
                let now = range.start..end;
                held.push((now.clone(), incoming.bytes(now).to_vec()));
                // Output is lent what is free, and does not reach it.
                let spare = incoming.spare().min(7);
                let lent = incoming.lend(&[&[0xAA; 7][..spare]]);
                assert_eq!(lent.len(), spare);
            }
            seen.push(match step {
                Step::Data(data) => Seen::Data(data.kind, data.first, data.last, bytes),
                Step::Ping(_) => Seen::Ping(bytes),
                Step::Pong(_) => Seen::Pong(bytes),
                Step::Close { code, body } => {
                    let body = incoming.bytes(body).to_vec();
                    Seen::Close(code.map(CloseCode::get), body)
                }
                Step::Fail(violation) => Seen::Fail(violation),
                step => panic!("{step:?}"),
            });
        }
    }
    release(&mut incoming, &mut held);
    seen
}

/// A message that fills the buffer to its last byte, with others before and behind it.
#[test]
fn a_text_of_any_length_anywhere_is_ended_with_nul() {
    for len in [0, 1, 125, 126, MAX - 1, MAX] {
        for before in 0..4 {
            let mut frames = vec![frame(0x81, b"before"); before];
            let text = vec![b'x'; len];
            frames.push(frame(0x01, &text[..len / 2]));
            frames.push(frame(0x89, &[b'p'; 125]));
            frames.push(frame(0x80, &text[len / 2..]));
            frames.push(frame(0x81, &text));
            frames.push(frame(0x81, b"behind"));
            let all = [REQUEST.as_bytes(), &frames.concat()].concat();
            let wanted = replay(&[&all], connection(false));
            for size in [1, 2, 7, MAX, all.len()] {
                for holds in [false, true] {
                    let parts: Vec<&[u8]> = all.chunks(size).collect();
                    assert_eq!(replay_ending(&parts, || holds), wanted[1..], "{len} {size}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn texts_that_are_ended_disturb_nothing(
        frames in any_frames(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        holds in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let all = [REQUEST.as_bytes(), &frames].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &all[cut[0]..cut[1]]).collect();
        let mut holds = holds.iter().cycle();
        let seen = replay_ending(&parts, || *holds.next().unwrap());
        prop_assert_eq!(&seen, &replay(&[&all], connection(false))[1..]);
    }

    #[test]
    fn any_split_of_any_frames_gives_the_same_steps(
        frames in any_frames(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        streaming: bool,
    ) {
        let all = [REQUEST.as_bytes(), &frames].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &all[cut[0]..cut[1]]).collect();
        prop_assert_eq!(replay(&parts, connection(streaming)), replay(&[&all], connection(streaming)));
    }

    #[test]
    fn any_bytes_are_taken_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        upgraded: bool,
        streaming: bool,
    ) {
        let request = if upgraded { REQUEST.as_bytes() } else { b"" };
        replay(&[request, &bytes], connection(streaming));
    }
}
