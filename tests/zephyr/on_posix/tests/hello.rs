// SPDX-License-Identifier: Apache-2.0
//! The first message of a TLS handshake: its last byte is kept back.

use wss_zephyr::internal::Hello;

/// A ClientHello of `len` bytes in records of at most `most`.
fn hello(len: u16, most: usize) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    let mut message = vec![1, 0, high, low];
    message.extend(std::iter::repeat_n(7, len.into()));
    let record = |part: &[u8]| {
        let len = u16::try_from(part.len()).expect("a record").to_be_bytes();
        [&[22, 3, 1], &len[..], part].concat()
    };
    message.chunks(most).flat_map(record).collect()
}

#[test]
fn last_byte_of_a_hello_is_kept_back_however_it_is_split() {
    for most in [1, 3, 4, 5, 100, 400] {
        let bytes = hello(300, most);
        for at in 0..bytes.len() {
            let mut hello = Hello::NONE;
            assert!(hello.is_untouched());
            let (first, second) = bytes.split_at(at);
            assert_eq!(hello.take(first), first.len());
            assert!(!hello.is_complete());
            assert_eq!(hello.take(second), second.len() - 1);
            assert!(hello.is_complete() && !hello.is_over());
            assert_eq!(hello.give_kept(), Some(7));
            assert!(hello.is_over() && !hello.is_complete());
            assert_eq!(hello.take(&[1, 2, 3]), 3);
            assert!(!hello.is_complete());
        }
    }
}

#[test]
fn what_is_no_hello_is_passed_on() {
    let alert = &[21, 3, 3, 0, 2, 2, 40][..];
    for bytes in [alert, b"\x80\x2e\x01\x03", &[22, 3, 1, 0, 4, 1, 0, 0, 0]] {
        let mut hello = Hello::NONE;
        assert_eq!(hello.take(bytes), bytes.len());
        assert!(hello.is_over());
        assert!(!hello.is_untouched());
    }
}
