// SPDX-License-Identifier: Apache-2.0
//! Converts Kconfig options to constants. Zephyr's build passes the file with the options; without it, as when the
//! crate is only checked, the constants have the defaults of Kconfig.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use wss::protocol::{check_field_names, check_origin};

/// Numbers: the option, and its default.
const NUMBERS: [(&str, u32); 25] = [
    ("WSS_PORT", 8000),
    ("WSS_SERVERS", 1),
    ("WSS_MAX_CLIENTS", 2),
    ("WSS_RX_BUFFER_SIZE", 1400),
    ("WSS_TX_BLOCKS", 1),
    ("WSS_HANDSHAKE_SIZE", 4096),
    ("WSS_HANDSHAKE_TIMEOUT_MS", 10_000),
    ("WSS_CLIENT_TIMEOUT_MS", 30_000),
    ("WSS_PING_INTERVAL_MS", 15_000),
    ("WSS_SEND_TIMEOUT_MS", 10_000),
    ("WSS_CLOSE_TIMEOUT_MS", 5_000),
    ("WSS_HOLD_TIMEOUT_MS", 30_000),
    ("WSS_CLIENTS_PER_ADDRESS", 0),
    ("WSS_HANDSHAKES_PER_SECOND", 0),
    ("WSS_CONTROL_FRAMES_PER_SECOND", 0),
    ("WSS_FRAGMENTS_PER_MESSAGE", 0),
    ("WSS_LOGIN_FAILURES_PER_MINUTE", 0),
    ("WSS_PEER_SIZE", 0),
    ("WSS_REQUEST_SIZE", 0),
    ("WSS_QUEUES", 0),
    ("WSS_QUEUE_DEPTH", 8),
    ("WSS_LISTENERS", 1),
    ("WSS_TLS_HANDSHAKES", 2),
    ("WSS_TLS_IN_SIZE", 4096),
    ("WSS_LOG_LEVEL", 3),
];
/// Switches, with the default.
const SWITCHES: [(&str, bool); 9] = [
    ("WSS_C_LIBRARY", true),
    ("WSS_STREAMING", false),
    ("WSS_RESPONSE_FIELDS", false),
    ("WSS_START_AT_BOOT", true),
    ("WSS_TICK", false),
    ("WSS_WORK_QUEUE", true),
    ("WSS_SHELL", false),
    ("WSS_PAGES", false),
    ("WSS_TLS", false),
];
/// Texts, with the default.
const TEXTS: [(&str, &str); 2] = [("WSS_ORIGINS", ""), ("WSS_REQUEST_FIELDS", "")];

fn main() {
    println!("cargo:rerun-if-env-changed=DOTCONFIG");
    println!("cargo:rerun-if-changed=build.rs");
    let dotconfig = env::var("DOTCONFIG").ok();
    let lines = dotconfig.as_ref().map(|path| {
        println!("cargo:rerun-if-changed={path}");
        fs::read_to_string(path).expect("DOTCONFIG can be read")
    });
    let options: HashMap<_, _> = lines
        .iter()
        .flat_map(|lines| lines.lines())
        .filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
        .collect();
    let mut out = String::new();
    for (name, default) in NUMBERS {
        let value = match options.get(name) {
            Some(value) => value.parse().unwrap_or_else(|_| panic!("{name}: {value}?")),
            // Options whose dependencies are off are missing.
            None => default,
        };
        writeln!(
            out,
            "/// `CONFIG_{name}`.\npub const {}: u32 = {value};",
            constant(name)
        )
        .expect("a string has room");
    }
    for (name, default) in SWITCHES {
        let value = dotconfig
            .as_ref()
            .map_or(default, |_| options.get(name) == Some(&"y"));
        writeln!(
            out,
            "/// `CONFIG_{name}`.\npub const {}: bool = {value};",
            constant(name)
        )
        .expect("a string has room");
    }
    println!("cargo:rustc-check-cfg=cfg(wss_pages)");
    if options.get("WSS_PAGES") == Some(&"y") {
        println!("cargo:rustc-cfg=wss_pages");
    }
    for (name, default) in TEXTS {
        let value = options
            .get(name)
            .map_or(default, |value| value.trim_matches('"'));
        check(name, value);
        writeln!(
            out,
            "/// `CONFIG_{name}`.\npub const {}: &str = {value:?};",
            constant(name)
        )
        .expect("a string has room");
    }
    let to = PathBuf::from(env::var_os("OUT_DIR").expect("set by Cargo")).join("kconfig.rs");
    fs::write(to, out).expect("OUT_DIR can be written to");
}

/// Checks a text, so that a wrong value is a build error.
fn check(name: &str, value: &str) {
    if name == "WSS_ORIGINS" {
        for origin in value.split_ascii_whitespace() {
            if let Err(error) = check_origin(origin) {
                panic!("CONFIG_WSS_ORIGINS: {origin:?} matches no request: {error}");
            }
        }
    }
    if name == "WSS_REQUEST_FIELDS" {
        if let Err(field) = check_field_names(value) {
            panic!(
                "CONFIG_WSS_REQUEST_FIELDS: {field:?} is not the name of a further header field"
            );
        }
    }
}

fn constant(name: &str) -> &str {
    name.strip_prefix("WSS_").unwrap_or(name)
}
