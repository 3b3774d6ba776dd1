// SPDX-License-Identifier: Apache-2.0
//! The servers: starting, stopping, and finding them.
//!
//! A server is a place in static arrays; the default server has the first one. C has the address of its state. A client
//! is identified by the place and by a generation, which continues from one start to the next.
//!
//! Lock order: the state, then anything of the service. No lock is held while calling C, or while waiting for a thread.

use core::ffi::c_void;
use core::ptr;

use wss::service::Lock;

use crate::abi::{self, MODULE_OBJ_INVALID};
use crate::callbacks::{self, Sink};
use crate::client::Client;
use crate::config::{Options, Tls};
use crate::error::Error;
use crate::events::{self, Events};
use crate::platform::{self, Handle, Instance, Monitor, SERVERS, default_options, monitor};
use crate::queues;
use crate::request::requests;

/// How much longer than its own deadline to wait for a server that stops: a callback may take long.
const END_GRACE_MS: u32 = 1000;

/// The place of the default server.
pub const DEFAULT: usize = 0;

/// A value for each server.
pub struct PerServer<T>(pub [T; SERVERS]);

impl<T> PerServer<T> {
    /// Returns the value for a place.
    pub fn at(&self, place: usize) -> &T {
        // The place always exists.
        self.0.get(place).unwrap_or(&self.0[0])
    }
}

/// The services.
static INSTANCES: PerServer<Instance> = PerServer([const { Instance::new() }; SERVERS]);

static STATES: PerServer<Monitor<State>> = PerServer([const { monitor(State::new()) }; SERVERS]);

struct State {
    life: Life,
    /// The number of starts: the `SYS_MODULE_OBJ`, so that one of an earlier start is invalid.
    runs: u32,
    /// The number of threads that wait for its end; one of them handles it.
    waiting: u32,
    options: Kept,
}

/// The configuration that was set. All zeros if there is none, so that a static one takes no flash.
#[repr(C)]
#[allow(clippy::large_enum_variant)] // it is static
enum Kept {
    None,
    Some(Options),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Idle,
    Running {
        /// The port that it listens on.
        port: u16,
        /// It started by itself, and `SYS_WSS_Initialize` has not adopted it.
        unclaimed: bool,
    },
    /// It is stopping.
    Ending,
}

impl State {
    const fn new() -> Self {
        Self {
            life: Life::Idle,
            runs: 0,
            waiting: 0,
            options: Kept::None,
        }
    }

    fn options(&self) -> Options {
        match &self.options {
            Kept::None => default_options(),
            Kept::Some(options) => *options,
        }
    }

    fn settle(&mut self, place: usize) {
        if self.life == Life::Ending && self.waiting == 0 && INSTANCES.at(place).join(0) {
            self.life = Life::Idle;
            requests(place).forget();
        }
    }

    /// Returns the `SYS_MODULE_OBJ` of this run.
    fn object(&self) -> usize {
        usize::try_from(self.runs).unwrap_or(MODULE_OBJ_INVALID)
    }
}

/// Returns the state of a server. A stopping one becomes idle once all callbacks have returned.
fn settled(place: usize) -> Guard {
    platform::set_logger();
    let mut state = STATES.at(place).lock();
    state.settle(place);
    state
}

type Guard = <Monitor<State> as Lock<State>>::Guard<'static>;

/// Returns the address of a server for C; NULL for a place that does not exist.
pub fn to_c(place: usize) -> *const abi::Server {
    let state = STATES.0.get(place);
    state.map_or(ptr::null(), |state| ptr::from_ref(state).cast())
}

/// Returns the place of the server with this address.
pub fn from_c(server: *const abi::Server) -> Result<usize, Error> {
    let offset = server.addr().checked_sub(STATES.0.as_ptr().addr());
    let place = offset.map(|offset| offset / size_of::<Monitor<State>>());
    place
        .filter(|place| ptr::eq(to_c(*place), server) && !server.is_null())
        .ok_or(Error::BadPointer)
}

/// Sets the configuration for the next start; `None`: the default one.
pub fn configure(place: usize, options: Option<Options>) -> Result<(), Error> {
    let mut state = settled(place);
    if state.life != Life::Idle {
        return Err(Error::Busy);
    }
    state.options = options.map_or(Kept::None, Kept::Some);
    Ok(())
}

/// Starts a server with its configuration, or with these options, which then replace it.
pub fn start(place: usize, options: Option<Options>) -> Result<(), Error> {
    let mut state = settled(place);
    if state.life != Life::Idle {
        return Err(Error::Busy);
    }
    if let Some(options) = options {
        state.options = Kept::Some(options);
    }
    let options = state.options();
    events::set_callback(place, options.callback);
    let started = launch(&mut state, place, options.port, &options, false);
    drop(state);
    if started.is_err() {
        events::end(place);
    }
    started
}

/// Starts the default server for `SYS_WSS_Initialize` on `port`, or adopts the one that started by itself there.
/// Returns its `SYS_MODULE_OBJ`. `port` is `None` if it is out of range.
pub fn initialize(port: Option<u16>, tls: bool, callback: Option<Sink>) -> usize {
    let mut state = settled(DEFAULT);
    let object = state.object();
    let mut options = state.options();
    if options.enable_tls(tls).is_err() {
        return MODULE_OBJ_INVALID;
    }
    let outcome = match &mut state.life {
        // Without a listener, the port is ignored.
        Life::Running {
            port: listening,
            unclaimed,
        } if platform::STARTS_ITSELF
            && *unclaimed
            && port.is_some_and(|port| [port, 0].contains(listening))
            && tls == platform::TLS_BY_DEFAULT =>
        {
            *unclaimed = false;
            set_original_callback(callback);
            Ok(object)
        }
        Life::Idle => {
            set_original_callback(callback);
            launch_default(&mut state, &options, port, false)
        }
        _ => {
            drop(state);
            log::error!("the default server runs already, or is stopping");
            return MODULE_OBJ_INVALID;
        }
    };
    drop(state);
    outcome.unwrap_or_else(|_| {
        emit_not_started();
        MODULE_OBJ_INVALID
    })
}

/// Emits, for the original interface, that the default server could not be started.
fn emit_not_started() {
    events::emit_listen_failed();
    events::end(DEFAULT);
}

/// Sends events of the default server to a callback of the original interface from now on, if there is one.
fn set_original_callback(callback: Option<Sink>) {
    if callback.is_some() {
        register(callback);
    }
}

/// Sends events of the default server to a callback of the original interface from now on; `None`: no callback.
pub fn register(callback: Option<Sink>) {
    events::set_callback(DEFAULT, callback.map(|sink| (events::ORIGINAL, sink)));
}

/// Starts the default server for the original interface. Returns its `SYS_MODULE_OBJ`.
fn launch_default(
    state: &mut State,
    options: &Options,
    port: Option<u16>,
    unclaimed: bool,
) -> Result<usize, Error> {
    if !callbacks::has_original_callback(DEFAULT) {
        // Use the configured callback, not that of an earlier run.
        events::set_callback(DEFAULT, options.callback);
    }
    let Some(port) = port else {
        log::error!("the port is over 65535");
        set_queues(DEFAULT, options);
        return Err(Error::BadArgument);
    };
    launch(state, DEFAULT, port, options, unclaimed)?;
    Ok(state.object())
}

/// Sets the configured queues of a server.
fn set_queues(place: usize, options: &Options) {
    if let Some(queues) = queues::functions() {
        (queues.set)(place, &options.queues);
    }
}

/// Starts an idle server. Its callback is set.
fn launch(
    state: &mut State,
    place: usize,
    port: u16,
    options: &Options,
    unclaimed: bool,
) -> Result<(), Error> {
    set_queues(place, options);
    let begin = |events: &Events| events.begin(place, options);
    // This does not wait, so the lock can be held: the first event then finds the server.
    state.runs = state.runs.wrapping_add(1).max(1);
    match INSTANCES.at(place).start(port, options, begin) {
        Ok(port) => {
            state.life = Life::Running { port, unclaimed };
            Ok(())
        }
        Err(error) => {
            log::error!("cannot start on port {port}: {error}");
            Err(platform::start_error(&error))
        }
    }
}

/// Starts the default server with the port of the build, unless it runs, if its callback was registered and this is
/// enabled. Nothing else starts it, so it can be configured before.
pub fn start_itself() {
    if !platform::STARTS_ITSELF {
        return;
    }
    let mut state = settled(DEFAULT);
    let mut outcome = Ok(0);
    // Not again after it was stopped on purpose.
    if state.life == Life::Idle && state.runs == 0 {
        let mut options = state.options();
        outcome = options.enable_tls(platform::TLS_BY_DEFAULT).and_then(|()| {
            launch_default(&mut state, &options, Some(platform::DEFAULT_PORT), true)
        });
    }
    drop(state);
    if outcome.is_err() {
        emit_not_started();
    }
}

/// Stops the default server if this is its `SYS_MODULE_OBJ`.
pub fn deinitialize(object: usize) {
    let is_it = STATES.at(DEFAULT).lock().object() == object;
    if is_it {
        let _ = stop(DEFAULT);
    }
}

/// Stops a server, or waits for it if it is stopping already.
pub fn stop(place: usize) -> Result<(), Error> {
    let instance = INSTANCES.at(place);
    let mut state = settled(place);
    let service = instance.service().ok_or(Error::NotRunning)?;
    if state.life == Life::Idle {
        return Err(Error::NotRunning);
    }
    if state.life != Life::Ending {
        service.stop();
        state.life = Life::Ending;
    }
    if platform::on_service_thread() {
        return Ok(());
    }
    let run = state.runs;
    state.waiting = state.waiting.saturating_add(1);
    drop(state);
    // Ignore the result: `join` below waits for what is left.
    service.wait_stopped();
    let has_ended = instance.join(END_GRACE_MS);
    let mut state = STATES.at(place).lock();
    state.waiting = state.waiting.saturating_sub(1);
    state.settle(place);
    // Another thread may have seen its end, and may even have started it again.
    let is_over = has_ended || state.runs != run || state.life == Life::Idle;
    is_over.then_some(()).ok_or(Error::Busy)
}

/// Returns the service of a server, while it runs or is stopping.
pub fn service(place: usize) -> Result<Handle, Error> {
    let state = settled(place);
    if state.life == Life::Idle {
        return Err(Error::NotRunning);
    }
    INSTANCES.at(place).service().ok_or(Error::NotRunning)
}

/// Returns the service that a client belongs to, or belonged to: then it has no client with this id.
pub fn service_of(client: Client) -> Result<Handle, Error> {
    let service = INSTANCES.at(client.place).service();
    service.ok_or(Error::NoSuchClient)
}

/// Replaces the credentials of a running server with TLS.
pub fn replace_tls(place: usize, tls: Tls) -> Result<(), Error> {
    let mut state = settled(place);
    if !matches!(state.life, Life::Running { .. }) {
        return Err(Error::NotRunning);
    }
    INSTANCES.at(place).replace_tls(&tls)?;
    if let Kept::Some(options) = &mut state.options {
        options.tls.fill(Some(tls));
    }
    Ok(())
}

/// Returns the port that a server listens on.
pub fn port(place: usize) -> Result<u16, Error> {
    match settled(place).life {
        Life::Running { port, .. } => Ok(port),
        _ => Err(Error::NotRunning),
    }
}

/// Returns the pointer that C attached to a client.
pub fn user_data(client: Client) -> Option<*mut c_void> {
    let data = service_of(client).ok()?.user_data(client.id)?;
    Some(ptr::with_exposed_provenance_mut(data))
}

/// Releases a message of this client.
pub fn release(client: Client) {
    if let Ok(service) = service_of(client) {
        service.release(client.id);
    }
}

/// Notifies the services that a queue has room again.
pub fn room() {
    for service in INSTANCES.0.iter().filter_map(Instance::service) {
        service.room();
    }
}
