// SPDX-License-Identifier: Apache-2.0
//! What an application answers to an opening request.

use crate::protocol::{Request, Status, is_challenge, is_response_field};

/// What the application says to an opening request:
///
/// ```
/// use wss::{Status, Verdict};
///
/// let accepted = Verdict::accept().subprotocol("chat.v2").fields(&[("Set-Cookie", "id=1; HttpOnly")]);
/// let refused = Verdict::refuse(Status::UNAUTHORIZED).challenge("Basic realm=\"device\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The client may connect.
    Accept {
        /// The subprotocol to speak, which has to be one that the client offers (RFC 6455 section 4.2.2).
        subprotocol: Option<&'a str>,
        /// Further header fields of the response: names and values. See [`fields`](Self::fields).
        fields: &'a [(&'a str, &'a str)],
        /// Whether pages of any site may connect. See [`any_origin`](Self::any_origin).
        any_origin: bool,
    },
    /// The request is refused.
    Refuse {
        /// The status.
        status: Status,
        /// How the client has to authenticate. See [`challenge`](Self::challenge).
        challenge: Option<&'a str>,
        /// Further header fields of the response: names and values. See [`fields`](Self::fields).
        fields: &'a [(&'a str, &'a str)],
    },
    /// [`Service::answer`](super::Service::answer) says it later, from any thread. Until then the client waits, for
    /// the rest of its handshake timeout.
    Later,
}

impl<'a> Verdict<'a> {
    /// Accepts the client, without a subprotocol.
    #[must_use]
    pub const fn accept() -> Self {
        Self::Accept {
            subprotocol: None,
            fields: &[],
            any_origin: false,
        }
    }

    /// Refuses the request with this status.
    #[must_use]
    pub const fn refuse(status: Status) -> Self {
        Self::Refuse {
            status,
            challenge: None,
            fields: &[],
        }
    }

    /// Chooses one of the subprotocols that the client offers. For [`accept`](Self::accept).
    #[must_use]
    pub const fn subprotocol(mut self, name: &'a str) -> Self {
        if let Self::Accept { subprotocol, .. } = &mut self {
            *subprotocol = Some(name);
        }
        self
    }

    /// Accepts the client also from pages of other sites, where no list of origins is configured. Otherwise a
    /// browser may connect only if its `Origin` is that of the server, see
    /// [`Request::is_same_origin`]. For [`accept`](Self::accept), of applications with nothing to
    /// protect.
    #[must_use]
    pub const fn any_origin(mut self) -> Self {
        if let Self::Accept { any_origin, .. } = &mut self {
            *any_origin = true;
        }
        self
    }

    /// Says how the client has to authenticate: the value of the `WWW-Authenticate` field, such as
    /// `Basic realm="device"` (RFC 9110 section 11.6.1). For [`refuse`](Self::refuse) with
    /// [`Status::UNAUTHORIZED`], which otherwise has a challenge of the service's own; without a meaning for others.
    #[must_use]
    pub const fn challenge(mut self, text: &'a str) -> Self {
        if let Self::Refuse { challenge, .. } = &mut self {
            *challenge = Some(text);
        }
        self
    }

    /// Adds header fields to the response, instead of those before: names and values. A name is a token and none of
    /// the fields that the service writes itself, a value contains no control characters but tabs
    /// (RFC 9110 section 5). Without a meaning for [`Later`](Self::Later).
    #[must_use]
    pub const fn fields(mut self, list: &'a [(&'a str, &'a str)]) -> Self {
        if let Self::Accept { fields, .. } | Self::Refuse { fields, .. } = &mut self {
            *fields = list;
        }
        self
    }

    /// Checks that a response can be made of this. Where `takes_fields` is not set, it has neither
    /// fields nor a challenge.
    pub(super) fn check(
        &self,
        request: &Request<'_>,
        takes_fields: bool,
    ) -> Result<(), AnswerError> {
        let fields = match *self {
            Self::Accept {
                subprotocol,
                fields,
                ..
            } => {
                if let Some(name) = subprotocol {
                    if !request.subprotocols().any(|offered| offered == name) {
                        return Err(AnswerError::Subprotocol);
                    }
                }
                fields
            }
            Self::Refuse {
                challenge, fields, ..
            } => {
                let is_valid = if takes_fields {
                    challenge.is_none_or(is_challenge)
                } else {
                    challenge.is_none()
                };
                if !is_valid {
                    return Err(AnswerError::Field);
                }
                fields
            }
            Self::Later => return Ok(()),
        };
        let is_valid = if takes_fields {
            fields
                .iter()
                .all(|(name, value)| is_response_field(name, value))
        } else {
            fields.is_empty()
        };
        if is_valid {
            Ok(())
        } else {
            Err(AnswerError::Field)
        }
    }
}

/// Why an answer to an opening request did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// No request of this client waits for an answer: none was put off, it was answered, the client
    /// has gone, or its time was over.
    NotWaiting,
    /// The client does not offer this subprotocol. Its request still waits.
    Subprotocol,
    /// A header field or the challenge is not valid, or the server was built without fields for responses. The
    /// request still waits.
    Field,
}

impl core::fmt::Display for AnswerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotWaiting => "no request of the client waits for an answer",
            Self::Subprotocol => "the client does not offer the subprotocol",
            Self::Field => "a header field or the challenge of the response is not valid",
        })
    }
}

impl core::error::Error for AnswerError {}

/// Gives the answer to an opening request. What is not answered, because the application panics, is refused with
/// 500.
#[must_use = "the request has to be answered"]
pub struct Answer<'a>(&'a mut dyn FnMut(Verdict<'_>));

/// An opening request was answered, by an [`Answer`].
#[must_use = "on_request returns it"]
#[derive(Debug)]
pub struct Answered(());

impl<'a> Answer<'a> {
    /// Creates an answer that is given to `give`, once: for ports, and tests of applications.
    pub const fn new(give: &'a mut dyn FnMut(Verdict<'_>)) -> Self {
        Self(give)
    }

    /// Accepts the client, without a subprotocol. Without a list of origins, browsers can connect only from pages
    /// of the server itself; see [`Verdict::any_origin`].
    pub fn accept(self) -> Answered {
        self.give(Verdict::accept())
    }

    /// Refuses the request with this status.
    pub fn refuse(self, status: Status) -> Answered {
        self.give(Verdict::refuse(status))
    }

    /// Leaves the answer to [`Clients::answer`](crate::Clients::answer). Until then the client waits, for the rest
    /// of its handshake timeout.
    pub fn later(self) -> Answered {
        self.give(Verdict::Later)
    }

    /// Gives this answer. The response is sent at once. One that is not possible (see [`AnswerError`]) is logged,
    /// and the request is refused with 500.
    pub fn give(self, verdict: Verdict<'_>) -> Answered {
        (self.0)(verdict);
        Answered(())
    }
}

impl core::fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Answer")
    }
}
