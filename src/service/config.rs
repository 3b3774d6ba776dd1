// SPDX-License-Identifier: Apache-2.0
//! The limits of a service.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering::Relaxed};

use super::time::{MAX_LIMIT_MS, TIMER_GRANULARITY_MS};
use crate::protocol::HANDSHAKE_LIMIT;

/// The limits of a service. Times are in milliseconds, up to [`MAX_LIMIT_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest opening request, in bytes.
    pub handshake_limit: u16,
    /// The longest time from the connection to a complete opening request.
    pub handshake_timeout_ms: u32,
    /// The longest silence of a connected client: one that is pinged and does not answer is timed out.
    /// 0: no client is.
    pub client_timeout_ms: u32,
    /// A client that was silent for this long is pinged. With 0 no client is, so that one that only listens is
    /// closed. A value that is not below `client_timeout_ms` counts as half of it, because the ping would come
    /// too late.
    pub ping_interval_ms: u32,
    /// The longest time that output may wait for a client to take it, and a sender for room.
    pub send_timeout_ms: u32,
    /// The longest time for the closing handshake, and for the client to close its side after it.
    pub close_timeout_ms: u32,
    /// The longest time that the application may hold a client's messages without releasing one.
    pub hold_timeout_ms: u32,
    /// The period of [`Application::tick`](super::Application::tick), counted from when the service begins to
    /// serve. 0: it is not called.
    pub tick_ms: u32,
    /// Whether messages larger than the receive size are delivered in pieces. Otherwise they fail the
    /// connection with 1009.
    pub streaming: bool,
    /// The most clients with one address (see [`Socket::peer`](super::Socket::peer)); one more gets 429.
    /// 0: as many as there are slots. To be left at 0 where all clients have the address of a proxy.
    pub clients_per_address: u16,
    /// The most connections that are given a slot in a second, and at once after a time without. Further
    /// ones wait where the operating system keeps those that were not accepted. Those that are adopted
    /// are not counted. 0: no limit.
    pub handshakes_per_second: u16,
    /// The most pings, and pongs that answer no ping, that a client may send in a second, and at once
    /// after a time without. One more fails the connection with 1008. 0: no limit.
    pub control_frames_per_second: u16,
    /// The most fragments of a message, empty ones too. One more fails the connection with 1008. 0: no
    /// limit.
    pub fragments_per_message: u16,
    /// The failed logins of an address in a minute: opening requests that the application refuses with 401 or 403.
    /// Further requests from there get 429 without a question to the application, until a minute after the first
    /// failure. A fixed number of addresses is remembered, the last ones to begin. All addresses of IPv6
    /// with the same first 64 bits are one. 0: no limit. To be set to 0 where all clients have the address
    /// of a proxy.
    pub login_failures_per_minute: u16,
}

/// A time of a [`Config`] is longer than the service's clock can tell.
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

    /// Checks that the clock can tell the limits.
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

    /// Returns how late a timer comes that shows that the service was suspended, and could not hear clients.
    /// While a ping is unanswered, there is a timer as often.
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
        /// The [`Config`] of a service that is open. Each value is read and written by itself, so that a service
        /// in static memory can be opened again.
        pub(super) struct Settings {
            $($name: $atomic,)*
        }

        impl Settings {
            /// Makes those of a service that was never opened.
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

/// Setters for the limits of options, which have them in the field `limits`: of the host and of Zephyr alike.
#[doc(hidden)]
#[macro_export]
macro_rules! limit_setters {
    () => {
        $crate::limit_setters! {
            duration handshake_timeout(handshake_timeout_ms)
                "Sets the longest time from the connection to a complete opening request.";
            duration client_timeout(client_timeout_ms)
                "Sets the longest silence of a connected client: one that is pinged and does not answer is timed \
                 out. Zero: no client is. Without [`ping_interval`](Self::ping_interval) a client is pinged after \
                 half of it.";
            duration ping_interval(ping_interval_ms)
                "Sets the silence after which a client is sent a ping. Zero: never, so that a client that only \
                 listens is cut off. Use at most half of the client timeout.";
            duration send_timeout(send_timeout_ms)
                "Sets the longest time that output may wait for a client to take it, and a sender for room.";
            duration close_timeout(close_timeout_ms)
                "Sets the longest time for the closing handshake, and for the client to close its side after it.";
            duration hold_timeout(hold_timeout_ms)
                "Sets the longest time that the application may hold a client's messages without releasing one.";
            duration tick(tick_ms)
                "Sets the period of `Handler::on_tick`. Zero: it is not called.";
            value streaming(streaming: bool)
                "Sets whether messages larger than the receive buffer are delivered in pieces, see \
                 `Handler::on_message`. Otherwise they fail the connection with 1009.";
            value clients_per_address(clients_per_address: u16)
                "Sets how many clients may have one address; one more gets 429. 0: no limit. Leave it at 0 where all \
                 clients have the address of a proxy.";
            value handshakes_per_second(handshakes_per_second: u16)
                "Sets how many connections are given a slot in a second, and at once after a time without. Further \
                 ones wait in the operating system. 0: no limit.";
            value control_frames_per_second(control_frames_per_second: u16)
                "Sets how many pings, and pongs that answer no ping, a client may send in a second, and at once \
                 after a time without. One more fails the connection with 1008. 0: no limit.";
            value fragments_per_message(fragments_per_message: u16)
                "Sets how many fragments a message may have, empty ones too. One more fails the connection with \
                 1008. 0: no limit.";
            value login_failures_per_minute(login_failures_per_minute: u16)
                "Sets how many failed logins an address may have in a minute: requests that the application refuses \
                 with 401 or 403. Further ones get 429 until the minute is over. 0: no limit. Default on a host: 10.";
        }
    };
    ($($kind:ident $name:ident($($field:tt)*) $doc:literal;)*) => {
        $($crate::limit_setters!(@ $kind $name($($field)*) $doc);)*
    };
    (@ duration $name:ident($field:ident) $doc:literal) => {
        #[doc = $doc]
        #[doc = "\n\nWhole milliseconds, at least as long, up to 12 days."]
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
