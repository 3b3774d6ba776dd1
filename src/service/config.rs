// SPDX-License-Identifier: Apache-2.0
//! The limits of a service.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering::Relaxed};

use super::time::{MAX_LIMIT_MS, TIMER_GRANULARITY_MS};
use crate::protocol::HANDSHAKE_LIMIT;

/// The limits of a service. Times are in milliseconds, up to [`MAX_LIMIT_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The maximum size of an opening request, in bytes.
    pub handshake_limit: u16,
    /// The maximum time from the connection to a complete opening request.
    pub handshake_timeout_ms: u32,
    /// The maximum silence of a connected client. A client that is pinged and does not answer times out. 0: no limit.
    pub client_timeout_ms: u32,
    /// The silence after which a client is pinged. 0: never, so that a client that only listens is closed. A value that
    /// is not less than `client_timeout_ms` counts as half of it, because the ping would come too late.
    pub ping_interval_ms: u32,
    /// The maximum time without progress for unsent output, and for a sender that waits for room.
    pub send_timeout_ms: u32,
    /// The maximum time for the closing handshake, and for the client to close its side after it.
    pub close_timeout_ms: u32,
    /// The maximum time that the application may hold a client's messages without releasing one.
    pub hold_timeout_ms: u32,
    /// The period of [`Application::tick`](super::Application::tick), from the time when the service begins to serve.
    /// 0: no tick.
    pub tick_ms: u32,
    /// Whether messages larger than the receive size are delivered in pieces. Otherwise they fail the
    /// connection with 1009.
    pub streaming: bool,
    /// The maximum number of clients with the same address (see [`Socket::peer`](super::Socket::peer)); further ones
    /// get 429. 0: no limit. Leave it at 0 behind a proxy, because all clients have its address there.
    pub clients_per_address: u16,
    /// The maximum number of connections per second that get a slot, and of the burst after a pause. Further ones wait
    /// in the operating system's backlog. Adopted connections do not count. 0: no limit.
    pub handshakes_per_second: u16,
    /// The maximum number per second of pings, and of pongs that answer no ping, of a client, and of the burst after a
    /// pause. One more fails the connection with 1008. 0: no limit.
    pub control_frames_per_second: u16,
    /// The maximum number of fragments of a message, including empty ones. One more fails the connection with 1008. 0:
    /// no limit.
    pub fragments_per_message: u16,
    /// The maximum number of failed logins of an address per minute: opening requests that the application refuses with
    /// 401 or 403. Further requests from there get 429 and do not reach the application, until a minute after the first
    /// failure. A fixed number of addresses is remembered, the last ones to begin. IPv6 addresses with the same first
    /// 64 bits count as one. 0: no limit. Leave it at 0 behind a proxy, because all clients have its address there.
    pub login_failures_per_minute: u16,
}

/// A time of a [`Config`] is too long for the service's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The name of the limit.
    pub limit: &'static str,
    /// Its value, in milliseconds.
    pub ms: u32,
}

impl core::fmt::Display for TooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { limit, ms } = self;
        write!(f, "{limit}={ms} is over {MAX_LIMIT_MS} (12 days)")
    }
}

impl core::error::Error for TooLong {}

bitflags::bitflags! {
    /// Limits against abuse, of those in [`Config`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Limits: u8 {
        /// [`Config::clients_per_address`].
        const CLIENTS_PER_ADDRESS = 1;
        /// [`Config::handshakes_per_second`].
        const HANDSHAKES = 2;
        /// [`Config::control_frames_per_second`].
        const CONTROL_FRAMES = 4;
        /// [`Config::fragments_per_message`].
        const FRAGMENTS = 8;
        /// [`Config::login_failures_per_minute`].
        const LOGIN_FAILURES = 16;
    }
}

impl Config {
    /// Returns the limits against abuse that are set.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        const fn set(limit: Limits, value: u16) -> Limits {
            if value > 0 { limit } else { Limits::empty() }
        }
        set(Limits::CLIENTS_PER_ADDRESS, self.clients_per_address)
            .union(set(Limits::HANDSHAKES, self.handshakes_per_second))
            .union(set(Limits::CONTROL_FRAMES, self.control_frames_per_second))
            .union(set(Limits::FRAGMENTS, self.fragments_per_message))
            .union(set(Limits::LOGIN_FAILURES, self.login_failures_per_minute))
    }

    /// Returns the times, by their names.
    const fn times(&self) -> [(&'static str, u32); 7] {
        [
            ("handshake_timeout_ms", self.handshake_timeout_ms),
            ("client_timeout_ms", self.client_timeout_ms),
            ("ping_interval_ms", self.ping_interval_ms),
            ("send_timeout_ms", self.send_timeout_ms),
            ("close_timeout_ms", self.close_timeout_ms),
            ("hold_timeout_ms", self.hold_timeout_ms),
            ("tick_ms", self.tick_ms),
        ]
    }

    /// Checks that the clock can represent the times.
    ///
    /// # Errors
    /// [`TooLong`] for a time above [`MAX_LIMIT_MS`].
    pub fn check(&self) -> Result<(), TooLong> {
        match self.times().into_iter().find(|(_, ms)| *ms > MAX_LIMIT_MS) {
            Some((limit, ms)) => Err(TooLong { limit, ms }),
            None => Ok(()),
        }
    }

    /// Returns the silence after which a client is pinged; 0: never.
    const fn ping_interval(&self) -> u32 {
        let (interval, timeout) = (self.ping_interval_ms, self.client_timeout_ms);
        if interval < timeout || timeout == 0 {
            interval
        } else {
            timeout / 2
        }
    }

    /// Returns how late a timer must come to show that the service was suspended and could not receive. While a ping is
    /// unanswered, the timer comes with this period.
    const fn suspension(&self) -> u32 {
        let patience = match (self.ping_interval(), self.client_timeout_ms) {
            (0, 0) => self.send_timeout_ms,
            (0, timeout) => timeout,
            (interval, _) => interval,
        };
        if patience / 8 > TIMER_GRANULARITY_MS {
            patience / 8
        } else {
            TIMER_GRANULARITY_MS
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            handshake_limit: HANDSHAKE_LIMIT,
            handshake_timeout_ms: 10_000,
            client_timeout_ms: 30_000,
            ping_interval_ms: 15_000,
            send_timeout_ms: 10_000,
            close_timeout_ms: 5_000,
            hold_timeout_ms: 30_000,
            tick_ms: 0,
            streaming: false,
            clients_per_address: 0,
            handshakes_per_second: 0,
            control_frames_per_second: 0,
            fragments_per_message: 0,
            login_failures_per_minute: 10,
        }
    }
}

macro_rules! settings {
    ($($name:ident: $atomic:ident($type:ty) = $zero:literal from $value:expr,)*) => {
        /// The [`Config`] of an open service. Each value is read and written separately, so that a service in static
        /// memory can be opened again.
        pub(super) struct Settings {
            $($name: $atomic,)*
        }

        impl Settings {
            /// The settings of a service that was never opened.
            pub const fn new() -> Self {
                Self { $($name: $atomic::new($zero),)* }
            }

            #[inline(never)] // for size
            pub fn set(&self, config: &Config) {
                $(self.$name.store($value(config), Relaxed);)*
            }

            $(pub fn $name(&self) -> $type {
                self.$name.load(Relaxed)
            })*
        }
    };
}

settings! {
    handshake_limit: AtomicU16(u16) = 0 from |config: &Config| config.handshake_limit,
    handshake_timeout_ms: AtomicU32(u32) = 0 from |config: &Config| config.handshake_timeout_ms,
    client_timeout_ms: AtomicU32(u32) = 0 from |config: &Config| config.client_timeout_ms,
    ping_interval: AtomicU32(u32) = 0 from Config::ping_interval,
    suspension: AtomicU32(u32) = 0 from Config::suspension,
    send_timeout_ms: AtomicU32(u32) = 0 from |config: &Config| config.send_timeout_ms,
    close_timeout_ms: AtomicU32(u32) = 0 from |config: &Config| config.close_timeout_ms,
    hold_timeout_ms: AtomicU32(u32) = 0 from |config: &Config| config.hold_timeout_ms,
    tick_ms: AtomicU32(u32) = 0 from |config: &Config| config.tick_ms,
    streaming: AtomicBool(bool) = false from |config: &Config| config.streaming,
    clients_per_address: AtomicU16(u16) = 0 from |config: &Config| config.clients_per_address,
    handshakes_per_second: AtomicU16(u16) = 0 from |config: &Config| config.handshakes_per_second,
    control_frames_per_second: AtomicU16(u16) = 0 from |config: &Config| config.control_frames_per_second,
    fragments_per_message: AtomicU16(u16) = 0 from |config: &Config| config.fragments_per_message,
    login_failures_per_minute: AtomicU16(u16) = 0 from |config: &Config| config.login_failures_per_minute,
}

/// Setters for options that have the limits in a field `limits`, on the host and on Zephyr.
#[doc(hidden)]
#[macro_export]
macro_rules! limit_setters {
    () => {
        $crate::limit_setters! {
            duration handshake_timeout(handshake_timeout_ms)
                "Sets the maximum time from the connection to a complete opening request.";
            duration client_timeout(client_timeout_ms)
                "Sets the maximum silence of a connected client. A client that is pinged and does not answer times \
                 out. Zero: no limit. Without [`ping_interval`](Self::ping_interval), clients are pinged after half \
                 of it.";
            duration ping_interval(ping_interval_ms)
                "Sets the silence after which a client is pinged. Zero: never, so that a client that only listens is \
                 closed. Use at most half of the client timeout.";
            duration send_timeout(send_timeout_ms)
                "Sets the maximum time without progress for unsent output, and for a sender that waits for room.";
            duration close_timeout(close_timeout_ms)
                "Sets the maximum time for the closing handshake, and for the client to close its side after it.";
            duration hold_timeout(hold_timeout_ms)
                "Sets the maximum time that the application may hold a client's messages without releasing one.";
            duration tick(tick_ms)
                "Sets the period of `Handler::on_tick`. Zero: it is not called.";
            value streaming(streaming: bool)
                "Sets whether messages larger than the receive buffer are delivered in pieces, see \
                 `Handler::on_message`. Otherwise they fail the connection with 1009.";
            value clients_per_address(clients_per_address: u16)
                "Sets the maximum number of clients with the same address; further ones get 429. 0: no limit. Leave \
                 it at 0 behind a proxy, because all clients have its address there.";
            value handshakes_per_second(handshakes_per_second: u16)
                "Sets the maximum number of connections per second that get a slot, and of the burst after a pause. \
                 Further ones wait in the operating system's backlog. 0: no limit.";
            value control_frames_per_second(control_frames_per_second: u16)
                "Sets the maximum number per second of pings, and of pongs that answer no ping, of a client, and of \
                 the burst after a pause. One more fails the connection with 1008. 0: no limit.";
            value fragments_per_message(fragments_per_message: u16)
                "Sets the maximum number of fragments of a message, including empty ones. One more fails the \
                 connection with 1008. 0: no limit.";
            value login_failures_per_minute(login_failures_per_minute: u16)
                "Sets the maximum number of failed logins of an address per minute: requests that the application \
                 refuses with 401 or 403. Further ones get 429 until the minute is over. 0: no limit. Default on a \
                 host: 10.";
        }
    };
    ($($kind:ident $name:ident($($field:tt)*) $doc:literal;)*) => {
        $($crate::limit_setters!(@ $kind $name($($field)*) $doc);)*
    };
    (@ duration $name:ident($field:ident) $doc:literal) => {
        #[doc = $doc]
        #[doc = "\n\nRounded up to whole milliseconds, up to 12 days."]
        #[must_use]
        pub const fn $name(mut self, duration: core::time::Duration) -> Self {
            self.limits.$field = $crate::clients::milliseconds(duration);
            self
        }
    };
    (@ value $name:ident($field:ident: $type:ty) $doc:literal) => {
        #[doc = $doc]
        #[must_use]
        pub const fn $name(mut self, value: $type) -> Self {
            self.limits.$field = value;
            self
        }
    };
}
