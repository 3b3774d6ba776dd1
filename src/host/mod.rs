//! The service on a host: std sockets and threads.
//!
//! [`Server::start`] gives every event to a handler, on the server's work queue;
//! [`Server::with_queue`] gives them to an [`EventQueue`] that the application reads from its own
//! threads; [`Server::builder`] has both, and several queues. Two threads run a server: one waits for sockets and deadlines, the other is the work
//! queue. Dropping the [`Server`] ends it. [`Running`] is the service with those threads alone, for
//! an application of another make.

mod adopt;
mod application;
mod port;
mod queue;
mod running;
mod server;

pub use adopt::NotAdopted;
pub use application::{Handler, HostApplication};
pub use port::{HostPort, Monitor, on_service_thread};
pub use queue::{EventQueue, QueuedEvent};
pub use running::Running;
pub use server::{Builder, Clients, Options, Server};
