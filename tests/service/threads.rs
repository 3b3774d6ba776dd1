// SPDX-License-Identifier: Apache-2.0
//! The threads of the service and of the application, in every schedule that shuttle finds.
//!
//! With real locks, a race would show once in a million runs. Here the test controls the schedule, and a lost wake-up
//! is a deadlock, which shuttle reports. `WSS_SCHEDULES` is the number of schedules of each kind that each test
//! explores (300).
//! test explores of either kind (300).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shuttle::thread;
use wss::protocol::{CloseCode, OVERHEAD};
use wss::service::{
    AdoptError, Application, Config, Delivery, Lock, MAX_SINKS, Opening, Service, Target, Work,
};
use wss::{Answer, ClientId, Event, EventMask, Page, Request, SendError, Verdict};

use crate::harness::{REQUEST, frame};
use crate::port::{Kind, NewLock, ScriptPort, ScriptSocket, Wire, service as service_of};
use crate::received::received;
use crate::records::Tls;

const RX: usize = 64;
const PAGE: Page<'static> = Page::new("/", "text/html", b"<p>hello").etag("v1");
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

struct Shuttle;

shuttle::thread_local! {
    static ON_SERVICE_THREAD: std::cell::Cell<bool> = std::cell::Cell::new(false);
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}
thread_local! {
    /// One real thread runs all threads of a test.
    static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static HAS_BUFFERS: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

impl Kind for Shuttle {
    const WAITS: bool = true;
    type Lock<T> = ShuttleLock<T>;

    fn on_service_thread() -> bool {
        ON_SERVICE_THREAD.with(std::cell::Cell::get)
    }

    fn thread() -> usize {
        THREAD.with(|number| *number)
    }

    fn now() -> u64 {
        NOW.get()
    }

    fn has_buffers() -> bool {
        HAS_BUFFERS.get()
    }

    fn during_step() {
        thread::yield_now();
    }
}

/// A wait here never times out, so every necessary wake-up must happen.
pub struct ShuttleLock<T>(shuttle::sync::Mutex<T>, shuttle::sync::Condvar);

impl<T> NewLock<T> for ShuttleLock<T> {
    fn new(value: T) -> Self {
        Self(
            shuttle::sync::Mutex::new(value),
            shuttle::sync::Condvar::new(),
        )
    }
}

impl<T> Lock<T> for ShuttleLock<T> {
    type Guard<'a>
        = shuttle::sync::MutexGuard<'a, T>
    where
        T: 'a;

    fn lock(&self) -> Self::Guard<'_> {
        self.0.lock().unwrap()
    }

    fn wait<'a>(&'a self, guard: Self::Guard<'a>, _timeout_ms: u32) -> Self::Guard<'a> {
        self.1.wait(guard).unwrap()
    }

    fn notify_all(&self) {
        self.1.notify_all();
    }
}

type Svc = Service<ScriptPort<Shuttle>, App>;

/// Echoes texts, and holds binary messages until the releasing thread has seen them.
struct App {
    events: ShuttleLock<Vec<(ClientId, EventMask)>>,
    held: ShuttleLock<Vec<ClientId>>,
    /// Whether there is a page.
    has_page: AtomicBool,
    /// The number of messages that may be held, and whether one more was rejected.
    room: AtomicUsize,
    turned_away: AtomicBool,
    /// Requests that are answered later, by a thread that finds them here.
    puts_off: AtomicBool,
    asked: ShuttleLock<Vec<ClientId>>,
    done: AtomicBool,
}

impl Application<ScriptPort<Shuttle>> for App {
    fn masks(&self) -> [EventMask; MAX_SINKS] {
        let mut masks = [EventMask::empty(); MAX_SINKS];
        masks[0] = EventMask::all();
        masks
    }

    fn page(&self, number: usize) -> Option<Page<'_>> {
        (number == 0 && self.has_page.load(Ordering::Relaxed)).then_some(PAGE)
    }

    fn accept(&self, client: ClientId, _: &Request<'_>, answer: Answer<'_>) {
        if !self.puts_off.load(Ordering::Relaxed) {
            let _ = answer.accept();
            return;
        }
        self.asked.lock().push(client);
        self.asked.notify_all();
        // Another thread may answer before this has returned.
        thread::yield_now();
        let _ = answer.later();
        thread::yield_now();
    }

    fn deliver(
        &self,
        service: &Svc,
        _: usize,
        client: Option<ClientId>,
        event: &Event<'_>,
    ) -> Delivery {
        let Some(client) = client else {
            return Delivery::Done;
        };
        if let Event::Binary(_) = event {
            let held = self.held.lock();
            if held.len() >= self.room.load(Ordering::Relaxed) {
                self.turned_away.store(true, Ordering::Relaxed);
                return Delivery::Full;
            }
        }
        self.events.lock().push((client, event.mask()));
        self.events.notify_all();
        match event {
            Event::Text(message) => {
                let _ = service.send_text(client, message.text());
                Delivery::Done
            }
            Event::Binary(_) => {
                self.held.lock().push(client);
                self.held.notify_all();
                Delivery::Held
            }
            _ => Delivery::Done,
        }
    }
}

impl App {
    /// Waits for a deferred request.
    fn next_asked(&self) -> ClientId {
        let mut asked = self.asked.lock();
        while asked.is_empty() {
            asked = self.asked.wait(asked, u32::MAX);
        }
        asked.remove(0)
    }

    /// Waits until this many events of a kind were delivered.
    fn wait_for(&self, mask: EventMask, count: usize) {
        let mut events = self.events.lock();
        while events.iter().filter(|(_, event)| *event == mask).count() < count {
            events = self.events.wait(events, u32::MAX);
        }
    }
}

fn service(slots: usize, blocks: usize) -> Arc<Svc> {
    let app = App {
        events: ShuttleLock::new(Vec::new()),
        held: ShuttleLock::new(Vec::new()),
        has_page: AtomicBool::new(false),
        room: AtomicUsize::new(usize::MAX),
        turned_away: AtomicBool::new(false),
        puts_off: AtomicBool::new(false),
        asked: ShuttleLock::new(Vec::new()),
        done: AtomicBool::new(false),
    };
    let (slots, blocks) = ((slots, RX + OVERHEAD), (blocks, RX + 10));
    Arc::new(service_of(app, &Config::default(), slots, blocks, 0))
}

/// Runs a work queue.
fn work(service: &Svc, is_mine: fn(&Work) -> bool) {
    ON_SERVICE_THREAD.with(|here| here.set(true));
    let state = &service.port().state;
    loop {
        let mut guard = state.lock();
        let work = loop {
            let at = guard.work.iter().position(is_mine);
            if let Some(work) = at.and_then(|at| guard.work.remove(at)) {
                break work;
            }
            if service.application().done.load(Ordering::Relaxed) {
                return;
            }
            guard = state.wait(guard, u32::MAX);
        };
        drop(guard);
        service.run(work);
    }
}

/// The threads that run a service, and one that releases held messages.
struct Running(Arc<Svc>, Vec<thread::JoinHandle<()>>);

impl Running {
    fn start(service: Arc<Svc>) -> Self {
        let spawn = |body: fn(&Svc)| {
            let service = Arc::clone(&service);
            thread::spawn(move || body(&service))
        };
        let threads = vec![
            spawn(|service| {
                ON_SERVICE_THREAD.with(|here| here.set(true));
                service.serve();
            }),
            spawn(|service| work(service, |work| !matches!(work, Work::Tls(_)))),
            spawn(|service| work(service, |work| matches!(work, Work::Tls(_)))),
            spawn(|service| {
                let app = service.application();
                loop {
                    let mut held = app.held.lock();
                    while held.is_empty() {
                        if app.done.load(Ordering::Relaxed) {
                            return;
                        }
                        held = app.held.wait(held, u32::MAX);
                    }
                    let client = held.remove(0);
                    let turned_away = app.turned_away.swap(false, Ordering::Relaxed);
                    drop(held);
                    if turned_away {
                        service.room();
                    }
                    service.release(client);
                }
            }),
        ];
        Self(service, threads)
    }

    /// Stops everything, and checks the final state.
    fn finish(self, clients: &[Peer]) {
        let Self(service, threads) = self;
        service.stop();
        assert!(service.wait_stopped());
        let app = service.application();
        app.done.store(true, Ordering::Relaxed);
        // Waiting threads check once more; the locks ensure that none is just about to wait.
        drop(service.port().state.lock());
        service.port().state.notify_all();
        drop(app.held.lock());
        app.held.notify_all();
        for thread in threads {
            thread.join().unwrap();
        }
        let stats = service.stats();
        assert_eq!(stats.accepted, stats.closed);
        let events = app.events.lock();
        let count = |mask| events.iter().filter(|(_, event)| *event == mask).count();
        assert_eq!(count(EventMask::CONNECTING), count(EventMask::CLOSING));
        assert_eq!(count(EventMask::CONNECTING), count(EventMask::CLOSED));
        let mut ended: Vec<ClientId> = Vec::new();
        for (client, event) in &*events {
            assert!(!ended.contains(client), "{event:?} after closed");
            if *event == EventMask::CLOSED {
                ended.push(*client);
            }
        }
        for client in clients {
            received(&client.0.lock().from_server);
        }
    }
}

struct Peer(Arc<ShuttleLock<Wire>>, Arc<Svc>);

impl Peer {
    fn connect(service: &Arc<Svc>, window: usize) -> Self {
        Self::elsewhere(service, window).come()
    }

    /// A client that uses TLS.
    fn secured(service: &Arc<Svc>, window: usize) -> Self {
        let peer = Self::elsewhere(service, window);
        let mut wire = peer.0.lock();
        Tls::begin(&mut wire, false);
        wire.with_tls(|tls, _| tls.one_by_one = true);
        drop(wire);
        peer.come()
    }

    fn come(self) -> Self {
        let socket = self.socket();
        let state = &self.1.port().state;
        state.lock().backlog.push_back(Some(socket));
        state.notify_all();
        self
    }

    /// A client that the service does not know yet.
    fn elsewhere(service: &Arc<Svc>, window: usize) -> Self {
        let wire = Wire {
            window,
            ..Wire::default()
        };
        Self(Arc::new(ShuttleLock::new(wire)), Arc::clone(service))
    }

    fn socket(&self) -> ScriptSocket<Shuttle> {
        ScriptSocket(Arc::clone(&self.0))
    }

    fn act(&self, act: impl FnOnce(&mut Wire)) {
        act(&mut self.0.lock());
        // So that the change comes before the serving thread looks, or wakes it after.
        drop(self.1.port().state.lock());
        self.1.port().state.notify_all();
    }

    fn send(&self, bytes: &[u8]) {
        self.act(|wire| wire.say(bytes));
    }

    fn upgraded(self) -> Self {
        self.send(REQUEST.as_bytes());
        self.1.application().wait_for(EventMask::CONNECTED, 1);
        self
    }
}

pub fn check(test: fn()) {
    let iterations = std::env::var("WSS_SCHEDULES").map_or(300, |count| count.parse().unwrap());
    // PCT finds schedules with few, well-placed switches, random those with many.
    shuttle::check_random(test, iterations);
    shuttle::check_pct(test, iterations, 3);
}

fn sender(
    service: &Arc<Svc>,
    text: &'static str,
) -> thread::JoinHandle<Vec<Result<(), SendError>>> {
    let service = Arc::clone(service);
    thread::spawn(move || {
        (0..3)
            .map(|_| service.send_text(Target::Slot(0), text))
            .collect()
    })
}

#[test]
fn two_senders_share_a_client_that_reads_slowly() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::connect(&running.0, 129 + 20).upgraded();
        let first = sender(&running.0, "the first sender's message");
        // Too long for a block, so the sender is in the middle of its frame meanwhile.
        let long = "x".repeat(RX * 2).leak();
        let second = sender(&running.0, long);
        peer.send(&[frame(0x89, b"1"), frame(0x81, b"echo"), frame(0x89, b"2")].concat());
        for _ in 0..12 {
            peer.act(|wire| wire.window += 60);
            thread::yield_now();
        }
        peer.act(|wire| wire.window = usize::MAX / 2);
        for thread in [first, second] {
            let sent = thread.join().unwrap();
            assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        }
        peer.act(|wire| wire.eof = true);
        running.0.application().wait_for(EventMask::CLOSED, 1);
        // Every message that was accepted arrives, and every ping is answered, in order.
        let frames = received(&peer.0.lock().from_server).frames;
        let count = |text: &[u8]| frames.iter().filter(|(_, payload)| payload == text).count();
        assert_eq!(
            (count(b"the first sender's message"), count(long.as_bytes())),
            (3, 3)
        );
        let pongs: Vec<_> = frames.iter().filter(|(first, _)| *first == 0x8A).collect();
        assert_eq!(pongs, [&(0x8A, b"1".to_vec()), &(0x8A, b"2".to_vec())]);
        running.finish(&[peer]);
    });
}

#[test]
fn the_network_has_no_buffers_while_others_send() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::connect(&running.0, 129 + 60).upgraded();
        HAS_BUFFERS.set(false);
        let first = sender(&running.0, "the first sender's message");
        let long = "x".repeat(RX * 2).leak();
        let second = sender(&running.0, long);
        peer.send(&[frame(0x89, b"1"), frame(0x81, b"echo")].concat());
        thread::yield_now();
        HAS_BUFFERS.set(true);
        peer.act(|wire| wire.window = usize::MAX / 2);
        // The last pause may begin late.
        for _ in 0..30 {
            NOW.set(NOW.get() + 200);
            peer.act(|_| {});
            thread::yield_now();
        }
        for thread in [first, second] {
            // Some may have been given up at the send timeout.
            thread.join().unwrap();
        }
        peer.act(|wire| wire.eof = true);
        running.0.application().wait_for(EventMask::CLOSED, 1);
        let frames = received(&peer.0.lock().from_server).frames;
        assert!(frames.iter().any(|(_, payload)| payload == b"echo"));
        running.finish(&[peer]);
    });
}

#[test]
fn a_close_while_others_send() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::connect(&running.0, 129 + 10).upgraded();
        let sending = sender(&running.0, "sent while it closes");
        let closing = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || service.close(Target::Slot(0), CloseCode::NORMAL, "bye"))
        };
        peer.send(&frame(0x81, b"a"));
        peer.act(|wire| wire.window = usize::MAX / 2);
        assert_eq!(closing.join().unwrap(), Ok(()));
        sending.join().unwrap();
        peer.send(&frame(0x88, b"\x03\xe8"));
        peer.act(|wire| wire.eof = true);
        running.finish(&[peer]);
    });
}

#[test]
fn a_reset_while_a_frame_is_under_way_and_the_slot_is_used_again() {
    check(|| {
        let running = Running::start(service(1, 0));
        let peer = Peer::connect(&running.0, 129 + 3).upgraded();
        let sending = sender(&running.0, "no one reads this");
        peer.send(&frame(0x82, b"held"));
        peer.act(|wire| wire.reset = true);
        let next = Peer::connect(&running.0, usize::MAX / 2);
        next.send(REQUEST.as_bytes());
        next.send(&frame(0x81, b"x"));
        next.act(|wire| wire.eof = true);
        sending.join().unwrap();
        running.finish(&[peer, next]);
    });
}

#[test]
fn messages_are_released_while_more_arrive() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::connect(&running.0, usize::MAX / 2).upgraded();
        for _ in 0..3 {
            // As much as there is room for, so that nothing can be received before a release.
            peer.send(
                &[
                    frame(0x82, &[1; RX]),
                    frame(0x82, &[2; RX]),
                    frame(0x02, b"f"),
                ]
                .concat(),
            );
            peer.send(
                &[
                    frame(0x89, b"?"),
                    frame(0x80, b"rag"),
                    frame(0x82, &[3; RX]),
                ]
                .concat(),
            );
            thread::yield_now();
        }
        running.0.application().wait_for(EventMask::BINARY, 12);
        peer.act(|wire| wire.eof = true);
        running.finish(&[peer]);
    });
}

#[test]
fn a_queue_has_room_for_one_message() {
    check(|| {
        let running = Running::start(service(2, 0));
        running.0.application().room.store(1, Ordering::Relaxed);
        let peers = [(); 2].map(|()| {
            let peer = Peer::elsewhere(&running.0, usize::MAX / 2);
            let adopted = running
                .0
                .adopt(&peer.socket(), &frame(0x82, b"held"), Opening::Upgraded);
            assert!(adopted.is_ok());
            peer
        });
        running.0.application().wait_for(EventMask::BINARY, 2);
        for peer in &peers {
            peer.act(|wire| wire.eof = true);
        }
        running.0.application().wait_for(EventMask::CLOSED, 2);
        running.finish(&[]);
    });
}

#[test]
fn stopping_while_everything_goes_on() {
    check(|| {
        let running = Running::start(service(2, 1));
        let peer = Peer::connect(&running.0, usize::MAX / 2).upgraded();
        let late = Peer::connect(&running.0, usize::MAX / 2);
        let sending = sender(&running.0, "still sending");
        let stopping = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || service.stop())
        };
        late.send(REQUEST.as_bytes());
        peer.send(&[frame(0x81, b"a"), frame(0x82, b"b"), frame(0x88, b"")].concat());
        late.act(|wire| wire.eof = true);
        peer.act(|wire| wire.eof = true);
        sending.join().unwrap();
        stopping.join().unwrap();
        running.finish(&[peer, late]);
    });
}

#[test]
fn a_deadline_comes_while_others_work() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::connect(&running.0, 129 + 5).upgraded();
        let sending = sender(&running.0, "not taken in time");
        // The timer of the send timeout comes whenever it comes.
        let start = NOW.get();
        peer.send(&frame(0x81, b"a"));
        NOW.set(start + 11_000);
        drop(running.0.port().state.lock());
        running.0.port().state.notify_all();
        thread::yield_now();
        peer.act(|wire| wire.window = usize::MAX / 2);
        sending.join().unwrap();
        peer.act(|wire| wire.eof = true);
        running.finish(&[peer]);
    });
}

#[test]
fn a_later_answer_while_the_client_sends_and_leaves() {
    check(|| {
        let running = Running::start(service(1, 1));
        let app = running.0.application();
        app.puts_off.store(true, Ordering::Relaxed);
        let peer = Peer::connect(&running.0, usize::MAX / 2);
        let answering = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || {
                let client = service.application().next_asked();
                let first = service.answer(client, Verdict::accept());
                (first, service.answer(client, Verdict::accept()))
            })
        };
        peer.send(REQUEST.as_bytes());
        peer.send(&frame(0x81, b"early"));
        let (first, again) = answering.join().unwrap();
        // It is there as long as it waits, also where the answer was faster than the question.
        assert!(first.is_ok() && again.is_err());
        app.wait_for(EventMask::TEXT, 1);
        let next = Peer::connect(&running.0, usize::MAX / 2);
        peer.act(|wire| wire.eof = true);
        next.send(REQUEST.as_bytes());
        app.wait_for(EventMask::CLOSED, 1);
        running.finish(&[peer, next]);
    });
}

#[test]
fn a_client_leaves_just_as_its_request_is_answered() {
    check(|| {
        let running = Running::start(service(1, 1));
        let app = running.0.application();
        app.puts_off.store(true, Ordering::Relaxed);
        let peer = Peer::connect(&running.0, usize::MAX / 2);
        peer.send(REQUEST.as_bytes());
        let client = app.next_asked();
        peer.act(|wire| wire.reset = true);
        let _ = running.0.answer(client, Verdict::accept());
        app.wait_for(EventMask::CLOSED, 1);
        running.finish(&[peer]);
    });
}

/// Adopts a connection on another thread; the client sends something and disconnects.
fn adopter(
    service: &Arc<Svc>,
    opening: Opening,
) -> thread::JoinHandle<Result<ClientId, AdoptError>> {
    let service = Arc::clone(service);
    thread::spawn(move || {
        let peer = Peer::elsewhere(&service, usize::MAX / 2);
        peer.send(&frame(0x81, b"?"));
        let received = match opening {
            Opening::Upgraded => b"",
            Opening::Request => REQUEST.as_bytes(),
        };
        let adopted = service.adopt(&peer.socket(), received, opening);
        peer.act(|wire| wire.eof = true);
        adopted
    })
}

#[test]
fn a_slot_that_is_free_is_found_while_others_are_taken_and_given_up() {
    check(|| {
        let running = Running::start(service(3, 1));
        let peer = Peer::connect(&running.0, usize::MAX / 2).upgraded();
        // At any time there is a slot for each of the two that come, but not the same ones.
        let first = adopter(&running.0, Opening::Upgraded);
        peer.act(|wire| wire.eof = true);
        let second = adopter(&running.0, Opening::Request);
        for adopting in [first, second] {
            assert!(adopting.join().unwrap().is_ok());
        }
        running.finish(&[peer]);
    });
}

#[test]
fn connections_are_adopted_while_others_are_accepted_and_there_are_too_many() {
    check(|| {
        let running = Running::start(service(2, 1));
        let first = adopter(&running.0, Opening::Upgraded);
        let late = Peer::connect(&running.0, usize::MAX / 2);
        let second = adopter(&running.0, Opening::Request);
        late.send(REQUEST.as_bytes());
        late.act(|wire| wire.eof = true);
        for adopting in [first, second] {
            let adopted = adopting.join().unwrap();
            assert!(adopted.is_ok() || adopted == Err(AdoptError::Full));
        }
        running.finish(&[late]);
    });
}

#[test]
fn a_connection_is_adopted_just_as_the_service_ends() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::elsewhere(&running.0, usize::MAX / 2);
        let adopting = {
            let service = Arc::clone(&running.0);
            let socket = peer.socket();
            thread::spawn(move || service.adopt(&socket, b"", Opening::Upgraded))
        };
        running.0.stop();
        peer.act(|wire| wire.eof = true);
        let adopted = adopting.join().unwrap();
        assert!(adopted.is_ok() || adopted == Err(AdoptError::Stopping));
        // An adopted client gets its CLOSED.
        running.finish(&[]);
    });
}

#[test]
fn who_comes_too_late_does_not_keep_the_service_from_having_ended() {
    check(|| {
        let running = Running::start(service(1, 0));
        running.0.stop();
        let late = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || {
                let peer = Peer::elsewhere(&service, usize::MAX / 2);
                service.adopt(&peer.socket(), b"", Opening::Upgraded)
            })
        };
        // All that there is to do is done: that is what it answers.
        assert!(running.0.wait_stopped());
        assert!(late.join().unwrap().is_err());
        running.finish(&[]);
    });
}

#[test]
fn what_a_client_has_sent_counts_while_it_goes() {
    check(|| {
        let service = service(1, 1);
        let running = Running::start(Arc::clone(&service));
        let peer = Peer::connect(&service, usize::MAX).upgraded();
        peer.send(&frame(0x81, b"a"));
        service.application().wait_for(EventMask::TEXT, 1);
        peer.act(|wire| wire.eof = true);
        assert_eq!(service.stats().traffic.messages_received, 1);
        running.finish(&[peer]);
    });
}

/// A client that has begun its handshake, and that has something to say after it.
fn securing(service: &Arc<Svc>, window: usize) -> Peer {
    let peer = Peer::secured(service, window);
    peer.send(REQUEST.as_bytes());
    peer.send(&frame(0x81, b"a"));
    peer
}

#[test]
fn a_handshake_goes_on_while_others_are_served() {
    check(|| {
        let running = Running::start(service(2, 1));
        let peer = Peer::connect(&running.0, usize::MAX / 2).upgraded();
        let secured = Peer::secured(&running.0, 5);
        let sending = sender(&running.0, "beside the handshake");
        peer.send(&frame(0x81, b"quick"));
        for _ in 0..12 {
            secured.act(|wire| wire.window += 20);
            thread::yield_now();
        }
        secured.act(|wire| wire.window = usize::MAX / 2);
        secured.send(REQUEST.as_bytes());
        secured.send(&frame(0x81, b"a"));
        running.0.application().wait_for(EventMask::TEXT, 2);
        assert!(sending.join().unwrap().iter().all(Result::is_ok));
        assert_eq!(running.0.stats().connected, 2);
        peer.act(Wire::end);
        secured.act(Wire::end);
        running.0.application().wait_for(EventMask::CLOSED, 2);
        for (peer, text) in [(&peer, &b"quick"[..]), (&secured, b"a")] {
            let frames = received(&peer.0.lock().from_server).frames;
            assert!(frames.contains(&(0x81, text.to_vec())));
        }
        running.finish(&[peer, secured]);
    });
}

#[test]
fn a_step_of_a_handshake_while_the_service_stops() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = securing(&running.0, usize::MAX / 2);
        let stopping = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || service.stop())
        };
        thread::yield_now();
        peer.act(Wire::end);
        stopping.join().unwrap();
        running.finish(&[peer]);
    });
}

#[test]
fn a_step_of_a_handshake_while_others_send() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = securing(&running.0, usize::MAX / 2);
        let sending = sender(&running.0, "as soon as it is open");
        let all = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || service.broadcast(None, wss::MessageKind::Text, b"to all"))
        };
        running.0.application().wait_for(EventMask::TEXT, 1);
        for sent in sending.join().unwrap() {
            assert!(sent.is_ok() || sent == Err(SendError::NotConnected));
        }
        assert!(all.join().unwrap().unwrap() <= 1);
        peer.act(Wire::end);
        running.0.application().wait_for(EventMask::CLOSED, 1);
        running.finish(&[peer]);
    });
}

#[test]
fn a_deadline_in_a_step_of_a_handshake() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::secured(&running.0, 30);
        // Whether that is in time or not, it ends.
        for _ in 0..12 {
            NOW.set(NOW.get() + 1_000);
            peer.act(|_| {});
            thread::yield_now();
        }
        peer.act(|wire| wire.window = usize::MAX / 2);
        peer.send(REQUEST.as_bytes());
        peer.act(Wire::end);
        running.0.application().wait_for(EventMask::CLOSED, 1);
        running.finish(&[peer]);
    });
}

#[test]
fn a_reset_in_a_step_of_a_handshake_and_the_slot_is_used_again() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = securing(&running.0, usize::MAX / 2);
        running.0.application().wait_for(EventMask::CONNECTING, 1);
        peer.act(|wire| wire.reset = true);
        running.0.application().wait_for(EventMask::CLOSED, 1);
        let next = securing(&running.0, usize::MAX / 2);
        // It gets a slot only if the first one is free already.
        next.act(Wire::end);
        running.finish(&[peer, next]);
    });
}

#[test]
fn two_senders_share_a_client_that_takes_ciphertext_slowly() {
    check(|| {
        let running = Running::start(service(1, 1));
        let peer = Peer::secured(&running.0, usize::MAX / 2).upgraded();
        peer.act(|wire| wire.window = 20);
        let first = sender(&running.0, "the first sender's message");
        let long = "x".repeat(RX * 2).leak();
        let second = sender(&running.0, long);
        peer.send(&[frame(0x89, b"1"), frame(0x81, b"echo"), frame(0x89, b"2")].concat());
        for _ in 0..12 {
            peer.act(|wire| wire.window += 60);
            thread::yield_now();
        }
        peer.act(|wire| wire.window = usize::MAX / 2);
        for thread in [first, second] {
            let sent = thread.join().unwrap();
            assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        }
        peer.act(Wire::end);
        running.0.application().wait_for(EventMask::CLOSED, 1);
        let frames = received(&peer.0.lock().from_server).frames;
        let count = |text: &[u8]| frames.iter().filter(|(_, payload)| payload == text).count();
        assert_eq!(
            (count(b"the first sender's message"), count(long.as_bytes())),
            (3, 3)
        );
        let pongs: Vec<_> = frames.iter().filter(|(first, _)| *first == 0x8A).collect();
        assert_eq!(pongs, [&(0x8A, b"1".to_vec()), &(0x8A, b"2".to_vec())]);
        running.finish(&[peer]);
    });
}

/// A service with one slot and a page. A connection has the slot, and has been silent for as long as it may.
fn silent() -> (Running, Peer) {
    let service = service(1, 1);
    service
        .application()
        .has_page
        .store(true, Ordering::Relaxed);
    let running = Running::start(service);
    let peer = Peer::connect(&running.0, usize::MAX / 2);
    running.0.application().wait_for(EventMask::CONNECTING, 1);
    NOW.set(NOW.get() + 150);
    (running, peer)
}

/// Lets time pass until this event was delivered. After a long time without reading the clock, the service assumes a
/// suspension, and restarts the deadlines.
fn pass_until(peer: &Peer, mask: EventMask) {
    let app = peer.1.application();
    while !app.events.lock().iter().any(|(_, event)| *event == mask) {
        NOW.set(NOW.get() + 50);
        peer.act(|_| {});
        thread::yield_now();
    }
}

fn is_whole(peer: &Peer) -> bool {
    peer.0.lock().from_server.ends_with(b"\r\n\r\n<p>hello")
}

fn is_upgraded(peer: &Peer) -> bool {
    peer.0.lock().from_server.starts_with(b"HTTP/1.1 101 ")
}

#[test]
fn a_connection_is_heard_just_as_it_has_to_make_room() {
    check(|| {
        let (running, first) = silent();
        let next = Peer::connect(&running.0, usize::MAX / 2);
        next.send(REQUEST.as_bytes());
        first.send(&[REQUEST.as_bytes(), &frame(0x81, b"echo")].concat());
        pass_until(&first, EventMask::CONNECTED);
        first.act(|wire| wire.eof = true);
        pass_until(&first, EventMask::CLOSED);
        // The page is sent whole, or the connection is closed without a byte.
        if is_upgraded(&first) {
            let frames = received(&first.0.lock().from_server).frames;
            assert!(frames.contains(&(0x81, b"echo".to_vec())));
        } else {
            assert_eq!(first.0.lock().from_server, b"");
            assert!(is_upgraded(&next), "the slot is for the one that waited");
        }
        next.act(|wire| wire.eof = true);
        running.finish(&[first, next]);
    });
}

#[test]
fn the_service_stops_just_as_a_connection_makes_room() {
    check(|| {
        let (running, first) = silent();
        let stopping = {
            let service = Arc::clone(&running.0);
            thread::spawn(move || service.stop())
        };
        let next = Peer::connect(&running.0, usize::MAX / 2);
        next.send(REQUEST.as_bytes());
        for peer in [&first, &next] {
            peer.act(|wire| wire.eof = true);
        }
        stopping.join().unwrap();
        running.finish(&[first, next]);
    });
}

#[test]
fn a_connection_comes_while_a_page_is_sent() {
    check(|| {
        let (running, first) = silent();
        // What is left of the head fits into a block.
        first.act(|wire| wire.window = 130);
        first.send(GET);
        let next = Peer::connect(&running.0, usize::MAX / 2);
        next.send(REQUEST.as_bytes());
        for _ in 0..6 {
            first.act(|wire| wire.window += 10);
            thread::yield_now();
        }
        // It made room before it was heard, or after all was sent, and not between.
        pass_until(&first, EventMask::CLOSING);
        while !first.0.lock().from_server.is_empty() && !is_whole(&first) {
            first.act(|_| {});
            thread::yield_now();
        }
        for peer in [&first, &next] {
            peer.act(|wire| wire.eof = true);
        }
        running.finish(&[first, next]);
    });
}
