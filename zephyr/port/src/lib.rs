//! The WebSocket server on Zephyr.
//!
//! The service of the crate `wss` over Zephyr's sockets and kernel: a thread that polls the sockets, a
//! work queue with one item for each client, a timer, and mutexes. There is no heap: everything is
//! static, sized by Kconfig. What a Rust program cannot do by itself is done in C, in `zephyr/port.c`.
//!
//! | file | job |
//! |---|---|
//! | `kconfig` | what Kconfig says, as constants |
//! | `sys` | what `port.c` has |
//! | `monitor` | a lock with a place to wait: `k_mutex` and `k_condvar` |
//! | `place` | a value that is shared by counting, in static memory |
//! | `port` | sockets, polling, the timer, the work queue |
//! | `running` | the threads beneath a service |
//! | `logger` | the lines of `log` go to Zephyr's log |
#![no_std]

pub mod kconfig {
    //! What Kconfig says.

    include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));
}
mod logger;
mod monitor;
mod place;
mod port;
mod running;
pub mod sys;

pub use logger::set_logger;
pub use monitor::{Monitor, MonitorGuard};
pub use place::{Place, Shared, WeakShared};
pub use port::ZephyrPort;
pub use running::{ListenError, Options, Running, Threads};
