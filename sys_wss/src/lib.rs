// SPDX-License-Identifier: Apache-2.0
//! The interfaces in C, over the service.
//!
//! `include/wss/wss.h` is this project's own interface, and `include/wss/sys_wss.h` the `SYS_WSS` contract, over its
//! default server. On a host this crate is a static and a shared library that have both; on Zephyr,
//! `zephyr/library` makes one of it. `unsafe` is in files named after its reason: `ffi` (what C calls and hands
//! over), `config` (what C configures), `callbacks` (what calls C), `abi` (what both agree on), and `queues`, with
//! those of each platform (what C keeps).
//!
//! | file | job |
//! |---|---|
//! | `abi` | types and values of the headers |
//! | `ffi` | the functions of the headers; pointers become references here |
//! | `error` | why a call did nothing: `SYS_WSS_RESULT`, and errno |
//! | `client` | numbers of clients, states, and codes |
//! | `config` | the configuration of a server |
//! | `server` | the servers: starting, ending, finding them |
//! | `callbacks` | functions that C registered, and calling them |
//! | `admission` | which clients may connect: origins, and credentials |
//! | `events` | the service's application: events to the callback and the queues, the hook |
//! | `request` | opening requests: those that are asked about, and those that are kept |
//! | `queues` | event queues: their numbers, and their events |
//! | `platform` | what a host and Zephyr have, each in its own way: threads, memory, event queues |
#![cfg_attr(not(feature = "host"), no_std)]
#![deny(unsafe_code)]

pub mod abi;
mod admission;
mod callbacks;
mod client;
mod config;
mod error;
mod events;
pub mod ffi;
mod platform;
mod queues;
mod request;
mod server;
