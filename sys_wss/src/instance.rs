//! The one service: starting it, ending it, finding it.
//!
//! Lock order: the state, then anything of the service. No lock is held while C is called, or while a
//! thread is waited for.

use std::sync::{Arc, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wss::ClientId;
use wss::service::Config;

use crate::abi::MODULE_OBJ_INVALID;
use crate::convert::{Client, Error};
use crate::events::{self, Events};
use crate::platform::{self, ANY_ADDRESS, Condvar, Mutex, Options, Running, Service, lock};

/// How much longer than its own deadline a service that ends is waited for: for a callback that takes
/// its time, and calls of other threads.
const END_GRACE: Duration = Duration::from_secs(1);

static STATE: Mutex<State> = Mutex::new(State {
    life: Life::Idle,
    epoch: 0,
    options: None,
});

struct State {
    life: Life,
    /// How many services there have been. The number of the last one is also its `SYS_MODULE_OBJ`.
    epoch: u32,
    /// The limits that were set.
    options: Option<Options>,
}

enum Life {
    Idle,
    Running(Running<Events>),
    /// It ends. The threads, and calls that are under way, keep it until then.
    Ending {
        service: Weak<Service>,
        threads: Vec<JoinHandle<()>>,
    },
}

/// The last service of which nothing is left. A lock of its own, since a service may be freed anywhere.
static ENDED: Mutex<u32> = Mutex::new(0);
static HAS_ENDED: Condvar = Condvar::new();

/// Nothing is left of the service `epoch`. Called as it is dropped, on whichever thread.
pub fn ended(epoch: u32) {
    *lock(&ENDED) = epoch;
    HAS_ENDED.notify_all();
}

impl State {
    /// The number of the next service, whether or not it can be started.
    fn next_epoch(&mut self) -> u32 {
        // Neither 0 nor the last one, which would make clients that stand for none or for all.
        self.epoch = self.epoch % (u32::MAX - 1) + 1;
        self.epoch
    }

    /// Ending becomes idle once nothing is left; the threads that ended, to be waited for.
    fn settle(&mut self) -> Vec<JoinHandle<()>> {
        if let Life::Ending { threads, .. } = &mut self.life {
            if *lock(&ENDED) == self.epoch {
                let threads = core::mem::take(threads);
                self.life = Life::Idle;
                return threads;
            }
        }
        Vec::new()
    }

    fn service(&self) -> Option<Arc<Service>> {
        match &self.life {
            Life::Idle => None,
            Life::Running(running) => Some(Arc::clone(&running.service)),
            Life::Ending { service, .. } => service.upgrade(),
        }
    }
}

/// Waits for threads of a service of which nothing is left: they are about to end, and none of them can
/// be the one that calls this.
fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join();
    }
}

/// The defaults of the C interface: as the service's, but at every address.
pub fn default_options() -> Options {
    Options {
        addr: ANY_ADDRESS,
        ..Options::default()
    }
}

/// Sets the limits for the services to come.
pub fn set_options(options: Options) -> Result<(), Error> {
    let sizes = options.max_clients > 0
        && options.rx_buffer >= 4
        && isize::try_from(options.rx_buffer).is_ok_and(|size| size < isize::MAX / 2)
        && options.limits.handshake_limit > 0;
    let Config {
        handshake_timeout_ms,
        client_timeout_ms,
        send_timeout_ms,
        close_timeout_ms,
        hold_timeout_ms,
        ..
    } = options.limits;
    let times = [
        handshake_timeout_ms,
        client_timeout_ms,
        send_timeout_ms,
        close_timeout_ms,
        hold_timeout_ms,
    ];
    if !sizes || times.contains(&0) {
        return Err(Error::BadArgument);
    }
    let mut state = lock(&STATE);
    let threads = state.settle();
    let idle = matches!(state.life, Life::Idle);
    if idle {
        state.options = Some(options);
    }
    drop(state);
    join(threads);
    idle.then_some(()).ok_or(Error::Busy)
}

/// Starts the service at `port`; its number. `None` for a port that is none: it cannot be opened either.
/// `register` sets the callback, and is called only if the service may start.
pub fn initialize(port: Option<u16>, register: impl FnOnce()) -> usize {
    let mut state = lock(&STATE);
    let threads = state.settle();
    if !matches!(state.life, Life::Idle) {
        drop(state);
        log::error!("the service runs already, or its end is under way");
        return MODULE_OBJ_INVALID;
    }
    register();
    let outcome = match port {
        Some(port) => {
            let mut options = state.options.clone().unwrap_or_else(default_options);
            options.port = port;
            // Nothing waits in there, so that the lock can be kept: whoever is told of the first client
            // finds the service.
            let running = platform::start(&options, || {
                Events::new(state.next_epoch(), options.origins.clone())
            });
            running.map_err(|error| format!("{}:{port}: {error}", options.addr))
        }
        None => Err("there is no such port".to_owned()),
    };
    let outcome = outcome.map(|running| state.life = Life::Running(running));
    let number = usize::try_from(state.epoch).unwrap_or(MODULE_OBJ_INVALID);
    drop(state);
    join(threads);
    match outcome {
        Ok(()) => number,
        Err(error) => {
            log::error!("cannot listen at {error}");
            events::tell_listen_failed();
            MODULE_OBJ_INVALID
        }
    }
}

/// Ends the service `object`, if it is the one that runs, or waits for its end that is under way.
pub fn deinitialize(object: usize) {
    let mut state = lock(&STATE);
    if usize::try_from(state.epoch) != Ok(object) {
        return;
    }
    let epoch = state.epoch;
    state.life = match core::mem::replace(&mut state.life, Life::Idle) {
        Life::Running(running) => {
            running.service.stop();
            Life::Ending {
                service: Arc::downgrade(&running.service),
                threads: running.threads,
            }
        }
        life => life,
    };
    let service = state.service();
    drop(state);
    if let Some(service) = service {
        if own_thread(&service) {
            return;
        }
        // Whether or not all went well: what is left is waited for below.
        service.wait_stopped();
    }
    await_end(epoch);
    let threads = lock(&STATE).settle();
    join(threads);
}

/// Waits until nothing is left of the service, which has stopped.
fn await_end(epoch: u32) {
    let until = Instant::now() + END_GRACE;
    let mut ended = lock(&ENDED);
    while *ended != epoch {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let waited = HAS_ENDED.wait_timeout(ended, left);
        ended = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn own_thread(service: &Service) -> bool {
    use wss::service::Port as _;
    service.port().on_service_thread()
}

/// The service, while it runs or ends.
pub fn service() -> Result<Arc<Service>, Error> {
    lock(&STATE).service().ok_or(Error::NotRunning)
}

/// Whether this is a thread of the service, which must not wait.
pub fn on_service_thread() -> bool {
    service().is_ok_and(|service| own_thread(&service))
}

/// The port at which the service listens.
pub fn port() -> Option<u16> {
    match &lock(&STATE).life {
        Life::Running(running) => Some(running.addr.port()),
        Life::Idle | Life::Ending { .. } => None,
    }
}

/// The id that the service knows a client by, if the client still lives.
pub fn resolve(service: &Service, client: Client) -> Result<ClientId, Error> {
    let id = service.client(usize::from(client.slot));
    id.filter(|id| Client::new(service.application().epoch(), *id) == client)
        .ok_or(Error::NoSuchClient)
}

/// A message of this client of the service `epoch` is no longer needed.
pub fn release(epoch: u32, id: ClientId) {
    if let Ok(service) = service() {
        if service.application().epoch() == epoch {
            service.release(id);
        }
    }
}

/// A queue has room again.
pub fn room() {
    if let Ok(service) = service() {
        service.room();
    }
}
