//! The threads beneath a service on the host, whatever its application.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

use super::port::{HostPort, become_service_thread};
use super::server::Options;
use crate::protocol::{MAX_SERVER_HEADER, OVERHEAD};
use crate::service::{Application, Inbound, Service, Slot, Work};

/// A service that runs, for an owner that minds its end: what [`Server`](super::Server) is made of,
/// and other interfaces to the service.
///
/// After [`Service::stop`] the threads end by themselves, once the last event was delivered. Dropping
/// this neither ends them nor waits for them.
pub struct Running<A: Application<HostPort>> {
    /// The service. The threads keep it alive until they end.
    pub service: Arc<Service<HostPort, A>>,
    /// The address at which it listens; with port 0 if it does not.
    pub addr: SocketAddr,
    /// The serving thread and the work queue.
    pub threads: Vec<JoinHandle<()>>,
}

impl<A: Application<HostPort> + Send + Sync + 'static> Running<A> {
    /// Opens the listener and starts the threads.
    ///
    /// # Errors
    /// The operating system's, if the address cannot be listened at; `InvalidInput` for options that
    /// cannot work.
    pub fn start(options: &Options, application: A) -> io::Result<Self> {
        Self::start_then(options, application, |_| {})
    }

    /// As [`start`](Self::start), with something to do after the last event.
    pub(super) fn start_then(
        options: &Options,
        application: A,
        then: impl FnOnce(&A) + Send + 'static,
    ) -> io::Result<Self> {
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if let Err(error) = options.limits.check() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        if options.max_clients == 0 {
            return invalid("the number of clients must be at least 1");
        }
        let storage = options.rx_buffer.saturating_add(OVERHEAD);
        if storage < Inbound::<Box<[u8]>>::MIN_STORAGE {
            return invalid("the receive size must be at least 4 bytes");
        }
        let max_clients = usize::from(options.max_clients);
        let block = options.rx_buffer.saturating_add(MAX_SERVER_HEADER);
        let blocks = usize::from(options.tx_blocks.unwrap_or(options.max_clients));
        let receiving = max_clients.checked_mul(storage);
        let total = receiving.and_then(|total| total.checked_add(blocks.checked_mul(block)?));
        // Better said now than by an abort below. What is asked for here is given back at once.
        let fits = total.is_some_and(|total| Vec::<u8>::new().try_reserve_exact(total).is_ok());
        if !fits {
            return invalid("there is no memory for as many clients with such a receive size");
        }
        let (work, work_queue) = channel();
        let port = HostPort::new(max_clients, work)?;
        let addr = if options.listen {
            port.listen(SocketAddr::new(options.addr, options.port))?
        } else {
            SocketAddr::new(options.addr, 0)
        };
        let bytes = |len| vec![0; len].into_boxed_slice();
        let slots = (0..max_clients)
            .map(|_| Slot::new(Box::new(Inbound::new(bytes(storage)))))
            .collect();
        let blocks = (0..blocks).map(|_| Some(bytes(block))).collect();
        let limits = options.limits;
        let service = Arc::new(Service::new(port, application, limits, slots, blocks));
        let working = Arc::clone(&service);
        let serving = Arc::clone(&service);
        // The work queue first: it ends by itself if the other cannot be started.
        let work_thread = thread::Builder::new()
            .name("wss-work".into())
            .spawn(move || {
                run_work_queue(&working, &work_queue);
                then(working.application());
            })?;
        let serving_thread = thread::Builder::new().name("wss".into()).spawn(move || {
            serving.serve();
            serving.port().end_work_queue();
        });
        let serving_thread = serving_thread.inspect_err(|_| service.port().end_work_queue())?;
        Ok(Self {
            service,
            addr,
            threads: vec![serving_thread, work_thread],
        })
    }
}

/// The thread of the work queue.
fn run_work_queue<A: Application<HostPort>>(
    service: &Service<HostPort, A>,
    queue: &Receiver<Option<Work>>,
) {
    become_service_thread();
    while let Ok(Some(work)) = queue.recv() {
        if work == Work::Service {
            service.port().service_work_begins();
        }
        service.run(work);
    }
}
