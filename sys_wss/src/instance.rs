//! The one service: starting it, ending it, finding it.
//!
//! Lock order: the state, then anything of the service. No lock is held while C is called, or while a
//! thread is waited for.

use wss::ClientId;
use wss::service::{Lock as _, Port as _};

use crate::abi::MODULE_OBJ_INVALID;
use crate::convert::{Client, Error};
use crate::events::{self, Events};
use crate::options::Options;
use crate::platform::{
    self, Monitor, Running, Service, Shared, Threads, WeakShared, check_sizes, default_options,
};

/// How much longer than its own deadline a service that ends is waited for: for a callback that takes
/// its time, and calls of other threads.
const END_GRACE_MS: u32 = 1000;

static STATE: Monitor<State> = Monitor::new(State {
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
    Running {
        running: Running,
        /// It started by itself, and no `SYS_WSS_Initialize` has taken it over.
        unclaimed: bool,
    },
    /// It ends. The threads, and calls that are under way, keep it until then.
    Ending {
        service: WeakShared<Service>,
        threads: Threads,
    },
}

/// The last service of which nothing is left. A lock of its own, since a service may be freed anywhere.
static ENDED: Monitor<u32> = Monitor::new(0);

/// Nothing is left of the service `epoch`. Called as it is dropped, on whichever thread.
pub fn ended(epoch: u32) {
    *ENDED.lock() = epoch;
    ENDED.notify_all();
}

impl State {
    /// The number of the next service, whether or not it can be started.
    fn next_epoch(&mut self) -> u32 {
        // Neither 0 nor the last one, which would make clients that stand for none or for all.
        self.epoch = self.epoch % (u32::MAX - 1) + 1;
        self.epoch
    }

    /// Ending becomes idle once nothing is left; the threads that ended, to be waited for.
    fn settle(&mut self) -> Threads {
        if let Life::Ending { threads, .. } = &mut self.life {
            if *ENDED.lock() == self.epoch {
                let threads = core::mem::take(threads);
                self.life = Life::Idle;
                return threads;
            }
        }
        Threads::default()
    }

    fn service(&self) -> Option<Shared<Service>> {
        match &self.life {
            Life::Idle => None,
            Life::Running { running, .. } => Some(Shared::clone(running.service())),
            Life::Ending { service, .. } => service.upgrade(),
        }
    }
}

/// Sets the limits for the services to come.
pub fn set_options(options: Options) -> Result<(), Error> {
    options.check()?;
    check_sizes(&options)?;
    let mut state = STATE.lock();
    let threads = state.settle();
    let idle = matches!(state.life, Life::Idle);
    if idle {
        state.options = Some(options);
    }
    drop(state);
    threads.join();
    idle.then_some(()).ok_or(Error::Busy)
}

/// Starts the service at `port`, or takes over the one that started itself there; its number. `None`
/// for a port that is none: it cannot be opened either. `register` sets the callback, and is called only
/// if the service may start.
pub fn initialize(port: Option<u16>, register: impl FnOnce()) -> usize {
    let mut state = STATE.lock();
    let threads = state.settle();
    let number = usize::try_from(state.epoch).unwrap_or(MODULE_OBJ_INVALID);
    let outcome = match &mut state.life {
        Life::Running { running, unclaimed } if *unclaimed && port == Some(running.port()) => {
            *unclaimed = false;
            register();
            Ok(number)
        }
        Life::Idle => {
            register();
            start(&mut state, port, false)
        }
        _ => {
            drop(state);
            log::error!("the service runs already, or its end is under way");
            return MODULE_OBJ_INVALID;
        }
    };
    drop(state);
    threads.join();
    outcome.unwrap_or_else(|NotStarted| {
        events::tell_listen_failed();
        MODULE_OBJ_INVALID
    })
}

/// The service could not be started, which the log has been told.
struct NotStarted;

/// Starts the service; its number.
fn start(state: &mut State, port: Option<u16>, unclaimed: bool) -> Result<usize, NotStarted> {
    let options = state.options.clone().unwrap_or_else(default_options);
    let Some(port) = port else {
        log::error!("there is no such port");
        return Err(NotStarted);
    };
    // Nothing waits in there, so that the lock can be kept: whoever is told of the first client finds
    // the service.
    let started = platform::start(port, &options, || {
        Events::new(state.next_epoch(), options.origins.clone())
    });
    match started {
        Ok(running) => {
            state.life = Life::Running { running, unclaimed };
            Ok(usize::try_from(state.epoch).unwrap_or(MODULE_OBJ_INVALID))
        }
        Err(error) => {
            log::error!("cannot listen at port {port}: {error}");
            Err(NotStarted)
        }
    }
}

/// Starts the service at the port of the configuration unless it runs, where that is wanted: now that
/// there is somebody to tell of clients.
pub fn start_itself() {
    if !platform::STARTS_ITSELF {
        return;
    }
    let mut state = STATE.lock();
    let threads = state.settle();
    let mut outcome = Ok(0);
    // Not again: who ended it does not want it.
    if matches!(state.life, Life::Idle) && state.epoch == 0 {
        outcome = start(&mut state, Some(platform::DEFAULT_PORT), true);
    }
    drop(state);
    threads.join();
    if let Err(NotStarted) = outcome {
        events::tell_listen_failed();
    }
}

/// Ends the service `object`, if it is the one that runs, or waits for its end that is under way.
pub fn deinitialize(object: usize) {
    let mut state = STATE.lock();
    if usize::try_from(state.epoch) != Ok(object) {
        return;
    }
    let epoch = state.epoch;
    state.life = match core::mem::replace(&mut state.life, Life::Idle) {
        Life::Running { running, .. } => {
            running.service().stop();
            Life::Ending {
                service: Shared::downgrade(running.service()),
                threads: running.into_threads(),
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
    let threads = STATE.lock().settle();
    threads.join();
}

/// Waits until nothing is left of the service, which has stopped.
fn await_end(epoch: u32) {
    let until = platform::now_ms().saturating_add(END_GRACE_MS.into());
    let mut ended = ENDED.lock();
    while *ended != epoch {
        let left = until.saturating_sub(platform::now_ms());
        if left == 0 {
            return;
        }
        ended = ENDED.wait(ended, u32::try_from(left).unwrap_or(END_GRACE_MS));
    }
}

fn own_thread(service: &Service) -> bool {
    service.port().on_service_thread()
}

/// The service, while it runs or ends.
pub fn service() -> Result<Shared<Service>, Error> {
    STATE.lock().service().ok_or(Error::NotRunning)
}

/// Whether this is a thread of the service, which must not wait.
pub fn on_service_thread() -> bool {
    service().is_ok_and(|service| own_thread(&service))
}

/// The port at which the service listens.
pub fn port() -> Option<u16> {
    match &STATE.lock().life {
        Life::Running { running, .. } => Some(running.port()),
        Life::Idle | Life::Ending { .. } => None,
    }
}

/// The id that the service knows a client by, if the client still lives.
pub fn resolve(service: &Service, client: Client) -> Result<ClientId, Error> {
    let id = service.client(usize::from(client.slot));
    id.filter(|id| Client::new(service.application().epoch(), *id) == client)
        .ok_or(Error::NoSuchClient)
}

/// A message of this client, by the number that C has for it, is no longer needed.
#[cfg(not(feature = "host"))]
pub fn release_of(client: u64) {
    let id = Client::from_c(client).ok_or(Error::NoSuchClient);
    if let (Ok(client), Ok(service)) = (id, service()) {
        if let Ok(id) = resolve(&service, client) {
            service.release(id);
        }
    }
}

/// A message of this client of the service `epoch` is no longer needed.
#[cfg(feature = "host")]
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
