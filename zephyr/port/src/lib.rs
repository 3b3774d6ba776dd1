// SPDX-License-Identifier: Apache-2.0
//! The WebSocket server on Zephyr.
//!
//! The service of the crate `wss` over Zephyr's sockets and kernel: a thread that polls the sockets and a timer, for
//! each server; a work queue with one item for each client, for all, or without `CONFIG_WSS_WORK_QUEUE` the threads
//! themselves; and mutexes. There is no heap: everything is static, sized by Kconfig. An application is a
//! [`wss::Handler`], which runs on a host, too. What a Rust program cannot do by itself is done in C, in
//! `zephyr/port.c`.
//!
//! | file | job |
//! |---|---|
//! | `server` | starting and ending a server in a Rust application |
//! | `application` | where its events go: a handler, and queues |
//! | `events` | what is kept of an event on a queue, and taking it |
//! | `hello` | the first message of a TLS handshake |
//! | `options` | how a server is started |
//! | `instance` | a service in static memory, and its threads |
//! | `kconfig` | what Kconfig says, as constants |
//! | `lock` | `k_mutex`, and a `k_condvar` |
//! | `port` | sockets, polling, the timer, the work queue |
//! | `queue` | where a queue's entries are: `k_msgq` |
//! | `shell` | what the shell command asks of a server |
//! | `tls` | TLS sessions over sockets |
//! | `sys` | what `port.c` has |
//! | `logger` | the lines of `log` go to Zephyr's log |
#![no_std]

pub mod kconfig {
    //! What Kconfig says.

    include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));
}
mod application;
mod client_hello;
mod events;
mod instance;
mod lock;
mod logger;
mod options;
mod port;
mod queue;
mod server;
mod shell;
mod sys;
mod tls;

pub use events::{EventQueue, MessageBuffer};
pub use logger::set_logger;
pub use options::{ClientAuth, ListenError, Options, Tls};
pub use server::{Builder, Server, StartError};

/// What another interface to the service is made of: that in C. Not for applications.
#[doc(hidden)]
pub mod internal {
    pub use crate::client_hello::Hello;
    pub use crate::instance::Instance;
    pub use crate::lock::KernelLock;
    pub use crate::port::{Descriptor, ZephyrPort};
    pub use crate::queue::MessageQueue;
    pub use crate::shell::Paths;
}

/// Returns whether this is a thread of a server, whichever it is, on which nothing may wait: as inside a handler.
#[must_use]
pub fn on_service_thread() -> bool {
    sys::wss_port_on_service_thread()
}

/// Milliseconds since the system started (`k_uptime_get`).
#[must_use]
pub fn uptime_ms() -> u64 {
    sys::wss_port_uptime_ms()
}
