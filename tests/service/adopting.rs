// SPDX-License-Identifier: Apache-2.0
//! Adopting connections that were accepted elsewhere.

use wss::Verdict;
use wss::protocol::Status;
use wss::service::{AdoptError, ClientState, Config, Opening};

use crate::harness::{ACCEPTED, Client, Harness, REQUEST, RX, echo, frame, ignore, server_frame};

#[test]
fn a_request_that_was_read_elsewhere_is_answered() {
    let session = [
        REQUEST.as_bytes(),
        &frame(0x81, b"early"),
        &frame(0x81, b"late"),
    ]
    .concat();
    // However much of it the others have received.
    for cut in 0..=session.len() {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = Client::elsewhere();
        let (received, rest) = session.split_at(cut);
        let id = h
            .service
            .adopt(&client.socket(), received, Opening::Request);
        assert_eq!(h.service.client(0), Some(id.unwrap()));
        client.send(rest);
        h.settle();
        let expected = [
            "0 connecting",
            "0 connected /chat",
            "0 text early",
            "0 text late",
        ];
        assert_eq!(h.events(), expected, "{cut} bytes received");
        let output = [
            ACCEPTED.as_bytes(),
            &server_frame(0x81, b"early"),
            &server_frame(0x81, b"late"),
        ];
        assert_eq!(client.take(), output.concat());
        client.eof();
        h.settle();
        assert_eq!(h.events(), ["0 closing", "0 closed"]);
        h.assert_all_closed();
    }
}

#[test]
fn a_connection_that_was_upgraded_elsewhere_goes_on_with_frames() {
    let mut h = Harness::new(1, Config::default(), echo);
    h.service
        .application()
        .verdict
        .set(Verdict::refuse(Status::FORBIDDEN));
    let client = Client::elsewhere();
    let first = frame(0x81, b"first");
    let adopted = h
        .service
        .adopt(&client.socket(), &first[..3], Opening::Upgraded);
    let id = adopted.unwrap();
    // Messages can be sent to it at once.
    assert_eq!(h.service.state(0), ClientState::Connected);
    assert_eq!(
        h.as_thread(1, |service| service.send_text(id, "hello")),
        Ok(())
    );
    client.send(&first[3..]);
    h.settle();
    assert_eq!(h.events(), ["0 connecting", "0 connected ", "0 text first"]);
    let output = [server_frame(0x81, b"hello"), server_frame(0x81, b"first")];
    assert_eq!(client.take(), output.concat());
    assert_eq!(
        (h.service.stats().accepted, h.service.stats().connected),
        (1, 1)
    );
    client.send(&frame(0x88, b"\x03\xe8"));
    client.eof();
    h.settle();
    assert_eq!(h.events(), ["0 close frame 1000", "0 closing", "0 closed"]);
    h.assert_all_closed();
}

#[test]
fn an_adopted_request_is_asked_about_like_any_other() {
    let mut h = Harness::new(1, Config::default(), echo);
    h.service.application().verdict.set(Verdict::Later);
    let client = Client::elsewhere();
    let id = h
        .service
        .adopt(&client.socket(), REQUEST.as_bytes(), Opening::Request);
    h.settle();
    assert!(client.take().is_empty());
    assert_eq!(h.service.answer(id.unwrap(), Verdict::accept()), Ok(()));
    h.settle();
    assert_eq!(client.take(), ACCEPTED.as_bytes());
}

#[test]
fn the_handshake_deadline_of_an_adopted_connection_begins_with_its_adoption() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = Client::elsewhere();
    let half = &REQUEST.as_bytes()[..20];
    assert!(
        h.service
            .adopt(&client.socket(), half, Opening::Request)
            .is_ok()
    );
    h.pass(10_200);
    assert_eq!(
        h.events(),
        ["0 connecting", "0 timeout", "0 closing", "0 closed"]
    );
    assert!(client.is_closed());
}

#[test]
fn a_connection_for_which_there_is_no_slot_stays_the_callers() {
    let mut h = Harness::new(2, Config::default(), ignore);
    let _others = [h.connected(), h.connected()];
    let client = Client::elsewhere();
    for opening in [Opening::Request, Opening::Upgraded] {
        let adopted = h.service.adopt(&client.socket(), b"", opening);
        assert_eq!(adopted, Err(AdoptError::Full));
    }
    h.settle();
    assert!(!client.is_closed());
    assert!(client.take().is_empty());
    assert_eq!(h.service.stats().refused_full, 0, "no client was rejected");
    // The last free one can be used.
    _others[0].eof();
    h.settle();
    assert!(
        h.service
            .adopt(&client.socket(), b"", Opening::Upgraded)
            .is_ok()
    );
    assert_eq!(h.service.client(0).unwrap().generation(), 1);
}

#[test]
fn a_request_longer_than_the_receive_buffer_is_parsed_as_it_is_taken() {
    let long = format!("\r\nCookie: {}\r\n\r\n", "x".repeat(3_000));
    let request = REQUEST.replace("\r\n\r\n", &long);
    let bytes = [request.as_bytes(), &frame(0x81, b"first")].concat();
    for cut in [500, 3_000, request.len(), bytes.len()] {
        let mut h = Harness::new(1, Config::default(), echo);
        let client = Client::elsewhere();
        let adopted = h
            .service
            .adopt(&client.socket(), &bytes[..cut], Opening::Request);
        assert!(adopted.is_ok());
        client.send(&bytes[cut..]);
        h.settle();
        assert_eq!(
            client.take(),
            [ACCEPTED.as_bytes(), &server_frame(0x81, b"first")].concat()
        );
    }
    // The limits are those of any request, and what follows a bad one does not matter.
    for (bad, status) in [
        (format!("GET /{} HTTP/1.1\r\n", "y".repeat(4_000)), "414"),
        (
            REQUEST.replace(
                "\r\n\r\n",
                &format!("\r\nCookie: {}\r\n\r\n", "x".repeat(5_000)),
            ),
            "431",
        ),
        (format!("NONSENSE\r\n{}", "z".repeat(9_000)), "400"),
    ] {
        let mut h = Harness::new(1, Config::default(), ignore);
        let client = Client::elsewhere();
        let adopted = h
            .service
            .adopt(&client.socket(), bad.as_bytes(), Opening::Request);
        assert!(adopted.is_ok());
        h.settle();
        let said = String::from_utf8(client.take()).unwrap();
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        client.eof();
        h.settle();
        assert_eq!(h.events(), ["0 connecting", "0 closing", "0 closed"]);
        h.assert_all_closed();
    }
}

#[test]
fn more_frames_than_the_receive_buffer_takes_are_refused() {
    let room = RX + wss::protocol::OVERHEAD;
    let mut h = Harness::new(1, Config::default(), echo);
    let client = Client::elsewhere();
    let mut frames = frame(0x82, &[1; 100]).repeat(10);
    let too_long = h
        .service
        .adopt(&client.socket(), &frames[..=room], Opening::Upgraded);
    assert_eq!(too_long, Err(AdoptError::TooLong));
    // Of a request as much as it takes is dropped, of what comes behind it nothing.
    let both = [REQUEST.as_bytes(), &frames].concat();
    let too_long = h.service.adopt(&client.socket(), &both, Opening::Request);
    assert_eq!(too_long, Err(AdoptError::TooLong));
    h.settle();
    assert_eq!(h.events(), [""; 0], "there is no event");
    assert!(!client.is_closed());
    // As much as there is room for is right, and the slot is as good as new.
    frames.truncate(room);
    assert!(
        h.service
            .adopt(&client.socket(), &frames, Opening::Upgraded)
            .is_ok()
    );
    h.settle();
    assert_eq!(h.events().len(), 2 + room / 106);
    assert_eq!(
        client.take(),
        server_frame(0x82, &[1; 100]).repeat(room / 106)
    );
}

#[test]
fn nothing_is_adopted_while_the_service_ends() {
    let mut h = Harness::new(1, Config::default(), ignore);
    h.service.stop();
    let client = Client::elsewhere();
    let adopted = h.service.adopt(&client.socket(), b"", Opening::Upgraded);
    assert_eq!(adopted, Err(AdoptError::Stopping));
    h.settle();
    let adopted = h.service.adopt(&client.socket(), b"", Opening::Upgraded);
    assert_eq!(adopted, Err(AdoptError::Stopping));
    assert!(h.service.wait_stopped());
    assert!(!client.is_closed());
}

#[test]
fn an_adopted_client_is_closed_at_the_end_like_any_other() {
    let mut h = Harness::new(1, Config::default(), ignore);
    let client = Client::elsewhere();
    assert!(
        h.service
            .adopt(&client.socket(), b"", Opening::Upgraded)
            .is_ok()
    );
    h.service.stop();
    h.settle();
    assert_eq!(client.take(), server_frame(0x88, b"\x03\xe9"));
    client.eof();
    h.settle();
    assert_eq!(
        h.events(),
        ["0 connecting", "0 connected ", "0 closing", "0 closed"]
    );
    h.assert_all_closed();
}
