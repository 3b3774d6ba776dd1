// SPDX-License-Identifier: Apache-2.0
//! Event queues: the rules on a scripted storage, then their threads in every schedule that shuttle finds.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wss::protocol::CloseCode;
use wss::service::{
    Config, Delivery, Instant, KeptEvent, Lock, MAX_SINKS, Message, Queue, QueueSink, QueueState,
    QueueStorage,
};
use wss::{ClientId, Event, EventMask, Request};

use crate::harness::{Alone, Harness, Single, Svc, frame};
use crate::port::{NewLock, ScriptPort};
use crate::threads::{ShuttleLock, check};

/// Has a fixed number of entries.
struct Bounded<E> {
    entries: VecDeque<E>,
    room: usize,
    /// A reader takes the oldest entry between two attempts to put one.
    taken_meanwhile: bool,
}

impl<E> Bounded<E> {
    fn new(room: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            room,
            taken_meanwhile: false,
        }
    }
}

impl<E> QueueStorage for Bounded<E> {
    type Entry = E;

    fn put(&mut self, make: impl Fn() -> E) -> bool {
        let has_room = self.entries.len() < self.room;
        if has_room {
            self.entries.push_back(make());
        } else if self.taken_meanwhile {
            self.entries.pop_front();
        }
        has_room
    }

    fn take(&mut self) -> Option<E> {
        self.entries.pop_front()
    }
}

/// A queue with its own lock.
struct OwnLock<L> {
    lock: L,
    turned_away: AtomicBool,
    subscribed: AtomicBool,
}

impl<L> OwnLock<L> {
    fn new<S: QueueStorage>(storage: S) -> Self
    where
        L: NewLock<QueueState<S>>,
    {
        Self {
            lock: L::new(QueueState::new(storage)),
            turned_away: AtomicBool::new(false),
            subscribed: AtomicBool::new(true),
        }
    }
}

/// Queues with both kinds of locks; the storage depends on the lock. Under shuttle, other threads get their turn before
/// each atomic operation.
macro_rules! queue_with {
    ($lock:ident, $storage:ty $(, $others:expr)?) => {
        impl Queue for OwnLock<$lock<QueueState<$storage>>> {
            type Storage = $storage;
            type Shared = QueueState<$storage>;
            type Lock = $lock<QueueState<$storage>>;

            fn lock(&self) -> &Self::Lock {
                &self.lock
            }

            fn state<'a>(&self, shared: &'a mut Self::Shared) -> Option<&'a mut Self::Shared> {
                Some(shared)
            }

            fn turned_away(&self) -> &AtomicBool {
                $($others;)?
                &self.turned_away
            }

            fn unsubscribe(&self) {
                self.subscribed.store(false, Ordering::Relaxed);
            }
        }
    };
}

queue_with!(Alone, Bounded<u32>);
queue_with!(ShuttleLock, Bounded<u32>, shuttle::thread::yield_now());
queue_with!(ShuttleLock, Outside, shuttle::thread::yield_now());

type Single32 = OwnLock<Alone<QueueState<Bounded<u32>>>>;

fn queue(room: usize) -> Single32 {
    OwnLock::new(Bounded::new(room))
}

fn now() -> Instant {
    Instant(Harness::now() as u32)
}

/// Takes an entry without waiting. Returns it, and whether the service must be notified of room.
fn take(queue: &Single32) -> (Option<u32>, bool) {
    let room = Cell::new(false);
    let entry = queue.recv(Some(0), now, || room.set(true)).ok();
    (entry, room.get())
}

#[test]
fn an_event_that_holds_a_message_is_held_and_another_is_done() {
    let queue = queue(2);
    assert_eq!(queue.deliver(true, || 1), Delivery::Held);
    assert_eq!(queue.deliver(false, || 2), Delivery::Done);
    assert_eq!(take(&queue), (Some(1), false));
    assert_eq!(take(&queue), (Some(2), false));
    assert_eq!(take(&queue), (None, false));
}

#[test]
fn a_full_queue_turns_events_away_and_tells_of_room_once() {
    let queue = queue(1);
    assert_eq!(queue.deliver(true, || 1), Delivery::Held);
    for _ in 0..2 {
        assert_eq!(queue.deliver(true, || 2), Delivery::Full);
        assert_eq!(queue.deliver(false, || 3), Delivery::Full);
    }
    assert_eq!(take(&queue), (Some(1), true));
    assert_eq!(take(&queue), (None, false));
    assert_eq!(queue.deliver(true, || 2), Delivery::Held);
    assert_eq!(take(&queue), (Some(2), false));
}

#[test]
fn room_that_is_made_while_an_event_is_turned_away_is_used() {
    let queue = queue(1);
    queue.deliver(true, || 1);
    // Such a reader does not take the lock, as with the application's own k_msgq.
    queue.lock.lock().storage().unwrap().taken_meanwhile = true;
    assert_eq!(queue.deliver(true, || 2), Delivery::Held);
    assert!(queue.has_made_room(), "in case the reader did not see that");
    assert_eq!(take(&queue), (Some(2), false));
}

#[test]
fn an_ended_queue_gives_what_is_left_and_does_not_wait() {
    let queue = queue(2);
    queue.deliver(true, || 1);
    queue.deliver(true, || 2);
    assert_eq!(queue.deliver(true, || 3), Delivery::Full);
    queue.end();
    assert_eq!(queue.recv(None, now, || ()).ok(), Some(1));
    // Events that a late handler delivers, such as CLOSED, are not lost.
    assert_eq!(queue.deliver(false, || 3), Delivery::Done);
    assert_eq!(queue.recv(None, now, || ()).ok(), Some(2));
    assert_eq!(queue.recv(None, now, || ()).ok(), Some(3));
    for timeout in [None, Some(1000)] {
        let before = Harness::now();
        assert_eq!(queue.recv(timeout, now, || ()).ok(), None);
        assert_eq!(Harness::now(), before, "nothing is waited for");
    }
}

#[test]
fn an_abandoned_queue_releases_each_entry_once_and_takes_no_more() {
    let queue = queue(3);
    for number in 1..=3 {
        queue.deliver(true, || number);
    }
    assert_eq!(queue.deliver(true, || 4), Delivery::Full);
    assert_eq!(take(&queue), (Some(1), true));
    let (released, rooms) = (RefCell::new(Vec::new()), Cell::new(0));
    let abandon = || {
        queue.abandon(
            // The lock is free.
            |entry| released.borrow_mut().push((entry, take(&queue))),
            || rooms.set(rooms.get() + 1),
        )
    };
    assert!(abandon());
    assert_eq!(*released.borrow(), [(2, (None, false)), (3, (None, false))]);
    assert_eq!(rooms.get(), 1, "rejected events are delivered again");
    assert!(!queue.subscribed.load(Ordering::Relaxed));
    // Too late: it holds nothing.
    assert_eq!(queue.deliver(true, || 5), Delivery::Done);
    assert_eq!(queue.recv(None, now, || ()).ok(), None);
    assert!(!abandon());
    assert_eq!((released.borrow().len(), rooms.get()), (2, 1));
}

#[test]
fn a_reader_waits_as_long_as_it_says() {
    let queue = queue(1);
    for timeout in [0, 1, 3_600_000, 10_000_000, u32::MAX] {
        let before = Harness::now();
        assert_eq!(queue.recv(Some(timeout), now, || ()).ok(), None);
        assert_eq!(Harness::now() - before, u64::from(timeout));
    }
    // Woken up for nothing, it waits for the rest, however long each time is.
    Harness::while_waiting(Some(Rc::new(|_| Harness::set_now(Harness::now() + 7))));
    let before = Harness::now();
    assert_eq!(queue.recv(Some(20), now, || ()).ok(), None);
    assert_eq!(Harness::now() - before, 21);
    Harness::while_waiting(None);
}

#[test]
fn a_reader_without_a_timeout_waits_until_there_is_an_event_or_the_end() {
    let queue = Rc::new(queue(1));
    let waits = Rc::new(Cell::new(0));
    let others = {
        let (queue, waits) = (Rc::clone(&queue), Rc::clone(&waits));
        move |_| {
            waits.set(waits.get() + 1);
            match waits.get() {
                3 => assert_eq!(queue.deliver(true, || 1), Delivery::Held),
                5 => queue.end(),
                _ => {}
            }
        }
    };
    Harness::while_waiting(Some(Rc::new(others)));
    assert_eq!(queue.recv(None, now, || ()).ok(), Some(1));
    assert_eq!(queue.recv(None, now, || ()).ok(), None);
    Harness::while_waiting(None);
    assert_eq!(waits.get(), 5);
}

type Places = [(u32, QueueState<Bounded<u32>>); 2];

/// Queues that share one lock, and have numbers, like those of the C interface.
struct Numbered<'a> {
    lock: &'a Alone<Places>,
    turned_away: &'a AtomicBool,
    place: usize,
    number: u32,
}

impl Queue for Numbered<'_> {
    type Storage = Bounded<u32>;
    type Shared = Places;
    type Lock = Alone<Self::Shared>;

    fn lock(&self) -> &Self::Lock {
        self.lock
    }

    fn state<'s>(&self, shared: &'s mut Self::Shared) -> Option<&'s mut QueueState<Bounded<u32>>> {
        let (number, state) = &mut shared[self.place];
        (*number == self.number).then_some(state)
    }

    fn turned_away(&self) -> &AtomicBool {
        self.turned_away
    }

    fn unsubscribe(&self) {}
}

#[test]
fn a_reader_of_a_queue_that_is_gone_does_not_take_from_the_next_one_there() {
    let lock = Alone::new([1, 2].map(|number| (number, QueueState::new(Bounded::new(2)))));
    let lock: &'static _ = Box::leak(Box::new(lock));
    let turned_away: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let numbered = |place, number| Numbered {
        lock,
        turned_away,
        place,
        number,
    };
    let (old, other, next) = (numbered(0, 1), numbered(1, 2), numbered(0, 3));
    Harness::while_waiting(Some(Rc::new(move |_| {
        assert!(numbered(0, 1).abandon(|_| (), || ()));
        lock.lock()[0] = (3, QueueState::new(Bounded::new(2)));
        assert_eq!(numbered(0, 3).deliver(true, || 7), Delivery::Held);
    })));
    assert_eq!(old.recv(None, now, || ()).ok(), None);
    Harness::while_waiting(None);
    assert_eq!(old.deliver(true, || 8), Delivery::Done);
    assert!(!old.abandon(|_| (), || ()));
    old.end();
    assert_eq!(other.recv(Some(0), now, || ()).ok(), None);
    assert_eq!(next.recv(None, now, || ()).ok(), Some(7));
    assert!(!turned_away.load(Ordering::Relaxed));
}

#[test]
fn a_kept_event_is_the_event_again() {
    let message = |first, last| Message {
        bytes: b"abc",
        first,
        last,
    };
    let holding = [
        Event::Text(message(true, false)),
        Event::Binary(message(false, true)),
        Event::Ping(b"abc"),
        Event::Pong(b""),
        Event::CloseFrame {
            code: Some(CloseCode::GOING_AWAY),
            body: b"\x03\xe9abc",
        },
        Event::CloseFrame {
            code: None,
            body: b"",
        },
    ];
    let others = [
        Event::Error,
        Event::Connecting,
        Event::Connected(Request::from_bytes(b"")),
        Event::Closing,
        Event::Closed,
        Event::InvalidFrame,
        Event::Timeout,
        Event::TlsFailed,
        Event::ListenFailed,
        Event::LinkDown,
        Event::LinkUp,
        Event::Writable,
    ];
    let all: EventMask = holding.iter().chain(&others).map(Event::mask).collect();
    assert_eq!(all, EventMask::all());
    let client = ClientId::new(1, 7);
    for (event, holds) in
        (holding.iter().map(|event| (event, true))).chain(others.iter().map(|event| (event, false)))
    {
        let bytes = event.message().map(|message| message.bytes);
        assert_eq!(bytes.is_some(), holds, "{event:?}");
        let kept = KeptEvent::new(Some(client), event, bytes.unwrap_or_default());
        assert_eq!(kept.holds_for(), holds.then_some(client), "{event:?}");
        let again = kept.event(kept.bytes);
        assert_eq!(format!("{again:?}"), format!("{event:?}"));
    }
}

type Sink = QueueSink<ScriptPort<Single>, Bounded<KeptEvent<Vec<u8>>>>;

/// A service whose events go only to the queue.
fn with_queue(queue: &Rc<Sink>) -> Harness {
    let sink = Rc::clone(queue);
    let react = move |_: &Svc, _: usize, client: Option<ClientId>, event: &Event<'_>| {
        let bytes = event.message().map_or(&[][..], |message| message.bytes);
        sink.deliver_event(client, event, || bytes.to_vec())
    };
    let h = Harness::new(2, Config::default(), react);
    let mut masks = [EventMask::empty(); MAX_SINKS];
    masks[0] = queue.mask();
    h.service.application().masks.set(masks);
    h
}

/// Takes the next event and releases it, like a thread of the application.
fn next(h: &mut Harness, queue: &Sink) -> Option<(usize, EventMask)> {
    let taken = h.as_thread(1, |service| {
        let kept = queue.recv_event(service, Some(0)).ok()?;
        kept.release(service);
        Some((kept.client?.slot(), kept.event(&kept.bytes).mask()))
    });
    h.settle();
    taken
}

#[test]
fn a_queue_with_room_for_one_event_gets_every_event_of_every_client() {
    let queue = Rc::new(Sink::new(
        EventMask::all(),
        Alone::new(QueueState::new(Bounded::new(1))),
    ));
    let mut h = with_queue(&queue);
    let clients = [h.connect(), h.connect()];
    for client in &clients {
        client.send(crate::harness::REQUEST.as_bytes());
        client.send(&frame(0x81, b"one"));
        client.send(&frame(0x82, b"two"));
    }
    h.settle();
    for client in &clients {
        client.eof();
    }
    h.settle();
    let mut told = [EventMask::empty(); 2];
    let mut count = 0;
    while let Some((slot, event)) = next(&mut h, &queue) {
        assert!(!told[slot].contains(event), "once each");
        told[slot] |= event;
        count += 1;
    }
    let every = EventMask::CONNECTING
        | EventMask::CONNECTED
        | EventMask::TEXT
        | EventMask::BINARY
        | EventMask::CLOSING
        | EventMask::CLOSED;
    assert_eq!(told, [every; 2]);
    assert_eq!(count, 12);
    h.assert_all_closed();
}

#[test]
fn a_service_goes_on_without_a_queue_that_is_abandoned() {
    let queue = Rc::new(Sink::new(
        EventMask::all(),
        Alone::new(QueueState::new(Bounded::new(3))),
    ));
    let mut h = with_queue(&queue);
    let client = h.connected();
    client.send(&frame(0x81, b"held"));
    client.send(&frame(0x81, b"rejected"));
    h.settle();
    h.as_thread(1, |service| queue.abandon_events(service));
    assert_eq!(queue.mask(), EventMask::empty());
    h.settle();
    client.send(&frame(0x89, b"still there?"));
    h.settle();
    assert_eq!(
        client.take(),
        crate::harness::server_frame(0x8A, b"still there?")
    );
    client.eof();
    h.settle();
    h.assert_all_closed();
}

// Threads.

type Threaded = OwnLock<ShuttleLock<QueueState<Bounded<u32>>>>;

fn never() -> Instant {
    Instant(0)
}

/// The reports of the queue to the service.
struct Told {
    released: ShuttleLock<Vec<u32>>,
    /// How often it reported room.
    rooms: ShuttleLock<usize>,
}

impl Told {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            released: ShuttleLock::new(Vec::new()),
            rooms: ShuttleLock::new(0),
        })
    }

    fn room(&self) {
        *self.rooms.lock() += 1;
        self.rooms.notify_all();
    }

    /// Delivers like the service: a rejected event is delivered again once there is room.
    fn deliver<Q: Queue>(&self, queue: &Q, entry: impl Fn() -> wss::service::Entry<Q>) -> Delivery {
        loop {
            let seen = *self.rooms.lock();
            let delivery = queue.deliver(true, &entry);
            if delivery != Delivery::Full {
                return delivery;
            }
            let mut rooms = self.rooms.lock();
            while *rooms == seen {
                rooms = self.rooms.wait(rooms, u32::MAX);
            }
        }
    }
}

#[test]
fn nothing_that_is_put_on_a_queue_as_it_is_abandoned_stays_held() {
    check(|| {
        let queue: Arc<Threaded> = Arc::new(OwnLock::new(Bounded::new(2)));
        let told = Told::new();
        let abandoning = {
            let (queue, told) = (Arc::clone(&queue), Arc::clone(&told));
            shuttle::thread::spawn(move || {
                let release = |entry| told.released.lock().push(entry);
                if let Ok(entry) = queue.recv(Some(0), never, || told.room()) {
                    release(entry);
                }
                assert!(queue.abandon(release, || told.room()));
            })
        };
        // Twice as many as there is room for.
        let mut held: Vec<u32> = (0..4)
            .filter(|entry| told.deliver(&*queue, || *entry) == Delivery::Held)
            .collect();
        abandoning.join().unwrap();
        let mut released = std::mem::take(&mut *told.released.lock());
        released.sort_unstable();
        held.sort_unstable();
        assert_eq!(released, held, "each once");
    });
}

#[test]
fn readers_of_a_full_queue_take_all_and_none_waits_in_vain() {
    check(|| {
        let queue: Arc<Threaded> = Arc::new(OwnLock::new(Bounded::new(1)));
        let told = Told::new();
        let readers = [(); 2].map(|()| {
            let (queue, told) = (Arc::clone(&queue), Arc::clone(&told));
            shuttle::thread::spawn(move || {
                // Without a timeout.
                while let Ok(entry) = queue.recv(None, never, || told.room()) {
                    told.released.lock().push(entry);
                }
            })
        });
        for entry in 0..4 {
            assert_eq!(told.deliver(&*queue, || entry), Delivery::Held);
        }
        queue.end();
        for reader in readers {
            reader.join().unwrap();
        }
        let mut released = std::mem::take(&mut *told.released.lock());
        released.sort_unstable();
        assert_eq!(released, [0, 1, 2, 3], "each once");
    });
}

/// A storage that readers access without the queue's lock, like the application's own k_msgq.
struct Outside(Arc<ShuttleLock<VecDeque<u32>>>);

impl QueueStorage for Outside {
    type Entry = u32;

    fn put(&mut self, make: impl Fn() -> u32) -> bool {
        let mut entries = self.0.lock();
        let has_room = entries.is_empty();
        if has_room {
            entries.push_back(make());
            self.0.notify_all();
        }
        has_room
    }

    fn take(&mut self) -> Option<u32> {
        self.0.lock().pop_front()
    }
}

#[test]
fn a_reader_that_takes_without_the_lock_makes_room_as_it_releases() {
    check(|| {
        let entries = Arc::new(ShuttleLock::new(VecDeque::new()));
        let queue = Arc::new(OwnLock::<ShuttleLock<QueueState<Outside>>>::new(Outside(
            Arc::clone(&entries),
        )));
        let told = Told::new();
        let reader = {
            let (queue, told) = (Arc::clone(&queue), Arc::clone(&told));
            shuttle::thread::spawn(move || {
                for expected in 0..4 {
                    let mut guard = entries.lock();
                    while guard.is_empty() {
                        guard = entries.wait(guard, u32::MAX);
                    }
                    assert_eq!(guard.pop_front(), Some(expected));
                    drop(guard);
                    if queue.has_made_room() {
                        told.room();
                    }
                }
            })
        };
        for entry in 0..4 {
            assert_eq!(told.deliver(&*queue, || entry), Delivery::Held);
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_reader_that_is_about_to_wait_sees_that_the_queue_is_gone() {
    check(|| {
        let queue: Arc<Threaded> = Arc::new(OwnLock::new(Bounded::new(1)));
        let told = Told::new();
        let reader = {
            let (queue, told) = (Arc::clone(&queue), Arc::clone(&told));
            shuttle::thread::spawn(move || {
                while let Ok(entry) = queue.recv(None, never, || told.room()) {
                    told.released.lock().push(entry);
                }
            })
        };
        assert_eq!(told.deliver(&*queue, || 1), Delivery::Held);
        assert!(queue.abandon(|entry| told.released.lock().push(entry), || told.room()));
        reader.join().unwrap();
        assert_eq!(*told.released.lock(), [1], "once, by either");
    });
}

#[test]
fn a_reader_that_is_about_to_wait_sees_the_end() {
    check(|| {
        let queue: Arc<Threaded> = Arc::new(OwnLock::new(Bounded::new(1)));
        let taken = Arc::new(AtomicUsize::new(0));
        let readers = [(); 2].map(|()| {
            let (queue, taken) = (Arc::clone(&queue), Arc::clone(&taken));
            shuttle::thread::spawn(move || {
                while queue.recv(None, never, || ()).is_ok() {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        assert_eq!(queue.deliver(true, || 1), Delivery::Held);
        queue.end();
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(taken.load(Ordering::Relaxed), 1);
    });
}
