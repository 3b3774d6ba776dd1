// SPDX-License-Identifier: Apache-2.0
//! The interfaces in C, over the service.
//!
//! `include/wss/wss.h` is this project's own interface, and `include/wss/sys_wss.h` the `SYS_WSS` contract, over its
//! default server. On a host, this crate is a static and a shared library with both; on Zephyr, `zephyr/library` makes
//! a static library of it. `unsafe` is only in files named after its reason: `ffi` (calls from C), `config`
//! (configurations from C), `callbacks` (calls to C), `abi` (types of both sides), and `queues`, here and for each
//! platform (memory that C holds).
//!
//! | file | job |
//! |---|---|
//! | `abi` | types and values of the headers |
//! | `ffi` | the functions of the headers; pointers become references here |
//! | `error` | errors of calls: `SYS_WSS_RESULT`, and errno |
//! | `client` | numbers of clients, states, and codes |
//! | `config` | the configuration of a server |
//! | `server` | the servers: starting, stopping, finding them |
//! | `callbacks` | functions that C has registered, and calls of them |
//! | `admission` | which clients may connect: origins, and credentials |
//! | `events` | the service's application: delivers events to the callback and the queues, calls the hook |
//! | `request` | opening requests: during the hook, and kept ones |
//! | `queues` | event queues: their numbers, and their events |
//! | `platform` | the differences between a host and Zephyr: threads, memory, event queues |
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
