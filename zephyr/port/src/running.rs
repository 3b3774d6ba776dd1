//! The threads beneath a service, and its memory.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use wss::protocol::{MAX_SERVER_HEADER, OVERHEAD};
use wss::service::{Application, Config, EventMask, Inbound, Port as _, Service, Slot, Work};

use crate::kconfig;
use crate::place::{Claim, Place, Shared};
use crate::port::{BLOCKS, Buffer, CLIENTS, LISTENERS, SERVERS, ZephyrPort, close_all};
use crate::sys;

/// The size of a receive buffer: a message, and what stands around it.
const RX: usize = kconfig::RX_BUFFER_SIZE as usize + OVERHEAD;
/// The size of a block of unsent output: a message and its header.
const TX: usize = kconfig::RX_BUFFER_SIZE as usize + MAX_SERVER_HEADER;

/// How a service is started.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The address to listen at; `None`: all.
    pub addr: Option<&'a CStr>,
    /// The port to listen at; 0: any free one.
    pub port: u16,
    /// Whether to listen at all. If not, clients are adopted: see [`Service::adopt`].
    pub listen: bool,
    /// Time-outs and further limits. One against abuse (see [`Config::limits`]) that Kconfig has at 0
    /// has to be 0 here, too.
    pub limits: Config,
}

impl Options<'_> {
    /// What Kconfig says.
    #[must_use]
    pub const fn new() -> Self {
        #[allow(clippy::cast_possible_truncation)] // Kconfig has their ranges
        Self {
            addr: None,
            port: kconfig::PORT as u16,
            listen: true,
            limits: Config {
                handshake_limit: kconfig::HANDSHAKE_SIZE as u16,
                handshake_timeout_ms: kconfig::HANDSHAKE_TIMEOUT_MS,
                client_timeout_ms: kconfig::CLIENT_TIMEOUT_MS,
                ping_interval_ms: kconfig::PING_INTERVAL_MS,
                send_timeout_ms: kconfig::SEND_TIMEOUT_MS,
                close_timeout_ms: kconfig::CLOSE_TIMEOUT_MS,
                hold_timeout_ms: kconfig::HOLD_TIMEOUT_MS,
                streaming: kconfig::STREAMING,
                clients_per_address: kconfig::CLIENTS_PER_ADDRESS as u16,
                handshakes_per_second: kconfig::HANDSHAKES_PER_SECOND as u16,
                control_frames_per_second: kconfig::CONTROL_FRAMES_PER_SECOND as u16,
                fragments_per_message: kconfig::FRAGMENTS_PER_MESSAGE as u16,
            },
        }
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a service could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// As many run as there can be (`CONFIG_WSS_SERVERS`).
    Running,
    /// A limit against abuse that Kconfig has at 0, so that there is no code for it.
    NoLimit,
    /// The address cannot be listened at: it is none, it is in use, or there are no sockets left. The
    /// number is Zephyr's `errno`.
    Failed(u32),
}

impl core::fmt::Display for ListenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Running => f.write_str("as many run as there can be"),
            Self::NoLimit => f.write_str("a limit that Kconfig has at 0"),
            Self::Failed(errno) => write!(f, "errno {errno}"),
        }
    }
}

/// Memory that one service uses at a time.
struct Memory {
    rx: UnsafeCell<[[u8; RX]; CLIENTS]>,
    tx: UnsafeCell<[[u8; TX]; BLOCKS]>,
    inbound: UnsafeCell<[MaybeUninit<Inbound<Buffer>>; CLIENTS]>,
    slots: UnsafeCell<[MaybeUninit<Slot<ZephyrPort>>; CLIENTS]>,
    /// The slots are those of a service that has been.
    used: AtomicBool,
}

// SAFETY: it is only touched by `Memory::take`, which says when.
unsafe impl Sync for Memory {}

static MEMORY: [Memory; SERVERS] = [const { Memory::new() }; SERVERS];

/// That of a server, of which there may be one only.
fn of<T>(all: &[T; SERVERS], server: u32) -> &T {
    let index = if SERVERS == 1 { 0 } else { server as usize };
    // There is one for each.
    all.get(index).unwrap_or(&all[0])
}

impl Memory {
    fn of(server: u32) -> &'static Self {
        of(&MEMORY, server)
    }

    const fn new() -> Self {
        Self {
            rx: UnsafeCell::new([[0; RX]; CLIENTS]),
            tx: UnsafeCell::new([[0; TX]; BLOCKS]),
            inbound: UnsafeCell::new([const { MaybeUninit::uninit() }; CLIENTS]),
            slots: UnsafeCell::new([const { MaybeUninit::uninit() }; CLIENTS]),
            used: AtomicBool::new(false),
        }
    }

    /// The slots and blocks for a new service.
    ///
    /// # Safety
    /// Nothing is left of the service before.
    unsafe fn take(&'static self) -> (&'static [Slot<ZephyrPort>], [Option<Buffer>; BLOCKS]) {
        let rx: *mut [u8; RX] = self.rx.get().cast();
        let tx: *mut [u8; TX] = self.tx.get().cast();
        let inbound: *mut MaybeUninit<Inbound<Buffer>> = self.inbound.get().cast();
        let slots: *mut Slot<ZephyrPort> = self.slots.get().cast();
        let used = self.used.swap(true, Ordering::Relaxed);
        for index in 0..CLIENTS {
            let slot = slots.wrapping_add(index);
            if used {
                // SAFETY: it was written the time before, and nobody refers to it any more.
                unsafe { ptr::drop_in_place(slot) };
            }
            // SAFETY: the bytes are static and initialised, and only this slot has them.
            let storage = unsafe { Buffer::new(rx.wrapping_add(index).cast(), RX) };
            // SAFETY: the incoming half is in static memory, and the slot that referred to it was dropped.
            let inbound = unsafe { &mut *inbound.wrapping_add(index) };
            let inbound = inbound.write(Inbound::new(storage));
            // SAFETY: the slot is in static memory, and nobody refers to it.
            unsafe { slot.write(Slot::new(inbound)) };
        }
        let blocks = core::array::from_fn(|index| {
            // SAFETY: the bytes are static and initialised, and only this block has them.
            Some(unsafe { Buffer::new(tx.wrapping_add(index).cast(), TX) })
        });
        // SAFETY: all have been written, and are only referred to until the next time.
        let slots = unsafe { core::slice::from_raw_parts(slots, CLIENTS) };
        (slots, blocks)
    }
}

/// A service, without the type of its application, for the threads.
#[derive(Clone, Copy)]
struct Erased {
    service: *const (),
    serve: unsafe fn(*const ()),
    run: unsafe fn(*const (), Work),
    link: unsafe fn(*const (), u32),
    /// The threads are done with it.
    release: unsafe fn(*const ()),
}

/// The service that the WSS thread of a server, and its items of the work queue, are for.
struct Current {
    /// It is there to be read. An item may come at any time, the link's above all.
    there: AtomicBool,
    erased: UnsafeCell<Option<Erased>>,
}

// SAFETY: it is written while it is not there, by one thread at a time, and read while it is.
unsafe impl Sync for Current {}

static CURRENT: [Current; SERVERS] = [const {
    Current {
        there: AtomicBool::new(false),
        erased: UnsafeCell::new(None),
    }
}; SERVERS];

impl Current {
    /// That of a server.
    fn of(server: u32) -> &'static Self {
        of(&CURRENT, server)
    }

    fn get(&self) -> Option<Erased> {
        if !self.there.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it was written before it was there.
        unsafe { *self.erased.get() }
    }

    /// To be called while nothing is there, by one thread at a time.
    fn set(&self, erased: Erased) {
        // SAFETY: nobody reads it yet.
        unsafe { *self.erased.get() = Some(erased) };
        self.there.store(true, Ordering::Release);
    }

    /// To be called where items are done, so that none is under way.
    fn clear(&self) {
        self.there.store(false, Ordering::Release);
    }
}

/// In how many services the threads of a server still have their share: in two for a moment, where one is
/// started as soon as the place of the one before is free.
static SHARED: [AtomicU32; SERVERS] = [const { AtomicU32::new(0) }; SERVERS];

/// The WSS thread of a server. Called by C.
#[unsafe(no_mangle)]
extern "C" fn wss_serve(server: u32) {
    if let Some(current) = Current::of(server).get() {
        // SAFETY: the work queue keeps the service until it has released it, below.
        unsafe { (current.serve)(current.service) };
    }
    // Behind whatever is still to be done.
    sys::wss_port_submit(server, END);
}

/// The item behind those of the clients and of the service.
const END: u32 = kconfig::MAX_CLIENTS + 1;
/// The network interface went up or down.
const LINK: u32 = kconfig::MAX_CLIENTS + 2;

/// An item of the work queue, of a server. Called by C.
#[unsafe(no_mangle)]
extern "C" fn wss_work(server: u32, item: u32) {
    let place = Current::of(server);
    let Some(current) = place.get() else {
        return;
    };
    let work = match item {
        END => {
            place.clear();
            // SAFETY: the share that was left here is given up, once.
            unsafe { (current.release)(current.service) };
            of(&SHARED, server).fetch_sub(1, Ordering::Release);
            return;
        }
        LINK => {
            let events = sys::wss_port_link_take(server);
            if events == 0 {
                return;
            }
            // SAFETY: the service is kept until it is released, above.
            return unsafe { (current.link)(current.service, events) };
        }
        kconfig::MAX_CLIENTS => Work::Service,
        _ => Work::Client(item as usize),
    };
    // SAFETY: the service is kept until it is released, above.
    unsafe { (current.run)(current.service, work) };
}

/// Does what must not be done while a service is started.
fn alone<T>(body: impl FnOnce() -> T) -> T {
    static STARTING: AtomicBool = AtomicBool::new(false);
    while STARTING.swap(true, Ordering::Acquire) {
        // Another one, by a thread that may have a lower priority.
        sys::wss_port_sleep_ms(1);
    }
    let done = body();
    STARTING.store(false, Ordering::Release);
    done
}

/// The threads of a service: the WSS thread of a server, counted from 1, or none.
#[derive(Default)]
pub struct Threads(u8);

impl Threads {
    /// Waits until they have ended, or have nothing to do.
    pub fn join(self) {
        if let Some(server) = self.0.checked_sub(1) {
            alone(|| {
                // Else they had ended before another service was started in their place, whose they are.
                if Current::of(server.into()).get().is_none() {
                    sys::wss_port_join(server.into());
                }
            });
        }
    }

    /// Waits until they have let go of their service, which has stopped and is kept by the caller, for
    /// up to `timeout_ms`.
    pub(crate) fn let_go(&self, timeout_ms: u32) {
        let Some(server) = self.0.checked_sub(1) else {
            return;
        };
        let until = sys::wss_port_uptime_ms().saturating_add(timeout_ms.into());
        while of(&SHARED, server.into()).load(Ordering::Acquire) > 0 {
            if sys::wss_port_uptime_ms() >= until {
                return;
            }
            // They may have a lower priority.
            sys::wss_port_sleep_ms(1);
        }
    }
}

/// Where services with one kind of application are: for as many as there can be at one time.
pub type Places<A> = [Place<Service<ZephyrPort, A>>; SERVERS];

/// A service that runs, for an owner that minds its end.
///
/// After [`Service::stop`] it ends by itself, once the last event was delivered.
pub struct Running<A: Application<ZephyrPort> + Send + Sync + 'static> {
    /// The service. The threads keep it alive until they end.
    pub service: Shared<Service<ZephyrPort, A>>,
    /// The port at which it listens; 0 if it does not.
    pub port: u16,
    /// The WSS thread.
    pub threads: Threads,
}

impl<A: Application<ZephyrPort> + Send + Sync + 'static> Running<A> {
    /// Opens the listener and starts the threads. There are as many services at a time as there are
    /// places, whichever places they are in.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn start(
        places: &'static Places<A>,
        options: &Options<'_>,
        application: impl FnOnce() -> A,
    ) -> Result<Self, ListenError> {
        alone(|| Self::start_alone(places, options, application))
    }

    /// The first server that nobody is, and its place.
    fn claim(places: &'static Places<A>) -> Option<(u32, Claim<Service<ZephyrPort, A>>)> {
        for (server, place) in (0..).zip(places) {
            if Current::of(server).get().is_none() {
                if let Some(claim) = place.claim() {
                    return Some((server, claim));
                }
            }
        }
        None
    }

    fn start_alone(
        places: &'static Places<A>,
        options: &Options<'_>,
        application: impl FnOnce() -> A,
    ) -> Result<Self, ListenError> {
        if !ZephyrPort::LIMITS.contains(options.limits.limits()) {
            return Err(ListenError::NoLimit);
        }
        let (server, claim) = Self::claim(places).ok_or(ListenError::Running)?;
        let mut listeners = [-1; LISTENERS];
        let mut port = 0;
        // What was before is not told.
        let _ = sys::wss_port_link_take(server);
        if options.listen {
            port = options.port;
            let address = options.addr.map_or(ptr::null(), CStr::as_ptr);
            // SAFETY: the text ends with NUL, and there is room for the listeners.
            let error = unsafe {
                sys::wss_port_listen(server, address, &raw mut port, listeners.as_mut_ptr())
            };
            if error < 0 {
                return Err(ListenError::Failed(sys::errno(error)));
            }
        }
        let wake = sys::wss_port_wake_open(server);
        if wake < 0 {
            close_all(&mut listeners);
            return Err(ListenError::Failed(sys::errno(wake)));
        }
        let service = claim.fill(|| {
            // SAFETY: the place was empty, and the threads are for nobody: the service before is gone.
            let (slots, blocks) = unsafe { Memory::of(server).take() };
            let zephyr = ZephyrPort::new(server, listeners, wake);
            Service::new(zephyr, application(), options.limits, slots, blocks)
        });
        let erased = Erased {
            service: Shared::into_raw(service.clone()),
            serve: |service| {
                // SAFETY: it is what was made of a share above, and not released yet.
                unsafe { Shared::<Service<ZephyrPort, A>>::borrow_raw(service) }.serve();
            },
            run: |service, work| {
                // SAFETY: as above.
                unsafe { Shared::<Service<ZephyrPort, A>>::borrow_raw(service) }.run(work);
            },
            link: |service, events| {
                // SAFETY: as above.
                let service = unsafe { Shared::<Service<ZephyrPort, A>>::borrow_raw(service) };
                let mut told = EventMask::empty();
                told.set(EventMask::LINK_DOWN, events & sys::LINK_DOWN != 0);
                told.set(EventMask::LINK_UP, events & sys::LINK_UP != 0);
                if told.contains(EventMask::LINK_UP) {
                    service.port().link_came_up();
                }
                service.announce(told);
            },
            release: |service| {
                // SAFETY: as above, and it is released once.
                drop(unsafe { Shared::<Service<ZephyrPort, A>>::from_raw(service) });
            },
        };
        of(&SHARED, server).fetch_add(1, Ordering::Relaxed);
        Current::of(server).set(erased);
        sys::wss_port_start(server);
        // Of the link since it listens.
        sys::wss_port_submit(server, LINK);
        #[allow(clippy::cast_possible_truncation)] // Kconfig has its range
        let threads = Threads(server as u8 + 1);
        Ok(Self {
            service,
            port,
            threads,
        })
    }
}
