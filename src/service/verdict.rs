// SPDX-License-Identifier: Apache-2.0
//! Answers of an application to opening requests.

use crate::protocol::{Request, Status, is_challenge, is_response_field};

/// The answer of the application to an opening request:
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
        /// The chosen subprotocol, one of those that the client offers (RFC 6455 section 4.2.2).
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
        /// The challenge. See [`challenge`](Self::challenge).
        challenge: Option<&'a str>,
        /// Further header fields of the response: names and values. See [`fields`](Self::fields).
        fields: &'a [(&'a str, &'a str)],
    },
    /// The answer follows by [`Service::answer`](super::Service::answer), from any thread. Until then the client waits,
    /// up to its handshake timeout.
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

    /// Accepts the client also from pages of other sites, if no list of origins is configured. Otherwise a browser may
    /// connect only if its `Origin` is the server's own, see [`Request::is_same_origin`]. For [`accept`](Self::accept),
    /// in applications with nothing to protect.
    #[must_use]
    pub const fn any_origin(mut self) -> Self {
        if let Self::Accept { any_origin, .. } = &mut self {
            *any_origin = true;
        }
        self
    }

    /// Sets how the client must authenticate: the value of the `WWW-Authenticate` field, such as `Basic realm="device"`
    /// (RFC 9110 section 11.6.1). For [`refuse`](Self::refuse) with [`Status::UNAUTHORIZED`], whose default is the
    /// service's own challenge; ignored for other statuses.
    #[must_use]
    pub const fn challenge(mut self, text: &'a str) -> Self {
        if let Self::Refuse { challenge, .. } = &mut self {
            *challenge = Some(text);
        }
        self
    }

    /// Sets the further header fields of the response: names and values. A name must be a token, and no field that the
    /// service writes itself. A value must not contain control characters except tabs (RFC 9110 section 5). Ignored for
    /// [`Later`](Self::Later).
    #[must_use]
    pub const fn fields(mut self, list: &'a [(&'a str, &'a str)]) -> Self {
        if let Self::Accept { fields, .. } | Self::Refuse { fields, .. } = &mut self {
            *fields = list;
        }
        self
    }

    /// Checks that this is a valid response. Without `takes_fields`, fields and a challenge are errors.
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

/// The error of an answer that had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// No request of this client waits for an answer: it was not deferred, was answered, timed out, or the client has
    /// disconnected.
    NotWaiting,
    /// The client does not offer this subprotocol. Its request still waits.
    Subprotocol,
    /// A header field or the challenge is not valid, or the server is built without fields for responses. The request
    /// still waits.
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

/// Answers an opening request. A request that is not answered, because the application panics, is refused with 500.
#[must_use = "the request has to be answered"]
pub struct Answer<'a>(&'a mut dyn FnMut(Verdict<'_>));

/// Shows that an opening request was answered by an [`Answer`].
#[must_use = "on_request returns it"]
#[derive(Debug)]
pub struct Answered(());

impl<'a> Answer<'a> {
    /// Creates an answer that calls `give` once: for ports, and tests of applications.
    pub const fn new(give: &'a mut dyn FnMut(Verdict<'_>)) -> Self {
        Self(give)
    }

    /// Accepts the client, without a subprotocol. Without a list of origins, browsers can connect only from pages of
    /// the server itself, see [`Verdict::any_origin`].
    pub fn accept(self) -> Answered {
        self.give(Verdict::accept())
    }

    /// Refuses the request with this status.
    pub fn refuse(self, status: Status) -> Answered {
        self.give(Verdict::refuse(status))
    }

    /// Leaves the answer to [`Clients::answer`](crate::Clients::answer). Until then the client waits, up to its
    /// handshake timeout.
    pub fn later(self) -> Answered {
        self.give(Verdict::Later)
    }

    /// Answers with this verdict, at once. If the verdict is not valid (see [`AnswerError`]), this is logged, and the
    /// request is refused with 500.
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
