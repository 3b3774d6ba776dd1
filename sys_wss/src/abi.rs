// SPDX-License-Identifier: Apache-2.0
//! Types and values of the headers. `tests/agreement.rs` compares them.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int, c_uint, c_void};

/// `SYS_MODULE_OBJ`.
pub type ModuleObj = usize;
/// `SYS_MODULE_OBJ_INVALID`.
pub const MODULE_OBJ_INVALID: ModuleObj = usize::MAX;
/// `SYS_WSS_CLIENT_KEY_SIZE` and `SYS_WSS_SERVER_KEY_SIZE`.
pub const KEY_SIZE: usize = 50;
/// `SYS_WSS_HTTP_VERSION_1_1`.
pub const HTTP_VERSION_1_1: u16 = 0x0101;
/// `WSS_MASK_ALL`.
pub const MASK_ALL: u32 = 0xFFFF;
/// `WSS_MAX_QUEUES`.
pub const MAX_QUEUES: usize = 3;
/// `WSS_LATER`.
pub const LATER: c_int = 1;
/// Returned by a hook that has answered: the result of `wss_request_accept` and `wss_request_refuse`.
pub const ANSWERED: c_int = 2;
/// `WSS_MAX_RESPONSE_FIELDS`.
pub const MAX_RESPONSE_FIELDS: usize = 8;
/// `WSS_NO_CLIENT`.
pub const NO_CLIENT: u64 = 0;
/// `WSS_FRAGMENT`.
pub const FRAGMENT: u32 = 0x100;
/// `WSS_MORE`.
pub const MORE: u32 = 0x200;

/// `SYS_WSS_RESULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum SysResult {
    /// `SYS_WSS_SUCCESS`
    Success = 0,
    /// `SYS_WSS_FAILURE`
    Failure = 1,
    /// `SYS_WSS_ERROR_INVALID_REQUEST`
    InvalidRequest = 2,
    /// `SYS_WSS_ERROR_INVALID_KEY`
    InvalidKey = 3,
    /// `SYS_WSS_ERROR_INVALID_FRAME`
    InvalidFrame = 4,
}

/// `SYS_WSS_STATE` and `enum wss_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum State {
    /// `SYS_WSS_STATE_CLOSED`
    Closed = 0,
    /// `SYS_WSS_STATE_CLOSING`
    Closing = 1,
    /// `SYS_WSS_STATE_CONNECTING`
    Connecting = 2,
    /// `SYS_WSS_STATE_CONNECTED`
    Connected = 3,
}

/// `SYS_WSS_CONFIG`.
#[repr(C)]
pub struct Config {
    /// `port`
    pub port: c_uint,
    /// `isTLSEnabled`: a byte, because an uninitialised one of C need not be 0 or 1.
    pub is_tls_enabled: u8,
}

/// `SYS_WSS_HANDSHAKE_CTXT`, which is `struct wss_handshake`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Handshake {
    /// `http_version`
    pub http_version: u16,
    /// `ws_version`
    pub ws_version: u8,
    /// `upgradeWebSocket`
    pub upgrade_web_socket: bool,
    /// `origin`
    pub origin: bool,
    /// `connectionUpgrade`
    pub connection_upgrade: bool,
    /// `iskey`
    pub is_key: bool,
    /// `clientKey`
    pub client_key: [u8; KEY_SIZE + 1],
    /// `serverKey`
    pub server_key: [u8; KEY_SIZE + 1],
}

/// `SYS_WSS_RXDATA`.
#[repr(C)]
pub struct RxData {
    /// `data`
    pub data: *mut u8,
    /// `datalen`
    pub len: i64,
}

/// `SYS_WSS_CALLBACK`.
pub type Callback =
    unsafe extern "C" fn(event: c_uint, data: *mut c_void, client: i32, cookie: *mut c_void);

/// `struct wss_limits`.
#[repr(C)]
pub struct Limits {
    /// `rx_buffer_size`
    pub rx_buffer_size: usize,
    /// `max_clients`
    pub max_clients: u16,
    /// `tx_blocks`
    pub tx_blocks: u16,
    /// `handshake_size`
    pub handshake_size: u16,
    /// `streaming`: a byte, see [`Config::is_tls_enabled`].
    pub streaming: u8,
    /// `listens`: a byte, like `streaming`.
    pub listens: u8,
    /// `handshake_timeout_ms`
    pub handshake_timeout_ms: u32,
    /// `client_timeout_ms`
    pub client_timeout_ms: u32,
    /// `ping_interval_ms`
    pub ping_interval_ms: u32,
    /// `send_timeout_ms`
    pub send_timeout_ms: u32,
    /// `close_timeout_ms`
    pub close_timeout_ms: u32,
    /// `hold_timeout_ms`
    pub hold_timeout_ms: u32,
    /// `clients_per_address`
    pub clients_per_address: u16,
    /// `handshakes_per_second`
    pub handshakes_per_second: u16,
    /// `control_frames_per_second`
    pub control_frames_per_second: u16,
    /// `fragments_per_message`
    pub fragments_per_message: u16,
    /// `login_failures_per_minute`
    pub login_failures_per_minute: u16,
}

/// `struct wss_server`: only its address is used.
#[repr(C)]
pub struct Server {
    _private: [u8; 0],
}

/// `struct wss_request`: only its address is used in C.
#[repr(C)]
pub struct Request {
    _private: [u8; 0],
}

/// `struct wss_event`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Event {
    /// `type`
    pub event: u32,
    /// `index`
    pub index: i32,
    /// `client`
    pub client: u64,
    /// `server`
    pub server: *const Server,
    /// `user_data`
    pub user_data: *mut c_void,
    /// `data`
    pub data: *mut u8,
    /// `len`
    pub len: usize,
    /// `first`
    pub first: bool,
    /// `last`
    pub last: bool,
    /// `hold`
    pub hold: *mut c_void,
}

// SAFETY: it moves between threads as C requires. One of them uses and releases the data; the other pointers are never
// dereferenced here.
unsafe impl Send for Event {}

/// `struct wss_response_field`.
#[repr(C)]
pub struct ResponseField {
    /// `name`
    pub name: *const c_char,
    /// `value`
    pub value: *const c_char,
}

/// `struct wss_response`.
#[repr(C)]
pub struct Response {
    /// `subprotocol`
    pub subprotocol: *const c_char,
    /// `challenge`
    pub challenge: *const c_char,
    /// `fields`
    pub fields: *const ResponseField,
    /// `field_count`
    pub field_count: usize,
}

/// `struct wss_part`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Part {
    /// `data`
    pub data: *const u8,
    /// `len`
    pub len: usize,
}

/// `wss_event_callback`.
pub type EventCallback = unsafe extern "C" fn(event: *const Event, cookie: *mut c_void);

/// `wss_request_hook`.
pub type RequestHook = unsafe extern "C" fn(request: *mut Request, cookie: *mut c_void) -> c_int;

/// `wss_tick_callback`.
pub type TickCallback = unsafe extern "C" fn(server: *const Server, cookie: *mut c_void);

/// `enum wss_client_auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ClientAuth {
    /// `WSS_CLIENT_AUTH_NONE`
    None = 0,
    /// `WSS_CLIENT_AUTH_OPTIONAL`
    Optional = 1,
    /// `WSS_CLIENT_AUTH_REQUIRED`
    Required = 2,
}

/// `struct wss_tls`.
#[repr(C)]
pub struct Tls {
    /// `cert`
    pub cert: *const c_void,
    /// `cert_len`
    pub cert_len: usize,
    /// `key`
    pub key: *const c_void,
    /// `key_len`
    pub key_len: usize,
    /// `ca`
    pub ca: *const c_void,
    /// `ca_len`
    pub ca_len: usize,
    /// `client_auth`
    pub client_auth: u32,
}

/// `struct wss_config`.
#[repr(C)]
pub struct ServerConfig {
    /// `port`
    pub port: u16,
    /// `address`
    pub address: *const c_char,
    /// `limits`
    pub limits: *const Limits,
    /// `on_event`
    pub on_event: Option<EventCallback>,
    /// `events`
    pub events: u32,
    /// `tick_ms`
    pub tick_ms: u32,
    /// `on_tick`
    pub on_tick: Option<TickCallback>,
    /// `on_request`
    pub on_request: Option<RequestHook>,
    /// `cookie`
    pub cookie: *mut c_void,
    /// `queues`
    pub queues: *const u32,
    /// `queue_count`
    pub queue_count: usize,
    /// `origins`
    pub origins: *const c_char,
    /// `request_fields`
    pub request_fields: *const c_char,
    /// `user`
    pub user: *const c_char,
    /// `password`
    pub password: *const c_char,
    /// `token`
    pub token: *const c_char,
    /// `tls`
    pub tls: *const Tls,
    /// `pages`
    #[cfg(feature = "host")]
    pub pages: *const Page,
    /// `page_count`
    #[cfg(feature = "host")]
    pub page_count: usize,
}

/// `struct wss_page`.
#[repr(C)]
pub struct Page {
    /// `path`
    pub path: *const c_char,
    /// `content_type`
    pub content_type: *const c_char,
    /// `encoding`
    pub encoding: *const c_char,
    /// `etag`
    pub etag: *const c_char,
    /// `body`
    pub body: *const c_void,
    /// `size`
    pub size: usize,
}

/// `struct wss_stats`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stats {
    /// `bytes_received`
    pub bytes_received: u64,
    /// `bytes_sent`
    pub bytes_sent: u64,
    /// `messages_received`
    pub messages_received: u32,
    /// `messages_sent`
    pub messages_sent: u32,
    /// `accepted`
    pub accepted: u32,
    /// `connected`
    pub connected: u32,
    /// `closed`
    pub closed: u32,
    /// `most_clients`
    pub most_clients: u32,
    /// `refused_full`
    pub refused_full: u32,
    /// `refused_forbidden`
    pub refused_forbidden: u32,
    /// `refused_requests`
    pub refused_requests: u32,
    /// `accept_errors`
    pub accept_errors: u32,
    /// `timeouts`
    pub timeouts: u32,
    /// `protocol_errors`
    pub protocol_errors: u32,
    /// `invalid_payloads`
    pub invalid_payloads: u32,
    /// `messages_too_big`
    pub messages_too_big: u32,
    /// `aborted`
    pub aborted: u32,
    /// `would_block`
    pub would_block: u32,
    /// `most_blocks`
    pub most_blocks: u32,
    /// `refused_address`
    pub refused_address: u32,
    /// `accept_pauses`
    pub accept_pauses: u32,
    /// `policy_violations`
    pub policy_violations: u32,
    /// `tls_failures`
    pub tls_failures: u32,
}

/// `wss_log_handler`.
pub type LogHandler = unsafe extern "C" fn(level: c_uint, text: *const c_char, cookie: *mut c_void);

/// A pointer from C, which is only passed back to C.
#[derive(Clone, Copy)]
pub struct Cookie(pub *mut c_void);

// SAFETY: the pointer is never dereferenced here. The header requires that the service's threads may use what it points
// to.
unsafe impl Send for Cookie {}
