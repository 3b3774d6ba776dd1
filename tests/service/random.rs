// SPDX-License-Identifier: Apache-2.0
//! Random sequences of actions of peers, applications, and clocks. The guarantees hold for all of them.

use proptest::prelude::*;
use wss::protocol::CloseCode;
use wss::service::{AdoptError, Config, Lock as _, Opening, Target};
use wss::{Status, Verdict};

use crate::harness::{Client, Harness, REQUEST, echo, frame, ignore};
use crate::received::received;

#[derive(Clone, Debug)]
enum Act {
    /// With or without TLS.
    Connect(bool),
    Upgrade(usize),
    Frame(usize, u8, usize),
    Raw(usize, Vec<u8>),
    Window(usize, usize),
    Eof(usize),
    Reset(usize),
    Pass(u64),
    Send(usize, usize),
    Broadcast(usize),
    Ping(usize),
    Close(usize),
    /// From now on the network has buffers, or none.
    Buffers(bool),
    /// From now on requests are answered later, or at once.
    PutOff(bool),
    Answer(usize, bool),
    /// Adopts a connection, with this many bytes of its request.
    Adopt(usize),
}

fn any_act() -> impl Strategy<Value = Act> {
    let who = 0..4usize;
    let first = prop_oneof![
        6 => prop::sample::select(vec![0x81u8, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8A]),
        1 => prop::sample::select(vec![0x88u8, 0xC1, 0x83]),
    ];
    prop_oneof![
        3 => any::<bool>().prop_map(Act::Connect),
        3 => who.clone().prop_map(Act::Upgrade),
        8 => (who.clone(), first, 0..320usize).prop_map(|(who, f, len)| Act::Frame(who, f, len)),
        1 => (who.clone(), proptest::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(who, bytes)| Act::Raw(who, bytes)),
        3 => (who.clone(), prop_oneof![0..5usize, Just(50), Just(usize::MAX)])
            .prop_map(|(who, window)| Act::Window(who, window)),
        1 => who.clone().prop_map(Act::Eof),
        1 => who.clone().prop_map(Act::Reset),
        2 => prop_oneof![Just(100), Just(1_000), Just(11_000)].prop_map(Act::Pass),
        3 => (who.clone(), 0..400usize).prop_map(|(who, len)| Act::Send(who, len)),
        1 => (0..320usize).prop_map(Act::Broadcast),
        1 => who.clone().prop_map(Act::Ping),
        1 => who.clone().prop_map(Act::Close),
        1 => any::<bool>().prop_map(Act::PutOff),
        2 => any::<bool>().prop_map(Act::Buffers),
        2 => (who, any::<bool>()).prop_map(|(who, accept)| Act::Answer(who, accept)),
        1 => (0..=REQUEST.len()).prop_map(Act::Adopt),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_slot_comes_back_and_no_frame_is_torn(
        acts in proptest::collection::vec(any_act(), 1..60),
        blocks in 0..3usize,
        streaming: bool,
        // Limits against abuse; 0: off.
        limits in proptest::array::uniform4(0..4u16),
    ) {
        let [clients_per_address, handshakes_per_second, control_frames_per_second, fragments_per_message] = limits;
        let config = Config {
            streaming,
            clients_per_address,
            handshakes_per_second,
            control_frames_per_second,
            fragments_per_message,
            ..Config::default()
        };
        // Echoed pieces would mix with the fragments that the test itself sends.
        let react = if streaming { ignore } else { echo };
        Harness::set_buffers(true);
        let mut h = Harness::with_blocks(3, blocks, config, react);
        let mut clients: Vec<Client> = Vec::new();
        for act in acts {
            let pick = |who: usize| (!clients.is_empty()).then(|| &clients[who % clients.len()]);
            match act {
                Act::Connect(tls) => {
                    Harness::use_tls(tls);
                    clients.push(h.connect_from((clients.len() % 2) as u32));
                }
                Act::Upgrade(who) => if let Some(client) = pick(who) {
                    client.send(REQUEST.as_bytes());
                },
                Act::Frame(who, first, len) => if let Some(client) = pick(who) {
                    client.send(&frame(first, &vec![b'x'; len]));
                },
                Act::Raw(who, bytes) => if let Some(client) = pick(who) { client.send(&bytes) },
                Act::Window(who, window) => if let Some(client) = pick(who) {
                    client.set_window(window);
                },
                Act::Eof(who) => if let Some(client) = pick(who) { client.eof() },
                Act::Reset(who) => if let Some(client) = pick(who) { client.reset() },
                Act::Pass(ms) => h.pass(ms),
                Act::Send(who, len) => {
                    let _ = h.service.send_binary(Target::Slot(who), &vec![1; len]);
                }
                Act::Broadcast(len) => {
                    let _ = h.service.send_binary(Target::All, &vec![2; len]);
                }
                Act::Ping(who) => { let _ = h.service.ping(Target::Slot(who), b"?"); }
                Act::Close(who) => {
                    let _ = h.service.close(Target::Slot(who), CloseCode::NORMAL, "enough");
                }
                Act::Buffers(there) => Harness::set_buffers(there),
                Act::PutOff(later) => {
                    let verdict = if later { Verdict::Later } else { Verdict::accept() };
                    h.service.application().verdict.set(verdict);
                }
                Act::Answer(who, accept) => if let Some(client) = h.service.client(who) {
                    let refuse = Verdict::refuse(Status::FORBIDDEN);
                    let verdict = if accept { Verdict::accept() } else { refuse };
                    let waits = h.service.answer(client, Verdict::Later).is_ok();
                    prop_assert_eq!(h.service.answer(client, verdict).is_ok(), waits);
                },
                Act::Adopt(cut) => {
                    let client = Client::plain();
                    let (received, rest) = REQUEST.as_bytes().split_at(cut);
                    client.send(rest);
                    let adopted = h.service.adopt(&client.socket(), received, Opening::Request);
                    let full = (0..3).all(|slot| h.service.client(slot).is_some());
                    let too_many = clients_per_address > 0 && adopted == Err(AdoptError::AddressFull);
                    prop_assert!(adopted.is_ok() || full || too_many);
                    if adopted.is_ok() {
                        clients.push(client);
                    }
                }
            }
            h.settle();
        }
        Harness::set_buffers(true);
        // Silence ends all of them, whatever their state is.
        h.pass(60_000);
        h.assert_all_closed();
        prop_assert!(h.service.port().state.lock().backlog.is_empty(), "no client waits for ever");
        let events = h.events();
        for slot in 0..3 {
            let of_slot: Vec<_> = events.iter().filter_map(|event| {
                let (who, what) = event.split_once(' ')?;
                (who == slot.to_string()).then_some(what)
            }).collect();
            let mut state = "closed";
            for what in of_slot {
                state = match (state, what) {
                    ("closed", "connecting") => "connecting",
                    ("connecting", "connected /chat") => "connected",
                    ("connecting" | "connected", "closing") => "closing",
                    ("closing", "closed") => "closed",
                    ("closing", what) if what.starts_with("close frame") => "closing",
                    ("connecting" | "connected", "timeout" | "tlsfailed") => state,
                    ("connected", "invalidframe" | "writable") => state,
                    ("connected", what) => {
                        let data = ["text", "binary", "piece", "ping", "pong", "close frame"];
                        prop_assert!(data.iter().any(|data| what.starts_with(data)), "{}", what);
                        state
                    }
                    (state, what) => panic!("{what} while {state}: {events:?}"),
                };
            }
            prop_assert_eq!(state, "closed");
        }
        for client in &clients {
            received(&client.take());
        }
    }
}
