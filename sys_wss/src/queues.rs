//! What event queues of a host and of Zephyr have in common: their numbers, and of whom an event is.

use wss::ClientId;

use crate::abi::{MAX_QUEUES, NO_CLIENT};
use crate::convert::{Client, all_clients, client_or_none};
use crate::instance::{DEFAULT_PLACE, place};
use crate::platform::SERVERS;

/// How many queues there can be: those of the default service, then those of the further servers.
pub const QUEUES: usize = MAX_QUEUES * SERVERS;

/// A `wss_queue`: its place, and how often that had been used before, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub place: usize,
    /// `None`: whichever queue is there.
    pub generation: Option<u16>,
}

impl Number {
    /// Whichever queue is at a place.
    pub const fn at(place: usize) -> Self {
        Self {
            place,
            generation: None,
        }
    }

    /// The queue that has this number in C, if there can be such a one.
    pub fn from_c(number: u32) -> Option<Self> {
        let place = usize::try_from(number & 0xFFFF).ok()?;
        let generation = u16::try_from(number >> 16).ok()?;
        (generation != 0).then_some(Self {
            place,
            generation: Some(generation),
        })
    }

    /// Whether the queue that is at the place, of this generation, is meant.
    pub fn means(self, generation: u16) -> bool {
        self.generation.is_none_or(|meant| meant == generation)
    }
}

/// The number that C has for the queue at a place.
pub fn to_c(place: usize, generation: u16) -> u32 {
    u32::from(generation) << 16 | u32::try_from(place).unwrap_or(u32::MAX)
}

/// The generation after this one: never 0, so that no number of a queue is.
pub const fn next_generation(generation: u16) -> u16 {
    match generation.checked_add(1) {
        Some(next) => next,
        None => 1,
    }
}

/// Of whom an event is: of a client, or of the service as a whole.
#[derive(Clone, Copy)]
pub struct Of {
    pub server: u32,
    pub client: Option<ClientId>,
}

impl Of {
    /// The numbers that C has for it, of a client and of its index.
    pub fn to_c(self) -> (u64, i32) {
        let place = place(self.server);
        match self.client {
            Some(id) => client_or_none(Some(Client { place, id })),
            None if place == DEFAULT_PLACE => (NO_CLIENT, -1),
            None => (all_clients(self.server), -1),
        }
    }
}
