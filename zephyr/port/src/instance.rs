// SPDX-License-Identifier: Apache-2.0
//! A service in static memory, and its threads.

use core::array;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use wss::protocol::{MAX_SERVER_HEADER, OVERHEAD, Storage as _};
use wss::service::{
    Application, EventMask, Inbound, Pool, Port as _, Service, Shared, Slot, SlotState, Work,
};

use crate::kconfig;
use crate::lock::KernelLock;
use crate::options::{ListenError, Options};
use crate::port::{BLOCKS, Buffer, CLIENTS, LISTENERS, ZephyrPort, close_all};
use crate::shell::{self, Paths};
use crate::sys;

/// The size of a receive buffer: a message with its overhead.
const RX: usize = kconfig::RX_BUFFER_SIZE as usize + OVERHEAD + Buffer::FRONT;
/// The size of a block of unsent output: a message and its header.
const TX: usize = kconfig::RX_BUFFER_SIZE as usize + MAX_SERVER_HEADER;

/// Kernel locks for a static value.
macro_rules! lock {
    ($value:expr) => {
        // SAFETY: the service never locks one of its locks twice: see `Service`.
        unsafe { KernelLock::new($value) }
    };
}

/// A service in static memory, which can be started again after it has stopped. All zeros if the application is, so
/// that it takes no flash.
///
/// The first start binds it to one of the `CONFIG_WSS_SERVERS` servers, for ever.
pub struct Instance<A: Application<ZephyrPort> + Paths + Sync + 'static> {
    service: Service<ZephyrPort, A>,
    inbound: [UnsafeCell<MaybeUninit<Inbound<Buffer>>>; CLIENTS],
    rx: [UnsafeCell<[u8; RX]>; CLIENTS],
    tx: [UnsafeCell<[u8; TX]>; BLOCKS],
    /// It is bound to a server, and has its locks and its memory.
    is_bound: AtomicBool,
    /// A thread is starting it.
    starting: AtomicBool,
}

// SAFETY: the memory is lent once; everything else may be used by any thread.
unsafe impl<A: Application<ZephyrPort> + Paths + Sync + 'static> Sync for Instance<A> {}

impl<A: Application<ZephyrPort> + Paths + Sync + 'static> Instance<A> {
    const CALLS: sys::Calls = sys::Calls {
        serve: Self::serve,
        work: Self::work,
        link: Self::link,
        shell: [&shell::Calls::<A>::CALLS; kconfig::SHELL as usize],
    };

    /// Creates a service that does not run.
    pub const fn new(application: A) -> Self {
        let slots = [const { Slot::new(lock!(SlotState::FREE)) }; CLIENTS];
        let pool = lock!(Pool::new([const { None }; BLOCKS]));
        let shared = lock!(Shared::NEW);
        Self {
            service: Service::new(ZephyrPort::new(), application, slots, pool, shared),
            inbound: [const { UnsafeCell::new(MaybeUninit::uninit()) }; CLIENTS],
            rx: [const { UnsafeCell::new([0; RX]) }; CLIENTS],
            tx: [const { UnsafeCell::new([0; TX]) }; BLOCKS],
            is_bound: AtomicBool::new(false),
            starting: AtomicBool::new(false),
        }
    }

    /// Returns the service, whether it runs or not, if it was ever started.
    #[inline]
    pub fn service(&self) -> Option<&Service<ZephyrPort, A>> {
        let is_bound = self.is_bound.load(Ordering::Acquire);
        is_bound.then_some(&self.service)
    }

    /// Returns the application.
    pub const fn application(&self) -> &A {
        self.service.application()
    }

    /// Opens the listener and starts the WSS thread. Returns the port that it listens on; 0 if it does not listen.
    /// `begin` is called first, with a generation that no client had before; if it returns false, the start fails.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn start(
        &'static self,
        options: &Options<'_>,
        begin: impl FnOnce(u32) -> bool,
    ) -> Result<u16, ListenError> {
        if !ZephyrPort::LIMITS.contains(options.limits.limits()) {
            return Err(ListenError::NoLimit);
        }
        if self.starting.swap(true, Ordering::Acquire) {
            return Err(ListenError::Running);
        }
        let started = self.start_alone(options, begin);
        self.starting.store(false, Ordering::Release);
        started
    }

    fn start_alone(
        &'static self,
        options: &Options<'_>,
        begin: impl FnOnce(u32) -> bool,
    ) -> Result<u16, ListenError> {
        if !self.is_bound.load(Ordering::Relaxed) {
            self.bind()?;
        }
        let port = self.service.port();
        let server = port.server();
        if !sys::wss_port_join(server, 0) {
            return Err(ListenError::Running);
        }
        port.use_tls(options.tls.as_ref())?;
        sys::wss_port_network_forget(server);
        // Before it listens, so that no port stays open if this fails.
        let generation = self.service.next_generation();
        if !begin(generation) {
            return Err(ListenError::Running);
        }
        let mut listeners = [-1; LISTENERS];
        let mut number = 0;
        if options.listen {
            number = options.port;
            let address = options.addr.map_or(ptr::null(), CStr::as_ptr);
            let fds = listeners.as_mut_ptr();
            // SAFETY: the text ends with NUL, and `fds` has an entry for each listener.
            let error = unsafe { sys::wss_port_listen(server, address, &raw mut number, fds) };
            if error < 0 {
                return Err(match error {
                    sys::IN_USE => ListenError::InUse(options.port),
                    _ => ListenError::Failed(sys::errno(error)),
                });
            }
        }
        port.begin(listeners);
        if !self.service.open(&options.limits, generation) {
            close_all(&mut listeners);
            return Err(ListenError::Running);
        }
        sys::wss_port_start(server);
        Ok(number)
    }

    /// Binds it to a server, and sets the service's locks and memory.
    fn bind(&'static self) -> Result<(), ListenError> {
        let object = ptr::from_ref(self).cast();
        // SAFETY: this is static, and the calls are for its type. `is_bound` is not set yet.
        unsafe { self.service.port().bind(object, &Self::CALLS) }?;
        let mut memory = self.inbound.iter().zip(&self.rx);
        let inbound = || {
            // There is one for each slot, so the default is never used.
            let (inbound, rx) = memory.next().unwrap_or((&self.inbound[0], &self.rx[0]));
            // SAFETY: the bytes are static and initialised, and only this slot uses them.
            let storage = unsafe { Buffer::new(NonNull::from(rx).cast(), RX) };
            // SAFETY: only this slot uses it, and it is lent once.
            let inbound = unsafe { &mut *inbound.get() };
            inbound.write(Inbound::new(storage))
        };
        let blocks = array::from_fn(|index| {
            let bytes = self.tx.get(index)?;
            // SAFETY: the bytes are static and initialised, and only this block uses them.
            Some(unsafe { Buffer::new(NonNull::from(bytes).cast(), TX) })
        });
        self.service.equip(inbound, blocks);
        self.is_bound.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits for up to `timeout_ms` until a stopping service has ended, and all its callbacks have returned. Returns
    /// false if it has not, and always on its own threads.
    pub fn join(&self, timeout_ms: u32) -> bool {
        self.service().is_none_or(|service| {
            !crate::on_service_thread() && sys::wss_port_join(service.port().server(), timeout_ms)
        })
    }

    /// # Safety
    /// `object` is the static object that was bound.
    pub(crate) unsafe fn of<'a>(object: *const c_void) -> &'a Service<ZephyrPort, A> {
        let this: *const Self = object.cast();
        // SAFETY: the caller guarantees it.
        unsafe { &(*this).service }
    }

    unsafe extern "C" fn serve(object: *const c_void) {
        // SAFETY: C passes the object that was bound.
        unsafe { Self::of(object) }.serve();
    }

    unsafe extern "C" fn work(object: *const c_void, item: u32) {
        // SAFETY: as above.
        unsafe { Self::of(object) }.run(match item {
            kconfig::MAX_CLIENTS => Work::Service,
            sys::TLS_ITEM.. if kconfig::TLS => Work::Tls((item - sys::TLS_ITEM) as usize),
            _ => Work::Client(item as usize),
        });
    }

    unsafe extern "C" fn link(object: *const c_void, events: u32) {
        // SAFETY: as above.
        let service = unsafe { Self::of(object) };
        let mut announced = EventMask::empty();
        announced.set(EventMask::LINK_DOWN, events & sys::LINK_DOWN != 0);
        announced.set(EventMask::LINK_UP, events & sys::LINK_UP != 0);
        if events & sys::LISTEN != 0 {
            service.port().network_changed();
        }
        if !announced.is_empty() {
            service.announce(announced);
        }
    }
}
