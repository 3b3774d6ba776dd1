//! What this host has, and another port would bring: a port, locks, starting a service.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};

pub use std::sync::{Condvar, Mutex};
pub use wss::host::{HostPort as Port, Options, Running};

use crate::events::Events;

/// The service.
pub type Service = wss::service::Service<Port, Events>;

/// Waits for a lock. Nothing that holds one can panic halfway through a change.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every address: of IPv6 and IPv4 where there are both.
pub const ANY_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Opens the listener and starts the threads. `application` makes the service's application.
pub fn start(
    options: &Options,
    mut application: impl FnMut() -> Events,
) -> io::Result<Running<Events>> {
    let started = Running::start(options, application());
    match &started {
        // No IPv6 here.
        Err(error)
            if options.addr == ANY_ADDRESS
                && (error.kind() == io::ErrorKind::AddrNotAvailable
                    || error.kind() == io::ErrorKind::Unsupported
                    || error.raw_os_error() == Some(EAFNOSUPPORT)) =>
        {
            let addr = Ipv4Addr::UNSPECIFIED.into();
            Running::start(
                &Options {
                    addr,
                    ..options.clone()
                },
                application(),
            )
        }
        _ => started,
    }
}

/// std has no kind for this one.
const EAFNOSUPPORT: i32 = 97;

/// Runs what C called. Nothing in here is known to panic; if it does nevertheless, C gets `fallback`
/// instead of a stack that unwinds through it.
pub fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}
