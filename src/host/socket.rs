// SPDX-License-Identifier: Apache-2.0
//! TCP sockets of std.

use std::fmt::Display;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::Mutex;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, bind, listen, sendmsg,
    socket_with, sockopt,
};

#[cfg(feature = "tls")]
use super::monitor::lock;
#[cfg(feature = "tls")]
use super::tls::Tls;
#[cfg(feature = "tls")]
use super::tls_session::Session;
use crate::service::{Socket, SocketError};

/// Connections that the operating system keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// A TCP connection, perhaps with TLS. Clones share it.
#[derive(Clone)]
pub struct HostSocket(Arc<Connection>);

struct Connection {
    stream: TcpStream,
    #[cfg(feature = "tls")]
    session: Option<Mutex<Session>>,
}

impl HostSocket {
    /// Prepares a stream for the service.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        Self::prepare(&stream)?;
        Ok(Self(Arc::new(Connection {
            stream,
            #[cfg(feature = "tls")]
            session: None,
        })))
    }

    /// Prepares a stream for the service. It begins with a TLS handshake.
    #[cfg(feature = "tls")]
    pub(super) fn with_tls(stream: TcpStream, tls: &Tls) -> io::Result<Self> {
        Self::prepare(&stream)?;
        let session = Some(Mutex::new(Session::New(tls.config())));
        Ok(Self(Arc::new(Connection { stream, session })))
    }

    fn prepare(stream: &TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        // Send frames at once, without waiting until the previous one is acknowledged.
        let _ = stream.set_nodelay(true);
        Ok(())
    }

    fn stream(&self) -> &TcpStream {
        &self.0.stream
    }

    /// Calls a function with the TLS session, if there is one.
    #[cfg(feature = "tls")]
    fn with_session<T>(&self, act: impl FnOnce(&mut Session, &TcpStream) -> T) -> Option<T> {
        let session = self.0.session.as_ref()?;
        Some(act(&mut lock(session), self.stream()))
    }

    /// Prepares for the close of the connection.
    pub(super) fn end(&self) {
        #[cfg(feature = "tls")]
        self.with_session(Session::end);
    }

    /// Returns whether both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl AsFd for HostSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
    }
}

impl Socket for HostSocket {
    /// `None` if the connection has ended.
    type Peer = Option<IpAddr>;

    fn peer(&self) -> Option<IpAddr> {
        // An IPv4 client is the same on a listener for both families.
        self.stream()
            .peer_addr()
            .ok()
            .map(|addr| addr.ip().to_canonical())
    }

    fn network(&self) -> u64 {
        match self.peer() {
            // No IPv6 client has such an address (RFC 4291 section 2.7).
            Some(IpAddr::V4(addr)) => 0xFFFF_FFFF_0000_0000 | u64::from(addr.to_bits()),
            Some(IpAddr::V6(addr)) => (addr.to_bits() >> 64) as u64,
            None => 0,
        }
    }

    fn name(&self) -> impl Display {
        let name = self.stream().peer_addr().map(|addr| {
            // An IPv4 client is the same on a listener for both families.
            SocketAddr::new(addr.ip().to_canonical(), addr.port()).to_string()
        });
        name.unwrap_or_else(|_| "an unknown address".to_owned())
    }

    fn receive(&self, space: &mut [u8]) -> Result<usize, SocketError> {
        #[cfg(feature = "tls")]
        if let Some(received) = self.with_session(|tls, stream| tls.receive(stream, space)) {
            return received;
        }
        retry(|| self.stream().read(space))
    }

    fn send(&self, parts: &[&[u8]]) -> Result<usize, SocketError> {
        let mut slices = heapless::Vec::<IoSlice<'_>, 8>::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let _ = slices.push(IoSlice::new(part));
        }
        #[cfg(feature = "tls")]
        if let Some(sent) = self.with_session(|tls, stream| tls.send(stream, &mut slices)) {
            return sent;
        }
        match slices.as_slice() {
            [] => Ok(0),
            [part] => retry(|| self.stream().write(part)),
            parts => retry(|| send_once(self.stream(), parts)),
        }
    }

    fn shutdown_write(&self) -> Result<(), SocketError> {
        #[cfg(feature = "tls")]
        self.with_session(Session::close).transpose()?;
        let shut = self.stream().shutdown(Shutdown::Write);
        shut.map_err(|_| SocketError::Failed)
    }

    #[cfg(feature = "tls")]
    fn is_tls(&self) -> bool {
        self.0.session.is_some()
    }

    #[cfg(feature = "tls")]
    fn is_handshaking(&self) -> bool {
        self.with_session(|tls, _| tls.is_handshaking()) == Some(true)
    }

    #[cfg(feature = "tls")]
    fn handshake(&self) -> Result<(), SocketError> {
        self.with_session(Session::handshake).unwrap_or(Ok(()))
    }

    #[cfg(feature = "tls")]
    fn has_unsent(&self) -> bool {
        self.with_session(|tls, _| tls.has_unsent()) == Some(true)
    }

    #[cfg(feature = "tls")]
    fn has_buffered(&self) -> bool {
        self.with_session(|tls, _| tls.has_buffered()) == Some(true)
    }

    #[cfg(feature = "tls")]
    fn tls_error(&self) -> impl Display {
        let error = self.with_session(|tls, _| tls.error());
        error.unwrap_or_default()
    }
}

/// Sends several parts at once, without a signal. std's `write` suppresses SIGPIPE, but `write_vectored` does not: a
/// disconnected client must not end a program in C that does not ignore SIGPIPE.
pub(super) fn send_once(stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut no_control = SendAncillaryBuffer::default();
    Ok(sendmsg(
        stream,
        parts,
        &mut no_control,
        SendFlags::NOSIGNAL,
    )?)
}

/// Repeats the operation while a signal interrupts it.
pub(super) fn retry(mut io: impl FnMut() -> io::Result<usize>) -> Result<usize, SocketError> {
    loop {
        match io() {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(SocketError::WouldBlock);
            }
            Err(_) => return Err(SocketError::Failed),
        }
    }
}

/// Opens a listener. The unspecified IPv6 address includes IPv4, whatever the default of the operating system
/// (`net.ipv6.bindv6only`) is.
pub(super) fn open_listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // As std does it: connections of a server before do not keep the port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, addr.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    bind(&socket, &addr)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Accepts a connection, without waiting.
pub(super) fn accept(listener: &TcpListener) -> Result<io::Result<TcpStream>, SocketError> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => return Ok(Ok(stream)),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Err(SocketError::WouldBlock),
                // The client gave up while it was waiting; the next one may not have.
                ErrorKind::Interrupted
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset => {}
                // The system reports a missing descriptor even if no connection waits.
                _ if !connection_waits(listener) => return Err(SocketError::WouldBlock),
                _ => return Ok(Err(error)),
            },
        }
    }
}

/// Returns whether a connection waits to be accepted.
fn connection_waits(listener: &TcpListener) -> bool {
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())) != Ok(0)
}
