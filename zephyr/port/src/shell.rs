// SPDX-License-Identifier: Apache-2.0
//! Functions for the shell command (`zephyr/shell.c`). Not linked without `CONFIG_WSS_SHELL`.

use core::ffi::{c_char, c_void};
use core::fmt::{self, Display, Write as _};
use core::marker::PhantomData;
use core::slice;

use wss::protocol::{CloseCode, MessageKind};
use wss::service::{Application, ClientState, Service, Target};
use wss::{ClientId, SendError};

use crate::instance::Instance;
use crate::port::ZephyrPort;
use crate::sys::{self, ShellAction, ShellCalls, ShellClient, ShellStats};

/// The paths of clients, if the application keeps them.
pub trait Paths {
    /// Writes the path that the client requested, NUL-terminated and truncated to `room`. Does not change `room` if the
    /// path is not kept.
    fn path(&self, client: ClientId, room: &mut [u8]) {
        let _ = (client, room);
    }
}

/// The calls for a server with this application.
pub struct Calls<A>(PhantomData<A>);

impl<A: Application<ZephyrPort> + Paths + Sync + 'static> Calls<A> {
    pub const CALLS: ShellCalls = ShellCalls {
        client: Self::client,
        act: Self::act,
        stats: Self::stats,
    };

    unsafe extern "C" fn client(object: *const c_void, slot: u32, to: *mut ShellClient) -> bool {
        // SAFETY: C passes the object that was bound.
        let service = unsafe { Instance::<A>::of(object) };
        let slot = slot as usize;
        let Some(client) = service.client(slot) else {
            return false;
        };
        let mut shown = ShellClient {
            state: match service.state(slot) {
                ClientState::Connecting => 0,
                ClientState::Connected => 1,
                // Its slot is not free yet.
                ClientState::Closing | ClientState::Closed => 2,
            },
            peer: [0; sys::NAME_SIZE],
            path: [0; sys::PATH_SIZE],
        };
        service.with_peer_name(client, |name| write_text(&mut shown.peer, name));
        service.application().path(client, &mut shown.path);
        // SAFETY: C passes a buffer of this size.
        unsafe { to.write(shown) };
        true
    }

    unsafe extern "C" fn act(
        object: *const c_void,
        action: *const ShellAction,
        error: *mut c_char,
    ) -> bool {
        // SAFETY: C passes the object that was bound.
        let service = unsafe { Instance::<A>::of(object) };
        // SAFETY: it is valid until this returns.
        let action = unsafe { &*action };
        // SAFETY: the text is never NULL, has that many bytes, and is valid as long.
        let text = unsafe { slice::from_raw_parts(action.text, action.len) };
        let Err(why) = act(service, action, text) else {
            return true;
        };
        let mut explained = [0; sys::SHELL_ERROR_SIZE];
        write_text(&mut explained, &why);
        // SAFETY: C passes a buffer of this size.
        unsafe { error.cast::<[u8; sys::SHELL_ERROR_SIZE]>().write(explained) };
        false
    }

    unsafe extern "C" fn stats(object: *const c_void, to: *mut ShellStats) {
        // SAFETY: C passes the object that was bound.
        let stats = unsafe { Instance::<A>::of(object) }.stats();
        let stats = ShellStats {
            accepted: stats.accepted,
            connected: stats.connected,
            closed: stats.closed,
            aborted: stats.aborted,
            timeouts: stats.timeouts,
            refused_full: stats.refused_full,
            refused_forbidden: stats.refused_forbidden,
            refused_requests: stats.refused_requests,
            refused_address: stats.refused_address,
            messages_received: stats.traffic.messages_received,
            messages_sent: stats.traffic.messages_sent,
            would_block: stats.would_block,
            protocol_errors: stats.protocol_errors,
            invalid_payloads: stats.invalid_payloads,
            messages_too_big: stats.messages_too_big,
            policy_violations: stats.policy_violations,
            accept_errors: stats.accept_errors,
            accept_pauses: stats.accept_pauses,
            most_clients: stats.most_clients,
            most_blocks: stats.most_blocks,
            bytes_received: stats.traffic.bytes_received,
            bytes_sent: stats.traffic.bytes_sent,
        };
        // SAFETY: C passes a buffer of this size.
        unsafe { to.write(stats) };
    }
}

fn act<A: Application<ZephyrPort>>(
    service: &Service<ZephyrPort, A>,
    action: &ShellAction,
    text: &[u8],
) -> Result<(), SendError> {
    let to = match action.slot {
        sys::SHELL_ALL => Target::All,
        slot => Target::Slot(slot as usize),
    };
    match action.kind {
        sys::SHELL_TEXT => service.send(to, MessageKind::Text, text),
        sys::SHELL_PING => service.ping(to, text),
        _ => {
            let code = u16::try_from(action.code).ok().and_then(CloseCode::new);
            let reason = core::str::from_utf8(text).map_err(|_| SendError::Close)?;
            service.close(to, code.ok_or(SendError::Close)?, reason)
        }
    }
}

/// Writes a text, NUL-terminated and truncated to `room`.
fn write_text(room: &mut [u8], text: &dyn Display) {
    let mut text_of = Text(room);
    // A text that is too long is truncated; nothing else can fail.
    let _ = write!(text_of, "{text}");
    if let Some(end) = text_of.0.first_mut() {
        *end = 0;
    }
}

/// A buffer for a NUL-terminated text.
struct Text<'a>(&'a mut [u8]);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = self.0.len().saturating_sub(1).min(text.len());
        let room = core::mem::take(&mut self.0);
        let Some((place, rest)) = room.split_at_mut_checked(fits) else {
            return Err(fmt::Error);
        };
        for (to, byte) in place.iter_mut().zip(text.bytes()) {
            *to = byte;
        }
        self.0 = rest;
        Ok(())
    }
}
