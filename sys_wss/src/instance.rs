// SPDX-License-Identifier: Apache-2.0
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
use crate::handshake::requests;
use crate::options::Options;
use crate::platform::{
    self, Handle, Instance, Monitor, SERVERS, check_sizes, default_options, monitor,
};

/// How much longer than its own deadline a service that ends is waited for: for a callback that takes
/// its time.
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

/// The services.
static INSTANCES: PerServer<Instance> = PerServer([const { Instance::new() }; SERVERS]);

static STATES: PerServer<Monitor<State>> = PerServer([const { monitor(State::new()) }; SERVERS]);

struct State {
    life: Life,
    /// The number of the last service here.
    number: u32,
    /// The generation of its first clients.
    first_generation: u32,
    /// How many threads wait for its end: one of them finds out.
    waiting: u32,
    options: Kept,
}

/// The limits that were set. All zeros if none were, so that a static one takes no flash.
#[repr(C)]
enum Kept {
    None,
    Some(Options),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Idle,
    Running {
        /// Where it listens.
        port: u16,
        /// It started by itself, and no `SYS_WSS_Initialize` has taken it over.
        unclaimed: bool,
    },
    /// It ends.
    Ending,
}

impl State {
    const fn new() -> Self {
        Self {
            life: Life::Idle,
            number: NO_SERVER,
            first_generation: 0,
            waiting: 0,
            options: Kept::None,
        }
    }

    fn settle(&mut self, place: usize) {
        if self.life == Life::Ending && self.waiting == 0 && INSTANCES.at(place).join(0) {
            self.life = Life::Idle;
            requests(place).forget();
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
}

/// The state of a place. Ending becomes idle once all callbacks have returned.
fn settled(place: usize) -> Guard {
    let mut state = STATES.at(place).lock();
    state.settle(place);
    state
}

type Guard = <Monitor<State> as Lock<State>>::Guard<'static>;

fn check(options: &Options) -> Result<(), Error> {
    options.check()?;
    check_sizes(options)
}

/// Sets the limits for the default services to come.
pub fn set_options(options: Options) -> Result<(), Error> {
    check(&options)?;
    let mut state = settled(DEFAULT_PLACE);
    let idle = state.life == Life::Idle;
    if idle {
        state.options = Kept::Some(options);
    }
    idle.then_some(()).ok_or(Error::Busy)
}

/// Starts the default service at `port`, or takes over the one that started itself there; its number.
/// `None` for a port that is none: it cannot be opened either. `register` sets the callback, and is
/// called only if the service may start.
pub fn initialize(port: Option<u16>, register: impl FnOnce()) -> usize {
    let mut state = settled(DEFAULT_PLACE);
    let number = usize::try_from(state.number).unwrap_or(MODULE_OBJ_INVALID);
    let outcome = match &mut state.life {
        // Without a listener the port is of no meaning.
        Life::Running {
            port: listening,
            unclaimed,
        } if *unclaimed && port.is_some_and(|port| [port, 0].contains(listening)) => {
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
    let options = match &state.options {
        Kept::None => default_options(),
        Kept::Some(options) => options.clone(),
    };
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
    let begin = |events: &Events, generation| {
        let number = state.next_number(place);
        state.first_generation = generation;
        tell(number);
        events.begin(number, options.origins.clone());
    };
    match INSTANCES.at(place).start(port, options, begin) {
        Ok(port) => {
            state.life = Life::Running { port, unclaimed };
            Ok(())
        }
        Err(error) => {
            log::error!("cannot listen on port {port}: {error}");
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
    let mut state = settled(DEFAULT_PLACE);
    let mut outcome = Ok(0);
    // Not again: who ended it does not want it.
    if state.life == Life::Idle && state.number == NO_SERVER {
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
    let is_unasked = matches!(
        state.life,
        Life::Running {
            unclaimed: true,
            ..
        }
    );
    drop(state);
    if let (true, Some(service)) = (is_unasked, INSTANCES.at(DEFAULT_PLACE).service()) {
        let _ = service.close(Target::All, CloseCode::POLICY_VIOLATION, "");
    }
}

/// Starts a further server. `tell` gets its number before any event is delivered, and sets its callback.
pub fn start_server(port: u16, options: &Options, tell: impl FnMut(u32)) -> Result<(), Error> {
    check(options)?;
    for place in 1..SERVERS {
        let mut state = settled(place);
        if state.life == Life::Idle {
            let started = start(&mut state, place, port, options, false, tell);
            return started.map_err(|NotStarted| Error::Failed);
        }
    }
    Err(Error::Busy)
}

/// Ends a server, if it is one that runs, or waits for its end that is under way.
pub fn end(server: u32) -> Result<(), Error> {
    let place = place(server);
    let instance = INSTANCES.at(place);
    let mut state = STATES.at(place).lock();
    let service = instance.service().ok_or(Error::NotRunning)?;
    if state.number != server || state.life == Life::Idle {
        return Err(Error::NotRunning);
    }
    if state.life != Life::Ending {
        service.stop();
        state.life = Life::Ending;
    }
    if platform::on_service_thread() {
        return Ok(());
    }
    state.waiting = state.waiting.saturating_add(1);
    drop(state);
    // Whether or not all went well: what is left is waited for below.
    service.wait_stopped();
    let has_ended = instance.join(END_GRACE_MS);
    let mut state = STATES.at(place).lock();
    state.waiting = state.waiting.saturating_sub(1);
    state.settle(place);
    // Another thread may have seen it end, and even started the next one.
    let is_over = has_ended || state.number != server || state.life == Life::Idle;
    is_over.then_some(()).ok_or(Error::Busy)
}

/// The service of a server, or the default one, while it runs or ends.
pub fn service(server: u32) -> Result<Handle, Error> {
    let place = place(server);
    let state = settled(place);
    if server != DEFAULT && server != state.number || state.life == Life::Idle {
        return Err(Error::NotRunning);
    }
    INSTANCES.at(place).service().ok_or(Error::NotRunning)
}

/// The service that a client is of, or was: then it has no client with this id.
pub fn service_of(client: Client) -> Result<Handle, Error> {
    let service = INSTANCES.at(client.place).service();
    service.ok_or(Error::NotRunning)
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
    match state.life {
        Life::Running { port, .. } if server == DEFAULT || server == state.number => Some(port),
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
    for service in INSTANCES.0.iter().filter_map(Instance::service) {
        service.room();
    }
}
