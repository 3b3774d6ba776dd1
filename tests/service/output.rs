// SPDX-License-Identifier: Apache-2.0
//! Output, and what happens to it if a client takes it slowly.

use std::rc::Rc;
use std::sync::Arc;

use wss::protocol::{CloseCode, Opcode, Status};
use wss::service::{Config, Delivery, Lock as _, Target};
use wss::{ClientId, Event, SendError, Verdict};

use crate::harness::{ACCEPTED, Harness, REQUEST, RX, Svc, echo, frame, ignore, server_frame};

#[test]
pub fn the_answers_to_one_batch_leave_in_one_write() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    client.writes();
    let batch: Vec<_> = (0..10u8).map(|i| frame(0x82, &[i; 5])).collect();
    client.send(&[batch.concat(), frame(0x89, b"?")].concat());
    h.settle();
    assert_eq!(client.writes(), 1);
    let mut expected: Vec<_> = (0..10u8).map(|i| server_frame(0x82, &[i; 5])).collect();
    expected.push(server_frame(0x8A, b"?"));
    assert_eq!(client.take(), expected.concat());
}

/// Echoes of every size, through a window that opens a few bytes at a time, with every size of
/// batch: order and content hold, and nothing is refused.
#[test]
pub fn a_slow_reader_gets_every_echo_whole_and_in_order() {
    for (blocks, step) in [(2, 1), (2, 7), (0, 5), (1, 64), (0, 301)] {
        let mut h = Harness::with_blocks(1, blocks, Config::default(), echo);
        let client = h.connected();
        client.set_window(0);
        let mut expected = Vec::new();
        let sizes = [0, 1, 125, 126, RX, 3, RX - 1, 0, 40, 299];
        for (at, size) in sizes.into_iter().enumerate() {
            let payload = vec![at as u8; size];
            client.send(&frame(0x82, &payload));
            expected.extend(server_frame(0x82, &payload));
            client.send(&frame(0x89, &payload[..size.min(9)]));
            expected.extend(server_frame(0x8A, &payload[..size.min(9)]));
        }
        let mut received = Vec::new();
        for _ in 0..=expected.len() / step + 1 {
            h.settle();
            received.extend(client.take());
            client.set_window(step);
        }
        assert_eq!(
            received, expected,
            "{blocks} blocks, {step} bytes at a time"
        );
    }
}

#[test]
pub fn memory_stays_flat_while_a_client_takes_nothing() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    client.set_window(0);
    let frames: Vec<_> = (0..100).map(|_| frame(0x82, &[1; RX])).collect();
    client.send(&frames.concat());
    h.settle();
    let unread = client.0.lock().to_server.len();
    assert!(
        unread > 97 * RX,
        "what is not answered is not received: {unread} bytes left"
    );
}

#[test]
pub fn a_broadcast_leaves_out_who_takes_nothing() {
    for blocks in [0, 1] {
        let mut h = Harness::with_blocks(3, blocks, Config::default(), ignore);
        let clients = [h.connected(), h.connected(), h.connected()];
        h.events();
        clients[1].set_window(0);
        clients[2].set_window(3);
        // It is kept for clients that take it later.
        assert_eq!(h.service.send_text(Target::All, "to all"), Ok(()));
        let refused = h.service.send_text(Target::All, "to one");
        assert_eq!(refused, Err(SendError::WouldBlock));
        h.settle();
        let whole = server_frame(0x81, b"to all");
        let both = [&whole[..], &server_frame(0x81, b"to one")].concat();
        assert_eq!(clients[0].take(), both);
        assert_eq!(h.service.stats().would_block, 2);
        assert_eq!(h.service.stats().most_blocks, 0);
        // Their input waits meanwhile, and is not lost.
        clients[1].send(&frame(0x81, b"meanwhile"));
        h.settle();
        clients[1].set_window(1000);
        clients[2].set_window(1000);
        h.settle();
        for client in &clients[1..] {
            assert_eq!(client.take(), whole, "not a byte of the other");
        }
        // They learn that there is room again.
        let mut events = h.events();
        events.sort();
        assert_eq!(events, ["1 text meanwhile", "1 writable", "2 writable"]);
        assert_eq!(h.service.send_text(Target::All, "again"), Ok(()));
        for client in &clients {
            assert_eq!(client.take(), server_frame(0x81, b"again"));
        }
    }
}

#[test]
pub fn one_block_is_enough_for_a_callback_that_sends_to_all() {
    let mut h = Harness::with_blocks(3, 1, Config::default(), |service, _, client, event| {
        if let (Some(client), Event::Text(_)) = (client, event) {
            assert_eq!(service.send_text(client, "before"), Ok(()));
            assert_eq!(service.send_text(Target::All, "to all"), Ok(()));
        }
        Delivery::Done
    });
    let clients = [h.connected(), h.connected(), h.connected()];
    clients[2].set_window(1);
    clients[0].send(&frame(0x81, b"go"));
    h.settle();
    let [before, all] = [&b"before"[..], b"to all"].map(|text| server_frame(0x81, text));
    assert_eq!(clients[0].take(), [before, all.clone()].concat());
    assert_eq!(clients[1].take(), all);
    clients[2].set_window(1000);
    h.settle();
    assert_eq!(clients[2].take(), all);
}

#[test]
pub fn a_slow_reader_keeps_no_block() {
    let mut h = Harness::with_blocks(3, 1, Config::default(), |service, _, client, event| {
        if let (Some(client), Event::Text(_)) = (client, event) {
            assert_eq!(service.send_binary(client, &[7; RX]), Ok(()));
        }
        Delivery::Done
    });
    let clients = [h.connected(), h.connected(), h.connected()];
    clients[0].set_window(0);
    clients[1].set_window(100);
    for client in &clients {
        client.send(&frame(0x81, b"go"));
        client.send(&frame(0x89, b"?"));
        h.settle();
    }
    let expected = [server_frame(0x82, &[7; RX]), server_frame(0x8A, b"?")].concat();
    assert_eq!(clients[2].take(), expected);
    for client in &clients[..2] {
        let mut received = Vec::new();
        for _ in 0..expected.len() {
            client.set_window(1);
            h.settle();
            received.extend(client.take());
        }
        assert_eq!(received, expected);
    }
}

#[test]
pub fn a_callback_never_waits_and_is_told_when_there_is_room() {
    let mut h = Harness::new(2, Config::default(), |service, _, client, event| {
        match (client.map(|client| client.slot()), event) {
            (Some(1), Event::Text(_)) => {
                let first = service.send_binary(Target::Slot(0), &[1; 200]);
                let second = service.send_binary(Target::Slot(0), &[2; 200]);
                assert_eq!((first, second), (Ok(()), Err(SendError::WouldBlock)));
            }
            (Some(0), Event::Writable) => {
                assert_eq!(service.send_binary(Target::Slot(0), &[3]), Ok(()));
            }
            _ => {}
        }
        Delivery::Done
    });
    let (slow, other) = (h.connected(), h.connected());
    h.events();
    slow.set_window(10);
    other.send(&frame(0x81, b"go"));
    h.settle();
    slow.set_window(1000);
    h.settle();
    let expected = [server_frame(0x82, &[1; 200]), server_frame(0x82, &[3])];
    assert_eq!(slow.take(), expected.concat());
    assert_eq!(h.events(), ["1 text go", "0 writable"]);
}

#[test]
pub fn a_frame_that_cannot_be_kept_is_refused_where_nobody_may_wait() {
    let mut h = Harness::new(1, Config::default(), |service, _, client, event| {
        if let (Some(client), Event::Text(_)) = (client, event) {
            let sent = service.send_binary(client, &[0; RX + 10]);
            assert_eq!(sent, Err(SendError::TooLong));
        }
        Delivery::Done
    });
    let client = h.connected();
    client.send(&frame(0x81, b"go"));
    h.settle();
    assert_eq!(client.take(), b"");
    // An application thread may wait, and can send any length.
    let id = h.service.client(0).unwrap();
    assert_eq!(h.service.send_binary(id, &[5; 5000]), Ok(()));
    assert_eq!(client.take(), server_frame(0x82, &[5; 5000]));
}

#[test]
pub fn an_application_thread_can_have_several_messages_leave_in_one_write() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    client.writes();
    for text in [&b"a"[..], b"b", b"c"] {
        assert_eq!(
            h.service.send_more(id, wss::MessageKind::Text, text),
            Ok(())
        );
    }
    assert_eq!(client.writes(), 0);
    assert_eq!(h.service.flush(id), Ok(()));
    assert_eq!(client.writes(), 1);
    let frames = [
        server_frame(0x81, b"a"),
        server_frame(0x81, b"b"),
        server_frame(0x81, b"c"),
    ];
    assert_eq!(client.take(), frames.concat());
    // Whatever follows takes along what was left.
    assert_eq!(
        h.service.send_more(id, wss::MessageKind::Text, b"left"),
        Ok(())
    );
    assert_eq!(h.service.send_text(id, "taken along"), Ok(()));
    let frames = [
        server_frame(0x81, b"left"),
        server_frame(0x81, b"taken along"),
    ];
    assert_eq!(client.take(), frames.concat());
    assert_eq!(client.writes(), 1);
    client.eof();
    h.settle();
    assert_eq!(h.service.flush(id), Err(SendError::NotConnected));
}

#[test]
pub fn a_close_comes_behind_everything_that_was_accepted() {
    for reason in ["", "because"] {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = h.connected();
        client.set_window(5);
        client.send(&frame(0x82, &[9; 250]));
        h.settle();
        let id = h.service.client(0).unwrap();
        assert_eq!(h.service.close(id, CloseCode::NORMAL, reason), Ok(()));
        client.set_window(1000);
        h.settle();
        let body = [&[3, 232], reason.as_bytes()].concat();
        let output = client.take();
        assert!(output.starts_with(&server_frame(0x82, &[9; 250])));
        let close = &output[server_frame(0x82, &[9; 250]).len()..];
        // The reason is left out if it cannot be kept.
        assert!(close == server_frame(0x88, &body) || close == server_frame(0x88, &[3, 232]));
    }
}

#[test]
pub fn a_close_has_its_reason_although_there_is_no_block() {
    let mut h = Harness::with_blocks(1, 0, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    // What is there of a frame stays where it is.
    client.send(&frame(0x81, b"not all of it")[..7]);
    h.settle();
    client.set_window(3);
    assert_eq!(h.service.close(id, CloseCode::NORMAL, "because"), Ok(()));
    client.set_window(1000);
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b"\x03\xe8because"));
    client.send(&frame(0x81, b"not all of it")[7..]);
    client.send(&frame(0x88, b"\x03\xe8"));
    client.eof();
    h.settle();
    assert_eq!(
        h.events()[2..],
        ["0 closing", "0 close frame 1000", "0 closed"]
    );
}

#[test]
pub fn a_close_asked_for_in_the_middle_of_a_frame_comes_behind_it() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    client.set_window(3);
    let h = Rc::new(h);
    let others = Rc::clone(&h);
    let wire = Arc::clone(&client.0);
    Harness::while_waiting(Some(Rc::new(move |_| {
        // The first time the rest of the frame is not sent yet, and from then on there is room.
        others.as_thread(2, |service| {
            let _ = service.close(id, CloseCode::NORMAL, "");
        });
        wire.lock().window = 10_000;
        others.rest();
    })));
    let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 3_000]));
    Harness::while_waiting(None);
    assert_eq!(sent, Ok(()));
    let expected = [
        server_frame(0x82, &[5; 3_000]),
        server_frame(0x88, &[3, 232]),
    ];
    assert_eq!(client.take(), expected.concat());
}

#[test]
pub fn room_that_there_is_just_as_the_rest_is_waited_for_is_used() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    client.set_window(0);
    // The first attempt to send the close frame fails, the next one does not.
    client.0.lock().opens_to = Some(1000);
    client.send(&frame(0x88, b"\x03\xe8"));
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b"\x03\xe8"));
    assert!(client.0.lock().shut, "it hears that nothing follows");
}

#[test]
pub fn nothing_comes_behind_a_frame_that_was_cut_off() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    client.set_window(7);
    let h = Rc::new(h);
    let others = Rc::clone(&h);
    let wire = Arc::clone(&client.0);
    Harness::while_waiting(Some(Rc::new(move |ms| {
        others.as_thread(2, |service| {
            let _ = service.close(id, CloseCode::NORMAL, "");
        });
        // There is room again just when the sender gives up.
        Harness::set_now(Harness::now() + u64::from(ms));
        wire.lock().window = 10_000;
    })));
    let sent = h.as_thread(1, |service| service.send_binary(id, &[5; 3_000]));
    Harness::while_waiting(None);
    assert_eq!(sent, Err(SendError::Aborted));
    h.rest();
    assert_eq!(client.take(), server_frame(0x82, &[5; 3_000])[..7]);
    assert_eq!(h.service.client(0), None);
}

#[test]
pub fn a_fragmented_message_belongs_to_its_thread() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    let send = |h: &Harness, thread, fin, opcode, text: &str| {
        h.as_thread(thread, |service| {
            service.send_frame(id, fin, opcode, text.as_bytes())
        })
    };
    assert_eq!(send(&h, 1, false, Opcode::Text, "a"), Ok(()));
    assert_eq!(
        send(&h, 2, true, Opcode::Text, "x"),
        Err(SendError::WouldBlock)
    );
    assert_eq!(h.as_thread(2, |service| service.ping(id, b"p")), Ok(()));
    assert!(matches!(
        send(&h, 1, true, Opcode::Text, "y"),
        Err(SendError::Frame(_))
    ));
    assert_eq!(send(&h, 1, true, Opcode::Continuation, "b"), Ok(()));
    assert_eq!(send(&h, 2, true, Opcode::Text, "x"), Ok(()));
    let expected = [
        server_frame(0x01, b"a"),
        server_frame(0x89, b"p"),
        server_frame(0x80, b"b"),
        server_frame(0x81, b"x"),
    ];
    assert_eq!(client.take(), expected.concat());
    h.settle();
}

#[test]
pub fn streaming_echoes_a_message_of_any_length_in_flat_memory() {
    let config = Config {
        streaming: true,
        ..Config::default()
    };
    let mut h = Harness::new(1, config, echo);
    let client = h.connected();
    let text = "aä€".repeat(1000);
    client.send(&frame(0x81, text.as_bytes()));
    h.settle();
    let (mut output, mut echoed) = (client.take(), Vec::<u8>::new());
    while !output.is_empty() {
        let (len, at) = match output[1] {
            126 => (usize::from(u16::from_be_bytes([output[2], output[3]])), 4),
            len => (usize::from(len), 2),
        };
        assert!(len <= RX);
        echoed.extend(&output[at..at + len]);
        output.drain(..at + len);
    }
    assert_eq!(echoed, text.as_bytes());
    assert_eq!(h.service.stats().traffic.bytes_sent, text.len() as u64);
}

#[test]
pub fn who_takes_the_answer_to_its_request_slowly_keeps_no_block() {
    for verdict in [Verdict::accept(), Verdict::refuse(Status::FORBIDDEN)] {
        let mut h = Harness::with_blocks(1, 1, Config::default(), ignore);
        h.service.application().verdict.set(verdict);
        let client = h.connect();
        client.set_window(10);
        client.send(REQUEST.as_bytes());
        h.settle();
        assert_eq!(h.service.stats().blocks_used, 0);
        let (start, is_accepted) = (client.take(), verdict == Verdict::accept());
        client.set_window(1000);
        h.settle();
        let answer = [start, client.take()].concat();
        assert!(answer.ends_with(b"\r\n\r\n"));
        assert_eq!(answer == ACCEPTED.as_bytes(), is_accepted);
    }
}

#[test]
pub fn who_was_refused_for_want_of_a_block_hears_once_there_is_one() {
    // Keeps the messages of the first client, and answers the second one whenever it can.
    let react = |service: &Svc, _: usize, client: Option<ClientId>, event: &Event<'_>| {
        let answers = matches!(event, Event::Text(_) | Event::Writable);
        match client {
            Some(id) if id.slot() == 1 && answers => {
                let _ = service.send_binary(id, b"an answer");
                Delivery::Done
            }
            Some(_) if matches!(event, Event::Text(_)) => Delivery::Held,
            _ => Delivery::Done,
        }
    };
    let mut h = Harness::with_blocks(2, 1, Config::default(), react);
    let (slow, client) = (h.connected(), h.connected());
    // Its receive buffer is full of held messages, so its output takes the only block.
    slow.send(&frame(0x81, &[b'a'; RX]));
    h.settle();
    slow.set_window(10);
    let id = h.service.client(0).unwrap();
    assert_eq!(h.service.send_binary(id, &[9; RX - 10]), Ok(()));
    assert_eq!(h.service.stats().blocks_used, 1);
    h.events();
    client.send(&frame(0x81, b"a question"));
    h.settle();
    // WRITABLE is not emitted while a send would fail.
    assert_eq!(h.events(), ["1 text a question"]);
    slow.set_window(1000);
    h.settle();
    assert_eq!(client.take(), server_frame(0x82, b"an answer"));
}

#[test]
pub fn who_has_shut_its_own_side_gets_every_answer_however_slowly_it_reads() {
    let mut h = Harness::new(1, Config::default(), echo);
    let client = h.connected();
    client.set_window(0);
    // One more than the answers for which there is room while it takes none.
    client.send(&frame(0x82, &[7; 20]).repeat(16));
    client.eof();
    h.settle();
    let mut received = Vec::new();
    // The last answer is begun when the end is received.
    for window in [15 * 22 + 5, 5, 100] {
        client.set_window(window);
        h.settle();
        received.extend(client.take());
    }
    assert_eq!(received, server_frame(0x82, &[7; 20]).repeat(16));
    h.assert_all_closed();
}
