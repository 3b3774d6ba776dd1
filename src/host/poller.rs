// SPDX-License-Identifier: Apache-2.0
//! Waiting for sockets: epoll, level-triggered.
//!
//! A socket stays registered for what it was last watched for, so that watching it again, as after each message, takes
//! no system call. A socket that is ready while it is not watched is then unregistered. Level triggering reports
//! whatever is left after a short receive, such as the bytes behind an urgent one.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::monitor::lock;
use super::socket::HostSocket;
use crate::service::Interest;

/// The most events taken from the operating system at once.
const EVENTS: usize = 256;
/// The number of the wake-up, among those of sockets.
const WAKE: u64 = u64::MAX;
/// The number of the listener.
const LISTENER: u64 = u64::MAX - 1;

/// What is ready.
pub(super) enum Ready {
    Wake,
    Listener,
    /// The socket with this number.
    Socket {
        number: usize,
        ready: Interest,
        /// It failed or was closed by the peer. Reported whatever the socket is watched for.
        broken: bool,
    },
}

/// One epoll instance, with a descriptor to wake it up.
pub(super) struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
    woken: AtomicBool,
}

/// The buffer that [`Poller::wait`] fills.
pub(super) struct Events(Vec<Event>);

impl Events {
    pub fn new() -> Self {
        let none = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        Self(vec![none; EVENTS])
    }
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered, because it is never read, only written to.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), flags)?;
        Ok(Self {
            epoll,
            wake,
            woken: AtomicBool::new(false),
        })
    }

    /// Ends [`wait`](Self::wait).
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Waits for up to `timeout_ms`, or without a limit. Returns the number of `events`, and whether these are all that
    /// are ready: false if the buffer is full.
    pub fn wait(&self, events: &mut Events, timeout_ms: Option<u32>) -> io::Result<(usize, bool)> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: (ms / 1000).into(),
            tv_nsec: (ms % 1000 * 1_000_000).into(),
        });
        let count = epoll::wait(&self.epoll, &mut events.0[..], timeout.as_ref())?;
        Ok((count, count < EVENTS))
    }

    /// Returns whether something is ready that the waiting thread has not handled yet.
    pub fn has_ready(&self) -> bool {
        let mut polled = [PollFd::new(&self.epoll, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())) != Ok(0)
    }

    /// Returns the events of the last [`wait`](Self::wait), which found `count`.
    pub fn ready<'a>(
        &'a self,
        events: &'a Events,
        count: usize,
    ) -> impl Iterator<Item = Ready> + 'a {
        events.0.iter().take(count).map(|event| {
            let (flags, data) = (event.flags, event.data);
            match data.u64() {
                WAKE => {
                    self.woken.store(false, Ordering::SeqCst);
                    Ready::Wake
                }
                LISTENER => Ready::Listener,
                number => {
                    let mut ready = Interest::empty();
                    ready.set(Interest::READ, flags.contains(EventFlags::IN));
                    ready.set(Interest::WRITE, flags.contains(EventFlags::OUT));
                    Ready::Socket {
                        number: usize::try_from(number).unwrap_or(usize::MAX),
                        ready,
                        broken: flags.intersects(EventFlags::HUP | EventFlags::ERR),
                    }
                }
            }
        })
    }

    /// Reports the listener once, when a connection can be accepted.
    pub fn watch_listener(&self, listener: impl AsFd, is_new: bool) -> io::Result<()> {
        let data = EventData::new_u64(LISTENER);
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        if is_new {
            epoll::add(&self.epoll, listener, data, flags)?;
        } else {
            epoll::modify(&self.epoll, listener, data, flags)?;
        }
        Ok(())
    }
}

/// The entry for a socket that is watched.
#[derive(Default)]
pub(super) struct Watch(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    socket: Option<HostSocket>,
    /// What the owner wants reported once.
    wanted: Interest,
    /// What epoll reports; `None`: the socket is not registered.
    registered: Option<Interest>,
}

impl Watch {
    /// Adds a socket. It is registered for reading, because that is what it will be watched for.
    pub fn attach(&self, poller: &Poller, number: usize, socket: &HostSocket) -> io::Result<()> {
        let mut watched = lock(&self.0);
        watched.socket = Some(socket.clone());
        watched.wanted = Interest::empty();
        watched.registered = None;
        watched.register(poller, number, Interest::READ)
    }

    /// Reports the socket once, when it is ready for `interest`.
    pub fn watch(&self, poller: &Poller, number: usize, interest: Interest) {
        let mut watched = lock(&self.0);
        watched.wanted = interest;
        // A socket may stay registered for reading, and for what it is watched for already.
        let needs = match watched.registered {
            None => true,
            Some(registered) => {
                !registered.contains(interest) || (registered - interest).contains(Interest::WRITE)
            }
        };
        if needs && !interest.is_empty() {
            // If it fails, the socket was closed.
            let _ = watched.register(poller, number, interest);
        }
    }

    /// Removes a socket, unless another one has taken its entry.
    pub fn detach(&self, poller: &Poller, socket: &HostSocket) {
        let mut watched = lock(&self.0);
        if watched
            .socket
            .as_ref()
            .is_none_or(|there| !there.is(socket))
        {
            return;
        }
        watched.deregister(poller);
        watched.socket = None;
        watched.wanted = Interest::empty();
    }

    /// Consumes the readiness of a socket: returns the part that is wanted, and stops reporting the rest.
    pub fn take(
        &self,
        poller: &Poller,
        number: usize,
        ready: Interest,
        broken: bool,
    ) -> Option<Interest> {
        let mut watched = lock(&self.0);
        let ready = if broken { Interest::all() } else { ready };
        let wanted = watched.wanted & ready;
        if !wanted.is_empty() {
            watched.wanted = Interest::empty();
            return Some(ready);
        }
        if watched.wanted.is_empty() {
            watched.deregister(poller);
        } else {
            let wanted = watched.wanted;
            let _ = watched.register(poller, number, wanted);
        }
        None
    }
}

impl Watched {
    fn register(&mut self, poller: &Poller, number: usize, interest: Interest) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let data = EventData::new_u64(number as u64);
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, interest.contains(Interest::READ));
        flags.set(EventFlags::OUT, interest.contains(Interest::WRITE));
        match self.registered {
            None => epoll::add(&poller.epoll, socket, data, flags)?,
            Some(_) => epoll::modify(&poller.epoll, socket, data, flags)?,
        }
        self.registered = Some(interest);
        Ok(())
    }

    fn deregister(&mut self, poller: &Poller) {
        if let (Some(socket), Some(_)) = (&self.socket, self.registered.take()) {
            let _ = epoll::delete(&poller.epoll, socket);
        }
    }
}
