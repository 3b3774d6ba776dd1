// SPDX-License-Identifier: Apache-2.0
//! The functions of `zephyr/port.c`: the kernel and the sockets. `errno` and Zephyr's structures stay in C. See
//! `zephyr/port.h` for each function.

use core::ffi::{c_char, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::kconfig;

/// `WSS_AGAIN`: nothing can be done now.
pub const AGAIN: i32 = -1000;
/// `WSS_NO_BUFFERS`: nothing can be done now, and nothing reports when it can.
pub const NO_BUFFERS: i32 = -1001;
/// `WSS_IN_USE`: the port to listen on is in use.
pub const IN_USE: i32 = -1002;
/// `WSS_TLS_FAILED`: TLS failed.
pub const TLS_FAILED: i32 = -1003;
/// `WSS_TLS_TRUNCATED`: the stream ended without close_notify.
pub const TLS_TRUNCATED: i32 = -1004;
/// `WSS_TLS_ITEM`: the first number of work items for TLS handshakes.
pub const TLS_ITEM: u32 = 0x100;
/// `WSS_NAME_SIZE`.
pub const NAME_SIZE: usize = 56;
/// Returns the `errno` in a result below 0 that is not [`AGAIN`] (`WSS_ERRNO`).
pub const fn errno(result: i32) -> u32 {
    result.unsigned_abs()
}
/// `WSS_IN`: ready to receive or accept.
pub const IN: i16 = 1;
/// `WSS_OUT`: ready to send.
pub const OUT: i16 = 4;

/// `WSS_LINK_DOWN`: the network interface went down.
pub const LINK_DOWN: u32 = 1;
/// `WSS_LINK_UP`: the network interface came up.
pub const LINK_UP: u32 = 2;
/// `WSS_LISTEN`: it may be possible now to listen on a missing address.
pub const LISTEN: u32 = 4;

/// `struct wss_poll`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Poll {
    /// The descriptor; below 0: none.
    pub fd: i32,
    /// The requested readiness, [`IN`] and [`OUT`].
    pub events: i16,
    /// The actual readiness, [`IN`] and [`OUT`]; anything else means that the socket has failed.
    pub revents: i16,
}

/// `struct wss_port_part`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Part {
    /// The bytes.
    pub data: *const u8,
    /// The number of bytes.
    pub len: usize,
}

/// `struct wss_tls_credentials`.
#[repr(C)]
pub struct TlsCredentials {
    pub cert: *const u8,
    pub cert_len: usize,
    pub key: *const u8,
    pub key_len: usize,
    pub ca: *const u8,
    pub ca_len: usize,
    pub client_auth: u32,
}

/// `struct wss_tls_socket`.
#[repr(C)]
pub struct TlsSocket {
    pub receive: unsafe extern "C" fn(u32, *mut u8, usize) -> i32,
    pub send: unsafe extern "C" fn(u32, *const u8, usize) -> i32,
}

/// `struct wss_port_server *` of a bound server.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Server(*mut c_void);

/// `struct wss_lock *`: NULL, or that of a server.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Lock(*mut c_void);

/// A pointer to a static object, which is set once.
pub struct Once(AtomicPtr<c_void>);

impl Once {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the pointer; NULL before it is set.
    #[inline]
    fn get(&self) -> *mut c_void {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the lock that was set; before that, the NULL lock.
    #[inline]
    pub fn lock(&self) -> Lock {
        Lock(self.get())
    }

    /// Returns the server that was set. Call it only after that.
    #[inline]
    pub fn server(&self) -> Server {
        debug_assert!(!self.get().is_null());
        Server(self.get())
    }

    pub fn set_lock(&self, lock: Lock) {
        self.0.store(lock.0, Ordering::Relaxed);
    }

    /// Binds a server. Returns false if there is none left.
    ///
    /// # Safety
    /// `object` is static, and `calls` are for its type.
    pub unsafe fn bind(&self, object: *const c_void, calls: &'static Calls) -> bool {
        // SAFETY: the caller guarantees it.
        let server = unsafe { wss_port_bind(object, calls) };
        self.0.store(server, Ordering::Relaxed);
        !server.is_null()
    }
}

/// `struct wss_calls`.
#[repr(C)]
pub struct Calls {
    pub serve: unsafe extern "C" fn(*const c_void),
    pub work: unsafe extern "C" fn(*const c_void, u32),
    pub link: unsafe extern "C" fn(*const c_void, u32),
    /// Only with `CONFIG_WSS_SHELL`.
    pub shell: [&'static ShellCalls; kconfig::SHELL as usize],
}

/// `struct wss_shell_calls`.
#[repr(C)]
pub struct ShellCalls {
    pub client: unsafe extern "C" fn(*const c_void, u32, *mut ShellClient) -> bool,
    pub act: unsafe extern "C" fn(*const c_void, *const ShellAction, *mut c_char) -> bool,
    pub stats: unsafe extern "C" fn(*const c_void, *mut ShellStats),
}

/// `WSS_SHELL_PATH_SIZE`.
pub const PATH_SIZE: usize = 48;

/// `struct wss_shell_client`.
#[repr(C)]
pub struct ShellClient {
    pub state: u32,
    pub peer: [u8; NAME_SIZE],
    pub path: [u8; PATH_SIZE],
}

/// `struct wss_shell_action`.
#[repr(C)]
pub struct ShellAction {
    pub kind: u32,
    pub slot: u32,
    pub code: u32,
    pub text: *const u8,
    pub len: usize,
}

/// `WSS_SHELL_TEXT` and `WSS_SHELL_PING`; any other value is `WSS_SHELL_CLOSE`.
pub const SHELL_TEXT: u32 = 0;
pub const SHELL_PING: u32 = 1;
/// `WSS_SHELL_ALL`.
pub const SHELL_ALL: u32 = u32::MAX;
/// `WSS_SHELL_ERROR_SIZE`.
pub const SHELL_ERROR_SIZE: usize = 64;

/// `struct wss_shell_stats`.
#[repr(C)]
pub struct ShellStats {
    pub accepted: u32,
    pub connected: u32,
    pub closed: u32,
    pub aborted: u32,
    pub timeouts: u32,
    pub refused_full: u32,
    pub refused_forbidden: u32,
    pub refused_requests: u32,
    pub refused_address: u32,
    pub messages_received: u32,
    pub messages_sent: u32,
    pub would_block: u32,
    pub protocol_errors: u32,
    pub invalid_payloads: u32,
    pub messages_too_big: u32,
    pub policy_violations: u32,
    pub accept_errors: u32,
    pub accept_pauses: u32,
    pub most_clients: u32,
    pub most_blocks: u32,
    pub bytes_received: u64,
    pub bytes_sent: u64,
}

unsafe extern "C" {
    fn wss_port_bind(object: *const c_void, calls: *const Calls) -> *mut c_void;
    pub fn wss_port_listen(
        server: Server,
        address: *const c_char,
        port: *mut u16,
        fds: *mut i32,
    ) -> i32;
    pub fn wss_port_listen_again(server: Server, fds: *mut i32) -> i32;
    pub fn wss_port_adopt(fd: i32, peer: *mut u8) -> i32;
    pub fn wss_port_accept(server: Server, listener: i32, peer: *mut u8) -> i32;
    pub fn wss_port_name(fd: i32, name: *mut c_char);
    pub fn wss_port_receive(fd: i32, data: *mut u8, len: usize) -> i32;
    pub fn wss_port_send(fd: i32, parts: *const Part, count: usize) -> i32;
    pub fn wss_port_poll(polls: *mut Poll, count: usize, ms: i32) -> i32;
    pub safe fn wss_port_wake_open(server: Server) -> i32;
    pub safe fn wss_port_wake(server: Server);
    pub safe fn wss_port_wake_take(server: Server);
    pub safe fn wss_port_timer_start(server: Server, ms: u32);
    pub safe fn wss_port_timer_take(server: Server) -> bool;
    pub safe fn wss_port_network_forget(server: Server);
    pub safe fn wss_port_lock_of(server: Server, number: usize) -> Lock;
    pub safe fn wss_port_lock(lock: Lock);
    pub safe fn wss_port_unlock(lock: Lock);
    pub safe fn wss_port_wait(lock: Lock, ms: u32);
    pub safe fn wss_port_notify(lock: Lock);
    pub safe fn wss_port_start(server: Server);
    pub safe fn wss_port_join(server: Server, ms: u32) -> bool;
    pub safe fn wss_port_submit(server: Server, item: u32);
    pub safe fn wss_port_work(server: Server);
    pub safe fn wss_port_on_wss_thread(server: Server) -> bool;
    pub fn wss_port_log(level: u32, text: *const c_char);
    pub fn wss_port_queue_end(queue: *mut c_void);
    pub fn wss_port_queue_put(queue: *mut c_void, entry: *const c_void) -> bool;
    pub fn wss_port_queue_get(queue: *mut c_void, entry: *mut c_void) -> bool;
    pub safe fn wss_port_queue_new(depth: usize, size: usize) -> *mut c_void;
    pub safe fn wss_port_has_buffers(fd: i32) -> bool;
    pub safe fn wss_port_close(fd: i32);
    pub safe fn wss_port_number(server: Server) -> usize;
    pub safe fn wss_port_wake_all();
    pub fn wss_tls_start(
        server: usize,
        credentials: *const TlsCredentials,
        socket: *const TlsSocket,
    ) -> i32;
    pub safe fn wss_tls_reset(session: u32);
    pub safe fn wss_tls_handshake(session: u32) -> i32;
    pub safe fn wss_tls_progress(session: u32) -> i32;
    pub fn wss_tls_receive(session: u32, data: *mut u8, len: usize) -> i32;
    pub safe fn wss_tls_has_buffered(session: u32) -> bool;
    pub fn wss_tls_send(session: u32, parts: *const Part, count: usize, skip: usize) -> i32;
    pub safe fn wss_tls_has_unsent(session: u32) -> bool;
    pub safe fn wss_tls_flush(session: u32) -> i32;
    pub safe fn wss_tls_close_notify(session: u32);
    pub safe fn wss_tls_alert(session: u32, alert: u8);
    pub fn wss_tls_reason(session: u32, error: *mut i32, alert: *mut i32);
    pub safe fn wss_port_uptime_ms() -> u64;
    pub safe fn wss_port_uptime_ms32() -> u32;
    pub safe fn wss_port_sleep_ms(ms: u32);
    pub safe fn wss_port_thread() -> usize;
    pub safe fn wss_port_on_service_thread() -> bool;
}
