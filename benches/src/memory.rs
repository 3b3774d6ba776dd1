// SPDX-License-Identifier: Apache-2.0
//! Streams in memory: endless frames to decode, and buffers for encoding.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frames::Content;

/// The size of the buffers of all candidates: tungstenite's default.
pub const BUFFER: usize = 128 * 1024;

/// The longest header for which a candidate reserves room, in bytes.
pub const MAX_HEADER: usize = 16;

/// Returns the output of a future that is always ready.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("streams in memory never have to wait"),
    }
}

/// An endless sequence of frames.
#[derive(Clone)]
pub struct Stream {
    bytes: Vec<u8>,
    at: usize,
    frame_len: usize,
}

impl Stream {
    /// Creates a stream of frames with this payload.
    pub fn new(content: Content, payload: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let mut frame_len = 0;
        // Not a multiple of the buffer, so that frames are cut at varying positions.
        while bytes.len() < BUFFER * 5 / 4 {
            let mask = (bytes.len() as u32).wrapping_mul(0x9e37_79b9) | 1;
            let frame = content.client_frame(payload, mask.to_be_bytes());
            frame_len = frame.len();
            bytes.extend(frame);
        }
        Self {
            bytes,
            at: 0,
            frame_len,
        }
    }

    /// The length of each frame.
    pub const fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Fills `space` with the next bytes. Returns how many these are.
    pub fn give(&mut self, space: &mut [u8]) -> usize {
        let len = space.len();
        self.next(len, |from, part| {
            space[from..from + part.len()].copy_from_slice(part);
        });
        len
    }

    /// Appends the next bytes to `buffer`, as many as fit into its capacity.
    pub fn append_to(&mut self, buffer: &mut BytesMut) {
        let len = buffer.capacity() - buffer.len();
        self.next(len, |_, part| buffer.put_slice(part));
    }

    /// Takes the next `len` bytes, in one or more parts; each with the bytes before it.
    fn next(&mut self, len: usize, mut take: impl FnMut(usize, &[u8])) {
        let mut taken = 0;
        while taken < len {
            let rest = &self.bytes[self.at..];
            let count = rest.len().min(len - taken);
            take(taken, &rest[..count]);
            taken += count;
            self.at = (self.at + count) % self.bytes.len();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        Ok(self.give(space))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = space.remaining();
        self.next(len, |_, part| space.put_slice(part));
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Returns the size of a buffer for frames with this payload: one frame, or as many small ones as fit into the
/// first-level cache.
pub fn output_size(payload: &[u8]) -> usize {
    (MAX_HEADER + payload.len()).max(16 * 1024)
}

/// A buffer for output that is emptied when it is full.
pub struct Output(Vec<u8>);

impl Output {
    /// An empty buffer for frames with this payload.
    pub fn new(payload: &[u8]) -> Self {
        Self(Vec::with_capacity(output_size(payload)))
    }

    /// Returns the buffer with room for a frame with this payload.
    pub fn with_room(&mut self, payload: &[u8]) -> &mut Vec<u8> {
        if self.0.capacity() - self.0.len() < MAX_HEADER + payload.len() {
            black_box(&self.0);
            self.0.clear();
        }
        &mut self.0
    }
}
