// SPDX-License-Identifier: Apache-2.0
//! The service on a host: std sockets and threads.
//!
//! [`Server::start`] passes every event to a [`Handler`](crate::Handler), on the server's loop; [`Server::with_queue`]
//! puts them on an [`EventQueue`], which the application reads on its own threads; [`Server::builder`] combines both,
//! and several queues. One thread runs a server: its loop waits for sockets and deadlines, and serves each client that
//! is ready at once. With [`Options::loops`], several loops share the clients. Dropping the [`Server`] stops it.
//! [`Running`] is only the service and its threads, for other kinds of applications.

mod adopt;
mod application;
mod buffer;
mod monitor;
mod options;
mod poller;
mod port;
mod queue;
mod running;
mod server;
mod socket;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_session;

pub use adopt::NotAdopted;
pub use monitor::Monitor;
pub use options::Options;
pub use port::{HostPort, on_service_thread};
pub use queue::{EventQueue, HeapQueue, QueuedEvent};
pub use running::Running;
pub use server::{Builder, Server};
#[cfg(feature = "tls")]
pub use tls::{ClientAuth, Tls, TlsBuilder, TlsError};
