// SPDX-License-Identifier: Apache-2.0
//! The threads of a service on the host, for any application.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::buffer::Buffer;
use super::monitor::Monitor;
use super::options::Options;
use super::port::HostPort;
use crate::protocol::{MAX_SERVER_HEADER, OVERHEAD, Storage as _, check_field_names, check_origin};
use crate::service::{
    Application, Inbound, Pool, Port as _, Ready, Service, Shared, Slot, SlotState,
};

/// A running service, for an owner that stops it: [`Server`](super::Server) and other interfaces to the service.
///
/// After [`Service::stop`], the threads end by themselves once the last event was delivered. Dropping this does not
/// stop them, and does not wait for them.
pub struct Running<A: Application<HostPort>> {
    /// The service. The threads keep it alive until they end.
    pub service: Arc<Service<HostPort, A>>,
    /// The address it listens on; with port 0 if it does not listen.
    pub addr: SocketAddr,
    /// The threads of the loops; the first one serves.
    pub threads: Vec<JoinHandle<()>>,
}

impl<A: Application<HostPort> + Send + Sync + 'static> Running<A> {
    /// Opens the listener and starts the threads. `generation` is that of the first clients: an owner that keeps ids
    /// longer than a service passes [`Service::next_generation`] of the previous one.
    ///
    /// # Errors
    /// The operating system's error, if it cannot listen on the address; `InvalidInput` for options that are not valid.
    pub fn start(options: &Options, application: A, generation: u32) -> io::Result<Self> {
        Self::start_then(options, application, generation, |_| {}, |_| {})
    }

    /// Starts as [`start`](Self::start). `first` runs before the first event, `then` after the last one.
    pub(super) fn start_then(
        options: &Options,
        application: A,
        generation: u32,
        first: impl FnOnce(&Arc<Service<HostPort, A>>),
        then: impl FnOnce(&A) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if let Err(error) = options.limits.check() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        for origin in &options.origins {
            if let Err(error) = check_origin(origin) {
                let what = format!("the origin {origin:?} matches no request: {error}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        }
        if let Err(name) = check_field_names(&options.request_fields) {
            let what =
                format!("the request field {name:?} is not the name of a further header field");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        for page in &options.pages {
            if let Err(error) = page.check() {
                let what = format!("the page {:?}: {error}", page.path);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        }
        if options.pages.len() > usize::from(u16::MAX) {
            return invalid("there may be at most 65535 pages");
        }
        if options.max_clients == 0 {
            return invalid("the number of clients must be at least 1");
        }
        if options.loops == 0 {
            return invalid("the number of loops must be at least 1");
        }
        let room = usize::from(options.limits.handshake_limit).max(options.rx_buffer);
        let around = OVERHEAD + Buffer::FRONT;
        let storage = room.saturating_add(around);
        if options.rx_buffer.saturating_add(around) < Inbound::<Buffer>::MIN_STORAGE {
            return invalid("the receive size must be at least 4 bytes");
        }
        let max_clients = usize::from(options.max_clients);
        let block = options.rx_buffer.saturating_add(MAX_SERVER_HEADER);
        let blocks = usize::from(options.tx_blocks.unwrap_or(options.max_clients));
        let receiving = max_clients.checked_mul(storage);
        let total = receiving.and_then(|total| total.checked_add(blocks.checked_mul(block)?));
        // Fail now instead of aborting below. The memory is only tried, and freed at once.
        let fits = total.is_some_and(|total| Vec::<u8>::new().try_reserve_exact(total).is_ok());
        if !fits {
            return invalid("there is no memory for as many clients with such a receive size");
        }
        let loops = usize::from(options.loops);
        #[cfg_attr(not(feature = "tls"), allow(unused_mut))]
        let mut port = HostPort::new(max_clients, loops)?;
        #[cfg(feature = "tls")]
        port.set_tls(options.tls.clone());
        let addr = if options.listen {
            port.listen(SocketAddr::new(options.addr, options.port))?
        } else {
            SocketAddr::new(options.addr, 0)
        };
        let slots = (0..max_clients)
            .map(|_| Slot::new(Monitor::new(SlotState::FREE)))
            .collect();
        let pool = Monitor::new(Pool::new(Box::default()));
        let shared = Monitor::new(Shared::NEW);
        let service = Arc::new(Service::new(port, application, slots, pool, shared));
        let inbound = || Box::new(Inbound::new(Buffer::new(storage, options.rx_buffer)));
        let blocks = (0..blocks).map(|_| Some(Buffer::new(block, 0))).collect();
        service.equip(inbound, blocks);
        first(&service);
        service.open(&options.limits, generation);
        let mut threads = Vec::with_capacity(loops);
        // Dropped with the last thread.
        let then = Arc::new(Then::new(Arc::clone(&service), then));
        for index in 0..loops {
            let (looping, then) = (Arc::clone(&service), Arc::clone(&then));
            let name = match index {
                0 => "wss".to_owned(),
                _ => format!("wss-{index}"),
            };
            let spawned = thread::Builder::new().name(name).spawn(move || {
                run_loop(&looping, index);
                drop(then);
            });
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    // The threads that have started end by themselves.
                    service.stop();
                    if index == 0 {
                        service.port().stopped();
                    }
                    return Err(error);
                }
            }
        }
        Ok(Self {
            service,
            addr,
            threads,
        })
    }
}

/// Runs a loop, on its thread.
fn run_loop<A: Application<HostPort>>(service: &Service<HostPort, A>, index: usize) {
    if index == 0 {
        service.serve();
    } else {
        while !service.port().has_ended() {
            service.port().wait_on(index, &mut |ready| match ready {
                Ready::Client { slot, writable } => service.on_client(slot, writable),
                Ready::Work(work) => service.run(work),
                _ => {}
            });
            if service.port().take_tick(index) {
                service.application().tick(service);
            }
        }
    }
    loop {
        let work = service.port().take_work(index);
        if work.is_empty() {
            return;
        }
        for work in work {
            service.run(work);
        }
    }
}

/// Runs a function after the last event.
struct Then<A: Application<HostPort>, F: FnOnce(&A)> {
    service: Arc<Service<HostPort, A>>,
    then: Option<F>,
}

impl<A: Application<HostPort>, F: FnOnce(&A)> Then<A, F> {
    const fn new(service: Arc<Service<HostPort, A>>, then: F) -> Self {
        let then = Some(then);
        Self { service, then }
    }
}

impl<A: Application<HostPort>, F: FnOnce(&A)> Drop for Then<A, F> {
    fn drop(&mut self) {
        if let Some(then) = self.then.take() {
            then(self.service.application());
        }
    }
}
