// SPDX-License-Identifier: Apache-2.0
//! The [`Port`] to std: loops that poll and work, each on a thread of its own.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::SystemTime;

use super::buffer::Buffer;
use super::monitor::{Monitor, lock};
use super::poller::{self, Events, Poller, Watch};
use super::socket::{self, HostSocket};
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::protocol::Date;
use crate::service::{Inbound, Instant, Interest, Login, Port, Ready, Slot, SocketError, Work};

/// The port to std: non-blocking sockets, and one or several loops.
///
/// A client belongs to the loop whose index is its slot modulo the number of loops. The first loop serves: it has the
/// listener, the timer, and connections beyond the limit.
pub struct HostPort {
    started: std::time::Instant,
    loops: Box<[Loop]>,
    listener: Mutex<Option<TcpListener>>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    /// Connections cannot be accepted. Set when this was logged.
    accept_fails: AtomicBool,
    timer: Mutex<Option<Instant>>,
    /// By slot, and one for a connection beyond the limit.
    watches: Box<[Watch]>,
    /// The service has stopped.
    ended: AtomicBool,
}

struct Loop {
    poller: Poller,
    /// The work to do, and whether the service's own work is included.
    work: Mutex<(Vec<Work>, bool)>,
    /// A tick is due on this loop, which is not the first.
    tick: AtomicBool,
    /// The loop waits for sockets, so all input is known.
    waits: AtomicBool,
    /// The time until which all input is known, while it does not wait.
    polled: AtomicU32,
}

impl Loop {
    fn has_work(&self) -> bool {
        let (work, service_work) = &*lock(&self.work);
        !work.is_empty() || *service_work
    }
}

impl HostPort {
    /// Creates a port for `max_clients` clients, with this many loops.
    pub(super) fn new(max_clients: usize, loops: usize) -> io::Result<Self> {
        let new_loop = |_| {
            Ok(Loop {
                poller: Poller::new()?,
                work: Mutex::default(),
                tick: AtomicBool::new(false),
                waits: AtomicBool::new(false),
                polled: AtomicU32::new(0),
            })
        };
        Ok(Self {
            started: std::time::Instant::now(),
            loops: (0..loops).map(new_loop).collect::<io::Result<_>>()?,
            listener: Mutex::new(None),
            #[cfg(feature = "tls")]
            tls: None,
            accept_fails: AtomicBool::new(false),
            timer: Mutex::new(None),
            watches: (0..=max_clients).map(|_| Watch::default()).collect(),
            ended: AtomicBool::new(false),
        })
    }

    /// Listens on `addr`, and returns the address with its port, which may have been chosen.
    pub(super) fn listen(&self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let listener = socket::open_listener(addr)?;
        let addr = listener.local_addr()?;
        if let Some(first) = self.loops.first() {
            first.poller.watch_listener(&listener, true)?;
        }
        *lock(&self.listener) = Some(listener);
        Ok(addr)
    }

    /// Makes accepted connections begin with a TLS handshake.
    #[cfg(feature = "tls")]
    pub(super) fn set_tls(&mut self, tls: Option<Tls>) {
        self.tls = tls;
    }

    /// Makes the socket of an accepted connection.
    fn socket(&self, stream: TcpStream) -> io::Result<HostSocket> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return HostSocket::with_tls(stream, tls);
        }
        HostSocket::new(stream)
    }

    /// Returns whether the service has stopped.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn lobby(&self) -> usize {
        self.watches.len().saturating_sub(1)
    }

    /// Returns the loop of a slot, by its index.
    fn loop_of(&self, slot: usize) -> usize {
        if slot == self.lobby() {
            0
        } else {
            slot.checked_rem(self.loops.len()).unwrap_or(0)
        }
    }

    fn poller_of(&self, slot: usize) -> Option<(&Poller, &Watch)> {
        let this = self.loops.get(self.loop_of(slot))?;
        Some((&this.poller, self.watches.get(slot)?))
    }

    fn wake_loop(&self, index: usize) {
        if let Some(this) = self.loops.get(index) {
            this.poller.wake();
        }
    }

    /// Returns the index of the loop that runs on the calling thread; 0 on other threads.
    pub(super) fn current_loop(&self) -> usize {
        match CURRENT.get() {
            Some((port, index)) if port == std::ptr::from_ref(self) as usize => index,
            _ => 0,
        }
    }

    /// Marks a tick as due on all other loops. The first loop has noticed it.
    pub(super) fn tick_further_loops(&self) {
        for this in self.loops.iter().skip(1) {
            this.tick.store(true, Ordering::SeqCst);
            this.poller.wake();
        }
    }

    /// Returns whether a tick is due on this loop, and clears it.
    pub(super) fn take_tick(&self, index: usize) -> bool {
        let this = self.loops.get(index);
        this.is_some_and(|this| this.tick.swap(false, Ordering::SeqCst))
    }

    /// Returns whether the calling thread is that loop of this port.
    fn is_on(&self, index: usize) -> bool {
        CURRENT.get() == Some((std::ptr::from_ref(self) as usize, index))
    }

    /// Waits once, on the thread of a loop, and reports what is ready.
    pub(super) fn wait_on(&self, index: usize, ready: &mut dyn FnMut(Ready)) {
        let Some(this) = self.loops.get(index) else {
            return;
        };
        CURRENT.set(Some((std::ptr::from_ref(self) as usize, index)));
        // First, because a connection that was accepted just now is watched after that.
        let work = self.take_work(index);
        let worked = !work.is_empty();
        for work in work {
            ready(Ready::Work(work));
        }
        let timer = if index == 0 { *lock(&self.timer) } else { None };
        let timeout = match timer {
            // Further work waits until the sockets had their turn.
            _ if worked && this.has_work() => Some(0),
            Some(at) => Some(at.from(self.now())),
            None => None,
        };
        let mut events = EVENTS.take().unwrap_or_else(Events::new);
        this.waits.store(true, Ordering::SeqCst);
        let waited = this.poller.wait(&mut events, timeout);
        let now = self.now();
        this.waits.store(false, Ordering::SeqCst);
        let (count, is_all) = match waited {
            Ok(waited) => waited,
            Err(error) => {
                if error.kind() != ErrorKind::Interrupted {
                    log::error!("waiting for sockets failed: {error}");
                }
                (0, false)
            }
        };
        // Only after everything that came until now is reported.
        let is_due = |at: &mut Instant| now.has_reached(*at);
        let due = index == 0 && is_all && lock(&self.timer).take_if(is_due).is_some();
        for event in this.poller.ready(&events, count) {
            match event {
                poller::Ready::Wake => ready(Ready::Wake),
                poller::Ready::Listener => ready(Ready::Listener),
                poller::Ready::Socket {
                    number,
                    ready: what,
                    broken,
                } => {
                    let watch = self.watches.get(number);
                    let taken = watch.and_then(|it| it.take(&this.poller, number, what, broken));
                    match taken {
                        None => {}
                        Some(_) if number == self.lobby() => ready(Ready::Lobby),
                        Some(what) => ready(Ready::Client {
                            slot: number,
                            writable: what.contains(Interest::WRITE),
                        }),
                    }
                }
            }
        }
        EVENTS.set(Some(events));
        if is_all {
            this.polled.store(now.0, Ordering::SeqCst);
        }
        if due {
            ready(Ready::Timer(now));
        }
    }

    /// Takes the work of a loop.
    pub(super) fn take_work(&self, index: usize) -> Vec<Work> {
        let Some(this) = self.loops.get(index) else {
            return Vec::new();
        };
        let (mut work, service_work) = std::mem::take(&mut *lock(&this.work));
        work.extend(service_work.then_some(Work::Service));
        work
    }
}

impl Port for HostPort {
    const INLINE: bool = true;
    const TLS: bool = cfg!(feature = "tls");
    const PAGES: bool = true;

    type Lock<T> = Monitor<T>;
    type Socket = HostSocket;
    type Storage = Buffer;
    type Inbound = Box<Inbound<Buffer>>;
    type Slots = Box<[Slot<Self>]>;
    type Logins = [Login; 64];
    type Blocks = Box<[Option<Buffer>]>;

    fn date(&self) -> Option<Date> {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 was never set.
        Some(Date::from_unix(time.ok()?.as_secs()))
    }

    fn now(&self) -> Instant {
        // Wraps, like the service's time.
        #[allow(clippy::cast_possible_truncation)]
        Instant(self.started.elapsed().as_millis() as u32)
    }

    fn submit(&self, work: Work) {
        let index = match work {
            Work::Client(slot) | Work::Tls(slot) => self.loop_of(slot),
            Work::Service => 0,
        };
        if let Some(this) = self.loops.get(index) {
            let mut queued = lock(&this.work);
            match work {
                Work::Client(_) | Work::Tls(_) => queued.0.push(work),
                Work::Service => queued.1 = true,
            }
        }
        // The loop itself looks before it waits.
        if !self.is_on(index) {
            self.wake_loop(index);
        }
    }

    fn on_service_thread(&self) -> bool {
        on_service_thread()
    }

    fn thread(&self) -> usize {
        THREAD.with(|number| *number)
    }

    fn accept(&self) -> Result<HostSocket, SocketError> {
        let listener = lock(&self.listener);
        let listener = listener.as_ref().ok_or(SocketError::WouldBlock)?;
        let accepted = socket::accept(listener)?;
        let accepted = accepted.and_then(|stream| self.socket(stream));
        let fails = self.accept_fails.swap(accepted.is_err(), Ordering::Relaxed);
        accepted.map_err(|error| {
            if !fails {
                log::warn!("cannot accept connections, trying again: {error}");
            }
            SocketError::Failed
        })
    }

    fn watch_listener(&self) {
        if let (Some(listener), Some(first)) = (&*lock(&self.listener), self.loops.first()) {
            let _ = first.poller.watch_listener(listener, false);
        }
    }

    fn close_listener(&self) {
        // Closing it removes it from epoll.
        *lock(&self.listener) = None;
    }

    fn attach(&self, slot: usize, socket: &HostSocket) -> Result<(), SocketError> {
        let (poller, watch) = self.poller_of(slot).ok_or(SocketError::Failed)?;
        let attached = watch.attach(poller, slot, socket);
        attached.map_err(|_| SocketError::Failed)
    }

    fn watch(&self, slot: usize, _: &HostSocket, interest: Interest) {
        if let Some((poller, watch)) = self.poller_of(slot) {
            watch.watch(poller, slot, interest);
        }
    }

    fn close(&self, slot: usize, socket: HostSocket) {
        socket.end();
        if let Some((poller, watch)) = self.poller_of(slot) {
            watch.detach(poller, &socket);
        }
    }

    fn stopped(&self) {
        self.ended.store(true, Ordering::SeqCst);
        for this in &self.loops {
            this.poller.wake();
        }
    }

    fn heard_until(&self, slot: usize, now: Instant) -> Instant {
        match self.loop_of(slot) {
            0 => now,
            index => self.loops.get(index).map_or(now, |this| {
                let polled = Instant(this.polled.load(Ordering::SeqCst));
                let is_idle = this.waits.load(Ordering::SeqCst) && !this.poller.has_ready();
                if is_idle || polled.has_reached(now) {
                    now
                } else {
                    polled
                }
            }),
        }
    }

    fn set_timer(&self, at: Instant) {
        let before = lock(&self.timer).replace(at);
        if before.is_none_or(|timer| !at.has_reached(timer)) && !self.is_on(0) {
            self.wake_loop(0);
        }
    }

    fn wake(&self) {
        self.wake_loop(0);
    }

    fn wait(&self, ready: &mut dyn FnMut(Ready)) {
        self.wait_on(0, ready);
    }
}

thread_local! {
    /// The port and the loop of this thread.
    static CURRENT: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
    /// The buffer for events, between two waits.
    static EVENTS: Cell<Option<Events>> = const { Cell::new(None) };
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Returns whether this is a thread of any server, where nothing may wait: as inside a handler.
#[must_use]
pub fn on_service_thread() -> bool {
    CURRENT.get().is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Returns a port for one client.
    fn port() -> HostPort {
        HostPort::new(1, 1).unwrap()
    }

    /// Returns both ends of a connection.
    fn connection() -> (HostSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (HostSocket::new(listener.accept().unwrap().0).unwrap(), peer)
    }

    /// Returns how often something is reported within 100 ms, of a socket that is watched for `interest` each time.
    fn reports(port: &HostPort, slot: usize, socket: &HostSocket, interest: Interest) -> usize {
        let (mut reports, until) = (0, port.now() + 100);
        let mut waits = 0;
        while !port.now().has_reached(until) {
            port.set_timer(until);
            port.wait(&mut |ready| {
                if matches!(ready, Ready::Lobby | Ready::Client { .. }) {
                    reports += 1;
                    port.watch(slot, socket, interest);
                }
            });
            waits += 1;
        }
        assert!(waits <= reports + 3, "{waits} waits for {reports} reports");
        reports
    }

    #[test]
    fn a_socket_that_says_nothing_is_not_reported() {
        let port = port();
        for slot in [0, 1] {
            let (socket, _peer) = connection();
            port.attach(slot, &socket).unwrap();
            port.watch(slot, &socket, Interest::READ);
            assert_eq!(reports(&port, slot, &socket, Interest::READ), 0);
            port.close(slot, socket);
        }
    }

    #[test]
    fn a_socket_that_is_not_watched_costs_one_wait_whatever_its_peer_does() {
        use std::io::Write as _;
        let port = port();
        let (socket, mut peer) = connection();
        port.attach(0, &socket).unwrap();
        peer.write_all(b"a").unwrap();
        assert_eq!(reports(&port, 0, &socket, Interest::empty()), 0);
        drop(peer);
        assert_eq!(reports(&port, 0, &socket, Interest::empty()), 0);
        // It is reported once it is watched again.
        port.watch(0, &socket, Interest::READ);
        assert_eq!(reports(&port, 0, &socket, Interest::empty()), 1);
        port.close(0, socket);
    }

    #[test]
    fn a_writable_socket_is_reported_once_for_each_watch() {
        let port = port();
        let (socket, _peer) = connection();
        port.attach(0, &socket).unwrap();
        port.watch(0, &socket, Interest::WRITE);
        assert_eq!(reports(&port, 0, &socket, Interest::empty()), 1);
        port.watch(0, &socket, Interest::READ | Interest::WRITE);
        assert_eq!(reports(&port, 0, &socket, Interest::READ), 1);
    }

    #[test]
    fn the_end_of_a_connection_is_not_taken_for_that_of_the_next_one_in_its_slot() {
        let port = port();
        let (before, peer) = connection();
        port.attach(0, &before).unwrap();
        port.watch(0, &before, Interest::READ);
        let (next, _next_peer) = connection();
        // Both are taken from the operating system at once, in this order.
        port.wake();
        drop(peer);
        let mut before = Some(before);
        port.wait(&mut |ready| {
            if let (Ready::Wake, Some(before)) = (ready, before.take()) {
                port.close(0, before);
                port.attach(0, &next).unwrap();
                port.watch(0, &next, Interest::READ);
            }
        });
        assert!(before.is_none());
        assert!(reports(&port, 0, &next, Interest::READ) <= 1);
    }

    #[test]
    fn the_unspecified_address_of_ipv6_takes_ipv4_whatever_the_system_says() {
        let listener = socket::open_listener("[::]:0".parse().unwrap());
        // A machine may have no IPv6.
        let Ok(listener) = listener else { return };
        assert!(!rustix::net::sockopt::ipv6_v6only(&listener).unwrap());
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        let loopback = socket::open_listener("[::1]:0".parse().unwrap()).unwrap();
        assert!(rustix::net::sockopt::ipv6_v6only(&loopback).unwrap());
    }
}
