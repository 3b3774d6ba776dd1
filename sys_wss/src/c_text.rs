// SPDX-License-Identifier: Apache-2.0
//! The texts of a request as C has them.

use core::ffi::CStr;

use wss::Request;

/// One of the texts of a request, ended by NUL where it is kept. `None` for other texts.
pub fn c_text<'a>(request: &Request<'a>, text: &str) -> Option<&'a CStr> {
    let kept = request.to_bytes();
    let from = text.as_ptr().addr().checked_sub(kept.as_ptr().addr());
    let found = match from.and_then(|from| kept.get(from..)) {
        Some(kept) => CStr::from_bytes_until_nul(kept).ok(),
        // A path that was left out is none of the texts that are kept.
        None => Some(c"/"),
    };
    found.filter(|found| found.to_bytes() == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use wss::protocol::{Incoming, Step};

    use super::*;

    /// Does something with what is kept of a request with this target.
    fn with_request(target: &str, test: impl FnOnce(&Request<'_>)) {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost:8000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v2, chat\r\nOrigin: http://localhost\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut incoming = Incoming::new(vec![0; 1000], 1000, false);
        assert!(incoming.preload(request.as_bytes()));
        assert_eq!(incoming.step(), Step::Request);
        test(&incoming.request().unwrap());
    }

    #[test]
    fn every_text_of_a_request_is_one_in_c() {
        with_request("/chat?room=1", |request| {
            let texts = [request.path(), request.query().unwrap(), request.host()];
            let texts = texts.into_iter().chain([request.key()]);
            for text in texts.chain(request.subprotocols()).chain(request.origin()) {
                let found = c_text(request, text).map(CStr::to_bytes);
                assert_eq!(found, Some(text.as_bytes()), "{text}");
            }
            assert_eq!(c_text(request, "chat"), None);
        });
    }

    #[test]
    fn a_path_that_is_left_out_is_one_too() {
        with_request("ws://h?b", |request| {
            assert_eq!(c_text(request, request.path()), Some(c"/"));
            assert_eq!(c_text(request, request.query().unwrap()), Some(c"b"));
        });
    }
}
