// SPDX-License-Identifier: Apache-2.0
//! Limits against abuse, with other addresses of the loopback network as other peers.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use wss::host::Options;

use super::client::{BINARY, CONTINUATION, Client, PING, PONG, REQUEST, TEXT, frame};
use super::server::{assert_unharmed, echo_server, eventually, limited};

/// Returns the status of a request that is refused.
fn refusal(client: &mut Client) -> u16 {
    client.stream.write_all(REQUEST.as_bytes()).unwrap();
    client.response().status
}

/// An address of the loopback network.
fn peer(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

#[test]
fn an_address_that_takes_every_slot_it_gets_leaves_the_others_theirs() {
    let options = Options {
        max_clients: 6,
        ..limited(|limits| limits.clients_per_address = 2)
    };
    let (server, log) = echo_server(&options);
    let addr = server.local_addr();
    let mut mine: Vec<_> = (0..2).map(|_| Client::open(addr)).collect();
    for _ in 0..20 {
        assert_eq!(refusal(&mut Client::connect(addr)), 429);
    }
    for last in [2, 3] {
        let mut others: Vec<_> = (0..2)
            .map(|_| Client::connect_from(peer(last), addr).upgraded())
            .collect();
        assert_eq!(refusal(&mut Client::connect_from(peer(last), addr)), 429);
        for client in others.iter_mut().chain(&mut mine) {
            client.echo("in");
        }
        // These disconnect, and others from their address connect.
        drop(others);
        eventually("their slots are free", || {
            server.clients().stats().closed == u32::from(last - 1) * 2
        });
    }
    let stats = server.clients().stats();
    assert_eq!((stats.refused_address, stats.refused_full), (22, 0));
    assert_eq!(stats.accepted, 6);
    drop(mine);
    log.wait_for("closed", 6);
    assert_unharmed(&server);
}

#[test]
fn an_address_of_ipv4_is_the_same_at_a_listener_for_both() {
    let options = Options {
        addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ..limited(|limits| limits.clients_per_address = 1)
    };
    let (server, _log) = echo_server(&options);
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, server.local_addr().port()));
    let mut first = Client::open(addr);
    assert_eq!(refusal(&mut Client::connect(addr)), 429);
    Client::connect_from(peer(2), addr).upgraded().echo("in");
    first.echo("still in");
}

#[test]
fn connections_over_the_handshakes_per_second_are_served_later() {
    let options = Options {
        max_clients: 32,
        ..limited(|limits| limits.handshakes_per_second = 10)
    };
    let (server, _log) = echo_server(&options);
    let addr = server.local_addr();
    let since = Instant::now();
    let mut first = Client::open(addr);
    let mut flood: Vec<_> = (0..24)
        .map(|_| {
            let mut client = Client::connect(addr);
            client.stream.write_all(REQUEST.as_bytes()).unwrap();
            client
        })
        .collect();
    first.echo("quick?");
    for client in &mut flood {
        assert_eq!(client.response().status, 101);
    }
    // 10 at once, and 15 more at 10 a second.
    assert!(since.elapsed() >= Duration::from_millis(1_490));
    assert!(server.clients().stats().accept_pauses > 0);
    drop((first, flood));
    assert_unharmed(&server);
}

#[test]
fn a_flood_of_control_frames_is_closed_with_1008_and_delays_nobody() {
    let (server, log) = echo_server(&limited(|limits| limits.control_frames_per_second = 20));
    let addr = server.local_addr();
    let mut neighbour = Client::open(addr);
    for opcode in [PING, PONG] {
        let mut client = Client::open(addr);
        client.write(&frame(true, opcode, b"").repeat(100));
        if opcode == PING {
            for _ in 0..20 {
                client.expect(PONG, b"");
            }
        }
        client.expect_close(1008, "");
        neighbour.echo("quick?");
    }
    log.wait_for("closed", 2);
    assert_eq!(server.clients().stats().policy_violations, 2);
}

#[test]
fn floods_of_empty_and_tiny_fragments_are_closed_with_1008() {
    let (server, log) = echo_server(&limited(|limits| limits.fragments_per_message = 100));
    let addr = server.local_addr();
    for (closed, payload) in [(1, &b""[..]), (2, b"x")] {
        let mut client = Client::open(addr);
        // As many as there may be, with control frames in between.
        client.write(&frame(false, TEXT, b""));
        for _ in 0..98 {
            client.write(&frame(false, CONTINUATION, payload));
            client.write(&frame(true, PONG, b""));
        }
        client.write(&frame(true, CONTINUATION, b""));
        client.expect(TEXT, &payload.repeat(98));
        let flood = frame(false, CONTINUATION, payload).repeat(100);
        client.write(&[frame(false, BINARY, b""), flood].concat());
        client.expect_close(1008, "");
        drop(client);
        log.wait_for("closed", closed);
    }
    assert_eq!(server.clients().stats().policy_violations, 2);
    assert_unharmed(&server);
}
