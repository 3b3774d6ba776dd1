//! The services: starting them, ending them, finding them.
//!
//! Each has a place, and a number that later servers there do not have: the place is the number modulo
//! [`SERVERS`]. The default service has the first place, and its number is its `SYS_MODULE_OBJ`; the other
//! places are for further servers. Only a server has a number: its clients are known by their place, and
//! by a generation that goes on from one server to the next one there.
//!
//! Lock order: the state, then anything of the service. No lock is held while C is called, or while a
//! thread is waited for.

use wss::CloseCode;
use wss::service::{Lock, Target};

use crate::abi::{MODULE_OBJ_INVALID, NO_SERVER};
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
/// The place of the default service.
pub const DEFAULT_PLACE: usize = 0;

/// Something for each place.
pub struct PerServer<T>(pub [T; SERVERS]);

impl<T> PerServer<T> {
    /// That of a place.
    pub fn at(&self, place: usize) -> &T {
        // There always is one.
        self.0.get(place).unwrap_or(&self.0[0])
    }
}

/// The place of a server, from its number.
#[allow(clippy::cast_possible_truncation)] // there are not so many
pub const fn place(server: u32) -> usize {
    (server % SERVERS as u32) as usize
}

static STATES: PerServer<Monitor<State>> =
    PerServer([const { Monitor::new(State::new()) }; SERVERS]);

struct State {
    life: Life,
    /// The number of the last service here.
    number: u32,
    /// The generation of its first clients.
    first_generation: u32,
    /// A generation above those of all clients here, once it has stopped.
    next_generation: u32,
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

/// Nothing is left of a service. Called as it is dropped, on whichever thread.
pub fn ended(server: u32) {
    let ended = ENDED.at(place(server));
    *ended.lock() = server;
    ended.notify_all();
}

impl State {
    const fn new() -> Self {
        Self {
            life: Life::Idle,
            number: NO_SERVER,
            first_generation: 0,
            next_generation: 0,
            options: None,
        }
    }

    /// The number of the next service at a place, whether or not it can be started.
    #[allow(clippy::cast_possible_truncation)] // there are not so many
    fn next_number(&mut self, place: usize) -> u32 {
        const STEP: u32 = SERVERS as u32;
        // Neither 0, which is no server, nor the last one, which is none either.
        self.number = match self.number.checked_add(STEP) {
            Some(next) if self.number != NO_SERVER && next < u32::MAX => next,
            _ => STEP + place as u32,
        };
        self.number
    }

    /// Ending becomes idle once nothing is left; the threads that ended, to be waited for before there
    /// are others.
    fn settle(&mut self) -> Option<Threads> {
        let Life::Ending { threads, .. } = &mut self.life else {
            return None;
        };
        if *ENDED.at(place(self.number)).lock() != self.number {
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
    let mut state = settled(STATES.at(DEFAULT_PLACE));
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
    let mut state = settled(STATES.at(DEFAULT_PLACE));
    let number = usize::try_from(state.number).unwrap_or(MODULE_OBJ_INVALID);
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
    start(state, DEFAULT_PLACE, port, &options, unclaimed, |_| {})?;
    Ok(usize::try_from(state.number).unwrap_or(MODULE_OBJ_INVALID))
}

/// Starts a service at a place that is idle. `tell` gets its number before any event is delivered.
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
        let number = state.next_number(place);
        state.first_generation = state.next_generation;
        tell(number);
        Events::new(number, state.first_generation, options.origins.clone())
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

/// Starts the default service at the port of the configuration unless it runs, where that is wanted: its
/// callback was registered. Nothing else starts it, so that an accept hook can be set before.
pub fn start_itself() {
    if !platform::STARTS_ITSELF {
        return;
    }
    let mut state = settled(STATES.at(DEFAULT_PLACE));
    let mut outcome = Ok(0);
    // Not again: who ended it does not want it.
    if matches!(state.life, Life::Idle) && state.number == NO_SERVER {
        outcome = start_default(&mut state, Some(platform::DEFAULT_PORT), true);
    }
    drop(state);
    if let Err(NotStarted) = outcome {
        events::tell_listen_failed();
    }
}

/// Closes the clients of the default service if it has started by itself and was not taken over: the accept
/// hook, which was set after that, was not asked about them.
pub fn close_unasked() {
    if !platform::STARTS_ITSELF {
        return;
    }
    let state = STATES.at(DEFAULT_PLACE).lock();
    if let Life::Running {
        running,
        unclaimed: true,
    } = &state.life
    {
        let service = Shared::clone(running.service());
        drop(state);
        let _ = service.close(Target::All, CloseCode::POLICY_VIOLATION, "");
    }
}

/// Starts a further server. `tell` gets its number before any event is delivered, and sets its callback.
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

/// Ends a server, if it is one that runs, or waits for its end that is under way.
pub fn end(server: u32) -> Result<(), Error> {
    let mut state = STATES.at(place(server)).lock();
    if state.number != server || matches!(state.life, Life::Idle) {
        return Err(Error::NotRunning);
    }
    state.life = match core::mem::replace(&mut state.life, Life::Idle) {
        Life::Running { running, .. } => {
            running.service().stop();
            state.next_generation = running.service().next_generation();
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
    let has_ended = await_end(server);
    drop(settled(STATES.at(place(server))));
    has_ended.then_some(()).ok_or(Error::Busy)
}

/// Waits until nothing is left of a service, which has stopped; whether that is so.
fn await_end(server: u32) -> bool {
    let until = platform::now_ms().saturating_add(END_GRACE_MS.into());
    let monitor = ENDED.at(place(server));
    let mut ended = monitor.lock();
    // A later one may have ended meanwhile.
    while ended.wrapping_sub(server) > u32::MAX / 2 {
        let left = until.saturating_sub(platform::now_ms());
        if left == 0 {
            return false;
        }
        ended = monitor.wait(ended, u32::try_from(left).unwrap_or(END_GRACE_MS));
    }
    true
}

/// The service of a server, or the default one, while it runs or ends.
pub fn service(server: u32) -> Result<Shared<Service>, Error> {
    let state = STATES.at(place(server)).lock();
    if server != DEFAULT && server != state.number {
        return Err(Error::NotRunning);
    }
    state.service().ok_or(Error::NotRunning)
}

/// The service that a client is of, if it still lives. Of a client of a server before, it has not the id.
pub fn service_of(client: Client) -> Result<Shared<Service>, Error> {
    let state = STATES.at(client.place).lock();
    state.service().ok_or(Error::NotRunning)
}

/// The server that a client is or was of: the last one at its place, or [`NO_SERVER`] for those before.
pub fn server_of(client: Client) -> u32 {
    let state = STATES.at(client.place).lock();
    let nth = client.id.generation().wrapping_sub(state.first_generation);
    if nth <= u32::MAX / 2 {
        state.number
    } else {
        NO_SERVER
    }
}

/// The port at which a server listens, or the default service.
pub fn port(server: u32) -> Option<u16> {
    let state = STATES.at(place(server)).lock();
    match &state.life {
        Life::Running { running, .. } if server == DEFAULT || server == state.number => {
            Some(running.port())
        }
        _ => None,
    }
}

/// A message of this client is no longer needed.
pub fn release(client: Client) {
    if let Ok(service) = service_of(client) {
        service.release(client.id);
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
