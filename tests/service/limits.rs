// SPDX-License-Identifier: Apache-2.0
//! Limits against abuse, on the test's clock.

use wss::service::{AdoptError, ClientState, Config, Delivery, Lock, Opening};
use wss::{CloseCode, Event};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, RX, echo, frame, ignore, server_frame};

/// The default limits, with some changes.
fn limited(limit: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    limit(&mut config);
    config
}

fn per_address(clients: u16) -> Config {
    limited(|limits| limits.clients_per_address = clients)
}

fn per_second(handshakes: u16) -> Config {
    limited(|limits| limits.handshakes_per_second = handshakes)
}

fn control_frames(count: u16) -> Config {
    limited(|limits| limits.control_frames_per_second = count)
}

/// A close frame with 1008.
fn policy_violation() -> Vec<u8> {
    server_frame(0x88, &1008_u16.to_be_bytes())
}

fn is_refused(client: &Client, status: &str) -> bool {
    client
        .take()
        .starts_with(format!("HTTP/1.1 {status}\r\n").as_bytes())
}

// Clients per address.

#[test]
pub fn an_address_with_too_many_clients_gets_429_and_the_others_their_slots() {
    let mut h = Harness::new(8, per_address(2), echo);
    let flood: Vec<_> = (0..50).map(|_| h.connect_from(1)).collect();
    for client in &flood {
        client.send(REQUEST.as_bytes());
    }
    h.settle();
    let (in_time, late) = flood.split_at(2);
    for client in in_time {
        assert_eq!(client.take(), ACCEPTED.as_bytes());
    }
    for client in late {
        assert!(is_refused(client, "429 Too Many Requests"));
    }
    let stats = h.service.stats();
    assert_eq!((stats.accepted, stats.refused_address), (2, 48));
    assert_eq!(stats.refused_full, 0);
    assert_eq!(h.events().len(), 4, "the others have no events");
    for address in 2..8 {
        let client = h.connect_from(address);
        client.send(REQUEST.as_bytes());
        h.settle();
        assert_eq!(client.take(), ACCEPTED.as_bytes());
    }
    // Now every slot is in use.
    let client = h.connect_from(9);
    client.send(REQUEST.as_bytes());
    h.settle();
    assert!(is_refused(&client, "503 Service Unavailable"));
}

#[test]
pub fn a_client_that_leaves_makes_room_for_one_of_its_address() {
    let mut h = Harness::new(4, per_address(1), ignore);
    for _ in 0..5 {
        let client = h.connected();
        client.eof();
        h.settle();
    }
    h.assert_all_closed();
    assert_eq!(h.service.stats().refused_address, 0);
}

#[test]
pub fn a_slot_counts_for_its_address_until_it_is_free() {
    // A client that has disconnected, but whose message the application still holds.
    let mut h = Harness::new(2, per_address(1), |_, _, _, event| match event {
        Event::Text(_) => Delivery::Held,
        _ => Delivery::Done,
    });
    let client = h.connected();
    client.send(&frame(0x81, b"kept"));
    h.settle();
    let id = h.service.client(0).unwrap();
    client.reset();
    h.service.close(id, CloseCode::NORMAL, "").unwrap();
    h.pass(5_200);
    assert_eq!(h.service.state(0), ClientState::Closed);
    let late = h.connect();
    late.send(REQUEST.as_bytes());
    h.settle();
    assert!(is_refused(&late, "429 Too Many Requests"));
    h.service.release(id);
    h.settle();
    h.connected();
}

#[test]
pub fn connections_that_are_adopted_count_for_their_address_too() {
    let mut h = Harness::new(4, per_address(2), ignore);
    let adopt = |h: &Harness, client: &Client| {
        let socket = client.socket();
        let request = REQUEST.as_bytes();
        h.as_thread(1, |service| {
            service.adopt(&socket, request, Opening::Request)
        })
    };
    let adopted = Client::elsewhere();
    adopt(&h, &adopted).unwrap();
    let accepted = h.connected();
    let late = Client::elsewhere();
    assert_eq!(adopt(&h, &late), Err(AdoptError::AddressFull));
    assert!(!late.is_closed(), "it is the caller's as before");
    let refused = h.connect();
    refused.send(REQUEST.as_bytes());
    h.settle();
    assert!(is_refused(&refused, "429 Too Many Requests"));
    accepted.eof();
    h.settle();
    adopt(&h, &late).unwrap();
}

#[test]
pub fn without_a_limit_one_address_may_have_every_slot() {
    let mut h = Harness::new(3, Config::default(), ignore);
    let _clients = [h.connected(), h.connected(), h.connected()];
    assert_eq!(h.service.stats().connected, 3);
}

// Handshakes per second.

/// Returns how many of `clients` were accepted.
fn accepted(clients: &[Client]) -> usize {
    let is_accepted = |client: &&Client| client.0.lock().from_server == ACCEPTED.as_bytes();
    clients.iter().filter(is_accepted).count()
}

#[test]
pub fn connections_over_the_handshakes_per_second_wait_and_none_is_lost() {
    let mut h = Harness::new(40, per_second(10), ignore);
    let clients: Vec<_> = (0..35).map(|_| h.connect()).collect();
    for client in &clients {
        client.send(REQUEST.as_bytes());
    }
    h.settle();
    assert_eq!(accepted(&clients), 10, "a second's worth at once");
    assert_eq!(h.service.stats().accept_pauses, 1);
    for second in 0..2 {
        h.pass(500);
        assert_eq!(accepted(&clients), 15 + second * 10);
        h.pass(500);
        assert_eq!(accepted(&clients), 20 + second * 10);
    }
    h.pass(500);
    assert_eq!(accepted(&clients), 35);
    assert_eq!(h.service.stats().accepted, 35);
    assert!(h.service.stats().accept_pauses > 1);
}

#[test]
pub fn a_pause_in_accepting_delays_no_client() {
    let mut h = Harness::new(4, per_second(1), echo);
    let client = h.connected();
    let waiting = h.connect();
    waiting.send(REQUEST.as_bytes());
    client.send(&frame(0x81, b"quick"));
    h.settle();
    assert_eq!(client.take(), server_frame(0x81, b"quick"));
    assert_eq!(waiting.take(), b"");
    h.pass(1_100);
    assert_eq!(waiting.take(), ACCEPTED.as_bytes());
}

#[test]
pub fn handshakes_within_the_limit_need_no_pause_and_no_timer() {
    let mut h = Harness::new(4, per_second(2), ignore);
    for _ in 0..10 {
        let client = h.connected();
        client.eof();
        h.settle();
        h.pass(500);
    }
    h.pass(20_000);
    assert_eq!(h.service.stats().accept_pauses, 0);
    assert_eq!(h.timer(), None);
}

#[test]
pub fn connections_that_get_no_slot_use_up_no_handshakes() {
    let config = Config {
        clients_per_address: 1,
        ..per_second(2)
    };
    let mut h = Harness::new(2, config, ignore);
    let first = h.connected();
    let flood: Vec<_> = (0..100).map(|_| h.connect()).collect();
    let other = h.connect_from(1);
    other.send(REQUEST.as_bytes());
    h.settle();
    assert_eq!(other.take(), ACCEPTED.as_bytes());
    assert_eq!(h.service.stats().refused_address, 100);
    h.pass(1_000);
    // Nor those that find no slot.
    let more: Vec<_> = (2..50).map(|address| h.connect_from(address)).collect();
    h.settle();
    assert_eq!(h.service.stats().refused_full, 48);
    drop((flood, more));
    first.eof();
    h.settle();
    h.connected();
    assert_eq!(h.service.stats().accept_pauses, 0);
}

#[test]
pub fn a_service_ends_while_accepting_pauses() {
    let mut h = Harness::new(4, per_second(1), ignore);
    let client = h.connected();
    let waiting = h.connect();
    h.settle();
    assert_eq!(h.service.stats().accept_pauses, 1);
    h.service.stop();
    h.settle();
    client.send(&frame(0x88, &[3, 233]));
    client.eof();
    h.pass(2_000);
    h.assert_all_closed();
    assert_eq!(waiting.take(), b"");
}

// Control frames per second.

#[test]
pub fn too_many_pings_in_a_second_fail_with_1008() {
    let mut h = Harness::new(1, control_frames(5), ignore);
    let client = h.connected();
    h.events();
    let pings: Vec<u8> = (0..8).flat_map(|_| frame(0x89, b"")).collect();
    client.send(&[pings, frame(0x81, b"after")].concat());
    h.settle();
    // Five are answered. The sixth fails the connection, and nothing after it is handled.
    let pongs = server_frame(0x8A, b"").repeat(5);
    assert_eq!(client.take(), [pongs, policy_violation()].concat());
    client.eof();
    h.settle();
    let mut expected = vec!["0 ping "; 5];
    expected.extend(["0 closing", "0 closed"]);
    assert_eq!(h.events(), expected, "RFC 6455 was not broken");
    let stats = h.service.stats();
    assert_eq!((stats.policy_violations, stats.protocol_errors), (1, 0));
    h.assert_all_closed();
}

#[test]
pub fn unsolicited_pongs_count_as_pings_do() {
    let mut h = Harness::new(1, control_frames(3), ignore);
    let client = h.connected();
    client.send(
        &[
            frame(0x8A, b"a"),
            frame(0x89, b"b"),
            frame(0x8A, b"c"),
            frame(0x8A, b"d"),
        ]
        .concat(),
    );
    h.settle();
    let output = [server_frame(0x8A, b"b"), policy_violation()].concat();
    assert_eq!(client.take(), output);
}

#[test]
pub fn control_frames_within_the_limit_may_go_on_for_ever() {
    let mut h = Harness::new(1, control_frames(5), ignore);
    let client = h.connected();
    for _ in 0..200 {
        client.send(&frame(0x89, b"."));
        h.pass(200);
        assert_eq!(client.take(), server_frame(0x8A, b"."));
    }
    // The burst is that of one second.
    h.pass(1_000);
    client.send(&frame(0x89, b".").repeat(5));
    h.settle();
    assert_eq!(client.take(), server_frame(0x8A, b".").repeat(5));
    assert_eq!(h.service.stats().policy_violations, 0);
}

#[test]
pub fn pongs_that_were_asked_for_do_not_count() {
    let mut h = Harness::new(1, control_frames(1), ignore);
    let client = h.connected();
    let id = h.service.client(0).unwrap();
    for _ in 0..20 {
        h.service.ping(id, b"app").unwrap();
    }
    // To the service's own pings neither.
    h.pass(15_200);
    let output = client.take();
    let pings = server_frame(0x89, b"app").repeat(20);
    let keep_alive = output.strip_prefix(pings.as_slice()).unwrap();
    assert_eq!(keep_alive, server_frame(0x89, b"wss\x01"));
    client.send(&frame(0x8A, b"app").repeat(20));
    client.send(&frame(0x8A, b"wss\x01"));
    client.send(&frame(0x89, b"own"));
    h.settle();
    assert_eq!(client.take(), server_frame(0x8A, b"own"));
    // But not more of them than there were pings.
    client.send(&frame(0x8A, b"app"));
    h.settle();
    assert_eq!(client.take(), policy_violation());
}

#[test]
pub fn each_client_has_a_limit_of_its_own_and_starts_afresh() {
    let mut h = Harness::new(2, control_frames(2), ignore);
    let (flooding, neighbour) = (h.connected(), h.connected());
    flooding.send(&frame(0x89, b"").repeat(3));
    neighbour.send(&frame(0x89, b"").repeat(2));
    h.settle();
    assert!(flooding.take().ends_with(&policy_violation()));
    assert_eq!(neighbour.take(), server_frame(0x8A, b"").repeat(2));
    flooding.eof();
    h.settle();
    let next = h.connected();
    next.send(&frame(0x89, b"").repeat(2));
    h.settle();
    assert_eq!(next.take(), server_frame(0x8A, b"").repeat(2));
}

// Fragments per message.

#[test]
pub fn a_message_of_too_many_fragments_fails_with_1008() {
    for streaming in [false, true] {
        let config = limited(|limits| {
            limits.fragments_per_message = 4;
            limits.streaming = streaming;
        });
        let mut h = Harness::new(1, config, echo);
        // The slot is used again, and the limit still applies.
        for _ in 0..2 {
            let client = h.connected();
            h.events();
            let next = frame(0x00, b"").repeat(2);
            let four = [frame(0x01, b"f"), next.clone(), frame(0x80, b"our")].concat();
            client.send(&four);
            h.settle();
            assert_eq!(client.take(), server_frame(0x81, b"four"));
            client.send(&[frame(0x01, b"f"), next, frame(0x00, b"").repeat(100)].concat());
            h.settle();
            assert_eq!(client.take(), policy_violation());
            client.eof();
            h.settle();
            assert_eq!(h.events(), ["0 text four", "0 closing", "0 closed"]);
        }
        assert_eq!(h.service.stats().policy_violations, 2);
        h.assert_all_closed();
    }
}

#[test]
pub fn a_client_that_sends_without_a_pause_lets_the_others_be_polled_for() {
    let mut h = Harness::new(2, Config::default(), echo);
    let (flooding, neighbour) = (h.connected(), h.connected());
    flooding.send(&frame(0x82, &[7; RX]).repeat(20));
    assert!(h.serve());
    neighbour.send(&frame(0x81, b"me too"));
    // While there is work, the serving thread does not poll.
    let mut runs = 0;
    while h.work() {
        runs += 1;
    }
    assert_eq!(runs, 3);
    assert!(!flooding.0.lock().to_server.is_empty());
    assert!(h.serve());
    while h.work() {}
    assert_eq!(neighbour.take(), server_frame(0x81, b"me too"));
    assert!(!flooding.0.lock().to_server.is_empty());
    h.settle();
    let all = server_frame(0x82, &[7; RX]).repeat(20);
    assert_eq!(flooding.take(), all);
}
