//! The WebSocket server on Zephyr.
//!
//! The service of the crate `wss` over Zephyr's sockets and kernel: a thread that polls the sockets and a
//! timer, for each server; a work queue with one item for each client, for all, or without
//! `CONFIG_WSS_WORK_QUEUE` the threads themselves; and mutexes. There is no heap: everything is static, sized by
//! Kconfig. What a Rust program cannot do by itself is done in C, in `zephyr/port.c`.
//!
//! | file | job |
//! |---|---|
//! | `server` | starting and ending a server in a Rust application |
//! | `application` | where its events go: a handler, and queues |
//! | `events` | what is kept of an event on a queue, and taking it |
//! | `kconfig` | what Kconfig says, as constants |
//! | `sys` | what `port.c` has |
//! | `monitor` | a lock with a place to wait: `k_mutex` and `k_condvar` |
//! | `place` | a value that is shared by counting, in static memory |
//! | `port` | sockets, polling, the timer, the work queue |
//! | `queue` | where a queue's entries are: `k_msgq` |
//! | `running` | the threads beneath a service |
//! | `logger` | the lines of `log` go to Zephyr's log |
#![no_std]

pub mod kconfig {
    //! What Kconfig says.

    include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));
}
mod application;
mod events;
mod logger;
mod monitor;
mod place;
mod port;
mod queue;
mod running;
mod server;
pub mod sys;

pub use application::{Handler, ZephyrApplication};
pub use events::{EventQueue, MessageBuffer};
pub use logger::set_logger;
pub use monitor::{Monitor, MonitorGuard};
pub use place::{Place, Shared, WeakShared};
pub use port::{Descriptor, ZephyrPort};
pub use queue::MessageQueue;
pub use running::{ListenError, Options, Places, Running, Threads};
pub use server::{Builder, Clients, Server, StartError};

/// Whether this is a thread of a server, whichever it is, on which nothing may wait: as inside a handler.
#[must_use]
pub fn on_service_thread() -> bool {
    sys::wss_port_on_service_thread()
}

/// Milliseconds since the system started (`k_uptime_get`).
#[must_use]
pub fn uptime_ms() -> u64 {
    sys::wss_port_uptime_ms()
}
