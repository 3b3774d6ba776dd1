//! What `zephyr/port.c` has: the kernel and the sockets, with `errno` and Zephyr's structures kept on
//! the side of C. See there for what each does.
#![allow(missing_docs)]

use core::ffi::{c_char, c_void};

/// `WSS_AGAIN`: not now.
pub const AGAIN: i32 = -1000;
/// The `errno` in a result below 0 that is not [`AGAIN`] (`WSS_ERRNO`).
#[must_use]
pub const fn errno(result: i32) -> u32 {
    result.unsigned_abs()
}
/// `WSS_IN`: it can be received, or accepted.
pub const IN: i16 = 1;
/// `WSS_OUT`: it can be sent.
pub const OUT: i16 = 4;

/// `WSS_LINK_DOWN`: the network interface went down.
pub const LINK_DOWN: u32 = 1;
/// `WSS_LINK_UP`: the network interface came up.
pub const LINK_UP: u32 = 2;

/// `struct wss_poll`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Poll {
    /// The descriptor; below 0: none.
    pub fd: i32,
    /// [`IN`] and [`OUT`], as asked for.
    pub events: i16,
    /// [`IN`] and [`OUT`], as they are; anything else: it has failed.
    pub revents: i16,
}

/// `struct wss_part`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Part {
    /// The bytes.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

unsafe extern "C" {
    pub fn wss_port_listen(
        server: u32,
        address: *const c_char,
        port: *mut u16,
        fds: *mut i32,
    ) -> i32;
    pub fn wss_port_listen_again(server: u32, fds: *mut i32) -> i32;
    pub fn wss_port_adopt(fd: i32, peer: *mut u8) -> i32;
    pub fn wss_port_accept(listener: i32, peer: *mut u8) -> i32;
    pub fn wss_port_receive(fd: i32, data: *mut u8, len: usize) -> i32;
    pub fn wss_port_send(fd: i32, parts: *const Part, count: usize) -> i32;
    pub fn wss_port_poll(polls: *mut Poll, count: usize, ms: i32) -> i32;
    pub fn wss_port_lock_new(number: *mut u32) -> u32;
    pub fn wss_port_log(level: u32, text: *const c_char);
    pub fn wss_port_queue_end(queue: *mut c_void);
    pub fn wss_port_queue_put(queue: *mut c_void, entry: *const c_void) -> bool;
    pub fn wss_port_queue_get(queue: *mut c_void, entry: *mut c_void) -> bool;
    pub safe fn wss_port_queue_new(depth: usize, size: usize) -> *mut c_void;
    pub safe fn wss_port_close(fd: i32);
    pub safe fn wss_port_wake_open(server: u32) -> i32;
    pub safe fn wss_port_wake(server: u32);
    pub safe fn wss_port_wake_take(server: u32);
    pub safe fn wss_port_timer_start(server: u32, ms: u32);
    pub safe fn wss_port_wake_close(server: u32, fd: i32);
    pub safe fn wss_port_timer_take(server: u32) -> bool;
    pub safe fn wss_port_lock_free(lock: u32);
    pub safe fn wss_port_lock(lock: u32);
    pub safe fn wss_port_unlock(lock: u32);
    pub safe fn wss_port_wait(lock: u32, ms: u32);
    pub safe fn wss_port_notify(lock: u32);
    pub safe fn wss_port_uptime_ms() -> u64;
    pub safe fn wss_port_uptime_ms32() -> u32;
    pub safe fn wss_port_sleep_ms(ms: u32);
    pub safe fn wss_port_submit(server: u32, item: u32);
    pub safe fn wss_port_work(server: u32);
    pub safe fn wss_port_start(server: u32);
    pub safe fn wss_port_join(server: u32);
    pub safe fn wss_port_thread() -> usize;
    pub safe fn wss_port_on_wss_thread(server: u32) -> bool;
    pub safe fn wss_port_on_service_thread() -> bool;
    pub safe fn wss_port_link_take(server: u32) -> u32;
}
