// SPDX-License-Identifier: Apache-2.0
//! Checks that the header and the Rust side agree on every value, and on the size, the alignment, and the offsets of
//! every structure. A C program prints the values of the header.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::mem::{align_of, offset_of, size_of};
use std::path::Path;
use std::process::Command;

use sys_wss::abi::{
    self, ClientAuth, Config, Event, Handshake, Limits, Page, Part, Response, ResponseField,
    RxData, ServerConfig, State, Stats, SysResult, Tls,
};
use wss::protocol::Opcode;
use wss::service::{EventMask, MAX_VECTORED, TIMER_GRANULARITY_MS};
use wss::{CloseCode, MessageKind};

/// Compiles and runs `program`, which prints lines of a name and a number.
fn ask_c(program: &str) -> BTreeMap<String, u128> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, binary) = (dir.join("agreement.c"), dir.join("agreement"));
    std::fs::write(&source, program).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let status = Command::new(compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg("-I")
        .arg(root.join("include"))
        .arg(&source)
        .arg("-o")
        .arg(&binary)
        .status()
        .unwrap();
    assert!(status.success());
    let output = Command::new(&binary).output().unwrap().stdout;
    let lines = String::from_utf8(output).unwrap();
    lines
        .lines()
        .map(|line| {
            let (name, number) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), number.parse().unwrap())
        })
        .collect()
}

/// Rows of a C name and its number in Rust.
#[derive(Default)]
struct Table(Vec<(String, u128)>);

impl Table {
    fn row(&mut self, name: &str, number: impl TryInto<u128>) {
        let number = number.try_into().unwrap_or_else(|_| panic!("{name}"));
        self.0.push((name.to_owned(), number));
    }
}

/// Size, alignment and offsets of a structure.
macro_rules! layout {
    ($table:ident, $c:literal, $rust:ty { $($c_field:literal $field:ident),* $(,)? }) => {
        $table.row(concat!("sizeof(", $c, ")"), size_of::<$rust>());
        $table.row(
            concat!("offsetof(struct { char c; ", $c, " s; }, s)"),
            align_of::<$rust>(),
        );
        $($table.row(
            concat!("offsetof(", $c, ", ", $c_field, ")"),
            offset_of!($rust, $field),
        );)*
    };
}

fn constants(table: &mut Table) {
    table.row("SYS_WSS_CLIENT_KEY_SIZE", abi::KEY_SIZE);
    table.row("SYS_WSS_CLIENT_KEY_SIZE_DECODED", 16);
    table.row("SYS_WSS_SERVER_KEY_SIZE", abi::KEY_SIZE);
    table.row("SYS_WSS_SHA1_DIGEST_SIZE", 20);
    table.row("SYS_WSS_STATUS_CODE_LEN", 2);
    table.row("SYS_WSS_HTTP_VERSION_0_9", 0x0009);
    table.row("SYS_WSS_HTTP_VERSION_1_0", 0x0100);
    table.row("SYS_WSS_HTTP_VERSION_1_1", abi::HTTP_VERSION_1_1);
    table.row("SYS_WSS_KA_TIMER_PERIOD", TIMER_GRANULARITY_MS);
    table.row("SYS_WSS_MASKING_KEY_LEN", 4);
    table.row("SYS_WSS_HEADER_LEN", 2);
    table.row("sizeof(SYS_WSS_FRAME_HEADER)", 2);
    table.row("sizeof(SYS_WSS_GUID)", 36 + 1);
    table.row("SYS_WSS_CLIENT", 0);
    table.row("SYS_WSS_SERVER", 1);
    table.row("SYS_WSS_WIFI", 0);
    table.row("SYS_WSS_ETHERNET", 1);
    table.row("SYS_MODULE_OBJ_INVALID", abi::MODULE_OBJ_INVALID);
    table.row("sizeof(SYS_MODULE_OBJ)", size_of::<abi::ModuleObj>());
    table.row("sizeof(SYS_WSS_CALLBACK)", size_of::<abi::Callback>());
    table.row("WSS_LATER", abi::LATER);
    table.row("WSS_MAX_RESPONSE_FIELDS", abi::MAX_RESPONSE_FIELDS);
    table.row("WSS_NO_CLIENT", abi::NO_CLIENT);
    table.row("WSS_MASK_ALL", abi::MASK_ALL);
    table.row("WSS_MAX_QUEUES", abi::MAX_QUEUES);
    table.row("sizeof(wss_client)", size_of::<u64>());
    table.row("sizeof(wss_queue)", size_of::<u32>());
    table.row(
        "sizeof(wss_event_callback)",
        size_of::<abi::EventCallback>(),
    );
    table.row("sizeof(wss_request_hook)", size_of::<abi::RequestHook>());
    table.row("sizeof(wss_tick_callback)", size_of::<abi::TickCallback>());
    table.row("WSS_CONTINUATION", Opcode::Continuation as u32);
    table.row("WSS_TEXT", Opcode::Text as u32);
    table.row("WSS_BINARY", Opcode::Binary as u32);
    table.row("WSS_FRAGMENT", abi::FRAGMENT);
    table.row("WSS_MORE", abi::MORE);
    table.row("WSS_MAX_PARTS", MAX_VECTORED);
}

fn enumerations(table: &mut Table) {
    for (name, value) in [
        ("SYS_WSS_SUCCESS", SysResult::Success),
        ("SYS_WSS_FAILURE", SysResult::Failure),
        ("SYS_WSS_ERROR_INVALID_REQUEST", SysResult::InvalidRequest),
        ("SYS_WSS_ERROR_INVALID_KEY", SysResult::InvalidKey),
        ("SYS_WSS_ERROR_INVALID_FRAME", SysResult::InvalidFrame),
    ] {
        table.row(name, value as u32);
    }
    for (name, value) in [
        ("CLOSED", State::Closed),
        ("CLOSING", State::Closing),
        ("CONNECTING", State::Connecting),
        ("CONNECTED", State::Connected),
    ] {
        table.row(&format!("SYS_WSS_STATE_{name}"), value as u32);
        table.row(&format!("WSS_STATE_{name}"), value as u32);
    }
    for (name, value) in [
        ("CONTINUATION", Opcode::Continuation),
        ("TEXT", MessageKind::Text.into()),
        ("BINARY", MessageKind::Binary.into()),
        ("CLOSE", Opcode::Close),
        ("PING", Opcode::Ping),
        ("PONG", Opcode::Pong),
    ] {
        table.row(&format!("SYS_WSS_FRAME_{name}"), value as u8);
    }
    for (name, mask) in [
        ("SYS_WSS_EVENT_ERR", EventMask::ERROR),
        ("SYS_WSS_EVENT_CLIENT_CONNECTING", EventMask::CONNECTING),
        ("SYS_WSS_EVENT_CLIENT_CONNECTED", EventMask::CONNECTED),
        ("SYS_WSS_EVENT_CLIENT_BIN_DATA_RX", EventMask::BINARY),
        ("SYS_WSS_EVENT_CLIENT_TXT_DATA_RX", EventMask::TEXT),
        ("SYS_WSS_EVENT_CLIENT_PING_RX", EventMask::PING),
        ("SYS_WSS_EVENT_CLIENT_PONG_RX", EventMask::PONG),
        (
            "SYS_WSS_EVENT_CLIENT_CLOSE_FRAME_RX",
            EventMask::CLOSE_FRAME,
        ),
        ("SYS_WSS_EVENT_CLIENT_CLOSING", EventMask::CLOSING),
        ("SYS_WSS_EVENT_CLIENT_CLOSED", EventMask::CLOSED),
        ("SYS_WSS_EVENT_ERR_INVALID_FRAME", EventMask::INVALID_FRAME),
        ("SYS_WSS_EVENT_CLIENT_TIMEOUT", EventMask::TIMEOUT),
        ("SYS_WSS_EVENT_SSL_FAILED", EventMask::TLS_FAILED),
        ("SYS_WSS_EVENT_SOCK_OPEN_FAILED", EventMask::LISTEN_FAILED),
        ("SYS_WSS_EVENT_LL_INTF_DOWN", EventMask::LINK_DOWN),
        ("SYS_WSS_EVENT_LL_INTF_UP", EventMask::LINK_UP),
    ] {
        table.row(name, mask.bits().trailing_zeros());
        table.row(&format!("WSS_MASK({name})"), mask.bits());
    }
    for (name, mask) in EventMask::all().iter_names() {
        table.row(&format!("WSS_EVENT_{name}"), mask.bits().trailing_zeros());
    }
    for (name, code) in [
        ("NORMAL_CLOSURE", CloseCode::NORMAL),
        ("GOING_AWAY", CloseCode::GOING_AWAY),
        ("PROTOCOL_ERROR", CloseCode::PROTOCOL_ERROR),
        ("UNSUPPORTED_DATA", CloseCode::UNSUPPORTED_DATA),
        ("NO_STATUS_RCVD", CloseCode::NO_STATUS_RECEIVED),
        ("ABNORMAL_CLOSURE", CloseCode::ABNORMAL_CLOSURE),
        ("INVALID_PAYLOAD_DATA", CloseCode::INVALID_PAYLOAD),
        ("POLICY_VIOLATION", CloseCode::POLICY_VIOLATION),
        ("MESSAGE_TOO_BIG", CloseCode::MESSAGE_TOO_BIG),
        ("MANDATORY_EXT", CloseCode::MANDATORY_EXTENSION),
        ("INTERNAL_ERROR", CloseCode::INTERNAL_ERROR),
        ("TLS_HANDSHAKE", CloseCode::TLS_HANDSHAKE),
    ] {
        table.row(&format!("SYS_WSS_STATUS_CODE_{name}"), code.get());
    }
}

fn client_auth(table: &mut Table) {
    for (name, value) in [
        ("NONE", ClientAuth::None),
        ("OPTIONAL", ClientAuth::Optional),
        ("REQUIRED", ClientAuth::Required),
    ] {
        table.row(&format!("WSS_CLIENT_AUTH_{name}"), value as u32);
    }
}

fn structures(table: &mut Table) {
    layout!(table, "SYS_WSS_CONFIG", Config { "port" port, "isTLSEnabled" is_tls_enabled });
    layout!(table, "SYS_WSS_HANDSHAKE_CTXT", Handshake {
        "http_version" http_version, "ws_version" ws_version,
        "upgradeWebSocket" upgrade_web_socket, "origin" origin,
        "connectionUpgrade" connection_upgrade, "iskey" is_key,
        "clientKey" client_key, "serverKey" server_key,
    });
    layout!(table, "SYS_WSS_RXDATA", RxData { "data" data, "datalen" len });
    layout!(table, "struct wss_limits", Limits {
        "rx_buffer_size" rx_buffer_size, "max_clients" max_clients, "tx_blocks" tx_blocks,
        "handshake_size" handshake_size, "streaming" streaming, "listens" listens,
        "handshake_timeout_ms" handshake_timeout_ms, "client_timeout_ms" client_timeout_ms,
        "ping_interval_ms" ping_interval_ms, "send_timeout_ms" send_timeout_ms,
        "close_timeout_ms" close_timeout_ms, "hold_timeout_ms" hold_timeout_ms,
        "clients_per_address" clients_per_address,
        "handshakes_per_second" handshakes_per_second,
        "control_frames_per_second" control_frames_per_second,
        "fragments_per_message" fragments_per_message,
        "login_failures_per_minute" login_failures_per_minute,
    });
    layout!(table, "struct wss_config", ServerConfig {
        "port" port, "address" address, "limits" limits, "on_event" on_event, "events" events,
        "tick_ms" tick_ms, "on_tick" on_tick, "on_request" on_request, "cookie" cookie,
        "queues" queues, "queue_count" queue_count, "origins" origins,
        "request_fields" request_fields, "user" user, "password" password, "token" token,
        "tls" tls, "pages" pages, "page_count" page_count,
    });
    layout!(table, "struct wss_page", Page {
        "path" path, "content_type" content_type, "encoding" encoding, "etag" etag, "body" body,
        "size" size,
    });
    layout!(table, "struct wss_tls", Tls {
        "cert" cert, "cert_len" cert_len, "key" key, "key_len" key_len, "ca" ca, "ca_len" ca_len,
        "client_auth" client_auth,
    });
    layout!(table, "struct wss_event", Event {
        "type" event, "index" index, "client" client, "server" server, "user_data" user_data,
        "data" data, "len" len, "first" first, "last" last, "hold" hold,
    });
    layout!(table, "struct wss_response_field", ResponseField { "name" name, "value" value });
    layout!(table, "struct wss_response", Response {
        "subprotocol" subprotocol, "challenge" challenge, "fields" fields,
        "field_count" field_count,
    });
    layout!(table, "struct wss_part", Part { "data" data, "len" len });
    layout!(table, "struct wss_handshake", Handshake {
        "http_version" http_version, "serverKey" server_key,
    });
    layout!(table, "struct wss_stats", Stats {
        "bytes_received" bytes_received, "bytes_sent" bytes_sent,
        "messages_received" messages_received, "messages_sent" messages_sent,
        "accepted" accepted, "connected" connected, "closed" closed,
        "most_clients" most_clients, "refused_full" refused_full,
        "refused_forbidden" refused_forbidden, "refused_requests" refused_requests,
        "accept_errors" accept_errors, "timeouts" timeouts,
        "protocol_errors" protocol_errors, "invalid_payloads" invalid_payloads,
        "messages_too_big" messages_too_big, "aborted" aborted, "would_block" would_block,
        "most_blocks" most_blocks, "refused_address" refused_address,
        "accept_pauses" accept_pauses, "policy_violations" policy_violations,
        "tls_failures" tls_failures,
    });
}

#[test]
fn every_value_and_layout_of_the_header_is_that_of_rust() {
    let mut table = Table::default();
    constants(&mut table);
    enumerations(&mut table);
    client_auth(&mut table);
    structures(&mut table);
    let mut program =
        String::from("#include <stdio.h>\n#include <wss/sys_wss.h>\nint main(void)\n{\n");
    for (name, _) in &table.0 {
        program += &format!("\tprintf(\"{name} %llu\\n\", (unsigned long long)({name}));\n");
    }
    program += "\treturn 0;\n}\n";
    let header = ask_c(&program);
    for (name, number) in &table.0 {
        assert_eq!(header.get(name), Some(number), "{name}");
    }
    assert_eq!(header.len(), table.0.len());
}

#[test]
fn every_name_of_the_headers_is_compared() {
    let mut table = Table::default();
    constants(&mut table);
    enumerations(&mut table);
    client_auth(&mut table);
    structures(&mut table);
    let compared: Vec<&str> = table.0.iter().map(|(name, _)| name.as_str()).collect();
    let headers = [
        include_str!("../../include/wss/sys_wss.h"),
        include_str!("../../include/wss/wss.h"),
    ];
    for line in headers.iter().flat_map(|header| header.lines()) {
        let line = line.trim();
        let name = match line.strip_prefix("#define ") {
            Some(definition) => definition.split([' ', '(']).next().unwrap(),
            // An enumerator.
            None => match line.split_once(" = ") {
                Some((name, _)) if name.starts_with(char::is_uppercase) && !name.contains(' ') => {
                    name
                }
                _ => continue,
            },
        };
        let elsewhere = [
            "WSS_SYS_WSS_H",
            "WSS_WSS_H",
            "WSS_FOREVER",
            "WSS_FOR_EACH_CLIENT",
            "WSS_MASK",
            "SYS_WSS_GUID",
        ];
        let by_number = name.starts_with("WSS_CLIENT_") || name.starts_with("WSS_LOG_");
        let known = compared.contains(&name) || elsewhere.contains(&name) || by_number;
        assert!(known, "{name} is not compared");
    }
}
