// SPDX-License-Identifier: Apache-2.0
//! A raw client: bytes on a socket, with hand-made frames.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};
use socket2::{Domain, SockRef, Socket, Type};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The maximum time of any step of a test.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The opening request of RFC 6455 section 1.3.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
/// The accept key that belongs to it.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Returns the opening request with further header lines, each followed by CR LF.
pub fn request_with(lines: &str) -> String {
    let head = REQUEST.strip_suffix("\r\n").unwrap();
    format!("{head}{lines}\r\n")
}

/// Returns a frame of a client.
pub fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![u8::from(fin) << 7 | opcode];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// The body of a close frame.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Returns a frame of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// The head of an HTTP response, and its body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One end of a TCP connection to a server.
pub struct Client {
    pub stream: TcpStream,
    /// The TLS of the connection.
    pub tls: Option<Box<ClientConnection>>,
    /// Bytes that were received and not taken yet.
    buffer: Vec<u8>,
}

impl Client {
    /// Opens a connection, and sends nothing.
    pub fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).unwrap())
    }

    /// Opens a connection with a small receive buffer, so that the server soon notices when the client does not read.
    pub fn connect_narrow(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&addr.into()).unwrap();
        Self::new(socket.into())
    }

    /// Opens a connection from another address of the loopback network.
    pub fn connect_from(from: Ipv4Addr, addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&addr.into()).unwrap();
        Self::new(socket.into())
    }

    /// Uses a connection that was opened in another way.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            tls: None,
            buffer: Vec::new(),
        }
    }

    /// Encrypts the connection from here on. The handshake is part of the next write or read.
    pub fn secured(mut self, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        self.tls = Some(Box::new(tls));
        self
    }

    /// Connects a client, and upgrades it.
    pub fn open(addr: SocketAddr) -> Self {
        Self::connect(addr).upgraded()
    }

    /// Performs the opening handshake.
    pub fn upgraded(mut self) -> Self {
        self.write(REQUEST.as_bytes());
        assert_eq!(self.response().status, 101);
        self
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).unwrap();
    }

    /// Sends bytes, unless the connection has ended.
    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => {
                let mut stream = Stream::new(&mut **tls, &mut self.stream);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Sends a whole message, or a control frame.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.write(&frame(true, opcode, payload));
    }

    /// Receives more. Returns false at the end of the stream, or after a reset. With TLS, the end must have a
    /// close_notify.
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        let read = match &mut self.tls {
            None => self.stream.read(&mut bytes),
            Some(tls) => Stream::new(&mut **tls, &mut self.stream).read(&mut bytes),
        };
        let count = match read {
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                ) =>
            {
                0
            }
            Err(error) => panic!("nothing came in time: {error}"),
        };
        self.buffer.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// Returns the next `count` bytes, or `None` if the stream ends before.
    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// Returns the response to the opening request, with its body if it has one.
    pub fn response(&mut self) -> Response {
        self.try_response().expect("a response")
    }

    /// Returns the response, or `None` if the connection ends before.
    pub fn try_response(&mut self) -> Option<Response> {
        let end = loop {
            let found = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(at) = found {
                break at + 4;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = String::from_utf8(self.take(end)?).unwrap();
        let status = head.get(9..12).unwrap().parse().unwrap();
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let mut response = Response {
            status,
            head,
            body: Vec::new(),
        };
        if let Some(len) = response.header("Content-Length") {
            let len = len.parse().unwrap();
            response.body = self.take(len)?;
        }
        Some(response)
    }

    /// Returns the next frame, or `None` if the connection ends instead.
    pub fn try_frame(&mut self) -> Option<Frame> {
        let head = self.take(2)?;
        assert_eq!(head[0] & 0x70, 0, "reserved bits");
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let (len, shortest) = match head[1] {
            126 => (
                u16::from_be_bytes(self.take(2)?.try_into().unwrap()).into(),
                126,
            ),
            127 => (
                u64::from_be_bytes(self.take(8)?.try_into().unwrap()),
                0x1_0000,
            ),
            len => (len.into(), 0),
        };
        assert!(
            len >= shortest,
            "a length in more bytes than it needs: {len}"
        );
        let len = len as usize;
        Some(Frame {
            fin: head[0] & 0x80 != 0,
            opcode: head[0] & 0x0f,
            payload: self.take(len)?,
        })
    }

    pub fn frame(&mut self) -> Frame {
        self.try_frame().expect("a frame")
    }

    /// The next frame must be this message, or control frame.
    pub fn expect(&mut self, opcode: u8, payload: &[u8]) {
        let frame = self.frame();
        assert_eq!((frame.fin, frame.opcode), (true, opcode), "{frame:?}");
        assert!(frame.payload == payload, "{frame:?}");
    }

    /// Returns the next message, assembled from its fragments, or control frame.
    pub fn message(&mut self) -> (u8, Vec<u8>) {
        let Frame {
            mut fin,
            opcode,
            mut payload,
        } = self.frame();
        while !fin {
            let more = self.frame();
            assert_eq!(more.opcode, CONTINUATION, "{more:?}");
            fin = more.fin;
            payload.extend(more.payload);
        }
        (opcode, payload)
    }

    /// The next message must be this one, in any number of fragments.
    pub fn expect_message(&mut self, opcode: u8, payload: &[u8]) {
        let message = self.message();
        assert!(message == (opcode, payload.to_vec()), "{message:?}");
    }

    /// The server must close with this code and reason.
    pub fn expect_close(&mut self, code: u16, reason: &str) {
        self.expect(CLOSE, &close_body(code, reason));
    }

    /// Like [`expect`](Self::expect), reading a byte at a time.
    pub fn expect_slowly(&mut self, opcode: u8, payload: &[u8]) {
        let header = if payload.len() > 125 { 4 } else { 2 };
        while self.buffer.len() < header + payload.len() {
            let mut byte = [0];
            assert_eq!(self.stream.read(&mut byte).unwrap(), 1, "a frame");
            self.buffer.push(byte[0]);
        }
        self.expect(opcode, payload);
    }

    /// Returns all bytes before the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Checks that the stream ends.
    pub fn expect_end(&mut self) {
        let rest = self.take(1);
        assert_eq!(rest, None, "the connection ends");
    }

    /// Sends a text that the server must echo.
    pub fn echo(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
        self.expect(TEXT, text.as_bytes());
    }

    /// Shuts down the sending side.
    pub fn end_of_stream(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Sends `bytes` and the end of the stream in one segment.
    pub fn write_and_end(&mut self, bytes: &[u8]) {
        // Corked bytes leave only with the end of the stream.
        SockRef::from(&self.stream).set_tcp_cork(true).unwrap();
        self.write(bytes);
        self.end_of_stream();
    }

    /// Aborts the connection with a reset.
    pub fn reset(self) {
        let now = Some(Duration::ZERO);
        SockRef::from(&self.stream).set_linger(now).unwrap();
    }
}

impl Client {
    /// Reads and drops bytes. Returns false at the end of the stream.
    pub fn discard(&mut self) -> bool {
        let more = self.fill();
        self.buffer.clear();
        more
    }
}
