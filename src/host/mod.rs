// SPDX-License-Identifier: Apache-2.0
//! The service on a host: std sockets and threads.
//!
//! [`Server::start`] gives every event to a [`Handler`](crate::Handler), on the server's loop;
//! [`Server::with_queue`] gives them to an [`EventQueue`] that the application reads from its own
//! threads; [`Server::builder`] has both, and several queues. One thread runs a server: its loop waits for
//! sockets and deadlines, and works for the client that is ready at once. [`Options::loops`] has several
//! of them share the clients. Dropping the [`Server`] ends it. [`Running`] is the service with its threads
//! alone, for an application of another make.

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
