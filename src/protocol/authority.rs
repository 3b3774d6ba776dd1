// SPDX-License-Identifier: Apache-2.0
//! The grammar of hosts and ports (RFC 3986 section 3.2), for requests and origins.

/// Returns whether this is `uri-host [":" port]` with a non-empty host (RFC 9110 section 4.2.1). A port may be empty,
/// or any number.
#[inline(never)] // for size
pub(super) fn is_authority(text: &[u8]) -> bool {
    let literal = text.strip_prefix(b"[");
    let (text, end) = literal.map_or((text, b':'), |literal| (literal, b']'));
    let host_len = text
        .iter()
        .position(|byte| *byte == end)
        .unwrap_or(text.len());
    let Some((host, mut rest)) = text.split_at_checked(host_len) else {
        return false;
    };
    if literal.is_some() {
        // Later versions of IP addresses ("[v1.…]") are not supported.
        match rest {
            [_, port @ ..] if is_address(host) => rest = port,
            _ => return false,
        }
    } else if host.is_empty() || !consists_of(host, NAME) {
        return false;
    }
    rest.is_empty()
        || rest
            .strip_prefix(b":")
            .is_some_and(|port| port.iter().all(u8::is_ascii_digit))
}

/// A set of ASCII characters, a bit each.
type Set = [u32; 4];

// Evaluated at compile time, where a mistake is an error.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
const fn set(others: &[u8]) -> Set {
    let mut set = [0; 4];
    let mut byte = 0_u8;
    while byte < 128 {
        let mut is_one = byte.is_ascii_alphanumeric();
        let mut at = 0;
        while at < others.len() {
            is_one |= others[at] == byte;
            at += 1;
        }
        if is_one {
            set[byte as usize / 32] |= 1 << (byte % 32);
        }
        byte += 1;
    }
    set
}

/// The characters of a token (RFC 9110 section 5.6.2).
const TOKEN: &Set = &set(b"!#$%&'*+-.^_`|~");
/// The characters of a registered name: unreserved characters, sub-delimiters, and the percent sign of escapes.
const NAME: &Set = &set(b"-._~!$&'()*+,;=%");

/// The digits of Base64.
const BASE64: &Set = &set(b"+/");
/// The characters of an IPv6 address: hexadecimal digits, the colon and the dot.
const ADDRESS: &Set = &[0, 0x07FF_4000, 0x7E, 0x7E];
/// The characters of a target, which was checked, and the NUL before the query.
const TARGET: &Set = &[!0; 4];

#[inline(never)] // for size
fn is_in(byte: u8, set: &Set) -> bool {
    let bits = set.get(usize::from(byte / 32)).copied().unwrap_or_default();
    bits >> (byte % 32) & 1 != 0
}

/// Returns whether all of these are digits of Base64 (RFC 4648 section 4).
pub(super) fn is_base64(text: &[u8]) -> bool {
    consists_of(text, BASE64)
}

/// Returns whether this is a character of a token.
pub(super) fn is_token(byte: u8) -> bool {
    is_in(byte, TOKEN)
}

/// Returns whether two hexadecimal digits follow each percent sign of a target (RFC 3986 section 2.1).
pub(super) fn has_valid_escapes(target: &[u8]) -> bool {
    consists_of(target, TARGET)
}

/// Returns whether all characters are in the set, and two hexadecimal digits follow each percent sign.
#[inline(never)] // for size
fn consists_of(text: &[u8], set: &Set) -> bool {
    let mut digits = 0_u8;
    for byte in text {
        let is_valid = if digits > 0 {
            byte.is_ascii_hexdigit()
        } else {
            is_in(*byte, set)
        };
        if !is_valid {
            return false;
        }
        digits = if *byte == b'%' {
            2
        } else {
            digits.saturating_sub(1)
        };
    }
    digits == 0
}

/// Returns whether this may be an IPv6 address. With `compact` it only has to look like one.
fn is_address(literal: &[u8]) -> bool {
    if cfg!(any(feature = "compact", not(feature = "packages"))) {
        #[allow(clippy::manual_contains)] // it is faster, and much longer
        let has_colon = literal.iter().any(|byte| *byte == b':');
        has_colon && consists_of(literal, ADDRESS)
    } else {
        is_ipv6(literal)
    }
}

/// Returns whether this is an IPv6 address: eight groups, where one double colon may replace one or more, and an IPv4
/// address the last two.
#[inline(never)] // for size
fn is_ipv6(mut text: &[u8]) -> bool {
    if let [b':', rest @ ..] = text {
        if rest.first() != Some(&b':') {
            return false;
        }
        // After a group, the second colon makes it a double colon.
        text = rest;
    }
    let (mut groups, mut doubles, mut dots) = (0_u32, 0_u32, 0_u32);
    let (mut digits, mut value) = (0_u32, 0_u32);
    let mut may_end = false;
    for byte in text {
        match byte {
            b':' if dots == 0 && digits <= 4 => {
                may_end = digits == 0;
                doubles = doubles.wrapping_add(u32::from(may_end));
                groups = groups.wrapping_add(u32::from(!may_end));
                (digits, value) = (0, 0);
            }
            b'.' if is_octet(digits, value) => {
                dots = dots.wrapping_add(1);
                (digits, value) = (0, 0);
                may_end = false;
            }
            _ => {
                let Some(digit) = char::from(*byte).to_digit(16) else {
                    return false;
                };
                digits = digits.wrapping_add(1);
                value = value << 4 | digit;
            }
        }
    }
    if dots > 0 {
        groups = groups.wrapping_add(2);
        may_end = dots == 3 && is_octet(digits, value);
    } else if digits > 0 {
        groups = groups.wrapping_add(1);
        may_end = digits <= 4;
    }
    may_end && (doubles == 0 && groups == 8 || doubles == 1 && groups < 8)
}

/// Returns whether these digits, four bits each, are a decimal number up to 255 without leading zeros.
#[inline(never)] // for size
const fn is_octet(digits: u32, value: u32) -> bool {
    let is_decimal = value & 0xF < 10 && value & 0xF0 < 0xA0 && value <= 0x255;
    let least = match digits {
        1 => 0,
        2 => 0x10,
        3 => 0x100,
        _ => return false,
    };
    is_decimal && least <= value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for right in [
            "h",
            "h:",
            "h:80",
            "h:99999",
            "192.0.2.1:8000",
            "device.local",
            "a_b~c!$&'()*+,;=",
            "a%2Fb",
            "[::1]",
            "[::1]:",
            "[::1]:80",
            "[::]",
            "[1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7::]",
            "[::192.0.2.1]",
            "[64:ff9b::192.0.2.255]",
            "[1:2:3:4:5:6:192.0.2.1]",
            "[FE80::1]",
        ] {
            assert!(is_authority(right.as_bytes()), "{right}");
        }
        for wrong in [
            "",
            ":",
            ":80",
            "a:b",
            "a:b:c",
            "a::",
            "h:8 0",
            "h:-1",
            "u@h",
            "u:p@h",
            "h/",
            "h?",
            "h#",
            "h\\",
            "h%",
            "h%2",
            "h%zz",
            "a b",
            "a\"b",
            "a<b",
            "a^b",
            "a`b",
            "a|b",
            "a{b",
            "a[b",
            "a]b",
            "\u{e9}",
            "[",
            "]",
            "[]",
            "[::1",
            "::1",
            "::1]",
            "[::1]80",
            "[::1]x:80",
            "[::1]:x",
            "[::1]]",
            "[[::1]]",
            "[1]",
            "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]",
            "[1:2:3:4:5:6:7:8::]",
            "[1::2::3]",
            "[:::]",
            "[:1]",
            "[1:]",
            "[12345::]",
            "[g::]",
            "[::1.2.3]",
            "[::1.2.3.256]",
            "[::1.2.3.04]",
            "[::1.2.3.4.5]",
            "[1.2.3.4]",
            "[::1.2.3.4:1]",
            "[fe80::1%25eth0]",
            "[1:2:3:4:5:6:7:192.0.2.1]",
            "[v1.a]",
            "[vF.a:b]",
            "[v1.a]",
            "[vF.a:b]",
            "[v.a]",
            "[v1.]",
            "[v1a]",
            "[v1.%41]",
            "[vg.a]",
        ] {
            assert!(!is_authority(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn two_digits_follow_a_percent_sign() {
        for right in ["", "a", "%00", "%fF%41b", "a%20"] {
            assert!(has_valid_escapes(right.as_bytes()), "{right}");
        }
        for wrong in ["%", "%a", "%zz", "%4g", "a%4", "%%41", "%4%1", "%41%"] {
            assert!(!has_valid_escapes(wrong.as_bytes()), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn ipv6_addresses_are_those_of_std(
            groups in proptest::collection::vec("[0-9a-fA-F]{1,5}|[0-9]{1,3}(\\.[0-9]{1,3}){3}|", 0..10),
            doubled in 0..9_usize,
        ) {
            let mut text = groups.join(":");
            if let Some(at) = text.match_indices(':').nth(doubled).map(|(at, _)| at) {
                text.insert(at, ':');
            }
            prop_assert_eq!(is_ipv6(text.as_bytes()), text.parse::<Ipv6Addr>().is_ok(), "{}", text);
        }
    }
}
