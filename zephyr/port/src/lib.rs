// SPDX-License-Identifier: Apache-2.0
//! The WebSocket server on Zephyr.
//!
//! The service of the crate `wss` over Zephyr's sockets and kernel. Each server has a thread that polls the sockets,
//! and a timer. All servers share a work queue with one item for each client; without `CONFIG_WSS_WORK_QUEUE` the
//! threads do the work. There is no heap: everything is static, sized by Kconfig. An application is a [`wss::Handler`],
//! which runs on a host, too. Code that needs Zephyr's C interface is in `zephyr/port.c`.
//!
//! | file | job |
//! |---|---|
//! | `server` | starting and ending a server in a Rust application |
//! | `application` | delivers events to a handler, and to queues |
//! | `events` | event queues: entries, and reading them |
//! | `hello` | the first message of a TLS handshake |
//! | `options` | the configuration of a server |
//! | `instance` | a service in static memory, and its threads |
//! | `kconfig` | Kconfig options as constants |
//! | `lock` | `k_mutex`, and a `k_condvar` |
//! | `port` | sockets, polling, the timer, the work queue |
//! | `queue` | the storage of queues: `k_msgq` |
//! | `shell` | the functions for the shell command |
//! | `tls` | TLS sessions over sockets |
//! | `sys` | the functions of `port.c` |
//! | `logger` | sends the lines of `log` to Zephyr's log |
#![no_std]

pub mod kconfig {
    //! Kconfig options as constants.

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

/// Items for other interfaces to the service: that in C. Not for applications.
#[doc(hidden)]
pub mod internal {
    pub use crate::client_hello::Hello;
    pub use crate::instance::Instance;
    pub use crate::lock::KernelLock;
    pub use crate::port::{Descriptor, ZephyrPort};
    pub use crate::queue::MessageQueue;
    pub use crate::shell::Paths;
}

/// Returns whether this is a thread of any server, where nothing may wait: as inside a handler.
#[must_use]
pub fn on_service_thread() -> bool {
    sys::wss_port_on_service_thread()
}

/// Returns the milliseconds since the system started (`k_uptime_get`).
#[must_use]
pub fn uptime_ms() -> u64 {
    sys::wss_port_uptime_ms()
}
