//! The [`Port`] to std.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest as MioInterest, Poll, Registry, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use crate::service::{
    Inbound, Instant, Interest, Lock, Port, Ready, Slot, Socket, SocketError, Work,
};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Readiness taken from the operating system at once.
const EVENTS: usize = 256;

/// The port to std: non-blocking sockets under one edge-triggered poll.
pub struct HostPort {
    started: std::time::Instant,
    poll: Mutex<(Poll, Events)>,
    registry: Registry,
    waker: Waker,
    woken: AtomicBool,
    listener: Mutex<Option<TcpListener>>,
    timer: Mutex<Option<Instant>>,
    lobby: usize,
    /// By slot: the operating system has told the end of the stream.
    ended: Box<[AtomicBool]>,
    /// `None` ends the work queue.
    work: Sender<Option<Work>>,
    service_work_queued: AtomicBool,
}

impl HostPort {
    /// A port for `max_clients` clients. What is to be done for them is sent to `work`.
    pub(super) fn new(max_clients: usize, work: Sender<Option<Work>>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKER)?;
        Ok(Self {
            started: std::time::Instant::now(),
            poll: Mutex::new((poll, Events::with_capacity(EVENTS))),
            registry,
            waker,
            woken: AtomicBool::new(false),
            listener: Mutex::new(None),
            timer: Mutex::new(None),
            lobby: max_clients,
            ended: (0..max_clients).map(|_| AtomicBool::new(false)).collect(),
            work,
            service_work_queued: AtomicBool::new(false),
        })
    }

    /// Accepts connections at `addr`; which one it is, if its port is 0.
    pub(super) fn listen(&self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        self.registry.register(
            &mut SourceFd(&listener.as_raw_fd()),
            LISTENER,
            MioInterest::READABLE,
        )?;
        *lock(&self.listener) = Some(listener);
        Ok(addr)
    }

    /// The work queue ends after what is on it.
    pub(super) fn end_work_queue(&self) {
        let _ = self.work.send(None);
    }

    /// The service's own work was taken from the queue.
    pub(super) fn service_work_begins(&self) {
        self.service_work_queued.store(false, Ordering::SeqCst);
    }
}

/// Whether a connection waits to be accepted.
fn somebody_waits(listener: &TcpListener) -> bool {
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())) != Ok(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a handler is caught before it reaches any of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port for HostPort {
    type Lock<T> = Monitor<T>;
    type Socket = HostSocket;
    type Storage = Box<[u8]>;
    type Inbound = Box<Inbound<Self::Storage>>;
    type Slots = Box<[Slot<Self>]>;
    type Blocks = Box<[Option<Box<[u8]>>]>;

    fn now(&self) -> Instant {
        // It wraps, as the service's time does.
        #[allow(clippy::cast_possible_truncation)]
        Instant(self.started.elapsed().as_millis() as u32)
    }

    fn submit(&self, work: Work) {
        if work == Work::Service && self.service_work_queued.swap(true, Ordering::SeqCst) {
            return;
        }
        // Fails only when the work queue has ended, after the service.
        let _ = self.work.send(Some(work));
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
        loop {
            match listener.accept() {
                Ok((stream, _)) => return HostSocket::new(stream).map_err(|_| SocketError::Failed),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Err(SocketError::WouldBlock),
                    // The client gave up while it was waiting; the next one may not have.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    // There being no descriptor is said without a look at who waits.
                    _ if !somebody_waits(listener) => return Err(SocketError::WouldBlock),
                    _ => {
                        log::warn!("accepting failed: {error}");
                        return Err(SocketError::Failed);
                    }
                },
            }
        }
    }

    fn watch_listener(&self) {
        if let Some(listener) = &*lock(&self.listener) {
            let _ = self.registry.reregister(
                &mut SourceFd(&listener.as_raw_fd()),
                LISTENER,
                MioInterest::READABLE,
            );
        }
    }

    fn close_listener(&self) {
        if let Some(listener) = lock(&self.listener).take() {
            let _ = self
                .registry
                .deregister(&mut SourceFd(&listener.as_raw_fd()));
        }
    }

    fn attach(&self, slot: usize, socket: &HostSocket) -> Result<(), SocketError> {
        // Edge-triggered, so that once is enough: whatever happens later is told, and the service
        // receives and sends until there is no more before it waits.
        if let Some(ended) = self.ended.get(slot) {
            ended.store(false, Ordering::SeqCst);
        }
        let interest = MioInterest::READABLE | MioInterest::WRITABLE;
        self.registry
            .register(&mut SourceFd(&socket.0.as_raw_fd()), Token(slot), interest)
            .map_err(|_| SocketError::Failed)
    }

    fn watch(&self, slot: usize, socket: &HostSocket, interest: Interest) {
        // See `attach`. Telling again takes a system call, and is needed only where reading stopped
        // short: in the lobby, and when the end came together with the last bytes, so that receiving
        // less than there was room for did not mean that there is no more.
        if !interest.contains(Interest::READ) {
            return;
        }
        let again = match self.ended.get(slot) {
            // It could be written to all the time, which would be told again and again.
            None => MioInterest::READABLE,
            // Once, for the same reason; and it may have been the end of the connection before.
            Some(ended) if ended.swap(false, Ordering::SeqCst) => {
                MioInterest::READABLE | MioInterest::WRITABLE
            }
            Some(_) => return,
        };
        let _ = self
            .registry
            .reregister(&mut SourceFd(&socket.0.as_raw_fd()), Token(slot), again);
    }

    fn close(&self, _slot: usize, socket: HostSocket) {
        let _ = self
            .registry
            .deregister(&mut SourceFd(&socket.0.as_raw_fd()));
    }

    fn set_timer(&self, at: Instant) {
        let earlier = lock(&self.timer)
            .replace(at)
            .is_none_or(|timer| !at.has_reached(timer));
        if earlier && !SERVING_THREAD.get() {
            self.wake();
        }
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            let _ = self.waker.wake();
        }
    }

    fn wait(&self, ready: &mut dyn FnMut(Ready)) {
        SERVICE_THREAD.set(true);
        SERVING_THREAD.set(true);
        let mut poll = lock(&self.poll);
        let (poll, events) = &mut *poll;
        let timer = *lock(&self.timer);
        let timeout = timer.map(|at| Duration::from_millis(at.from(self.now()).into()));
        if let Err(error) = poll.poll(events, timeout) {
            if error.kind() != ErrorKind::Interrupted {
                log::error!("waiting for sockets failed: {error}");
            }
            return;
        }
        let now = self.now();
        let due = lock(&self.timer)
            .take_if(|at| now.has_reached(*at))
            .is_some();
        for event in &*events {
            ready(match event.token() {
                WAKER => {
                    self.woken.store(false, Ordering::SeqCst);
                    Ready::Wake
                }
                LISTENER => Ready::Listener,
                Token(slot) if slot == self.lobby => Ready::Lobby,
                Token(slot) => {
                    if let Some(ended) = self.ended.get(slot).filter(|_| event.is_read_closed()) {
                        ended.store(true, Ordering::SeqCst);
                    }
                    Ready::Client {
                        slot,
                        writable: event.is_writable(),
                    }
                }
            });
        }
        if due {
            ready(Ready::Timer(now));
        }
    }
}

thread_local! {
    static SERVICE_THREAD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static SERVING_THREAD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Whether this is a thread of a server, whichever it is, on which nothing may wait: as inside a handler.
#[must_use]
pub fn on_service_thread() -> bool {
    SERVICE_THREAD.get()
}

/// From now on the calling thread is one of the service's own.
pub(super) fn become_service_thread() {
    SERVICE_THREAD.set(true);
}

/// A TCP connection.
#[derive(Clone)]
pub struct HostSocket(Arc<TcpStream>);

impl HostSocket {
    /// Makes the stream one of the service's.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Frames leave when they are written, not when the last one was acknowledged.
        let _ = stream.set_nodelay(true);
        Ok(Self(Arc::new(stream)))
    }
}

impl Socket for HostSocket {
    /// `None` for a connection that has gone already.
    type Peer = Option<IpAddr>;

    fn peer(&self) -> Option<IpAddr> {
        // A client of IPv4 is the same one at a listener for both.
        self.0.peer_addr().ok().map(|addr| addr.ip().to_canonical())
    }

    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError> {
        retry(|| (&*self.0).read(space))
    }

    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError> {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        match (filled.next(), filled.next()) {
            (None, _) => Ok(0),
            (Some(one), None) => retry(|| (&*self.0).write(one)),
            _ => {
                let mut slices = heapless::Vec::<IoSlice<'_>, 16>::new();
                for part in parts {
                    let _ = slices.push(IoSlice::new(part));
                }
                // std's `write` does it like this, its `write_vectored` does not: a client that has
                // gone must not end a program, written in C, that has not said to ignore SIGPIPE.
                let mut no_control = SendAncillaryBuffer::default();
                retry(|| {
                    Ok(sendmsg(
                        &*self.0,
                        &slices,
                        &mut no_control,
                        SendFlags::NOSIGNAL,
                    )?)
                })
            }
        }
    }

    fn shutdown_write(&self) -> Result<(), SocketError> {
        let shut = self.0.shutdown(Shutdown::Write);
        shut.map_err(|_| SocketError::Failed)
    }
}

fn retry(mut io: impl FnMut() -> io::Result<usize>) -> Result<usize, SocketError> {
    loop {
        match io() {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(SocketError::WouldBlock);
            }
            Err(_) => return Err(SocketError::Failed),
        }
    }
}

/// A mutex with its condition variable.
pub struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    /// Puts a lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
        }
    }
}

impl<T> Lock<T> for Monitor<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.value)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>, timeout_ms: u32) -> MutexGuard<'a, T> {
        let timeout = Duration::from_millis(u64::from(timeout_ms));
        let (guard, _) = self
            .changed
            .wait_timeout(guard, timeout)
            .unwrap_or_else(PoisonError::into_inner);
        guard
    }

    fn notify_all(&self) {
        self.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// A port for one client.
    fn port() -> HostPort {
        HostPort::new(1, channel().0).unwrap()
    }

    /// Both ends of a connection.
    fn connection() -> (HostSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (HostSocket::new(listener.accept().unwrap().0).unwrap(), peer)
    }

    /// How often something is told within 100 ms of a socket that is watched again each time.
    fn told(port: &HostPort, slot: usize, socket: &HostSocket) -> usize {
        let (mut told, until) = (0, port.now() + 100);
        while !port.now().has_reached(until) {
            port.set_timer(until);
            port.wait(&mut |ready| {
                if !matches!(ready, Ready::Timer(_) | Ready::Wake) {
                    told += 1;
                    port.watch(slot, socket, Interest::READ);
                }
            });
        }
        told
    }

    #[test]
    fn nothing_is_told_of_who_waits_in_the_lobby_and_says_nothing() {
        let port = port();
        let (socket, _peer) = connection();
        port.attach(1, &socket).unwrap();
        port.watch(1, &socket, Interest::READ);
        assert!(told(&port, 1, &socket) <= 2);
    }

    #[test]
    fn the_end_of_a_connection_is_not_taken_for_that_of_the_next_one_in_its_slot() {
        let port = port();
        let (before, peer) = connection();
        port.attach(0, &before).unwrap();
        assert_eq!(told(&port, 0, &before), 1, "it can be written to");
        let (next, _next_peer) = connection();
        let mut before = Some(before);
        // Both are taken from the operating system at once, in this order.
        port.wake();
        drop(peer);
        while before.as_ref().unwrap().0.peek(&mut [0]).is_err() {}
        port.wait(&mut |ready| {
            if let (Ready::Wake, Some(before)) = (ready, before.take()) {
                port.close(0, before);
                port.attach(0, &next).unwrap();
            }
        });
        assert!(before.is_none());
        assert!(told(&port, 0, &next) <= 2);
    }
}
