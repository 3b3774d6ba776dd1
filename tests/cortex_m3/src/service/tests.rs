// SPDX-License-Identifier: Apache-2.0
//! The input of clients, their expected output, and the expected events.

use crate::client::{self, Script};
use crate::{Outcome, check, script, tests};
use core::hint::black_box;
use wss::protocol::CloseCode;
use wss::service::{ClientState, Config, Delivery};
use wss::{ClientId, EventMask, SendError};

use super::application::{Svc, Told};
use super::bytes::{ACCEPTED, REQUEST, long_request, masked, pattern, plain};
use super::with_service;

tests![
    TESTS = messages_are_echoed,
    the_largest_message_is_echoed,
    a_larger_one_is_streamed,
    violations_fail_the_connection,
    requests_are_refused,
    a_request_may_have_4096_bytes,
    a_subprotocol_is_chosen,
    a_third_client_is_turned_away,
    a_slow_client_gets_everything,
    a_silent_client_is_pinged_then_closed,
    a_handshake_has_a_deadline,
    a_client_that_takes_nothing_is_cut_off,
    messages_are_held_and_refused,
    the_application_sends_and_closes,
    stopping_closes_both,
];

/// The events of a connection; in flash, in the section of the scripts.
macro_rules! told {
    ($name:ident = [$($event:ident $(($detail:expr))?),* $(,)?]) => {
        #[unsafe(link_section = ".script")]
        static $name: [Told; [$(stringify!($event)),*].len()] =
            [$((EventMask::$event, 0 $(+ $detail)?)),*];
    };
}

/// Runs a connection in one go, byte by byte, and seven bytes at a time, each on a slot that was used before.
#[inline(never)]
fn session(config: Config, sends: Script, expects: Script, told: &[Told]) -> Outcome {
    with_service(config, |bench| {
        for read_limit in [usize::MAX, 1, 7] {
            bench.service.application().forget();
            bench.call(0, sends, expects);
            client::with(0, |client| client.read_limit = read_limit);
            bench.settle()?;
            check!(client::with(0, |client| client.is_satisfied() && client.closed));
            check!(bench.service.application().told(0, told));
            bench.check_all_free()?;
        }
        Ok(())
    })
}

script!(CALL = [REQUEST]);
script!(ANSWER = [ACCEPTED]);
script!(CLOSE = [masked!(0x88, b"\x03\xe8")]);
script!(CLOSED_1000 = [plain!(0x88, b"\x03\xe8")]);

script!(
    MESSAGES = [
        REQUEST,
        masked!(0x81, b"Hello"),
        masked!(0x82, pattern!(0, 200)),
        masked!(0x01, b"t\xc3"),
        masked!(0x89, b"in between"),
        masked!(0x80, b"\xa4wo"),
        masked!(0x8A, b""),
        masked!(0x88, b"\x03\xe8"),
        b"and what is not taken",
    ]
);
script!(
    ECHOES = [
        ACCEPTED,
        plain!(0x81, b"Hello"),
        plain!(0x82, pattern!(0, 200)),
        plain!(0x8A, b"in between"),
        plain!(0x81, b"t\xc3\xa4wo"),
        plain!(0x88, b"\x03\xe8"),
    ]
);
told!(
    ECHOED = [
        CONNECTING,
        CONNECTED,
        TEXT(5),
        BINARY(200),
        PING(10),
        TEXT(5),
        PONG,
        CLOSE_FRAME(1000),
        CLOSING,
        CLOSED,
    ]
);

fn messages_are_echoed() -> Outcome {
    session(Config::default(), &MESSAGES, &ECHOES, &ECHOED)
}

script!(
    LARGEST = [
        REQUEST,
        masked!(0x82, pattern!(0, 1400)),
        masked!(0x02, pattern!(0, 1399)),
        masked!(0x89, pattern!(9, 125)),
        masked!(0x80, pattern!(1399, 1)),
        masked!(0x88, b""),
    ]
);
script!(
    LARGEST_ECHOED = [
        ACCEPTED,
        plain!(0x82, pattern!(0, 1400)),
        plain!(0x8A, pattern!(9, 125)),
        plain!(0x82, pattern!(0, 1400)),
        plain!(0x88, b""),
    ]
);
told!(
    LARGEST_TOLD = [
        CONNECTING,
        CONNECTED,
        BINARY(1400),
        PING(125),
        BINARY(1400),
        CLOSE_FRAME,
        CLOSING,
        CLOSED,
    ]
);

fn the_largest_message_is_echoed() -> Outcome {
    session(Config::default(), &LARGEST, &LARGEST_ECHOED, &LARGEST_TOLD)
}

script!(
    STREAM = [
        REQUEST,
        masked!(0x82, pattern!(0, 5000)),
        masked!(0x88, b"\x03\xe8"),
    ]
);
script!(
    STREAM_ECHOED = [
        ACCEPTED,
        plain!(0x02, pattern!(0, 1400)),
        plain!(0x00, pattern!(1400, 1400)),
        plain!(0x00, pattern!(2800, 1400)),
        plain!(0x80, pattern!(4200, 800)),
        plain!(0x88, b"\x03\xe8"),
    ]
);
told!(
    STREAM_TOLD = [
        CONNECTING,
        CONNECTED,
        BINARY(1400),
        BINARY(1400),
        BINARY(1400),
        BINARY(800),
        CLOSE_FRAME(1000),
        CLOSING,
        CLOSED,
    ]
);

fn a_larger_one_is_streamed() -> Outcome {
    let config = Config {
        streaming: true,
        ..Config::default()
    };
    session(config, &STREAM, &STREAM_ECHOED, &STREAM_TOLD)
}

told!(
    FAILED = [
        CONNECTING,
        CONNECTED,
        TEXT(6),
        INVALID_FRAME,
        CLOSING,
        CLOSED
    ]
);

/// A valid message, then an invalid frame, then another message.
macro_rules! violation {
    ($bytes:expr, $code:expr) => {{
        script!(
            SENDS = [
                REQUEST,
                masked!(0x81, b"before"),
                $bytes,
                masked!(0x81, b"after")
            ]
        );
        script!(EXPECTS = [ACCEPTED, plain!(0x81, b"before"), plain!(0x88, $code)]);
        session(Config::default(), &SENDS, &EXPECTS, &FAILED)?;
    }};
}

fn violations_fail_the_connection() -> Outcome {
    // A reserved bit; a frame that is not masked.
    violation!(masked!(0xC1, b""), b"\x03\xea");
    violation!(plain!(0x81, b"plain"), b"\x03\xea");
    // Text that is not UTF-8; a close reason that is not.
    violation!(masked!(0x81, b"\xc3\x28"), b"\x03\xef");
    violation!(masked!(0x88, b"\x03\xe8\xff"), b"\x03\xef");
    // One byte too many.
    violation!(masked!(0x82, pattern!(0, 1401)), b"\x03\xf1");
    Ok(())
}

told!(REFUSED = [CONNECTING, CLOSING, CLOSED]);

macro_rules! refused {
    ($request:expr, $response:expr) => {{
        script!(SENDS = [$request, b"and more"]);
        script!(EXPECTS = [$response]);
        session(Config::default(), &SENDS, &EXPECTS, &REFUSED)?;
    }};
}

fn requests_are_refused() -> Outcome {
    refused!(
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 400 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    refused!(
        b"GET /nowhere HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
          Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"HTTP/1.1 404 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    refused!(
        b"POST / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"HTTP/1.1 405 Refused\r\nContent-Length: 0\r\nAllow: GET\r\n\
          Connection: close\r\n\r\n"
    );
    refused!(
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"HTTP/1.1 426 Refused\r\nContent-Length: 0\r\nUpgrade: websocket\r\n\
          Connection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    refused!(
        &long_request::<4097>(),
        b"HTTP/1.1 431 Refused\r\nContent-Length: 0\r\n\
          Connection: close\r\n\r\n"
    );
    Ok(())
}

script!(LONG_CALL = [&long_request::<4096>(), masked!(0x88, b"")]);
script!(ACCEPTED_AND_CLOSED = [ACCEPTED, plain!(0x88, b"")]);
told!(ACCEPTED_TOLD = [CONNECTING, CONNECTED, CLOSE_FRAME, CLOSING, CLOSED]);

fn a_request_may_have_4096_bytes() -> Outcome {
    session(
        Config::default(),
        &LONG_CALL,
        &ACCEPTED_AND_CLOSED,
        &ACCEPTED_TOLD,
    )
}

script!(
    OFFER = [
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: soap, chat\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        masked!(0x88, b""),
    ]
);
script!(
    CHOICE = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Sec-WebSocket-Protocol: soap\r\n\r\n",
        plain!(0x88, b""),
    ]
);

fn a_subprotocol_is_chosen() -> Outcome {
    session(Config::default(), &OFFER, &CHOICE, &ACCEPTED_TOLD)
}

/// Continues with a client's script, and checks that all of the last one was used.
fn play(number: usize, sends: Script, expects: Script) -> Outcome {
    client::with(number, |client| {
        check!(client.is_satisfied());
        client.play(sends, expects);
        Ok(())
    })
}

fn end(number: usize) -> Outcome {
    client::with(number, |client| {
        client.ended = true;
        check!(client.is_satisfied());
        Ok(())
    })
}

script!(FULL = [b"HTTP/1.1 503 Refused\r\nContent-Length: 0\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"]);
script!(A_TEXT = [masked!(0x81, b"text")]);
script!(ITS_ECHO = [plain!(0x81, b"text")]);

fn a_third_client_is_turned_away() -> Outcome {
    with_service(Config::default(), |bench| {
        bench.call(0, &CALL, &ANSWER);
        bench.call(1, &CALL, &ANSWER);
        bench.call(2, &CALL, &FULL);
        bench.settle()?;
        end(2)?;
        check!(client::with(2, |client| client.closed));
        // The others are not affected, and a client that disconnects makes room.
        play(0, &CLOSE, &CLOSED_1000)?;
        play(1, &A_TEXT, &ITS_ECHO)?;
        bench.settle()?;
        bench.call(2, &CALL, &ANSWER);
        bench.settle()?;
        check!(bench.service.state(0) == ClientState::Connected);
        play(1, &CLOSE, &CLOSED_1000)?;
        play(2, &CLOSE, &CLOSED_1000)?;
        bench.settle()?;
        end(1)?;
        end(2)?;
        check!(bench.service.stats().refused_full == 1);
        bench.check_all_free()
    })
}

/// The window opens by 50 bytes at a time, and not at all for a while.
fn a_slow_client_gets_everything() -> Outcome {
    for (sends, expects) in [(&LARGEST[..], &LARGEST_ECHOED[..]), (&MESSAGES, &ECHOES)] {
        with_service(Config::default(), |bench| {
            bench.call(0, sends, expects);
            client::with(0, |client| client.room = 0);
            bench.settle()?;
            bench.pass(5_000)?;
            for _ in 0..70 {
                client::with(0, |client| client.room = 50);
                bench.settle()?;
            }
            end(0)?;
            check!(client::with(0, |client| client.closed));
            bench.check_all_free()
        })?;
    }
    Ok(())
}

script!(PING_1 = [plain!(0x89, b"wss\x01")]);
script!(PONG_1 = [masked!(0x8A, b"wss\x01")]);
script!(PING_2 = [plain!(0x89, b"wss\x02")]);
told!(SILENT = [CONNECTING, CONNECTED, TIMEOUT, CLOSING, CLOSED]);

fn a_silent_client_is_pinged_then_closed() -> Outcome {
    with_service(Config::default(), |bench| {
        bench.call(0, &CALL, &ANSWER);
        bench.settle()?;
        bench.pass(14_900)?;
        play(0, &[], &PING_1)?;
        bench.pass(200)?;
        // It answers, and is not pinged again for as long.
        play(0, &PONG_1, &[])?;
        bench.pass(14_900)?;
        play(0, &[], &PING_2)?;
        bench.pass(200)?;
        play(0, &[], &[])?;
        bench.pass(14_800)?;
        play(0, &[], &CLOSED_1000)?;
        bench.pass(200)?;
        // It gets no closing handshake (interface.md, event 11).
        check!(client::with(0, |client| client.closed));
        check!(bench.service.application().told(0, &SILENT));
        bench.check_all_free()
    })
}

script!(START = [b"GET / HTTP/1.1\r\n"]);
told!(LATE = [CONNECTING, TIMEOUT, CLOSING, CLOSED]);

fn a_handshake_has_a_deadline() -> Outcome {
    with_service(Config::default(), |bench| {
        bench.call(0, &START, &[]);
        bench.settle()?;
        bench.pass(9_900)?;
        check!(bench.service.state(0) == ClientState::Connecting);
        bench.pass(200)?;
        check!(bench.service.application().told(0, &LATE));
        bench.check_all_free()
    })
}

fn a_client_that_takes_nothing_is_cut_off() -> Outcome {
    with_service(Config::default(), |bench| {
        bench.call(0, &CALL, &ANSWER);
        bench.settle()?;
        client::with(0, |client| client.room = 3);
        play(0, &A_TEXT, &ITS_ECHO)?;
        bench.pass(9_900)?;
        check!(bench.service.state(0) == ClientState::Connected);
        bench.pass(300)?;
        check!(bench.service.stats().aborted == 1);
        bench.check_all_free()
    })
}

script!(TWO_TEXTS = [masked!(0x81, b"text"), masked!(0x81, b"text")]);
script!(TWO_ECHOES = [plain!(0x81, b"text"), plain!(0x81, b"text")]);
told!(
    HELD = [
        CONNECTING,
        CONNECTED,
        TEXT(4),
        TEXT(4),
        TEXT(4),
        CLOSING,
        CLOSED
    ]
);

fn messages_are_held_and_refused() -> Outcome {
    with_service(Config::default(), |bench| {
        let application = bench.service.application();
        application.delivery.set(Delivery::Held);
        bench.call(0, &CALL, &ANSWER);
        bench.settle()?;
        play(0, &TWO_TEXTS, &TWO_ECHOES)?;
        bench.settle()?;
        // The next one is not even read before both are released.
        play(0, &A_TEXT, &ITS_ECHO)?;
        let Some(client) = bench.service.client(0) else {
            return Err(line!());
        };
        let release: fn(&Svc, ClientId) = black_box(Svc::release);
        release(bench.service, client);
        bench.settle()?;
        check!(client::with(0, |client| client.is_readable()));
        application.delivery.set(Delivery::Full);
        release(bench.service, client);
        bench.settle()?;
        check!(client::with(0, |client| !client.is_readable()));
        // It was read, but there is no room for it until now.
        application.delivery.set(Delivery::Done);
        let room: fn(&Svc) = black_box(Svc::room);
        room(bench.service);
        bench.settle()?;
        end(0)?;
        bench.settle()?;
        check!(application.told(0, &HELD));
        bench.check_all_free()
    })
}

script!(
    SAID = [
        plain!(0x81, b"text"),
        plain!(0x89, b"?"),
        plain!(0x88, b"\x0f\xa0bye"),
    ]
);
script!(BYE = [masked!(0x88, b"\x0f\xa0")]);

/// Like a thread of the application.
fn the_application_sends_and_closes() -> Outcome {
    type Send = fn(&Svc, ClientId, &str) -> Result<(), SendError>;
    type Ping = fn(&Svc, ClientId, &[u8]) -> Result<(), SendError>;
    type Close = fn(&Svc, ClientId, CloseCode, &str) -> Result<(), SendError>;
    let (send, ping): (Send, Ping) = black_box((Svc::send_text, Svc::ping));
    let (close, announce): (Close, fn(&Svc, EventMask)) = black_box((Svc::close, Svc::announce));
    with_service(Config::default(), |bench| {
        let service = bench.service;
        bench.call(0, &CALL, &ANSWER);
        bench.settle()?;
        announce(service, EventMask::LINK_UP);
        bench.settle()?;
        check!(
            service
                .application()
                .told(usize::MAX, &[(EventMask::LINK_UP, 0)])
        );
        play(0, &[], &SAID)?;
        let (Some(client), Some(bye)) = (service.client(0), CloseCode::new(4000)) else {
            return Err(line!());
        };
        check!(send(service, client, "text").is_ok());
        check!(ping(service, client, b"?").is_ok());
        check!(close(service, client, bye, "bye").is_ok());
        check!(send(service, client, "x") == Err(SendError::NotConnected));
        bench.settle()?;
        play(0, &BYE, &[])?;
        bench.settle()?;
        end(0)?;
        check!(client::with(0, |client| client.closed));
        bench.check_all_free()
    })
}

script!(GOING_AWAY = [plain!(0x88, b"\x03\xe9")]);

fn stopping_closes_both() -> Outcome {
    with_service(Config::default(), |bench| {
        bench.call(0, &CALL, &ANSWER);
        bench.call(1, &CALL, &ANSWER);
        bench.settle()?;
        play(0, &[], &GOING_AWAY)?;
        play(1, &[], &GOING_AWAY)?;
        let stop: fn(&Svc) = black_box(Svc::stop);
        stop(bench.service);
        bench.settle()?;
        // One answers; the other's time runs out.
        play(0, &CLOSE, &[])?;
        bench.settle()?;
        end(0)?;
        check!(client::with(0, |client| client.closed));
        check!(client::with(1, |client| !client.closed));
        bench.pass(5_300)?;
        end(1)?;
        check!(client::with(1, |client| client.closed));
        let wait_stopped: fn(&Svc) -> bool = black_box(Svc::wait_stopped);
        check!(wait_stopped(bench.service));
        bench.check_all_free()
    })
}
