// SPDX-License-Identifier: Apache-2.0
//! Message queues of the kernel.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use wss::service::QueueStorage;

use crate::sys;

/// A `k_msgq` of `T`: one of the `CONFIG_WSS_QUEUES`, or the application's. Dropping it wakes threads in `k_msgq_get`,
/// discards its entries, and returns it to the pool if it is the library's.
pub struct MessageQueue<T> {
    queue: NonNull<c_void>,
    entries: PhantomData<fn(T) -> T>,
}

// SAFETY: any thread may use a k_msgq, and entries move from one to another.
unsafe impl<T: Send> Send for MessageQueue<T> {}

impl<T: Copy> MessageQueue<T> {
    /// Takes one of the library's queues, for `depth` entries. `None` if all are in use, or too small.
    #[must_use]
    pub fn new(depth: usize) -> Option<Self> {
        let queue = sys::wss_port_queue_new(depth, size_of::<T>());
        Some(Self {
            queue: NonNull::new(queue)?,
            entries: PhantomData,
        })
    }

    /// Wraps the application's queue.
    ///
    /// # Safety
    /// `queue` points to a `k_msgq` that lives as long as this, and contains only `T`.
    #[must_use]
    pub const unsafe fn own(queue: NonNull<c_void>) -> Self {
        Self {
            queue,
            entries: PhantomData,
        }
    }
}

impl<T: Copy> QueueStorage for MessageQueue<T> {
    type Entry = T;

    fn put(&mut self, make: impl Fn() -> T) -> bool {
        let entry = make();
        // SAFETY: `queue` points to a k_msgq, which copies an entry of this size.
        unsafe { sys::wss_port_queue_put(self.queue.as_ptr(), (&raw const entry).cast()) }
    }

    fn take(&mut self) -> Option<T> {
        let mut entry = MaybeUninit::<T>::uninit();
        let room = entry.as_mut_ptr().cast();
        // SAFETY: `queue` points to a k_msgq, and `room` has the size of an entry.
        let taken = unsafe { sys::wss_port_queue_get(self.queue.as_ptr(), room) };
        // SAFETY: `entry` is a copy of an entry that was put.
        taken.then(|| unsafe { entry.assume_init() })
    }
}

impl<T> Drop for MessageQueue<T> {
    fn drop(&mut self) {
        // SAFETY: `queue` points to a k_msgq, which is not used after this.
        unsafe { sys::wss_port_queue_end(self.queue.as_ptr()) };
    }
}
