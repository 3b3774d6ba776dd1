// SPDX-License-Identifier: Apache-2.0
//! The outgoing half of a connection: which frames may be sent, and their headers.

use super::frame::Opcode;
use super::utf8::{Utf8, from_utf8};

/// Checks the frames that the application sends, in the order in which they leave.
///
/// A frame is first planned by [`Outgoing::plan`], which changes nothing, and becomes part of the stream by
/// [`Outgoing::commit`] once it is certain to be sent whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing {
    open: Fragmented,
}

/// The fragmented message that has been started and not finished.
#[derive(Clone, Copy, Debug, Default)]
enum Fragmented {
    #[default]
    None,
    Binary,
    /// Contains the check of the text so far.
    Text(Utf8),
}

/// A data frame that may be sent next: the state of its message after it.
///
/// The default is for control frames, which may come anywhere between the fragments of a message and are not committed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planned {
    open: Fragmented,
}

/// The reason why a data frame must not be sent (RFC 6455 sections 5.4 and 5.6). Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Only text, binary and continuation frames carry messages.
    ControlOpcode,
    /// There is no fragmented message to continue.
    NothingToContinue,
    /// A fragmented message must be finished first.
    InsideFragmented,
    /// The text is not UTF-8, or ends inside a character.
    NotUtf8,
}

impl Outgoing {
    /// The state before the first frame.
    pub const NEW: Self = Self {
        open: Fragmented::None,
    };

    /// Returns whether a fragmented message has been started and not finished.
    #[must_use]
    pub const fn is_fragmented(&self) -> bool {
        !matches!(self.open, Fragmented::None)
    }

    /// Checks a data frame. Skips the check for UTF-8 if the payload is known to be valid.
    ///
    /// # Errors
    /// See [`FrameError`]; nothing is changed.
    #[inline]
    pub fn plan(
        &self,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
        is_utf8: bool,
    ) -> Result<Planned, FrameError> {
        let is_whole = fin && !self.is_fragmented();
        let open = match opcode {
            // The usual case.
            Opcode::Text if is_whole && (is_utf8 || from_utf8(payload).is_some()) => {
                Fragmented::None
            }
            Opcode::Binary if is_whole => Fragmented::None,
            _ => self.plan_fragment(fin, opcode, payload, is_utf8)?,
        };
        Ok(Planned { open })
    }

    /// Returns the state of the fragmented message after this frame, unless the frame finishes it.
    fn plan_fragment(
        &self,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
        is_utf8: bool,
    ) -> Result<Fragmented, FrameError> {
        let mut fragment = match (opcode, self.open) {
            (Opcode::Text, Fragmented::None) => Fragmented::Text(Utf8::default()),
            (Opcode::Binary, Fragmented::None) => Fragmented::Binary,
            (Opcode::Text | Opcode::Binary, _) => return Err(FrameError::InsideFragmented),
            (Opcode::Continuation, Fragmented::None) => return Err(FrameError::NothingToContinue),
            (Opcode::Continuation, fragment) => fragment,
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                return Err(FrameError::ControlOpcode);
            }
        };
        if let Fragmented::Text(utf8) = &mut fragment {
            if !is_utf8 || utf8.unfinished() > 0 {
                utf8.push(payload).map_err(|_| FrameError::NotUtf8)?;
            }
            if fin {
                utf8.finish().map_err(|_| FrameError::NotUtf8)?;
            }
        }
        Ok(if fin { Fragmented::None } else { fragment })
    }

    /// Commits the planned frame: it will be sent.
    pub const fn commit(&mut self, planned: &Planned) {
        self.open = planned.open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FrameHeader;

    fn send(
        outgoing: &mut Outgoing,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<Vec<u8>, FrameError> {
        let planned = outgoing.plan(fin, opcode, payload, false)?;
        outgoing.commit(&planned);
        let header = FrameHeader::new(fin, opcode, payload.len());
        Ok(header.as_bytes().to_vec())
    }

    #[test]
    fn a_fragmented_message_takes_continuations_only() {
        let mut out = Outgoing::default();
        let opening = send(&mut out, true, Opcode::Continuation, b"");
        assert_eq!(opening, Err(FrameError::NothingToContinue));
        assert_eq!(
            send(&mut out, false, Opcode::Text, b"ab"),
            Ok(vec![0x01, 2])
        );
        let inside = send(&mut out, true, Opcode::Binary, b"");
        assert_eq!(inside, Err(FrameError::InsideFragmented));
        assert_eq!(
            send(&mut out, false, Opcode::Continuation, b"c"),
            Ok(vec![0x00, 1])
        );
        assert_eq!(
            send(&mut out, true, Opcode::Continuation, b""),
            Ok(vec![0x80, 0])
        );
        assert_eq!(
            send(&mut out, true, Opcode::Binary, b"x"),
            Ok(vec![0x82, 1])
        );
    }

    #[test]
    fn control_frames_are_no_messages() {
        for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
            let sent = send(&mut Outgoing::default(), true, opcode, b"");
            assert_eq!(sent, Err(FrameError::ControlOpcode));
        }
    }

    #[test]
    fn text_known_to_be_utf8_is_checked_only_behind_an_unfinished_character() {
        let mut out = Outgoing::default();
        assert!(out.plan(true, Opcode::Text, "ä".as_bytes(), true).is_ok());
        assert!(send(&mut out, false, Opcode::Text, b"\xc3").is_ok());
        let wrong = out.plan(true, Opcode::Continuation, b"a", true);
        assert_eq!(wrong.err(), Some(FrameError::NotUtf8));
    }

    #[test]
    fn text_is_utf8_across_its_fragments() {
        let mut out = Outgoing::default();
        assert_eq!(
            send(&mut out, true, Opcode::Text, b"\xc3"),
            Err(FrameError::NotUtf8)
        );
        assert!(send(&mut out, false, Opcode::Text, b"\xc3").is_ok());
        let wrong = send(&mut out, false, Opcode::Continuation, b"\xff");
        assert_eq!(wrong, Err(FrameError::NotUtf8));
        let short = send(&mut out, true, Opcode::Continuation, b"");
        assert_eq!(short, Err(FrameError::NotUtf8));
        assert!(send(&mut out, true, Opcode::Continuation, b"\xa4").is_ok());
    }
}
