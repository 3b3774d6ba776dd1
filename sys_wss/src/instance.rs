//! The services: starting them, ending them, finding them.
//!
//! Each has a place, and a number that is not used again: the place is what is left of it when it is
//! divided by how many there can be. The default service has the first place, and its number is its
//! `SYS_MODULE_OBJ`; the other places are for further servers.
//!
//! Lock order: the state, then anything of the service. No lock is held while C is called, or while a
//! thread is waited for.

use wss::ClientId;
use wss::service::Lock;

use crate::abi::MODULE_OBJ_INVALID;
use crate::convert::{Client, Error};
use crate::events::{self, Events};
use crate::options::Options;
use crate::platform::{
    self, Monitor, Running, SERVERS, Service, Shared, Threads, WeakShared, check_sizes,
    default_options,
};

/// How much longer than its own deadline a service that ends is waited for: for a callback that takes
/// its time, and calls of other threads.
const END_GRACE_MS: u32 = 1000;

/// Stands for the default service, whichever number it has.
pub const DEFAULT: u32 = 0;

/// Something for each service that there can be.
pub struct PerServer<T>(pub [T; SERVERS]);

impl<T> PerServer<T> {
    /// That of the service `epoch`.
    pub fn of(&self, epoch: u32) -> &T {
        // There always is one.
        self.0.get(place(epoch)).unwrap_or(&self.0[0])
    }
}

/// The place of the service `epoch`: 0 for the default one.
#[allow(clippy::cast_possible_truncation)] // there are not so many
pub const fn place(epoch: u32) -> usize {
    (epoch % SERVERS as u32) as usize
}

static STATES: PerServer<Monitor<State>> =
    PerServer([const { Monitor::new(State::new()) }; SERVERS]);

struct State {
    life: Life,
    /// The number of the last service here.
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

/// The last service at each place of which nothing is left. Locks of their own, since a service may be
/// freed anywhere.
static ENDED: PerServer<Monitor<u32>> = PerServer([const { Monitor::new(0) }; SERVERS]);

/// Nothing is left of the service `epoch`. Called as it is dropped, on whichever thread.
pub fn ended(epoch: u32) {
    let ended = ENDED.of(epoch);
    *ended.lock() = epoch;
    ended.notify_all();
}

impl State {
    const fn new() -> Self {
        Self {
            life: Life::Idle,
            epoch: 0,
            options: None,
        }
    }

    /// The number of the next service at a place, whether or not it can be started.
    #[allow(clippy::cast_possible_truncation)] // there are not so many
    fn next_epoch(&mut self, place: usize) -> u32 {
        const STEP: u32 = SERVERS as u32;
        // Neither 0 nor the last one, which would make clients that stand for none or for all.
        self.epoch = match self.epoch.checked_add(STEP) {
            Some(next) if self.epoch != 0 && next < u32::MAX => next,
            _ => STEP + place as u32,
        };
        self.epoch
    }

    /// Ending becomes idle once nothing is left; the threads that ended, to be waited for before there
    /// are others.
    fn settle(&mut self) -> Option<Threads> {
        let Life::Ending { threads, .. } = &mut self.life else {
            return None;
        };
        if *ENDED.of(self.epoch).lock() != self.epoch {
            return None;
        }
        let threads = core::mem::take(threads);
        self.life = Life::Idle;
        Some(threads)
    }

    fn service(&self) -> Option<Shared<Service>> {
        match &self.life {
            Life::Idle => None,
            Life::Running { running, .. } => Some(Shared::clone(running.service())),
            Life::Ending { service, .. } => service.upgrade(),
        }
    }
}

/// The state, which is idle if nothing is left of the service before.
fn settled(state: &Monitor<State>) -> <Monitor<State> as Lock<State>>::Guard<'_> {
    loop {
        let mut settled = state.lock();
        match settled.settle() {
            None => return settled,
            Some(threads) => {
                drop(settled);
                threads.join();
            }
        }
    }
}

fn check(options: &Options) -> Result<(), Error> {
    options.check()?;
    check_sizes(options)
}

/// Sets the limits for the default services to come.
pub fn set_options(options: Options) -> Result<(), Error> {
    check(&options)?;
    let mut state = settled(STATES.of(DEFAULT));
    let idle = matches!(state.life, Life::Idle);
    if idle {
        state.options = Some(options);
    }
    idle.then_some(()).ok_or(Error::Busy)
}

/// Starts the default service at `port`, or takes over the one that started itself there; its number.
/// `None` for a port that is none: it cannot be opened either. `register` sets the callback, and is
/// called only if the service may start.
pub fn initialize(port: Option<u16>, register: impl FnOnce()) -> usize {
    let mut state = settled(STATES.of(DEFAULT));
    let number = usize::try_from(state.epoch).unwrap_or(MODULE_OBJ_INVALID);
    let outcome = match &mut state.life {
        // Without a listener the port is of no meaning.
        Life::Running { running, unclaimed }
            if *unclaimed && port.is_some_and(|port| [port, 0].contains(&running.port())) =>
        {
            *unclaimed = false;
            register();
            Ok(number)
        }
        Life::Idle => {
            register();
            start_default(&mut state, port, false)
        }
        _ => {
            drop(state);
            log::error!("the service runs already, or its end is under way");
            return MODULE_OBJ_INVALID;
        }
    };
    drop(state);
    outcome.unwrap_or_else(|NotStarted| {
        events::tell_listen_failed();
        MODULE_OBJ_INVALID
    })
}

/// The service could not be started, which the log has been told.
struct NotStarted;

/// Starts the default service; its number.
fn start_default(
    state: &mut State,
    port: Option<u16>,
    unclaimed: bool,
) -> Result<usize, NotStarted> {
    let options = state.options.clone().unwrap_or_else(default_options);
    let Some(port) = port else {
        log::error!("there is no such port");
        return Err(NotStarted);
    };
    start(state, 0, port, &options, unclaimed, |_| {})?;
    Ok(usize::try_from(state.epoch).unwrap_or(MODULE_OBJ_INVALID))
}

/// Starts a service at a place that is idle. `tell` is told its number before anybody else is.
fn start(
    state: &mut State,
    place: usize,
    port: u16,
    options: &Options,
    unclaimed: bool,
    mut tell: impl FnMut(u32),
) -> Result<(), NotStarted> {
    // Nothing waits in there, so that the lock can be kept: whoever is told of the first client finds
    // the service.
    let started = platform::start(port, options, || {
        let epoch = state.next_epoch(place);
        tell(epoch);
        Events::new(epoch, options.origins.clone())
    });
    match started {
        Ok(running) => {
            state.life = Life::Running { running, unclaimed };
            Ok(())
        }
        Err(error) => {
            log::error!("cannot listen at port {port}: {error}");
            Err(NotStarted)
        }
    }
}

/// Starts the default service at the port of the configuration unless it runs, where that is wanted: now
/// that there is somebody to tell of clients.
pub fn start_itself() {
    if !platform::STARTS_ITSELF {
        return;
    }
    let mut state = settled(STATES.of(DEFAULT));
    let mut outcome = Ok(0);
    // Not again: who ended it does not want it.
    if matches!(state.life, Life::Idle) && state.epoch == 0 {
        outcome = start_default(&mut state, Some(platform::DEFAULT_PORT), true);
    }
    drop(state);
    if let Err(NotStarted) = outcome {
        events::tell_listen_failed();
    }
}

/// Starts a further server. `tell` is told its number before anybody else is, and sets its callback.
pub fn start_server(port: u16, options: &Options, tell: impl FnMut(u32)) -> Result<(), Error> {
    check(options)?;
    for (place, state) in STATES.0.iter().enumerate().skip(1) {
        let mut state = settled(state);
        if matches!(state.life, Life::Idle) {
            let started = start(&mut state, place, port, options, false, tell);
            return started.map_err(|NotStarted| Error::Failed);
        }
    }
    Err(Error::Busy)
}

/// Ends the service `epoch`, if that is one that runs, or waits for its end that is under way.
pub fn end(epoch: u32) -> Result<(), Error> {
    let mut state = STATES.of(epoch).lock();
    if state.epoch != epoch || matches!(state.life, Life::Idle) {
        return Err(Error::NotRunning);
    }
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
    if platform::on_service_thread() {
        return Ok(());
    }
    if let Some(service) = service {
        // Whether or not all went well: what is left is waited for below.
        service.wait_stopped();
    }
    let has_ended = await_end(epoch);
    drop(settled(STATES.of(epoch)));
    has_ended.then_some(()).ok_or(Error::Busy)
}

/// Waits until nothing is left of the service, which has stopped; whether that is so.
fn await_end(epoch: u32) -> bool {
    let until = platform::now_ms().saturating_add(END_GRACE_MS.into());
    let monitor = ENDED.of(epoch);
    let mut ended = monitor.lock();
    // A later one may have ended meanwhile.
    while ended.wrapping_sub(epoch) > u32::MAX / 2 {
        let left = until.saturating_sub(platform::now_ms());
        if left == 0 {
            return false;
        }
        ended = monitor.wait(ended, u32::try_from(left).unwrap_or(END_GRACE_MS));
    }
    true
}

/// The service `epoch`, while it runs or ends.
pub fn service(epoch: u32) -> Result<Shared<Service>, Error> {
    let state = STATES.of(epoch).lock();
    if epoch != DEFAULT && epoch != state.epoch {
        return Err(Error::NotRunning);
    }
    state.service().ok_or(Error::NotRunning)
}

/// The port at which the service `epoch` listens.
pub fn port(epoch: u32) -> Option<u16> {
    let state = STATES.of(epoch).lock();
    match &state.life {
        Life::Running { running, .. } if epoch == DEFAULT || epoch == state.epoch => {
            Some(running.port())
        }
        _ => None,
    }
}

/// The service of a client, and the id that it knows it by, if the client still lives.
pub fn resolve(client: Client) -> Result<(Shared<Service>, ClientId), Error> {
    let service = service(client.epoch)?;
    let id = service
        .client(usize::from(client.slot))
        .filter(|id| (id.generation() & 0xFFFF) as u16 == client.generation)
        .ok_or(Error::NoSuchClient)?;
    Ok((service, id))
}

/// A message of this client is no longer needed.
pub fn release(client: Client) {
    if let Ok((service, id)) = resolve(client) {
        service.release(id);
    }
}

/// A queue has room again.
pub fn room() {
    for state in &STATES.0 {
        let service = state.lock().service();
        if let Some(service) = service {
            service.room();
        }
    }
}
